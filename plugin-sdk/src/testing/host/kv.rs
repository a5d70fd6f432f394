use std::time::Duration;

use super::super::state::with;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Node,
    Cluster,
}

/// The fake's store is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    TooLarge,
    Full,
    Unavailable,
}

pub fn get(scope: Scope, key: &[u8]) -> u32 {
    let found = read(scope, key);
    with(|state| state.make_optional(found))
}

pub fn set(scope: Scope, key: &[u8], bytes: &[u8], time_to_live: u64) -> Result<(), Failure> {
    if key.len() > 256 || bytes.len() > 64 * 1024 {
        return Err(Failure::TooLarge);
    }
    with(|state| {
        let end = (time_to_live > 0).then(|| state.now + Duration::from_millis(time_to_live));
        state.kv.insert((scope, key.to_vec()), (bytes.to_vec(), end));
    });
    Ok(())
}

pub fn compare_and_set(
    scope: Scope,
    key: &[u8],
    expected: u32,
    bytes: &[u8],
    time_to_live: u64,
) -> Result<bool, Failure> {
    let expected = with(|state| (expected != 0).then(|| state.read(expected).to_vec()));
    if read(scope, key) != expected {
        return Ok(false);
    }
    set(scope, key, bytes, time_to_live).map(|()| true)
}

pub fn delete(scope: Scope, key: &[u8]) -> bool {
    let found = read(scope, key).is_some();
    with(|state| state.kv.remove(&(scope, key.to_vec())));
    found
}

fn read(scope: Scope, key: &[u8]) -> Option<Vec<u8>> {
    with(|state| {
        let (bytes, end) = state.kv.get(&(scope, key.to_vec()))?;
        let alive = end.is_none_or(|end| state.now < end);
        alive.then(|| bytes.clone())
    })
}
