use super::super::state::{Phase, State, with};

/// The real limit is the gateway's setting; this one is large for a test.
const LARGEST_PIECE: usize = 16 << 20;

pub fn read() -> Vec<u8> {
    with(|state| piece(state).clone())
}

pub fn length() -> u64 {
    with(|state| piece(state).len() as u64)
}

pub fn write(bytes: &[u8]) -> bool {
    let fits = bytes.len() <= LARGEST_PIECE;
    if fits {
        with(|state| *piece(state) = bytes.to_vec());
    }
    fits
}

fn piece(state: &mut State) -> &mut Vec<u8> {
    let phase = state.phase;
    assert!(matches!(phase, Phase::RequestBody | Phase::ResponseBody), "there is no body in {phase:?}: it would trap");
    &mut state.current().piece
}
