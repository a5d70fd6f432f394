//! Where frames begin and end in a stream of bytes (RFC 9113, 4.1).

/// What the nine bytes in front of a frame say, as far as it is of interest here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
}

/// Follows one direction of a connection from head to head, skipping what is between.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD],
    filled: usize,
    /// Bytes before the next head.
    skip: usize,
}

impl Frames {
    /// `skip`: bytes in front of the first frame.
    pub(super) fn after(skip: usize) -> Frames {
        Frames { head: [0; HEAD], filled: 0, skip }
    }

    /// Tells of each frame whose head is complete with these bytes.
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut seen: impl FnMut(FrameHead)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let taken = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEAD {
                let [high, middle, low, kind, flags, ..] = self.head;
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.filled = 0;
                self.skip = length as usize;
                seen(FrameHead { length, kind, flags });
            }
        }
    }

    /// Not in the middle of a frame.
    pub(super) fn is_between(&self) -> bool {
        self.filled == 0 && self.skip == 0
    }
}

const HEAD: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let mut bytes = b"preface".to_vec();
        bytes.extend([0, 0, 3, 1, 5, 0, 0, 0, 1, b'a', b'b', b'c']);
        bytes.extend([0, 0, 0, 4, 1, 0, 0, 0, 0]);
        bytes.extend([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let expected = [(3, 1, 5), (0, 4, 1), (8, 6, 0)];
        for size in 1..=bytes.len() {
            let (mut frames, mut seen) = (Frames::after(7), Vec::new());
            for piece in bytes.chunks(size) {
                frames.follow(piece, |head| seen.push((head.length, head.kind, head.flags)));
            }
            assert_eq!(seen, expected, "in pieces of {size}");
            assert!(frames.is_between());
        }
        let mut frames = Frames::after(0);
        frames.follow(&[0, 0, 1, 0, 0, 0, 0, 0, 1], |_| {});
        assert!(!frames.is_between());
    }
}
