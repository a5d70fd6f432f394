use serde_json::{Value, json};

use super::Outcome;
use super::api::{Api, note, path, say, shown, table, until};
use crate::cli::{Output, Role, TokenVerb};

pub fn run(verb: &TokenVerb) -> anyhow::Result<Outcome> {
    match verb {
        TokenVerb::Create { name, role, expires, api } => {
            let api = Api::open(api)?;
            let role = match role {
                Role::Admin => "admin",
                Role::ReadOnly => "read-only",
            };
            let mut body = json!({ "name": name, "role": role });
            if let Some(time) = expires {
                body["expires_at"] = until(*time).into();
            }
            let told = api.post("/tokens", &body)?.json()?;
            show_once(&api, &told, "token")?;
        }
        TokenVerb::List { api } => {
            let api = Api::open(api)?;
            api.show_list(api.list("/tokens?size=1000")?, rendered)?;
        }
        TokenVerb::Delete { name, api } => {
            let api = Api::open(api)?;
            let told = api.delete(&path(&["tokens", name]))?.json_if_any()?;
            api.show(&told, || format!("there is no token {name} any more\n"))?;
        }
    }
    Ok(Outcome::Done)
}

/// The secret alone, so that a script can take it.
pub(super) fn show_once(api: &Api, told: &Value, secret: &str) -> anyhow::Result<()> {
    if api.output() == Output::Text {
        note(&format!("keep it: the {secret} is not shown again"));
        return say(&format!("{}\n", shown(&told[secret])));
    }
    api.show(told, String::new)
}

fn rendered(tokens: &[Value]) -> String {
    let row =
        |token: &Value| ["name", "role", "prefix", "created_at", "expires_at"].map(|column| shown(&token[column]));
    table(["NAME", "ROLE", "BEGINS", "CREATED", "EXPIRES"], tokens.iter().map(row))
}
