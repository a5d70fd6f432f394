use serde_json::{Value, json};

use super::Outcome;
use super::api::{Api, path, shown, table, until};
use super::token::show_once;
use crate::cli::KeyVerb;

pub fn run(verb: &KeyVerb) -> anyhow::Result<Outcome> {
    match verb {
        KeyVerb::Create { consumer, id, expires, api } => {
            let api = Api::open(api)?;
            let mut body = json!({});
            if let Some(id) = id {
                body["id"] = id.as_str().into();
            }
            if let Some(time) = expires {
                body["expires_at"] = until(*time).into();
            }
            let told = api.post(&path(&["consumers", consumer, "keys"]), &body)?.json()?;
            show_once(&api, &told, "key")?;
        }
        KeyVerb::List { consumer, api } => {
            let api = Api::open(api)?;
            let keys = api.list(&format!("{}?size=1000", path(&["consumers", consumer, "keys"])))?;
            api.show_list(keys, rendered)?;
        }
        KeyVerb::Delete { consumer, id, api } => {
            let api = Api::open(api)?;
            let told = api.delete(&path(&["consumers", consumer, "keys", id]))?.json_if_any()?;
            api.show(&told, || format!("{consumer} has no key {id} any more\n"))?;
        }
    }
    Ok(Outcome::Done)
}

fn rendered(keys: &[Value]) -> String {
    let row = |key: &Value| ["id", "prefix", "created_at", "expires_at"].map(|column| shown(&key[column]));
    table(["ID", "BEGINS", "CREATED", "EXPIRES"], keys.iter().map(row))
}
