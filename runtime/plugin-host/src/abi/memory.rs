//! A guest's linear memory: what it passes by pointer, and where it wants results. Every access is checked.

use std::borrow::Cow;

use wasmtime::{Caller, bail};

use crate::guest::Guest;

/// The memory of the guest that calls, beside all else that its store holds.
pub(super) fn of<'a>(caller: &'a mut Caller<'_, Guest>) -> wasmtime::Result<(&'a mut [u8], &'a mut Guest)> {
    let Some(memory) = caller.data().linear else {
        bail!("nothing may be passed by pointer before the instance is ready");
    };
    Ok(memory.data_and_store_mut(caller))
}

/// A `list<u8>`. How much of it is looked at is for the caller to bound.
pub(crate) fn bytes(memory: &[u8], start: u32, length: u32) -> wasmtime::Result<&[u8]> {
    let (start, length) = (start as usize, length as usize);
    match memory.get(start..start.saturating_add(length)) {
        Some(bytes) => Ok(bytes),
        None => bail!("{length} bytes at {start} are not in the guest's memory"),
    }
}

/// A `string`; `None` if it is longer than `most` bytes, of which nothing is read then.
pub(crate) fn text(memory: &[u8], start: u32, length: u32, most: usize) -> wasmtime::Result<Option<&str>> {
    let bytes = bytes(memory, start, length)?;
    if bytes.len() > most {
        return Ok(None);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => bail!("a string is not UTF-8: {error}"),
    }
}

/// The beginning of a `string`, up to `most` bytes of it; the rest is not read.
pub(crate) fn beginning(memory: &[u8], start: u32, length: u32, most: usize) -> wasmtime::Result<Cow<'_, str>> {
    let bytes = bytes(memory, start, length)?;
    Ok(match bytes.get(..most) {
        None => String::from_utf8_lossy(bytes),
        // A character that the cut goes through is none.
        Some(cut) => String::from_utf8_lossy(cut).trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned().into(),
    })
}

/// A list of records of one size.
pub(crate) fn records<const SIZE: usize>(memory: &[u8], start: u32, count: u32) -> wasmtime::Result<&[[u8; SIZE]]> {
    let Some(length) = count.checked_mul(SIZE as u32) else {
        bail!("{count} records of {SIZE} bytes are not in the guest's memory");
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
    fn no_more_of_a_string_is_read_than_is_wanted() {
        let memory = b"gr\xc3\xbc\xff";
        assert_eq!(text(memory, 0, 5, 4).unwrap(), None);
        for (most, read) in [(2, "gr"), (3, "gr"), (4, "grü"), (5, "grü"), (6, "grü\u{fffd}")] {
            assert_eq!(beginning(memory, 0, 5, most).unwrap(), read, "{most} bytes");
        }
        assert!(beginning(memory, 0, 6, 1).is_err(), "not in the memory");
    }

    #[test]
    fn a_string_is_utf_8_and_an_enum_has_its_cases() {
        assert_eq!(text("grüß".as_bytes(), 0, 6, 6).unwrap(), Some("grüß"));
        assert!(text("grüß".as_bytes(), 0, 3, 6).is_err());
        assert_eq!(case(&['a', 'b'], 1).unwrap(), 'b');
        assert!(case(&['a', 'b'], 2).is_err());
    }
}
