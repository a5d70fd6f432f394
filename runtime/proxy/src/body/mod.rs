//! Bodies on their way, both directions.

mod early;
mod piped;
mod request;
mod response;
mod retained;
mod upstream;

pub(crate) use piped::{PieceSender, PipedBody, piped};
pub(crate) use request::{Progress, RequestBody};
pub(crate) use response::ResponseBody;
pub(crate) use retained::{Attempt, Retained};
pub(crate) use upstream::UpstreamBody;

use std::fmt;

use crate::error::ErrorKind;

/// A body that broke off. hyper ends the message so that its receiver notices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyError(pub(crate) ErrorKind);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

impl std::error::Error for BodyError {}
