pub mod clock {
    use std::time::Duration;

    use super::super::super::state::with;

    pub fn now() -> u64 {
        with(|state| u64::try_from(state.now.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn monotonic() -> u64 {
        with(|state| u64::try_from(state.now.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Nobody waits in a test: the clock moves on.
    pub fn sleep(milliseconds: u32) {
        with(|state| state.now += Duration::from_millis(milliseconds.into()));
    }
}

pub mod random {
    use super::super::super::state::with;

    pub fn bytes(length: u32) -> Vec<u8> {
        assert!(length <= 64 * 1024, "at most 64 KiB of randomness a call: the plugin would trap");
        (0..length).map(|_| number() as u8).collect()
    }

    /// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
    pub fn number() -> u64 {
        with(|state| {
            state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state.random ^ (state.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        })
    }
}
