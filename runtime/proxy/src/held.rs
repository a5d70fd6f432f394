//! How much the bodies may be, all requests together, that are held back for plugins: each is bounded, but
//! there may be many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::error::ErrorKind;

/// Of a node. Touched only by requests whose bodies are held.
#[derive(Debug)]
pub(crate) struct HeldBodies {
    most: u64,
    bytes: AtomicU64,
}

/// What one body has of it, until dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<HeldBodies>,
    bytes: u64,
}

impl HeldBodies {
    pub(crate) fn new(most: u64) -> Arc<HeldBodies> {
        Arc::new(HeldBodies { most, bytes: AtomicU64::new(0) })
    }

    /// Of a body of which nothing is there yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { of: Arc::clone(self), bytes: 0 }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Share {
    /// So many bytes more are to be held.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), ErrorKind> {
        let bytes = bytes as u64;
        // Not added first: what is refused must not keep others from what fits.
        let within = |held: u64| held.checked_add(bytes).filter(|held| *held <= self.of.most);
        match self.of.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(_) => self.bytes += bytes,
            Err(_) => return Err(ErrorKind::BodiesHeld),
        }
        Ok(())
    }

    /// The body, on its way: given back with the last of it.
    pub(crate) fn of(self, body: Bytes) -> Bytes {
        if body.is_empty() { body } else { Bytes::from_owner(Held { body, _share: self }) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Held {
    body: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bodies_together_are_bounded_and_room_comes_back() {
        let held = HeldBodies::new(10);
        let (mut one, mut other) = (held.share(), held.share());
        assert!(one.grow(6).is_ok() && other.grow(4).is_ok());
        assert_eq!(other.grow(1), Err(ErrorKind::BodiesHeld));
        let mut body = one.of(Bytes::from_static(b"body"));
        let front = body.split_to(1);
        drop(body);
        assert_eq!(held.bytes(), 10, "a part of it is still on its way");
        drop(front);
        assert!(other.grow(6).is_ok());
        drop(other);
        assert_eq!(held.bytes(), 0);
    }
}
