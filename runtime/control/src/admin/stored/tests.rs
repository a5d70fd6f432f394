//! The API over a real database, in a folder of its own.

mod bench;
mod concurrency;
mod credentials;
mod documented;
mod entities;
mod history;
mod trees;

use bench::{Bench, names, paths};
