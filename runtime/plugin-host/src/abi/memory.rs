//! A guest's linear memory: what it passes by pointer, and where it wants results. Every access is checked.

use wasmtime::{Caller, bail};

use crate::guest::Guest;

/// The memory of the guest that calls, beside all else that its store holds.
pub(super) fn of<'a>(caller: &'a mut Caller<'_, Guest>) -> wasmtime::Result<(&'a mut [u8], &'a mut Guest)> {
    let Some(memory) = caller.data().linear else {
        bail!("nothing may be passed by pointer before the instance is ready");
    };
    Ok(memory.data_and_store_mut(caller))
}

/// A `list<u8>`.
pub(crate) fn bytes(memory: &[u8], start: u32, length: u32) -> wasmtime::Result<&[u8]> {
    if length as usize > PASSED_BYTES {
        bail!("a guest may pass {PASSED_BYTES} bytes at once, not {length}");
    }
    let (start, length) = (start as usize, length as usize);
    match memory.get(start..start.saturating_add(length)) {
        Some(bytes) => Ok(bytes),
        None => bail!("{length} bytes at {start} are not in the guest's memory"),
    }
}

/// A `string`.
pub(crate) fn text(memory: &[u8], start: u32, length: u32) -> wasmtime::Result<&str> {
    match std::str::from_utf8(bytes(memory, start, length)?) {
        Ok(text) => Ok(text),
        Err(error) => bail!("a string is not UTF-8: {error}"),
    }
}

/// A list of records of one size.
pub(crate) fn records<const SIZE: usize>(memory: &[u8], start: u32, count: u32) -> wasmtime::Result<&[[u8; SIZE]]> {
    let Some(length) = count.checked_mul(SIZE as u32) else {
        bail!("a guest may pass {PASSED_BYTES} bytes at once, not {count} records of {SIZE}");
    };
    Ok(bytes(memory, start, length)?.as_chunks().0)
}

/// Writes to where the guest wants something.
pub(crate) fn put(memory: &mut [u8], start: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    let start = start as usize;
    match memory.get_mut(start..start.saturating_add(bytes.len())) {
        Some(place) => place.copy_from_slice(bytes),
        None => bail!("{} bytes at {start} are not in the guest's memory", bytes.len()),
    }
    Ok(())
}

/// Of a record: a number at an offset that is known to be in it.
pub(crate) fn u32_at(record: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(record[offset..offset + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(record: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(record[offset..offset + 8].try_into().expect("eight bytes"))
}

/// The case of an enum, by its place in the WIT.
pub(crate) fn case<T: Copy>(cases: &[T], number: u32) -> wasmtime::Result<T> {
    match cases.get(number as usize) {
        Some(case) => Ok(*case),
        None => bail!("{number} is none of the {} cases of an enum", cases.len()),
    }
}

/// Most that a guest may pass in one piece.
const PASSED_BYTES: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_memory_is_read_or_written() {
        let mut memory = [7; 16];
        assert_eq!(bytes(&memory, 12, 4).unwrap(), [7; 4]);
        assert!(bytes(&memory, 16, 0).unwrap().is_empty());
        for (start, length) in [(13, 4), (17, 0), (u32::MAX, 1), (0, u32::MAX), (u32::MAX, u32::MAX)] {
            assert!(bytes(&memory, start, length).is_err(), "{length} at {start}");
        }
        assert_eq!(records::<8>(&memory, 0, 2).unwrap(), [[7; 8]; 2]);
        assert!(records::<8>(&memory, 8, 2).is_err() && records::<8>(&memory, 0, u32::MAX).is_err());
        assert!(put(&mut memory, 13, &[1; 4]).is_err() && put(&mut memory, u32::MAX, &[1]).is_err());
        assert_eq!(memory, [7; 16]);
        put(&mut memory, 12, &[1; 4]).unwrap();
        assert_eq!(memory[11..], [7, 1, 1, 1, 1]);
    }

    #[test]
    fn a_string_is_utf_8_and_an_enum_has_its_cases() {
        assert_eq!(text("grüß".as_bytes(), 0, 6).unwrap(), "grüß");
        assert!(text("grüß".as_bytes(), 0, 3).is_err());
        assert_eq!(case(&['a', 'b'], 1).unwrap(), 'b');
        assert!(case(&['a', 'b'], 2).is_err());
    }
}
