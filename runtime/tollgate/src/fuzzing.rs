//! What the fuzzer throws at what the program reads itself, and what must hold whatever it throws. Exists only in
//! builds of `cargo xtask fuzz` and in tests, which run it over the seeds in `fuzz/seeds`.

pub use crate::config::fuzzing::tollgate_toml;
pub use crate::upgrade::fuzzing::upgrade;

#[cfg(test)]
mod tests {
    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn the_seeds_hold() {
        let targets: [Target; 2] = [("tollgate_toml", super::tollgate_toml), ("upgrade", super::upgrade)];
        for (target, check) in targets {
            let folder = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
            for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
                check(&std::fs::read(seed.unwrap().path()).unwrap());
            }
        }
    }
}
