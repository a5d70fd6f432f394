//! A thousand consumers with a key each, in the form of every peer.

use std::fmt::Write as _;

/// One consumer's key.
#[derive(Debug, Clone)]
pub struct Key {
    pub consumer: String,
    /// 32 hexadecimal digits.
    pub key: String,
}

/// The same keys in every run.
pub fn thousand() -> Vec<Key> {
    let mut state = 0;
    let one = |index| Key {
        consumer: format!("consumer-{index:04}"),
        key: format!("{:016x}{:016x}", scatter(&mut state), scatter(&mut state)),
    };
    (0..1000).map(one).collect()
}

/// For nginx's `map`: one `key consumer;` a line.
pub fn nginx_map(keys: &[Key]) -> String {
    keys.iter().fold(String::new(), |mut text, Key { key, consumer }| {
        let _ = writeln!(text, "{key} {consumer};");
        text
    })
}

/// A Lua chunk that returns consumers by key.
pub fn lua_table(keys: &[Key]) -> String {
    let rows = keys.iter().fold(String::new(), |mut text, Key { key, consumer }| {
        let _ = writeln!(text, "  [\"{key}\"] = \"{consumer}\",");
        text
    });
    format!("return {{\n{rows}}}\n")
}

/// For HAProxy's `map`: one `key consumer` a line.
pub fn haproxy_map(keys: &[Key]) -> String {
    keys.iter().fold(String::new(), |mut text, Key { key, consumer }| {
        let _ = writeln!(text, "{key} {consumer}");
        text
    })
}

/// SplitMix64 (Steele, Lea and Flood, 2014): far-apart numbers from a counter.
fn scatter(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_stay_the_same() {
        let keys = thousand();
        let distinct: std::collections::HashSet<&str> = keys.iter().map(|key| key.key.as_str()).collect();
        assert_eq!(distinct.len(), 1000);
        assert_eq!(keys[0].key.len(), 32);
        assert_eq!(keys[7].key, thousand()[7].key);
    }
}
