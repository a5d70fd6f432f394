use std::marker::PhantomData;

use crate::host;
use crate::{Edit, Field, Name, Value};

/// The header fields of a request or a response, in the gateway's memory. Names are compared
/// without case.
#[derive(Debug)]
pub struct Headers<'a> {
    side: Side,
    message: PhantomData<&'a mut ()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

impl Headers<'_> {
    pub(crate) fn of(side: Side) -> Self {
        Self { side, message: PhantomData }
    }

    /// First value of the field.
    pub fn get(&self, name: impl Name) -> Option<Value> {
        let name = valid(name)?;
        Value::from_raw(match self.side {
            Side::Request => host::request::header(name),
            Side::Response => host::response::header(name),
        })
    }

    /// First value of the field, copied out; what is not UTF-8 becomes U+FFFD.
    pub fn text(&self, name: impl Name) -> Option<String> {
        self.get(name).map(Value::text)
    }

    /// All values of the field, in order.
    pub fn values(&self, name: impl Name) -> impl ExactSizeIterator<Item = Value> {
        let values = valid(name).map_or_else(Vec::new, |name| match self.side {
            Side::Request => host::request::header_values(name),
            Side::Response => host::response::header_values(name),
        });
        values.into_iter().map(held)
    }

    /// All fields, in order, names in lower case.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (String, Value)> {
        let fields = match self.side {
            Side::Request => host::request::headers(),
            Side::Response => host::response::headers(),
        };
        fields.into_iter().map(|(name, value)| (name, held(value)))
    }

    /// Replaces all values of the field.
    pub fn set<'v>(&mut self, name: impl Name, value: impl Into<Field<'v>>) -> Edit {
        let Some(name) = valid(name) else { return Edit::Invalid };
        Edit::from(match (self.side, value.into()) {
            (Side::Request, Field::Held(value)) => host::request::set_header(name, value.raw()),
            (Side::Request, Field::Bytes(bytes)) => host::request::set_header_bytes(name, bytes),
            (Side::Request, Field::Number(number)) => host::request::set_header_number(name, number),
            (Side::Response, Field::Held(value)) => host::response::set_header(name, value.raw()),
            (Side::Response, Field::Bytes(bytes)) => host::response::set_header_bytes(name, bytes),
            (Side::Response, Field::Number(number)) => host::response::set_header_number(name, number),
        })
    }

    /// Adds a value.
    pub fn append<'v>(&mut self, name: impl Name, value: impl Into<Field<'v>>) -> Edit {
        let Some(name) = valid(name) else { return Edit::Invalid };
        Edit::from(match (self.side, value.into()) {
            (Side::Request, value) => host::request::append_header(name, value.hold().raw()),
            (Side::Response, Field::Bytes(bytes)) => host::response::append_header_bytes(name, bytes),
            (Side::Response, value) => host::response::append_header(name, value.hold().raw()),
        })
    }

    /// Removes all values of the field.
    pub fn remove(&mut self, name: impl Name) -> Edit {
        let Some(name) = valid(name) else { return Edit::Invalid };
        Edit::from(match self.side {
            Side::Request => host::request::remove_header(name),
            Side::Response => host::response::remove_header(name),
        })
    }
}

fn valid(name: impl Name) -> Option<u32> {
    Some(name.header()).filter(|&number| number != 0)
}

fn held(number: u32) -> Value {
    Value::from_raw(number).expect("lists of the host hold no absent values")
}
