//! Long proofs: scaled down in everyday runs, at full size under `cargo xtask prove`.

use std::fmt::Display;

/// Whether this run is at full size (`TOLLGATE_PROVE=1`).
pub fn proving() -> bool {
    std::env::var_os("TOLLGATE_PROVE").is_some_and(|value| value == "1")
}

/// The size of a proof in this run.
pub fn scaled<T>(quick: T, full: T) -> T {
    if proving() { full } else { quick }
}

/// Prints a line of the table that `cargo xtask prove` gathers; see [`proof!`](crate::proof).
pub fn announce(issue: u32, point: u32, what: impl Display, figure: impl Display) {
    println!("PROOF {issue}.{point} | {what} | {figure}");
}

/// `proof!(2, 3, "what was shown", "{figure}")`: point 3 of issue 2's "Must be shown".
#[macro_export]
macro_rules! proof {
    ($issue:expr, $point:expr, $what:expr, $($figure:tt)+) => {
        $crate::announce($issue, $point, $what, ::std::format_args!($($figure)+))
    };
}
