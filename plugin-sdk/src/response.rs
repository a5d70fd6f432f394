use crate::Headers;
use crate::headers::Side;
use crate::host::response as host;
use crate::{Edit, Name, Value};

/// The response to the current request. Changes take effect until its head went to the client.
#[derive(Debug)]
pub struct Response(());

/// Who made a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Upstream,
    Plugin,
    Gateway,
}

impl Response {
    pub(crate) fn current() -> Self {
        Self(())
    }

    pub fn status(&self) -> u16 {
        host::status()
    }

    pub fn set_status(&mut self, status: u16) -> Edit {
        host::set_status(status).into()
    }

    pub fn origin(&self) -> Origin {
        match host::origin_of() {
            host::Origin::Upstream => Origin::Upstream,
            host::Origin::Plugin => Origin::Plugin,
            host::Origin::Gateway => Origin::Gateway,
        }
    }

    pub fn headers(&mut self) -> Headers<'_> {
        Headers::of(Side::Response)
    }

    /// First value of a header field. Short for `headers().get(name)`.
    pub fn header(&self, name: impl Name) -> Option<Value> {
        Headers::of(Side::Response).get(name)
    }
}
