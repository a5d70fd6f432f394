use std::fmt;
use std::num::NonZeroU32;

use crate::host;

/// A resolved header name: resolve it in `configure`, and hooks name the field by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderName(NonZeroU32);

impl HeaderName {
    /// Any case.
    ///
    /// # Errors
    /// Not a valid field name (RFC 9110, 5.1).
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        NonZeroU32::new(host::names::header(name)).map(Self).ok_or_else(|| InvalidName(name.to_owned()))
    }
}

/// A resolved key of the request's [`context`](crate::context).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextKey(NonZeroU32);

impl ContextKey {
    /// Keys are shared by all plugins of the chain, so prefix what is nobody else's business.
    ///
    /// # Errors
    /// Empty, or over 64 bytes.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        NonZeroU32::new(host::names::key(name)).map(Self).ok_or_else(|| InvalidName(name.to_owned()))
    }
}

/// A header's name: a [`HeaderName`], or a text that is resolved on each use. An invalid text
/// names no field: it is never there and can't be set.
pub trait Name: private::Resolve {}

/// A context key: a [`ContextKey`], or a text that is resolved on each use.
pub trait Key: private::Resolve {}

impl Name for HeaderName {}
impl Name for &str {}
impl Name for &String {}
impl Key for ContextKey {}
impl Key for &str {}
impl Key for &String {}

pub(crate) mod private {
    /// Number of a name in the host's table; 0 for an invalid one.
    pub trait Resolve {
        fn header(self) -> u32;
        fn key(self) -> u32;
    }
}

impl private::Resolve for HeaderName {
    fn header(self) -> u32 {
        self.0.get()
    }

    /// Header names and context keys are different numbers; no public trait leads here.
    fn key(self) -> u32 {
        0
    }
}

impl private::Resolve for ContextKey {
    fn header(self) -> u32 {
        0
    }

    fn key(self) -> u32 {
        self.0.get()
    }
}

impl private::Resolve for &str {
    fn header(self) -> u32 {
        host::names::header(self)
    }

    fn key(self) -> u32 {
        host::names::key(self)
    }
}

impl private::Resolve for &String {
    fn header(self) -> u32 {
        host::names::header(self)
    }

    fn key(self) -> u32 {
        host::names::key(self)
    }
}

/// The text that can't be a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName(String);

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a valid name", self.0)
    }
}

impl std::error::Error for InvalidName {}
