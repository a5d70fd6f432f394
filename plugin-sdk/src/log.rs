//! The gateway's own log, and fields of the access-log record.

use crate::Field;
use crate::host::log as host;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// One line: at most 4 KiB of text and 100 lines a second for a module; what is over is cut or
/// dropped. [`info!`](crate::info) and its like format one.
pub fn write(level: Level, message: &str) {
    let level = match level {
        Level::Error => host::Level::Error,
        Level::Warn => host::Level::Warn,
        Level::Info => host::Level::Info,
        Level::Debug => host::Level::Debug,
    };
    host::write(level, message);
}

/// Adds a field to the request's log record: at most 16, 1 KiB each.
pub fn field<'v>(name: &str, value: impl Into<Field<'v>>) {
    host::field(name, value.into().hold().raw());
}

/// Writes an error to the gateway's log; takes what `format!` takes.
#[macro_export]
macro_rules! error {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($message)+)) };
}

/// Writes a warning to the gateway's log; takes what `format!` takes.
#[macro_export]
macro_rules! warn {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($message)+)) };
}

/// Writes to the gateway's log; takes what `format!` takes.
#[macro_export]
macro_rules! info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($message)+)) };
}

/// Writes to the gateway's log when it is verbose; takes what `format!` takes.
#[macro_export]
macro_rules! debug {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($message)+)) };
}
