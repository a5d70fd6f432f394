use std::fmt;

use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::zeroize::Zeroizing;

use crate::{Pepper, Sealer};

/// What everything that a cluster hashes and seals depends on: 32 random bytes, made once and never changed. It is
/// stored sealed by the cluster key, so that the cluster key can be changed without touching what is stored.
pub struct Root {
    bytes: Zeroizing<[u8; 32]>,
}

impl Root {
    /// From the operating system's generator.
    pub fn random() -> Root {
        let mut bytes = Zeroizing::new([0; 32]);
        OsRng.try_fill_bytes(&mut *bytes).expect("the system's random generator is ready before any process runs");
        Root { bytes }
    }

    pub fn pepper(&self) -> Pepper {
        Pepper::from_bytes(blake3::derive_key(PEPPER, &*self.bytes))
    }

    pub fn sealer(&self) -> Sealer {
        Sealer::new(&Zeroizing::new(blake3::derive_key(SEALER, &*self.bytes)))
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Root> {
        Some(Root { bytes: Zeroizing::new(bytes.try_into().ok()?) })
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Root([hidden])")
    }
}

/// Contexts of key derivation (BLAKE3, 6.2), never to be changed.
const PEPPER: &str = "tollgate 2026 cluster pepper v1";
const SEALER: &str = "tollgate 2026 cluster sealer v1";
