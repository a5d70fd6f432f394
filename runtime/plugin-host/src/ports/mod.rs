//! What hooks reach beyond their request: narrow ports, each of them shared by the whole process.

pub(crate) mod directory;
pub(crate) mod kv;
pub(crate) mod sink;
