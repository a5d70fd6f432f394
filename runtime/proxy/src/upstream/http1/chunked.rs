//! The chunked coding of a response's body (RFC 9112, 7.1).

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Status;

/// A chunked body on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunked {
    at: At,
    /// Bytes of chunk extensions, all together.
    extensions: usize,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    /// So many bytes of a chunk are to come.
    Data(u64),
    /// The line end behind a chunk.
    DataEnd,
    Trailers(EmptyLine),
    End,
}

/// What the bytes at hand come to.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// More bytes are needed.
    Partial,
}

/// The body is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl Chunked {
    /// Takes the next piece from what was read.
    pub(super) fn next(&mut self, read: &mut BytesMut) -> Result<Piece, Malformed> {
        loop {
            match &mut self.at {
                At::Size => {
                    let Some((size, extension)) = size(read)? else { return Ok(Piece::Partial) };
                    self.extensions += extension;
                    if self.extensions > LONGEST_EXTENSIONS {
                        return Err(Malformed("the extensions of its chunks are too long"));
                    }
                    self.at = if size == 0 { At::Trailers(EmptyLine::default()) } else { At::Data(size) };
                }
                At::Data(_) if read.is_empty() => return Ok(Piece::Partial),
                At::Data(left) => {
                    let length = read.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= length as u64;
                    if *left == 0 {
                        self.at = At::DataEnd;
                    }
                    return Ok(Piece::Data(read.split_to(length).freeze()));
                }
                At::DataEnd => match read.get(..2) {
                    Some(b"\r\n") => {
                        read.advance(2);
                        self.at = At::Size;
                    }
                    Some(_) => return Err(Malformed("a chunk does not end where it should")),
                    None => return Ok(Piece::Partial),
                },
                At::Trailers(empty_line) => {
                    if !empty_line.may_be_in(read) {
                        return if read.len() <= LONGEST_TRAILERS { Ok(Piece::Partial) } else { Err(TRAILERS) };
                    }
                    let Some(trailers) = trailers(read)? else { return Ok(Piece::Partial) };
                    self.at = At::End;
                    return Ok(if trailers.is_empty() { Piece::End } else { Piece::Trailers(trailers) });
                }
                At::End => return Ok(Piece::End),
            }
        }
    }
}

/// A chunk's size, and how long the extension behind it is. The parser is content with a line without a digit, and
/// with line ends in an extension.
fn size(read: &mut BytesMut) -> Result<Option<(u64, usize)>, Malformed> {
    if read.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
        return Err(SIZE);
    }
    match httparse::parse_chunk_size(read) {
        Ok(Status::Complete((length, size))) if length <= LONGEST_LINE => {
            let line = read.split_to(length);
            let line = line.strip_suffix(b"\r\n").ok_or(SIZE)?;
            let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let clean = memchr::memchr2(b'\r', b'\n', line).is_none();
            if clean { Ok(Some((size, line.len() - digits))) } else { Err(SIZE) }
        }
        Ok(Status::Partial) if read.len() <= LONGEST_LINE => Ok(None),
        Ok(_) => Err(Malformed("the line of a chunk's size is too long")),
        Err(_) => Err(SIZE),
    }
}

/// The trailer section, if it is here.
fn trailers(read: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    let (length, trailers) = match httparse::parse_headers(read, &mut fields) {
        Ok(Status::Complete((length, fields))) if length <= LONGEST_TRAILERS => {
            let field = |field: &httparse::Header<'_>| {
                let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_bytes(field.value).ok()?))
            };
            let mut trailers = HeaderMap::with_capacity(fields.len());
            for field in fields.iter().map(field) {
                let (name, value) = field.ok_or(Malformed("a trailer is not valid"))?;
                trailers.append(name, value);
            }
            (length, trailers)
        }
        Ok(Status::Partial) if read.len() <= LONGEST_TRAILERS => return Ok(None),
        Ok(_) => return Err(TRAILERS),
        Err(_) => return Err(Malformed("the trailers are not valid")),
    };
    read.advance(length);
    Ok(Some(trailers))
}

/// Finds the empty line that ends a section of fields, looking at each byte once: a target that sends a large
/// section byte by byte would otherwise have it parsed as often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EmptyLine {
    seen: usize,
}

impl EmptyLine {
    /// Whether it may be worth parsing what was read.
    pub(super) fn may_be_in(&mut self, read: &[u8]) -> bool {
        let first = self.seen == 0;
        let from = self.seen.saturating_sub(2);
        self.seen = read.len();
        // Usually it is here whole at the first look.
        first
            || (from == 0 && read.starts_with(b"\r\n"))
            || memchr::memchr_iter(b'\n', &read[from..])
                .any(|at| matches!(&read[from + at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
    }
}

const SIZE: Malformed = Malformed("a chunk's size is not valid");
const TRAILERS: Malformed = Malformed("the trailers are too long");
/// Bytes of all extensions of a body, which nobody uses.
const LONGEST_EXTENSIONS: usize = 16 << 10;
/// Of a chunk's size, extensions included.
const LONGEST_LINE: usize = 4 << 10;
const LONGEST_TRAILERS: usize = 64 << 10;
const MOST_TRAILERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and its trailers, read in pieces of this size; `None` while it is not whole.
    fn decode(text: &[u8], size: usize) -> Result<Option<(Vec<u8>, HeaderMap, usize)>, Malformed> {
        let (mut chunked, mut read, mut body, mut trailers) =
            (Chunked::default(), BytesMut::new(), Vec::new(), HeaderMap::new());
        let mut pieces = text.chunks(size);
        loop {
            match chunked.next(&mut read)? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::Trailers(found) => trailers = found,
                Piece::End => return Ok(Some((body, trailers, read.len() + pieces.map(<[u8]>::len).sum::<usize>()))),
                Piece::Partial => match pieces.next() {
                    Some(piece) => read.extend_from_slice(piece),
                    None => return Ok(None),
                },
            }
        }
    }

    #[test]
    fn a_body_is_the_same_however_it_comes() {
        let text = b"5;name=value\r\nhello\r\nA \r\n, chunked!\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\nHTTP/1.1";
        for size in 1..=text.len() {
            let (body, trailers, left) = decode(text, size).unwrap().expect("it is whole");
            assert_eq!(body, b"hello, chunked!");
            assert_eq!(trailers.get_all("x-sum").iter().collect::<Vec<_>>(), ["1", "2"]);
            assert_eq!(left, 8, "what follows is left");
        }
        assert_eq!(decode(b"0\r\n\r\n", 1).unwrap().unwrap().0, b"");
    }

    #[test]
    fn what_is_cut_off_is_not_whole() {
        let text = b"5\r\nhello\r\n0\r\na: b\r\n\r\n";
        for length in 0..text.len() {
            assert!(decode(&text[..length], 3).unwrap().is_none(), "{length}");
        }
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        for text in [
            &b"hello\r\n"[..],
            b"-1\r\n",
            b"5\r\nhello!\r\n",
            b"5\nhello",
            b"11111111111111111\r\n",
            b"0\r\n: empty\r\n\r\n",
            b"0\r\na b: c\r\n\r\n",
            b"\r\n\r\n",
            b";x\r\n\r\n",
            b" \r\n\r\n",
            b"5\r\nhello\r\n\r\n\r\n",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        ] {
            assert!(decode(text, 100).is_err(), "{}", text.escape_ascii());
        }
        assert!(decode(&[b"1;".as_slice(), &[b'x'; 5000]].concat(), 100).is_err(), "a line without an end");
        let extensions = format!("1;{}\r\nx\r\n", "x".repeat(4000)).repeat(5);
        assert!(decode(extensions.as_bytes(), 100).is_err(), "extensions without end");
        assert!(decode(&[b"0\r\na:".as_slice(), &[b'x'; 70_000]].concat(), 100).is_err(), "trailers without an end");
    }
}
