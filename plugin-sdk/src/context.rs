//! What the plugins of a chain tell each other about the current request. It lives in the gateway
//! from the first hook to the last, so it is also where a plugin keeps its own state of a request.

use std::fmt;

use crate::host::context as host;
use crate::{Field, Key, Value};

pub fn get(key: impl Key) -> Option<Value> {
    match key.key() {
        0 => None,
        key => Value::from_raw(host::get(key)),
    }
}

/// 0 when absent or not a number.
pub fn number(key: impl Key) -> i64 {
    match key.key() {
        0 => 0,
        key => host::get_number(key),
    }
}

/// # Errors
/// The request's context is full (64 entries, 64 KiB), or the key is no key.
pub fn set<'v>(key: impl Key, value: impl Into<Field<'v>>) -> Result<(), Full> {
    let key = key.key();
    let done = key != 0
        && match value.into() {
            Field::Held(value) => host::set(key, value.raw()),
            Field::Bytes(bytes) => host::set_bytes(key, bytes),
            Field::Number(number) => host::set_number(key, number),
        };
    if done { Ok(()) } else { Err(Full) }
}

/// The entry was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's context is full, or the key is not valid")
    }
}

impl std::error::Error for Full {}
