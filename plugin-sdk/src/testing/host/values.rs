use super::super::state::with;

pub fn read(value: u32) -> Vec<u8> {
    with(|state| state.read(value).to_vec())
}

pub fn length(value: u32) -> u32 {
    with(|state| u32::try_from(state.read(value).len()).expect("tests hold less"))
}

pub fn make(bytes: &[u8]) -> u32 {
    with(|state| state.make(bytes))
}

pub fn equal(left: u32, right: u32) -> bool {
    with(|state| state.read(left) == state.read(right))
}
