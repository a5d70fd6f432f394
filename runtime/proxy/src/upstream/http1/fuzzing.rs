use bytes::BytesMut;
use http::{HeaderMap, StatusCode};

use super::chunked::{EmptyLine, Malformed, Piece};
use super::head::{self, Expected, Framing};

/// A response of a target is read the same however its bytes are cut, and nothing of what follows it is taken.
///
/// Of the first byte two bits are what the request expected, the others the size of the pieces.
pub fn http1_response(data: &[u8]) {
    let [first, text @ ..] = data else { return };
    let expected = Expected { head_only: first & 1 != 0, upgrade: first & 2 != 0 };
    let whole = read(text, usize::MAX, expected);
    let size = usize::from(first / 4) + 1;
    let mut cut = read(text, size, expected);
    if whole.is_err() && matches!(cut, Ok(None)) {
        // Fields that come in pieces are looked at again once they may be whole.
        cut = read(&[text, b"\r\n\r\n"].concat(), size, expected);
    }
    assert_eq!(whole.is_ok(), cut.is_ok(), "{whole:?} {cut:?}");
    if let (Ok(whole), Ok(cut)) = (whole, cut) {
        assert_eq!(whole, cut);
        let Some(response) = whole else { return };
        assert!(response.left <= text.len());
        // What stands behind changes nothing.
        if response.ends {
            let more = read(&[text, b"HTTP/1.1 200 OK"].concat(), usize::MAX, expected);
            let more = more.expect("it is the same response").expect("it is whole");
            assert_eq!(more, Response { left: response.left + 15, ..response });
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Response {
    status: StatusCode,
    fields: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
    /// Before its connection does.
    ends: bool,
    keeps: bool,
    /// Bytes behind it.
    left: usize,
}

/// `None` of one that is not whole.
fn read(text: &[u8], size: usize, expected: Expected) -> Result<Option<Response>, Malformed> {
    let (mut read, mut empty_line, mut pieces) = (BytesMut::new(), EmptyLine::default(), text.chunks(size));
    let head = loop {
        match head::next(&mut read, &mut empty_line, expected)? {
            Some(head) => break head,
            None => match pieces.next() {
                Some(piece) => read.extend_from_slice(piece),
                None => return Ok(None),
            },
        }
    };
    let (mut body, mut trailers, mut ends) = (Vec::new(), HeaderMap::new(), true);
    match head.framing {
        Framing::Close => {
            body.extend_from_slice(&read.split());
            pieces.by_ref().for_each(|piece| body.extend_from_slice(piece));
            ends = false;
        }
        Framing::Length(length) => {
            while (read.len() as u64) < length {
                let Some(piece) = pieces.next() else { return Ok(None) };
                read.extend_from_slice(piece);
            }
            body.extend_from_slice(&read.split_to(length as usize));
        }
        Framing::Chunked(mut chunked) => loop {
            match chunked.next(&mut read)? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::Trailers(found) => {
                    trailers = found;
                    break;
                }
                Piece::End => break,
                Piece::Partial => match pieces.next() {
                    Some(piece) => read.extend_from_slice(piece),
                    None => return Ok(None),
                },
            }
        },
    }
    let left = read.len() + pieces.map(<[u8]>::len).sum::<usize>();
    let (status, fields) = (head.parts.status, head.parts.headers);
    Ok(Some(Response { status, fields, body, trailers, ends, keeps: head.keeps, left }))
}
