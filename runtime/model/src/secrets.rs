//! What of an entity must not be shown, and is sealed where it is stored: one rule for both.
//!
//! A plugin's settings are free-form, so nothing says for sure which of them are secret. Rather too much is hidden
//! than too little.

mod rule;

use serde_json::{Map, Value};

use crate::Kind;
use rule::holds_secret;
pub use rule::is_secret_name;

/// Stands where a secret stood.
pub const HIDDEN: &str = "[hidden]";

/// What is put in a secret's place; given the place as a JSON pointer (RFC 6901) into the body.
type Replacement<'r, E> = &'r mut dyn FnMut(&str, Value) -> Result<Value, E>;

/// Replaces every secret of an entity's body.
pub fn replace<E>(kind: Kind, body: &mut Value, replacement: Replacement<'_, E>) -> Result<(), E> {
    let Value::Object(table) = body else { return Ok(()) };
    let mut walk = Walk { place: String::new(), replacement };
    match kind {
        Kind::Plugin => walk.at(table, "config", Walk::settings)?,
        Kind::Certificate => walk.at(table, "key", Walk::whole)?,
        Kind::Route => walk.condition(table)?,
        _ => {}
    }
    walk.at(table, "chain", Walk::chain)
}

/// The body as it may be shown.
pub fn hide(kind: Kind, body: &Value) -> Value {
    let mut shown = body.clone();
    match replace(kind, &mut shown, &mut |_, _| Ok::<_, std::convert::Infallible>(HIDDEN.into())) {
        Ok(()) => shown,
        Err(never) => match never {},
    }
}

/// Settings as they may be shown.
pub fn hide_settings(settings: &Map<String, Value>) -> Map<String, Value> {
    let body = Value::Object(Map::from_iter([("config".to_owned(), Value::Object(settings.clone()))]));
    match hide(Kind::Plugin, &body) {
        Value::Object(mut table) => match table.remove("config") {
            Some(Value::Object(settings)) => settings,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}

/// Anything, by the rule for settings.
pub fn hide_freely(value: &Value) -> Value {
    let mut shown = value.clone();
    let replacement = &mut |_: &str, _: Value| Ok::<_, std::convert::Infallible>(HIDDEN.into());
    match (Walk { place: String::new(), replacement }).settings(&mut shown) {
        Ok(()) => shown,
        Err(never) => match never {},
    }
}

struct Walk<'r, E> {
    place: String,
    replacement: Replacement<'r, E>,
}

impl<E> Walk<'_, E> {
    /// Goes on below a key, if it is there.
    fn at(
        &mut self,
        table: &mut Map<String, Value>,
        key: &str,
        next: impl FnOnce(&mut Self, &mut Value) -> Result<(), E>,
    ) -> Result<(), E> {
        match table.get_mut(key) {
            Some(value) => self.below(key, value, next),
            None => Ok(()),
        }
    }

    fn below(
        &mut self,
        step: &str,
        value: &mut Value,
        next: impl FnOnce(&mut Self, &mut Value) -> Result<(), E>,
    ) -> Result<(), E> {
        let length = self.place.len();
        self.place.push('/');
        self.place.push_str(&step.replace('~', "~0").replace('/', "~1"));
        next(self, value)?;
        self.place.truncate(length);
        Ok(())
    }

    fn each(&mut self, items: &mut [Value], next: impl Fn(&mut Self, &mut Value) -> Result<(), E>) -> Result<(), E> {
        items.iter_mut().enumerate().try_for_each(|(index, item)| self.below(&index.to_string(), item, &next))
    }

    fn whole(&mut self, value: &mut Value) -> Result<(), E> {
        let secret = value.take();
        *value = (self.replacement)(&self.place, secret)?;
        Ok(())
    }

    /// Free-form. Flags are kept: they hold nothing.
    fn settings(&mut self, value: &mut Value) -> Result<(), E> {
        match value {
            Value::Object(table) => {
                // `{ name = "authorization", value = "…" }`: the name of the value stands beside it.
                let named_secret = table.get("name").and_then(Value::as_str).is_some_and(is_secret_name);
                for (name, value) in table {
                    let secret = is_secret_name(name) || (named_secret && name.starts_with("value"));
                    match value {
                        Value::Bool(_) | Value::Null => {}
                        _ if secret => self.below(name, value, Walk::whole)?,
                        _ => self.below(name, value, Walk::settings)?,
                    }
                }
                Ok(())
            }
            Value::Array(items) => self.each(items, Walk::settings),
            Value::String(text) if holds_secret(text) => self.whole(value),
            _ => Ok(()),
        }
    }

    /// A chain's entries may have conditions.
    fn chain(&mut self, value: &mut Value) -> Result<(), E> {
        let Value::Array(entries) = value else { return Ok(()) };
        self.each(entries, |walk, entry| match entry {
            Value::Object(table) => walk.at(table, "when", Walk::when),
            _ => Ok(()),
        })
    }

    fn when(&mut self, value: &mut Value) -> Result<(), E> {
        let Value::Object(table) = value else { return Ok(()) };
        self.condition(table)?;
        self.at(table, "not", Walk::when)
    }

    /// A route may be kept for those who send a secret.
    fn condition(&mut self, table: &mut Map<String, Value>) -> Result<(), E> {
        for list in ["headers", "query"] {
            self.at(table, list, |walk, matches| {
                let Value::Object(matches) = matches else { return Ok(()) };
                for (name, values) in matches {
                    let Value::Array(values) = values else { continue };
                    if is_secret_name(name) {
                        walk.below(name, &mut Value::Array(std::mem::take(values)), |walk, list| {
                            let Value::Array(items) = list else { return Ok(()) };
                            walk.each(items, Walk::whole)?;
                            *values = std::mem::take(items);
                            Ok(())
                        })?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
