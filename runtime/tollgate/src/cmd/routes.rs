use serde_json::Value;

use super::Outcome;
use super::api::{Api, query, shown, table};
use crate::cli::RoutesArgs;

pub fn run(args: &RoutesArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    let tags = args.tags.iter().map(|tags| ("tags", tags.clone()));
    let routes = api.list(&query("/routes", [("size", "1000".to_owned())].into_iter().chain(tags)))?;
    api.show_list(routes, rendered)?;
    Ok(Outcome::Done)
}

fn rendered(routes: &[Value]) -> String {
    let row = |route: &Value| {
        ["name", "hosts", "paths", "methods", "service", "priority"].map(|column| shown(&route[column]))
    };
    table(["NAME", "HOSTS", "PATHS", "METHODS", "SERVICE", "PRIORITY"], routes.iter().map(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn routes_stand_in_a_table() {
        let routes = [
            json!({ "name": "orders", "hosts": ["a.test", "b.test"], "paths": ["/o"], "service": "s", "priority": 5 }),
            json!({ "name": "x", "methods": ["GET"], "service": "s", "priority": 0 }),
        ];
        assert_eq!(
            rendered(&routes),
            "NAME    HOSTS          PATHS  METHODS  SERVICE  PRIORITY\n\
             orders  a.test,b.test  /o     -        s        5\n\
             x       -              -      GET      s        0\n"
        );
    }
}
