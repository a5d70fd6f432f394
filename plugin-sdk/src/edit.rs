use std::fmt;

use crate::host::request::Edit as HostEdit;

/// What became of a change to a message's head. Ignore it where a refused change does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    Done,
    /// Not a valid name, method, path, query or field value.
    Invalid,
    /// Over the gateway's limits on size or number.
    TooLarge,
    /// The head is already on its way.
    TooLate,
    /// A field that belongs to the gateway (framing, connection, consumer headers).
    Reserved,
}

impl Edit {
    pub fn is_done(self) -> bool {
        self == Edit::Done
    }
}

impl From<HostEdit> for Edit {
    fn from(edit: HostEdit) -> Self {
        match edit {
            HostEdit::Done => Edit::Done,
            HostEdit::Invalid => Edit::Invalid,
            HostEdit::TooLarge => Edit::TooLarge,
            HostEdit::TooLate => Edit::TooLate,
            HostEdit::Reserved => Edit::Reserved,
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Edit::Done => "done",
            Edit::Invalid => "not a valid name or value",
            Edit::TooLarge => "too large",
            Edit::TooLate => "the head is already on its way",
            Edit::Reserved => "belongs to the gateway",
        })
    }
}
