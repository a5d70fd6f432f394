use std::num::NonZeroU32;

use crate::host;

/// Bytes held by the gateway. Good until the hook returns: a value kept longer traps, or is
/// another one by then.
#[derive(Clone, Copy, Debug)]
pub struct Value(NonZeroU32);

impl Value {
    /// Hands bytes to the gateway.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self::from_raw(host::values::make(bytes.as_ref())).expect("the host numbers values from 1")
    }

    /// Copies the bytes out.
    pub fn read(self) -> Vec<u8> {
        host::values::read(self.raw())
    }

    /// Copies the bytes out as text; what is not UTF-8 becomes U+FFFD.
    pub fn text(self) -> String {
        String::from_utf8(self.read()).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    pub fn len(self) -> usize {
        host::values::length(self.raw()) as usize
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Compares without copying, in a time that does not depend on where the two differ.
    pub fn equals(self, other: Value) -> bool {
        host::values::equal(self.raw(), other.raw())
    }

    /// The handle's number in the ABI; 0 stands for "absent" there and is no value.
    pub fn from_raw(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    pub fn raw(self) -> u32 {
        self.0.get()
    }
}

/// Number of an optional value in the ABI.
pub(crate) fn raw(value: Option<Value>) -> u32 {
    value.map_or(0, Value::raw)
}

/// What a header or a context entry can be set to. Every setter takes `impl Into<Field>`.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    /// Bytes that the gateway has already.
    Held(Value),
    Bytes(&'a [u8]),
    Number(i64),
}

impl Field<'_> {
    /// As a value of the gateway's.
    pub(crate) fn hold(self) -> Value {
        match self {
            Field::Held(value) => value,
            Field::Bytes(bytes) => Value::new(bytes),
            Field::Number(number) => Value::new(number.to_string()),
        }
    }
}

impl From<Value> for Field<'_> {
    fn from(value: Value) -> Self {
        Field::Held(value)
    }
}

impl<'a> From<&'a [u8]> for Field<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Field::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Field<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Field::Bytes(bytes)
    }
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Field::Bytes(text.as_bytes())
    }
}

impl<'a> From<&'a String> for Field<'a> {
    fn from(text: &'a String) -> Self {
        Field::Bytes(text.as_bytes())
    }
}

impl From<i32> for Field<'_> {
    fn from(number: i32) -> Self {
        Field::Number(number.into())
    }
}

impl From<i64> for Field<'_> {
    fn from(number: i64) -> Self {
        Field::Number(number)
    }
}

impl From<u32> for Field<'_> {
    fn from(number: u32) -> Self {
        Field::Number(number.into())
    }
}

/// Numbers over `i64::MAX` become `i64::MAX`.
impl From<u64> for Field<'_> {
    fn from(number: u64) -> Self {
        Field::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
