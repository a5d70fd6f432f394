use super::budget::{Budget, MOST};
use super::frames::{FrameHead, Frames};

/// Frames are found however their bytes are cut, and no connection is ended before the client has sent more
/// frames that bring nothing than the budget has room for.
///
/// The first byte says how often the rest is sent, the second in pieces of how many bytes.
pub fn http2_frames(data: &[u8]) {
    let [times, size, rest @ ..] = data else { return };
    let times = (usize::from(*times) * 16).clamp(1, (64 << 10) / rest.len().max(1) + 1);
    let bytes = rest.repeat(times);

    let mut expected = Vec::new();
    let mut left = &bytes[..];
    while let [a, b, c, kind, flags, _, _, _, _, behind @ ..] = left {
        let length = u32::from_be_bytes([0, *a, *b, *c]);
        expected.push(FrameHead { length, kind: *kind, flags: *flags });
        left = behind.get(length as usize..).unwrap_or_default();
    }
    for size in [usize::MAX, usize::from(*size) + 1] {
        let (mut frames, mut seen) = (Frames::after(0), Vec::new());
        for piece in bytes.chunks(size) {
            frames.follow(piece, |head| seen.push(head));
        }
        assert_eq!(seen, expected);
    }

    let (mut budget, mut idle) = (Budget::new(), 0);
    for (place, frame) in expected.into_iter().enumerate() {
        idle += u32::from(!matches!((frame.kind, frame.length), (HEADERS, _) | (DATA | CONTINUATION, 1..)));
        if place % 3 == 0 {
            budget.sent(frame);
        }
        if !budget.received(frame) {
            assert!(idle > MOST, "ended after {idle} frames that bring nothing");
            return;
        }
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
