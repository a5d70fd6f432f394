//! The head of a response, and how long its body is (RFC 9112, 4 and 6.3).

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, response};
use httparse::{ParserConfig, Status};
use smallvec::SmallVec;

use super::chunked::{Chunked, EmptyLine, Malformed};
use crate::fields;

/// A body's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunked(Chunked),
    /// The connection's.
    Close,
}

/// What the request has to do with the response's form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// It was HEAD: there is no body, whatever the fields say.
    pub(crate) head_only: bool,
    /// It asked for another protocol.
    pub(crate) upgrade: bool,
}

/// A head, and what it says of the connection.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) parts: response::Parts,
    pub(super) framing: Framing,
    /// The target does not close after it.
    pub(super) keeps: bool,
}

/// Takes the head of the next response from what was read, once it is whole. Those that only say that the answer
/// is under way (1xx) are passed over.
pub(super) fn next(
    read: &mut BytesMut,
    empty_line: &mut EmptyLine,
    expected: Expected,
) -> Result<Option<Head>, Malformed> {
    loop {
        if read.len() <= LONGEST_HEAD && !empty_line.may_be_in(read) {
            return Ok(None);
        }
        let Some((parts, told)) = parsed(read)? else { return Ok(None) };
        *empty_line = EmptyLine::default();
        let informational = parts.status.is_informational();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            if !expected.upgrade {
                return Err(Malformed("it changes to a protocol that nobody asked for"));
            }
        } else if informational {
            continue;
        }
        let bodiless = informational
            || expected.head_only
            || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        return told.head(parts, bodiless).map(Some);
    }
}

/// Names and values as places in what was read: the parser's own references would hold it.
type Places = SmallVec<[(Range<usize>, Range<usize>); 24]>;

fn parsed(read: &mut BytesMut) -> Result<Option<(response::Parts, Told)>, Malformed> {
    if read.is_empty() {
        return Ok(None);
    }
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, read, &mut fields);
    let length = match parsed {
        Ok(Status::Complete(length)) if length <= LONGEST_HEAD => length,
        Ok(Status::Partial) if read.len() <= LONGEST_HEAD => return Ok(None),
        Ok(_) => return Err(Malformed("the head of its response is too long")),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("its response has too many fields")),
        Err(_) => return Err(Malformed("the head of its response is not valid")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(STATUS)?;
    let version = if response.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let start = read.as_ptr() as usize;
    let place = |text: &[u8]| {
        let from = text.as_ptr() as usize - start;
        from..from + text.len()
    };
    let places: Places =
        response.headers.iter().map(|field| (place(field.name.as_bytes()), place(field.value))).collect();

    let head = read.split_to(length).freeze();
    let (mut headers, mut told) = (HeaderMap::with_capacity(places.len() + ADDED), Told::default());
    for (name, value) in places {
        let name = HeaderName::from_bytes(&head[name]).map_err(|_| FIELD)?;
        let value = HeaderValue::from_maybe_shared(head.slice(value)).map_err(|_| FIELD)?;
        let switches = status == StatusCode::SWITCHING_PROTOCOLS && name == header::UPGRADE;
        if told.passes(&name, &value) || switches {
            headers.append(name, value);
        }
    }
    let mut parts = http::Response::new(()).into_parts().0;
    (parts.status, parts.version, parts.headers) = (status, version, headers);
    Ok(Some((parts, told)))
}

/// What fields say of their message's form and of its connection. Such go no further (RFC 9110, 7.6.1), but for a
/// valid length.
#[derive(Debug, Default)]
struct Told {
    length: Length,
    coding: Coding,
    closes: bool,
    keeps_alive: bool,
    /// Fields that belong to this connection as well: seldom there are any.
    named: Vec<HeaderName>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Untold,
    Bytes(u64),
    Invalid,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    Untold,
    Chunked,
    Other,
}

impl Told {
    /// Hears a field; whether it goes on to whoever gets the response.
    fn passes(&mut self, name: &HeaderName, value: &HeaderValue) -> bool {
        match *name {
            header::CONTENT_LENGTH => return self.hear_length(value.as_bytes()),
            header::TRANSFER_ENCODING => {
                let chunked = self.coding == Coding::Untold && value.as_bytes().eq_ignore_ascii_case(b"chunked");
                self.coding = if chunked { Coding::Chunked } else { Coding::Other };
            }
            header::CONNECTION => value.as_bytes().split(|byte| *byte == b',').for_each(|option| self.hear(option)),
            _ => return !fields::is_hop_by_hop(name.as_str()),
        }
        false
    }

    /// True of the first, if nothing is to be mended in it.
    fn hear_length(&mut self, value: &[u8]) -> bool {
        let first = self.length == Length::Untold;
        for text in value.split(|byte| *byte == b',') {
            self.length = match (number(text.trim_ascii()), &self.length) {
                (Some(number), Length::Untold) => Length::Bytes(number),
                (Some(number), Length::Bytes(before)) if number == *before => Length::Bytes(number),
                _ => Length::Invalid,
            };
        }
        first && number(value).is_some()
    }

    /// An option of `Connection`.
    fn hear(&mut self, option: &[u8]) {
        let option = option.trim_ascii();
        if option.eq_ignore_ascii_case(b"close") {
            self.closes = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            self.keeps_alive = true;
        } else {
            self.named.extend(fields::named_by(option).filter(|name| !fields::is_hop_by_hop(name.as_str())));
        }
    }

    /// Where the body ends, and whether the connection goes on behind it. Whatever could be read in two ways is
    /// refused: a cache or client behind us might read it the other way.
    fn head(self, mut parts: response::Parts, bodiless: bool) -> Result<Head, Malformed> {
        let Told { length, coding, closes, keeps_alive, named } = self;
        for name in &named {
            parts.headers.remove(name);
        }
        // RFC 9112, 9.3.
        let mut keeps = !closes && (parts.version == Version::HTTP_11 || keeps_alive);
        if coding != Coding::Untold || length == Length::Invalid {
            parts.headers.remove(header::CONTENT_LENGTH);
        } else if let Length::Bytes(bytes) = length
            && !parts.headers.contains_key(header::CONTENT_LENGTH)
        {
            parts.headers.insert(header::CONTENT_LENGTH, bytes.into());
        }
        let framing = match (coding, length) {
            _ if bodiless => Framing::Length(0),
            (Coding::Other, _) => {
                return Err(Malformed("the Transfer-Encoding of its response is not exactly chunked"));
            }
            (Coding::Chunked, _) if parts.version == Version::HTTP_10 => {
                return Err(Malformed("its response has a Transfer-Encoding, which HTTP/1.0 has not"));
            }
            (Coding::Chunked, length) => {
                // What comes after a message that is framed twice is not to be trusted (RFC 9112, 6.1).
                keeps &= length == Length::Untold;
                Framing::Chunked(Chunked::default())
            }
            (Coding::Untold, Length::Invalid) => {
                return Err(Malformed("the Content-Length of its response is not valid"));
            }
            (Coding::Untold, Length::Bytes(bytes)) => Framing::Length(bytes),
            (Coding::Untold, Length::Untold) => {
                keeps = false;
                Framing::Close
            }
        };
        Ok(Head { parts, framing, keeps })
    }
}

/// Digits only: a sign or a space would be read by some.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

const STATUS: Malformed = Malformed("the status of its response is not valid");
const FIELD: Malformed = Malformed("a field of its response is not valid");
pub(super) const LONGEST_HEAD: usize = 256 << 10;
const MOST_FIELDS: usize = 128;
/// Fields that the gateway adds to a response.
const ADDED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<Head>, Malformed> {
        next(&mut BytesMut::from(text), &mut EmptyLine::default(), Expected::default())
    }

    fn framed(fields: &str) -> Result<(Framing, bool), Malformed> {
        head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).map(|head| {
            let head = head.expect("it is whole");
            (head.framing, head.keeps)
        })
    }

    #[test]
    fn a_head_is_taken_when_it_is_whole_and_what_follows_is_left() {
        let text = "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-A:  b \r\nx-a: c\r\n\r\nok";
        for length in 0..text.len() - 2 {
            assert!(head(&text[..length]).unwrap().is_none(), "{length}");
        }
        let mut read = BytesMut::from(text);
        let Head { parts, framing, keeps } =
            next(&mut read, &mut EmptyLine::default(), Expected::default()).unwrap().unwrap();
        assert_eq!(
            (parts.status, parts.version, framing, keeps),
            (StatusCode::OK, Version::HTTP_11, Framing::Length(2), true)
        );
        assert_eq!(parts.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(&read[..], b"ok");
    }

    #[test]
    fn a_head_may_come_in_pieces() {
        let text = "HTTP/1.1 200 OK\r\nx-a: b\nx-b: c\r\nContent-Length: 2\r\n\r\nok";
        for size in 1..text.len() {
            let (mut read, mut empty_line) = (BytesMut::new(), EmptyLine::default());
            let heads = text.as_bytes().chunks(size).filter_map(|piece| {
                read.extend_from_slice(piece);
                next(&mut read, &mut empty_line, Expected::default()).unwrap()
            });
            assert_eq!(heads.take(1).map(|head| head.parts.headers.len()).collect::<Vec<_>>(), [3], "{size}");
        }
    }

    #[test]
    fn a_body_ends_in_one_way_or_is_refused() {
        let chunked = Framing::Chunked(Chunked::default());
        assert_eq!(framed("Content-Length: 5\r\n"), Ok((Framing::Length(5), true)));
        assert_eq!(framed("Content-Length: 5\r\nContent-Length: 5\r\n"), Ok((Framing::Length(5), true)));
        assert_eq!(framed("Content-Length: 5, 5\r\n"), Ok((Framing::Length(5), true)));
        assert_eq!(framed("Transfer-Encoding: Chunked\r\n"), Ok((chunked, true)));
        assert_eq!(framed("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), Ok((chunked, false)));
        assert_eq!(framed(""), Ok((Framing::Close, false)));
        for fields in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: \r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
        ] {
            assert!(framed(fields).is_err(), "{fields:?}");
        }
        assert!(head("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn some_responses_have_no_body() {
        for (status, expected) in [
            ("204 No Content", Expected::default()),
            ("304 Not Modified", Expected::default()),
            ("200 OK", Expected { head_only: true, upgrade: false }),
        ] {
            let text = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
            let head = next(&mut BytesMut::from(text.as_str()), &mut EmptyLine::default(), expected).unwrap().unwrap();
            assert_eq!((head.framing, head.keeps), (Framing::Length(0), true), "{status}");
            assert_eq!(head.parts.headers["content-length"], "5", "it speaks of another message");
        }
    }

    #[test]
    fn what_is_the_connections_own_goes_no_further() {
        let text = "HTTP/1.1 200 OK\r\nConnection: X-Own, keep-alive, Content-Type\r\nKeep-Alive: timeout=5\r\n\
                    X-Own: 1\r\nUpgrade: h2c\r\nContent-Type: text/plain\r\nContent-Length: 02, 2\r\n\r\n";
        let head = head(text).unwrap().unwrap();
        let fields: Vec<_> = head.parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(fields, [("content-type", &b"text/plain"[..]), ("content-length", b"2")]);
        assert_eq!(head.framing, Framing::Length(2));
    }

    #[test]
    fn the_target_says_whether_it_closes() {
        for (version, field, keeps) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: x, Close\r\n", false),
            ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
        ] {
            let text = format!("HTTP/{version} 200 OK\r\nContent-Length: 0\r\n{field}\r\n");
            assert_eq!(head(&text).unwrap().unwrap().keeps, keeps, "{text:?}");
        }
    }

    #[test]
    fn what_comes_before_the_answer_is_passed_over() {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n";
        assert_eq!(head(text).unwrap().unwrap().parts.status, StatusCode::NOT_FOUND);
        let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
        assert!(head(switching).is_err(), "nobody asked");
        let asked = Expected { head_only: false, upgrade: true };
        let head = next(&mut BytesMut::from(switching), &mut EmptyLine::default(), asked).unwrap().unwrap();
        assert_eq!(head.parts.status, StatusCode::SWITCHING_PROTOCOLS);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in [
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
        ] {
            assert!(head(text).is_err(), "{text:?}");
        }
        let many = "a: b\r\n".repeat(MOST_FIELDS + 1);
        assert!(head(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).is_err());
        let long = "x".repeat(LONGEST_HEAD);
        assert!(head(&format!("HTTP/1.1 200 OK\r\na: {long}")).is_err(), "it would be read for ever");
    }
}
