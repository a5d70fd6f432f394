use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::zeroize::Zeroizing;

/// Seals small secrets: AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits. Good for 2³² of them.
///
/// A context says where a secret belongs; it is authenticated, so that what was sealed for one place opens at no
/// other.
pub struct Sealer {
    key: LessSafeKey,
}

/// Why something sealed stays closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    #[error("it is not of a form that this version knows")]
    Malformed,
    #[error("it was sealed by another key, for another place, or was changed since")]
    Refused,
}

impl Sealer {
    pub fn new(key: &[u8; 32]) -> Sealer {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes keys of 32 bytes");
        Sealer { key: LessSafeKey::new(key) }
    }

    /// `v1.` and base64url of nonce, ciphertext and tag.
    pub fn seal(&self, context: &str, plain: &[u8]) -> String {
        let mut nonce = [0; NONCE_LEN];
        OsRng.try_fill_bytes(&mut nonce).expect("the system's random generator is ready before any process runs");
        self.seal_with(nonce, context, plain)
    }

    pub fn open(&self, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let bytes = sealed.strip_prefix(VERSION).and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
        let bytes = bytes.ok_or(SealedError::Malformed)?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealedError::Malformed)?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(context), &mut rest).map_err(|_| SealedError::Refused)?;
        let length = opened.len();
        rest.truncate(length);
        Ok(rest)
    }

    fn seal_with(&self, nonce: [u8; NONCE_LEN], context: &str, plain: &[u8]) -> String {
        let mut sealed = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let sealing = self.key.seal_in_place_append_tag(unique, Aad::from(context), &mut sealed);
        sealing.expect("no secret is as long as the cipher's limit of 64 GiB");
        format!("{VERSION}{}", BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer([hidden])")
    }
}

const VERSION: &str = "v1.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_at_its_place_only() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal("plugin/a#/config/password", b"s3cret");
        assert_eq!(sealer.open("plugin/a#/config/password", &sealed).expect("its place").as_slice(), b"s3cret");
        assert_eq!(sealer.open("plugin/b#/config/password", &sealed).err(), Some(SealedError::Refused));
        assert_eq!(Sealer::new(&[8; 32]).open("plugin/a#/config/password", &sealed).err(), Some(SealedError::Refused));
        assert_ne!(sealer.seal("a", b"s3cret"), sealer.seal("a", b"s3cret"), "each has a nonce of its own");
    }

    #[test]
    fn no_byte_can_be_changed() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal("a", b"s3cret");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&sealed[3..]).expect("our own");
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            let text = format!("v1.{}", BASE64_URL_SAFE_NO_PAD.encode(flipped));
            assert_eq!(sealer.open("a", &text).err(), Some(SealedError::Refused), "byte {at}");
        }
        for odd in ["", "v1.", "v2.AAAA", "v1.AAAA", "v1.!"] {
            assert_eq!(sealer.open("a", odd).err(), Some(SealedError::Malformed), "{odd}");
        }
    }

    /// What is stored must open in the next version too.
    #[test]
    fn the_form_is_frozen() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal_with([1; NONCE_LEN], "a", b"s3cret");
        assert_eq!(sealed.len(), 3 + 46);
        assert_eq!(sealer.open("a", &sealed).expect("ours").as_slice(), b"s3cret");
        assert!(sealed.starts_with("v1.AQEBAQEBAQEBAQEB"), "{sealed}");
    }
}
