use std::fmt;

use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::zeroize::Zeroizing;

/// The secret that a cluster's key hashes depend on. Wiped from memory when dropped.
pub struct Pepper {
    api_keys: Zeroizing<[u8; 32]>,
    tokens: Zeroizing<[u8; 32]>,
}

impl Pepper {
    /// From the operating system's generator.
    pub fn random() -> Pepper {
        let mut bytes = [0; 32];
        OsRng.try_fill_bytes(&mut bytes).expect("the system's random generator is ready before any process runs");
        Pepper::from_bytes(bytes)
    }

    /// Each purpose has a key of its own, derived once; `bytes` themselves are not kept.
    pub fn from_bytes(bytes: [u8; 32]) -> Pepper {
        let bytes = Zeroizing::new(bytes);
        Pepper {
            api_keys: Zeroizing::new(blake3::derive_key(API_KEYS, &*bytes)),
            tokens: Zeroizing::new(blake3::derive_key(TOKENS, &*bytes)),
        }
    }

    /// The hash that an API key is stored and looked up by: keyed BLAKE3, about 0.1 µs.
    ///
    /// A slow password hash would be wrong here. It makes guessing expensive where what is hashed can be
    /// guessed; an API key has 190 random bits ([`generate_key`](crate::generate_key)), so nobody can
    /// try them, at any speed. Keys that operators chose themselves may be weaker: against those the
    /// pepper helps, without which stolen hashes can't be tried at all. In return each request costs no
    /// more than a hash-table lookup, and a flood of wrong keys no more than one of right ones.
    ///
    /// Lookups need no constant-time comparison: whoever can't compute the keyed hash of a guess learns
    /// nothing from how many of its bits a stored one shares.
    pub fn hash_key(&self, key: &[u8]) -> KeyHash {
        KeyHash(*blake3::keyed_hash(&self.api_keys, key).as_bytes())
    }
}

impl Pepper {
    /// As [`Pepper::hash_key`], of a token of the admin API: no key is a token.
    pub fn hash_token(&self, token: &[u8]) -> KeyHash {
        KeyHash(*blake3::keyed_hash(&self.tokens, token).as_bytes())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper([hidden])")
    }
}

/// A hashed API key. Uniform, so its own bits serve as a hash table's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    pub fn from_bytes(bytes: [u8; 32]) -> KeyHash {
        KeyHash(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    pub fn from_hex(text: &str) -> Option<KeyHash> {
        blake3::Hash::from_hex(text).ok().map(|hash| KeyHash(*hash.as_bytes()))
    }

    /// The first 64 bits.
    pub(crate) fn bits(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// Enough to tell two apart in a log.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({:08x}…)", self.bits() as u32)
    }
}

const API_KEYS: &str = "tollgate 2026 api-key hash v1";
const TOKENS: &str = "tollgate 2026 admin-token hash v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_the_key_and_on_the_pepper() {
        let pepper = Pepper::from_bytes([7; 32]);
        assert_eq!(pepper.hash_key(b"demo-key"), Pepper::from_bytes([7; 32]).hash_key(b"demo-key"));
        assert_ne!(pepper.hash_key(b"demo-key"), pepper.hash_key(b"demo-kez"));
        assert_ne!(pepper.hash_key(b"demo-key"), Pepper::from_bytes([8; 32]).hash_key(b"demo-key"));
        assert_ne!(Pepper::random().hash_key(b"demo-key"), Pepper::random().hash_key(b"demo-key"));
    }

    /// Stored hashes must stay valid from one version to the next.
    #[test]
    fn the_hash_is_frozen() {
        let hash = Pepper::from_bytes([7; 32]).hash_key(b"demo-key");
        assert_eq!(hash.bits(), 0xbd8fe244fee15d85);
    }

    #[test]
    fn debug_shows_neither_pepper_nor_whole_hash() {
        let pepper = Pepper::from_bytes([0xab; 32]);
        assert_eq!(format!("{pepper:?}"), "Pepper([hidden])");
        assert!(format!("{:?}", pepper.hash_key(b"k")).len() < 24);
    }
}
