//! The bus against the real Redis, in all its forms and in trouble. Installed by `cargo xtask test`.

#![allow(clippy::print_stdout, reason = "a test says what it measured")]

mod faults;
mod forms;
mod pair;
