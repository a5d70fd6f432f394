//! Where a configuration comes from.
//!
//! A read-only [`mod@file`], or a [`database`]: SQLite (one node) and Postgres (a cluster), behind one type with one
//! suite of tests.
//!
//! Invariants
//! - What leaves a store is a whole, valid [`ConfigSet`](tollgate_model::ConfigSet), or a
//!   [`ConfigReport`] with every problem in it.
//! - No report shows a secret: neither a value that was expanded from the environment, nor what
//!   stands in the file under a key such as `key` or `password`.
//! - The environment is read by the caller only, through a closure.

pub mod database;
pub mod document;
pub mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod report;
pub mod watch;

pub use document::Document;
pub use file::{Draft, FileStore, Loaded};
pub use report::{ConfigReport, Finding, ShownFinding};
pub use watch::{Watch, Watched};
