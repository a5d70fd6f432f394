//! Results that a guest is given in memory of its own: lists and strings. The guest allocates, by its `cabi_realloc`,
//! and code that is put into its module (`module/fuse.rs`) goes between: it calls the import, which
//! answers with the first block that it needs, allocates it, and calls [`supply`] with where that is, until no
//! block is needed any more. So no call of the host waits for one into the guest.

use bytes::Bytes;
use http::HeaderName;
use smallvec::SmallVec;
use wasmtime::{Caller, bail};

use super::memory;
use crate::guest::Guest;

/// What a call still has to give to the guest.
#[derive(Debug, Default)]
pub(crate) enum Reply {
    #[default]
    Given,
    /// The bytes behind a handle, as `list<u8>`.
    Value { handle: u32, at: u32 },
    /// A list whose elements hold no pointers.
    List { bytes: Bytes, elements: u32, align: u32, at: u32 },
    /// `list<u32>`, as of handles.
    Numbers { numbers: Numbers, at: u32 },
    /// `list<tuple<string, value>>`: first the names, one by one.
    Fields { names: Vec<(HeaderName, u32)>, placed: Vec<u8>, at: u32 },
}

/// Few as a rule.
pub(crate) type Numbers = SmallVec<[u32; 4]>;

/// A block that the guest is to allocate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    align: u32,
    length: u32,
}

impl Guest {
    /// Begins a reply. What the adapter in the guest is told.
    pub(super) fn reply(&mut self, memory: &mut [u8], reply: Reply) -> wasmtime::Result<u64> {
        self.reply = reply;
        self.next_block(memory)
    }

    fn next_block(&mut self, memory: &mut [u8]) -> wasmtime::Result<u64> {
        while let Some(block) = self.wanted()? {
            if block.length > 0 {
                return Ok(u64::from(block.align) << 32 | u64::from(block.length));
            }
            // Nothing to allocate; a pointer has to be aligned all the same.
            self.place(memory, block.align)?;
        }
        Ok(NO_BLOCK)
    }

    fn wanted(&self) -> wasmtime::Result<Option<Block>> {
        let length = |bytes: usize| bytes.try_into().map_err(|_| wasmtime::format_err!("{bytes} bytes are too many"));
        Ok(match &self.reply {
            Reply::Given => None,
            Reply::Value { handle, .. } => Some(Block { align: 1, length: length(self.bytes(*handle)?.len())? }),
            Reply::List { bytes, align, .. } => Some(Block { align: *align, length: length(bytes.len())? }),
            Reply::Numbers { numbers, .. } => Some(Block { align: 4, length: length(numbers.len() * 4)? }),
            Reply::Fields { names, placed, .. } => Some(match names.get(placed.len() / FIELD_SIZE) {
                Some((name, _)) => Block { align: 1, length: length(name.as_str().len())? },
                None => Block { align: 4, length: length(placed.len())? },
            }),
        })
    }

    /// Puts the block that is wanted into the guest's memory.
    fn place(&mut self, memory: &mut [u8], pointer: u32) -> wasmtime::Result<()> {
        let (elements, at) = match &mut self.reply {
            Reply::Given => bail!("no block is wanted"),
            Reply::Value { handle, at } => {
                let (handle, at) = (*handle, *at);
                let bytes = self.bytes(handle)?;
                memory::put(memory, pointer, bytes)?;
                (bytes.len() as u32, at)
            }
            Reply::List { bytes, elements, at, .. } => {
                memory::put(memory, pointer, bytes)?;
                (*elements, *at)
            }
            Reply::Numbers { numbers, at } => {
                let bytes: SmallVec<[u8; 16]> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                memory::put(memory, pointer, &bytes)?;
                (numbers.len() as u32, *at)
            }
            Reply::Fields { names, placed, at } => match names.get(placed.len() / FIELD_SIZE) {
                Some((name, value)) => {
                    memory::put(memory, pointer, name.as_str().as_bytes())?;
                    for number in [pointer, name.as_str().len() as u32, *value] {
                        placed.extend_from_slice(&number.to_le_bytes());
                    }
                    return Ok(());
                }
                None => {
                    memory::put(memory, pointer, placed)?;
                    (names.len() as u32, *at)
                }
            },
        };
        memory::put(memory, at, &list(pointer, elements))?;
        self.reply = Reply::Given;
        Ok(())
    }
}

impl Reply {
    pub(super) fn bytes(bytes: impl Into<Bytes>, at: u32) -> Reply {
        let bytes = bytes.into();
        Reply::List { elements: bytes.len() as u32, bytes, align: 1, at }
    }

    pub(super) fn fields(names: Vec<(HeaderName, u32)>, at: u32) -> Reply {
        Reply::Fields { placed: Vec::with_capacity(names.len() * FIELD_SIZE), names, at }
    }
}

/// `result<u32, string>`: its discriminant, and what is in it.
pub(super) fn result(
    guest: &mut Guest,
    memory: &mut [u8],
    result: Result<u32, String>,
    at: u32,
) -> wasmtime::Result<u64> {
    match result {
        Ok(number) => {
            memory::put(memory, at, &list(0, number))?;
            Ok(NO_BLOCK)
        }
        Err(message) => {
            memory::put(memory, at, &[1])?;
            guest.reply(memory, Reply::bytes(message, at.saturating_add(4)))
        }
    }
}

/// Called by the adapter: the wanted block is at `pointer`.
pub(super) fn supply(mut caller: Caller<'_, Guest>, pointer: u32) -> wasmtime::Result<u64> {
    let (memory, guest) = memory::of(&mut caller)?;
    guest.place(memory, pointer)?;
    guest.next_block(memory)
}

/// Two words, as a list is in memory.
fn list(pointer: u32, elements: u32) -> [u8; 8] {
    (u64::from(elements) << 32 | u64::from(pointer)).to_le_bytes()
}

/// Told to the adapter when the reply is complete.
const NO_BLOCK: u64 = u64::MAX;
/// Of an element of `list<tuple<string, value>>`.
const FIELD_SIZE: usize = 12;
