//! Bodies as they are stored, and as they are used.

use std::sync::Arc;

use serde_json::{Map, Value};
use tollgate_keys::{Pepper, Root, Sealer};
use tollgate_model::Kind;
use tollgate_model::secrets;

/// Seals what is secret in a body, and opens it again. What it seals at one place of an entity opens at no other.
pub struct Vault {
    sealer: Sealer,
    pepper: Arc<Pepper>,
}

/// A body with its secrets in the clear.
pub struct Unsealed {
    pub body: Value,
    /// Why some of it could not be opened; it is left as it was.
    pub problem: Option<String>,
}

/// A body that can't be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("{place}: `{SEALED}` is the gateway's own mark for what it has sealed, and can't be a key here")]
    Reserved { place: String },
}

impl Vault {
    pub fn new(root: &Root) -> Vault {
        Vault { sealer: root.sealer(), pepper: Arc::new(root.pepper()) }
    }

    /// Whether it seals by that root.
    pub fn is_of(&self, root: &Root) -> bool {
        self.pepper.hash_key(PROBE) == root.pepper().hash_key(PROBE)
    }

    /// What keys and tokens are hashed with.
    pub fn pepper(&self) -> Arc<Pepper> {
        Arc::clone(&self.pepper)
    }

    /// The text to store.
    pub fn seal(&self, kind: Kind, name: &str, body: &Value) -> Result<String, SealError> {
        if let Some(place) = reserved(body, String::new()) {
            return Err(SealError::Reserved { place });
        }
        let mut body = body.clone();
        secrets::replace(kind, &mut body, &mut |place, value| {
            let sealed = self.sealer.seal(&context(kind, name, place), value.to_string().as_bytes());
            Ok::<_, SealError>(Value::Object(Map::from_iter([(SEALED.to_owned(), Value::String(sealed))])))
        })?;
        Ok(body.to_string())
    }

    pub fn open(&self, kind: Kind, name: &str, stored: &str) -> Unsealed {
        let mut body = match serde_json::from_str(stored) {
            Ok(body) => body,
            Err(error) => {
                return Unsealed { body: Value::Null, problem: Some(format!("what is stored is no JSON: {error}")) };
            }
        };
        let mut problem = None;
        self.open_value(kind, name, &mut String::new(), &mut body, &mut problem);
        Unsealed { body, problem }
    }

    fn open_value(&self, kind: Kind, name: &str, place: &mut String, value: &mut Value, problem: &mut Option<String>) {
        let length = place.len();
        match value {
            Value::Object(table) => {
                if let (1, Some(Value::String(sealed))) = (table.len(), table.get(SEALED)) {
                    match self.open_text(&context(kind, name, place), sealed) {
                        Ok(opened) => *value = opened,
                        Err(error) => *problem = Some(format!("{place} can't be opened: {error}")),
                    }
                    return;
                }
                for (key, value) in table {
                    push(place, key);
                    self.open_value(kind, name, place, value, problem);
                    place.truncate(length);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter_mut().enumerate() {
                    push(place, &index.to_string());
                    self.open_value(kind, name, place, value, problem);
                    place.truncate(length);
                }
            }
            _ => {}
        }
    }

    fn open_text(&self, context: &str, sealed: &str) -> Result<Value, String> {
        let plain = self.sealer.open(context, sealed).map_err(|error| error.to_string())?;
        serde_json::from_slice(&plain).map_err(|_| "what was sealed is no JSON".to_owned())
    }
}

/// What binds a sealed value to its place.
fn context(kind: Kind, name: &str, place: &str) -> String {
    format!("{kind}/{name}#{place}")
}

/// A step of a JSON pointer (RFC 6901).
fn push(place: &mut String, step: &str) {
    place.push('/');
    for character in step.chars() {
        match character {
            '~' => place.push_str("~0"),
            '/' => place.push_str("~1"),
            other => place.push(other),
        }
    }
}

fn reserved(value: &Value, place: String) -> Option<String> {
    match value {
        Value::Object(table) => table.iter().find_map(|(key, value)| {
            if key == SEALED {
                return Some(if place.is_empty() { "/".to_owned() } else { place.clone() });
            }
            let mut inner = place.clone();
            push(&mut inner, key);
            reserved(value, inner)
        }),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, value)| reserved(value, format!("{place}/{index}")))
        }
        _ => None,
    }
}

/// The one key of the table that stands in a secret's place.
const SEALED: &str = "$sealed";
/// Two roots hash nothing alike.
const PROBE: &[u8] = b"tollgate root probe";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Value {
        json!({ "module": "forward", "config": { "url": "http://a", "password": "s3cret", "list": [{ "token": 12 }] } })
    }

    #[test]
    fn what_is_sealed_can_be_opened_again_and_hides_what_it_was() {
        let vault = Vault::new(&Root::random());
        let stored = vault.seal(Kind::Plugin, "a", &body()).expect("nothing is reserved");
        assert!(!stored.contains("s3cret") && stored.contains("http://a"), "{stored}");
        let opened = vault.open(Kind::Plugin, "a", &stored);
        assert_eq!((opened.body, opened.problem), (body(), None));
    }

    #[test]
    fn nothing_opens_at_another_place_or_by_another_root() {
        let vault = Vault::new(&Root::random());
        let stored = vault.seal(Kind::Plugin, "a", &body()).expect("nothing is reserved");
        assert!(vault.open(Kind::Plugin, "b", &stored).problem.is_some());
        assert!(Vault::new(&Root::random()).open(Kind::Plugin, "a", &stored).problem.is_some());
        let moved = stored.replace("password", "passport-token");
        let problem = vault.open(Kind::Plugin, "a", &moved).problem.expect("a place of another name");
        assert!(problem.contains("/config/passport-token"), "{problem}");
    }

    #[test]
    fn the_mark_of_sealed_values_is_reserved() {
        let vault = Vault::new(&Root::random());
        let body = json!({ "config": { "a": [{ "$sealed": "x" }] } });
        let error = vault.seal(Kind::Plugin, "a", &body).expect_err("reserved");
        assert!(error.to_string().starts_with("/config/a/0: "), "{error}");
    }
}
