//! What tells two sets of rows apart, whatever order they are read in.

use super::backend::Session;
use super::types::Row;
use super::{Database, Revision, StoreError};

/// The sum of the BLAKE3 hashes of rows, modulo 2²⁵⁶: a row is added and taken away without reading the others.
/// Against accidents, not against who writes the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest([u64; 4]);

impl Digest {
    pub(super) fn add(&mut self, row: &Row) {
        let mut carry = false;
        for (word, other) in self.0.iter_mut().zip(words(row)) {
            (*word, carry) = word.carrying_add_stable(other, carry);
        }
    }

    pub(super) fn remove(&mut self, row: &Row) {
        let mut borrow = false;
        for (word, other) in self.0.iter_mut().zip(words(row)) {
            (*word, borrow) = word.borrowing_sub_stable(other, borrow);
        }
    }

    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.to_bytes()).to_hex().to_string()
    }

    pub(super) fn from_hex(text: &str) -> Option<Digest> {
        let hash = blake3::Hash::from_hex(text).ok()?;
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            *word = u64::from_le_bytes(chunk.try_into().ok()?);
        }
        Some(Digest(words))
    }
}

impl Database {
    /// Of all rows, and the revision that they are of.
    pub async fn digest(&self) -> Result<(Revision, [u8; 32]), StoreError> {
        self.reading_all(async |session| {
            let revision = session.head().await?.revision;
            Ok((revision, session.digest().await?.to_bytes()))
        })
        .await
    }
}

impl Session {
    pub(super) async fn digest(&mut self) -> Result<Digest, StoreError> {
        let mut digest = Digest::default();
        self.each_row(&mut |row| digest.add(&row)).await?;
        Ok(digest)
    }
}

/// Everything of a row but times, each part with its length in front.
fn words(row: &Row) -> [u64; 4] {
    let mut hasher = blake3::Hasher::new();
    let mut part = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part(row.kind.word());
    part(&row.name);
    part(&row.id);
    part(row.owner.as_deref().unwrap_or_default());
    part(row.fingerprint.as_deref().unwrap_or_default());
    row.tags.iter().for_each(|tag| part(tag));
    part(&row.body);
    let hash = hasher.finalize();
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
        *word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    words
}

trait Carrying: Sized {
    fn carrying_add_stable(self, other: Self, carry: bool) -> (Self, bool);
    fn borrowing_sub_stable(self, other: Self, borrow: bool) -> (Self, bool);
}

impl Carrying for u64 {
    fn carrying_add_stable(self, other: u64, carry: bool) -> (u64, bool) {
        let (sum, over) = self.overflowing_add(other);
        let (sum, more) = sum.overflowing_add(u64::from(carry));
        (sum, over | more)
    }

    fn borrowing_sub_stable(self, other: u64, borrow: bool) -> (u64, bool) {
        let (rest, under) = self.overflowing_sub(other);
        let (rest, more) = rest.overflowing_sub(u64::from(borrow));
        (rest, under | more)
    }
}
