use std::fmt;

use crate::host::body as host;

/// The piece of a body that the current hook was called for, or the whole body when the
/// subscription holds it back.
#[derive(Debug)]
pub struct Body {
    last: bool,
}

impl Body {
    pub(crate) fn current(last: bool) -> Self {
        Self { last }
    }

    /// Copies the piece out.
    pub fn read(&self) -> Vec<u8> {
        host::read()
    }

    /// Bytes of the piece.
    pub fn len(&self) -> u64 {
        host::length()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No piece follows.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Replaces the piece.
    ///
    /// # Errors
    /// Over the gateway's limit; the piece then stays.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), TooLarge> {
        if host::write(bytes.as_ref()) { Ok(()) } else { Err(TooLarge) }
    }
}

/// The piece is over the gateway's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is over the gateway's limit")
    }
}

impl std::error::Error for TooLarge {}
