//! RFC 9113, clause by clause: what a client may send and what it may not, frame by frame, each on a connection of
//! its own. Plain values of the tables are in RFC 9113, 6.5.2 (settings) and 7 (error codes).
//!
//! Which code ends a connection is the library's: where the RFC names another one, h2 often tells PROTOCOL_ERROR, the
//! unspecific one (5.4). That counts, and how often is told. One case is not as the RFC has it, and says so.

use std::net::SocketAddr;
use std::time::Duration;

use tollgate_tests::{Frame, Frames, Origin, Setup, proof};

use crate::configs::plain;

/// How the gateway has to take it.
#[derive(Clone, Copy, Debug)]
enum Taken {
    /// As a connection error: GOAWAY with this code or the unspecific one, then the end.
    Goodbye(u32),
    /// As an error of stream 1 with one of these codes, or of the connection with one of them or the unspecific one.
    Reset(&'static [u32]),
    /// As a malformed request: as an error of its stream, or with the status 400 (8.1.1 allows both).
    Malformed,
    /// Answered: stream 1 gets 200.
    Answered,
    /// Of no consequence: a PING behind it is answered.
    Ignored,
    /// Closed without an answer.
    Closed,
    /// Answered, but with an error.
    Refused,
}

use Taken::{Answered, Closed, Goodbye, Ignored, Malformed, Refused, Reset};

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;

const END: u8 = Frame::END_STREAM | Frame::END_HEADERS;
const OPEN: u8 = Frame::END_HEADERS;

/// `GET /` and `POST /`, both of `http` and the authority `a`, from the static table (RFC 7541, A).
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 0x01, b'a'];
const POST: &[u8] = &[0x83, 0x86, 0x84, 0x01, 0x01, b'a'];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    Frames::encoded(kind, flags, stream, payload)
}

fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    frame(Frame::HEADERS, flags, stream, block)
}

fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let bytes = settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    frame(Frame::SETTINGS, 0, 0, &bytes.collect::<Vec<u8>>())
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(Frame::WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// `GET /` with more fields, or others.
fn request(fields: &[(&str, &str)]) -> Vec<u8> {
    let usual = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    let kept = usual.into_iter().filter(|(name, _)| !fields.iter().any(|(other, _)| other == name));
    let fields: Vec<_> = kept.chain(fields.iter().copied()).collect();
    headers(END, 1, &Frames::block(&fields))
}

fn post(fields: &[(&str, &str)], behind: &[Vec<u8>]) -> Vec<u8> {
    [headers(OPEN, 1, &[POST, &Frames::block(fields)].concat()), behind.concat()].concat()
}

fn data(flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    frame(Frame::DATA, flags, stream, payload)
}

type Case = (&'static str, &'static str, Vec<u8>, Taken);

/// Runs all of them and tells of all that are not taken as they should be.
async fn conform(first: &[u8], cases: Vec<Case>) {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let (count, mut wrong, mut unspecific) = (cases.len(), Vec::new(), 0);
    let mut clauses: Vec<&str> = cases.iter().map(|(clause, ..)| *clause).collect();
    clauses.dedup();
    for (clause, what, bytes, taken) in cases {
        let outcome = tokio::time::timeout(PATIENCE, outcome(gateway.proxy, &[first, &bytes].concat(), taken)).await;
        match outcome.unwrap_or_else(|_| Err(format!("nothing within {PATIENCE:?}"))) {
            Ok(Code::Named) => {}
            Ok(Code::Unspecific) => unspecific += 1,
            Err(found) => wrong.push(format!("{clause}, {what}: expected {taken:?}, {found}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    proof!(
        3,
        2,
        format!("RFC 9113, {}", clauses.join(", ")),
        "{count} cases of ours conform, {unspecific} of them with the unspecific PROTOCOL_ERROR"
    );
}

/// Which code the gateway told.
enum Code {
    /// The one that the RFC names, or none where none is due.
    Named,
    Unspecific,
}

const PATIENCE: Duration = Duration::from_secs(20);

async fn outcome(address: SocketAddr, bytes: &[u8], taken: Taken) -> Result<Code, String> {
    let mut frames = Frames::connect(address).await;
    frames.write(bytes).await;
    if let Ignored = taken {
        frames.send(Frame::PING, 0, 0, b"behind..").await;
    }
    while let Some(frame) = frames.next().await {
        let code = || frame.error_code();
        match (frame.kind, taken) {
            (Frame::GOAWAY, Closed) => {}
            (Frame::GOAWAY, _) => {
                let told = match (code(), taken) {
                    (code, Goodbye(named)) if code == named => Code::Named,
                    (code, Reset(named)) if named.contains(&code) => Code::Named,
                    (PROTOCOL_ERROR, Malformed) => Code::Named,
                    (PROTOCOL_ERROR, Goodbye(_) | Reset(_)) => Code::Unspecific,
                    (code, _) => return Err(format!("GOAWAY {code}")),
                };
                return match frames.next_of(&[]).await {
                    None => Ok(told),
                    Some(_) => Err("the connection goes on".to_owned()),
                };
            }
            (Frame::RST_STREAM, Reset(codes)) if codes.contains(&code()) => return Ok(Code::Named),
            (Frame::RST_STREAM, Malformed) if code() == PROTOCOL_ERROR => return Ok(Code::Named),
            (Frame::RST_STREAM, Answered | Reset(_) | Malformed | Refused) => {
                return Err(format!("RST_STREAM {}", code()));
            }
            (Frame::HEADERS, Malformed) if frame.status() == Some(400) => return Ok(Code::Named),
            (Frame::HEADERS, Refused) if frame.status() != Some(200) => return Ok(Code::Named),
            (Frame::HEADERS, Answered) if frame.stream == 1 && frame.status() == Some(200) => return Ok(Code::Named),
            (Frame::HEADERS, Answered | Malformed | Refused | Closed) => {
                return Err(format!("answered {:?}", frame.status()));
            }
            (Frame::PING, Ignored) if frame.payload == b"behind.." => return Ok(Code::Named),
            _ => {}
        }
    }
    match taken {
        Closed => Ok(Code::Named),
        _ => Err("closed without a word".to_owned()),
    }
}

fn opened() -> Vec<u8> {
    [Frames::PREFACE, &settings(&[])].concat()
}

#[tokio::test]
async fn the_preface_begins_a_connection() {
    let cases = vec![
        ("3.4", "a preface with another end", b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n".to_vec(), Closed),
        ("3.4", "a preface in place of a request's target", b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), Closed),
        ("3.4", "the usual", [&opened(), &headers(END, 1, GET)[..]].concat(), Answered),
    ];
    conform(&[], cases).await;
}

#[tokio::test]
async fn frames_have_their_form() {
    let long = vec![0; 16_385];
    let cases = vec![
        ("4.1", "a frame of an unknown kind", frame(0x16, 0, 0, b"12345678"), Ignored),
        ("4.1", "flags without a meaning", frame(Frame::PING, 0x16, 0, b"12345678"), Ignored),
        ("4.1", "the reserved bit", frame(Frame::PING, 0, 1 << 31, b"12345678"), Ignored),
        ("4.2", "DATA of 2^14 bytes", post(&[], &[data(END, 1, &long[1..])]), Answered),
        ("4.2", "DATA of more", post(&[], &[data(END, 1, &long)]), Reset(&[FRAME_SIZE_ERROR])),
        ("4.2", "HEADERS of more", headers(END, 1, &long), Goodbye(FRAME_SIZE_ERROR)),
        (
            "4.3",
            "a field block that points nowhere",
            headers(END, 1, &[0xff, 0xff, 0xff, 0x0f]),
            Goodbye(COMPRESSION_ERROR),
        ),
        ("4.3", "a field block that ends in a field", headers(END, 1, &[0x82, 0x00, 0x05]), Goodbye(COMPRESSION_ERROR)),
        (
            "4.3",
            "PRIORITY within a field block",
            [headers(Frame::END_STREAM, 1, GET), frame(Frame::PRIORITY, 0, 1, &[0, 0, 0, 0, 1])].concat(),
            Goodbye(PROTOCOL_ERROR),
        ),
        (
            "4.3",
            "HEADERS of another stream within a field block",
            [headers(Frame::END_STREAM, 1, GET), headers(END, 3, GET)].concat(),
            Goodbye(PROTOCOL_ERROR),
        ),
    ];
    conform(&opened(), cases).await;
}

#[tokio::test]
async fn streams_have_their_states() {
    let get = || headers(END, 1, GET);
    let reset = || frame(Frame::RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    let cases = vec![
        ("5.1", "idle: DATA", data(END, 1, b"a"), Goodbye(PROTOCOL_ERROR)),
        ("5.1", "idle: RST_STREAM", reset(), Goodbye(PROTOCOL_ERROR)),
        ("5.1", "idle: WINDOW_UPDATE", window(1, 100), Goodbye(PROTOCOL_ERROR)),
        ("5.1", "idle: CONTINUATION", frame(Frame::CONTINUATION, OPEN, 1, GET), Goodbye(PROTOCOL_ERROR)),
        ("5.1", "idle: PRIORITY", frame(Frame::PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), Ignored),
        ("5.1", "half-closed: DATA", [get(), data(END, 1, b"a")].concat(), Reset(&[STREAM_CLOSED])),
        ("5.1", "half-closed: HEADERS", [get(), get()].concat(), Reset(&[STREAM_CLOSED, PROTOCOL_ERROR])),
        (
            "5.1",
            "half-closed: CONTINUATION",
            [get(), frame(Frame::CONTINUATION, OPEN, 1, GET)].concat(),
            Goodbye(PROTOCOL_ERROR),
        ),
        ("5.1", "half-closed: WINDOW_UPDATE", [get(), window(1, 100)].concat(), Answered),
        ("5.1", "closed: HEADERS", [get(), reset(), get()].concat(), Reset(&[STREAM_CLOSED, PROTOCOL_ERROR])),
        ("5.1", "closed: WINDOW_UPDATE", [get(), reset(), window(1, 100)].concat(), Ignored),
        ("5.1.1", "an even number", headers(END, 2, GET), Goodbye(PROTOCOL_ERROR)),
        (
            "5.1.1",
            "a number below the last",
            [headers(END, 5, GET), headers(END, 3, GET)].concat(),
            Goodbye(PROTOCOL_ERROR),
        ),
        ("5.1.2", "more streams than are allowed", crowd(), Reset(&[REFUSED_STREAM, PROTOCOL_ERROR])),
    ];
    conform(&opened(), cases).await;
}

/// More requests than may be open at once; none of them ends.
fn crowd() -> Vec<u8> {
    (0..129).flat_map(|n| headers(OPEN, 2 * n + 1, POST)).collect()
}

#[tokio::test]
async fn frames_belong_where_they_are_sent() {
    let cases = vec![
        ("6.1", "DATA on stream 0", data(0, 0, b"a"), Goodbye(PROTOCOL_ERROR)),
        ("6.1", "padding", post(&[], &[data(Frame::PADDED | END, 1, &[2, b'a', 0, 0])]), Answered),
        (
            "6.1",
            "padding longer than DATA",
            post(&[], &[data(Frame::PADDED | END, 1, &[5, b'a'])]),
            Goodbye(PROTOCOL_ERROR),
        ),
        ("6.2", "HEADERS on stream 0", headers(END, 0, GET), Goodbye(PROTOCOL_ERROR)),
        ("6.2", "padding", headers(END | Frame::PADDED, 1, &[&[2], GET, &[0, 0]].concat()), Answered),
        (
            "6.2",
            "padding longer than HEADERS",
            headers(END | Frame::PADDED, 1, &[&[200], GET].concat()),
            Goodbye(PROTOCOL_ERROR),
        ),
        ("6.3", "PRIORITY on stream 0", frame(Frame::PRIORITY, 0, 0, &[0, 0, 0, 3, 1]), Goodbye(PROTOCOL_ERROR)),
        (
            "6.3",
            "PRIORITY of 4 bytes",
            [headers(OPEN, 1, POST), frame(Frame::PRIORITY, 0, 1, &[0; 4])].concat(),
            Reset(&[FRAME_SIZE_ERROR]),
        ),
        ("6.4", "RST_STREAM on stream 0", frame(Frame::RST_STREAM, 0, 0, &[0, 0, 0, 8]), Goodbye(PROTOCOL_ERROR)),
        (
            "6.4",
            "RST_STREAM of 3 bytes",
            [headers(OPEN, 1, POST), frame(Frame::RST_STREAM, 0, 1, &[0; 3])].concat(),
            Goodbye(FRAME_SIZE_ERROR),
        ),
        (
            "6.6",
            "PUSH_PROMISE from a client",
            frame(Frame::PUSH_PROMISE, OPEN, 1, &[&[0, 0, 0, 2], GET].concat()),
            Goodbye(PROTOCOL_ERROR),
        ),
        ("6.7", "PING", Vec::new(), Ignored),
        ("6.7", "an answer to no PING", frame(Frame::PING, Frame::ACK, 0, b"12345678"), Ignored),
        ("6.7", "PING on a stream", frame(Frame::PING, 0, 1, b"12345678"), Goodbye(PROTOCOL_ERROR)),
        ("6.7", "PING of 7 bytes", frame(Frame::PING, 0, 0, b"1234567"), Goodbye(FRAME_SIZE_ERROR)),
        ("6.8", "GOAWAY on a stream", frame(Frame::GOAWAY, 0, 1, &[0; 8]), Goodbye(PROTOCOL_ERROR)),
        (
            "6.8",
            "requests before GOAWAY",
            [headers(END, 1, GET), frame(Frame::GOAWAY, 0, 0, &[0; 8])].concat(),
            Answered,
        ),
        (
            "6.10",
            "CONTINUATION",
            [headers(Frame::END_STREAM, 1, &GET[..2]), frame(Frame::CONTINUATION, OPEN, 1, &GET[2..])].concat(),
            Answered,
        ),
        (
            "6.10",
            "CONTINUATION behind a whole block",
            [headers(OPEN, 1, POST), frame(Frame::CONTINUATION, OPEN, 1, GET)].concat(),
            Goodbye(PROTOCOL_ERROR),
        ),
        (
            "6.10",
            "CONTINUATION on stream 0",
            [headers(0, 1, GET), frame(Frame::CONTINUATION, OPEN, 0, GET)].concat(),
            Goodbye(PROTOCOL_ERROR),
        ),
        (
            "6.10",
            "CONTINUATION behind DATA",
            post(&[], &[data(0, 1, b"a"), frame(Frame::CONTINUATION, OPEN, 1, GET)]),
            Goodbye(PROTOCOL_ERROR),
        ),
    ];
    conform(&opened(), cases).await;
}

#[tokio::test]
async fn settings_have_their_bounds() {
    let cases = vec![
        (
            "6.5",
            "an acknowledgement with content",
            frame(Frame::SETTINGS, Frame::ACK, 0, &[0; 6]),
            Goodbye(FRAME_SIZE_ERROR),
        ),
        ("6.5", "SETTINGS on a stream", frame(Frame::SETTINGS, 0, 1, &[]), Goodbye(PROTOCOL_ERROR)),
        ("6.5", "SETTINGS of 5 bytes", frame(Frame::SETTINGS, 0, 0, &[0; 5]), Goodbye(FRAME_SIZE_ERROR)),
        ("6.5.2", "ENABLE_PUSH of 2", settings(&[(2, 2)]), Goodbye(PROTOCOL_ERROR)),
        ("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", settings(&[(4, 1 << 31)]), Goodbye(FLOW_CONTROL_ERROR)),
        ("6.5.2", "MAX_FRAME_SIZE below 2^14", settings(&[(5, 16_383)]), Goodbye(PROTOCOL_ERROR)),
        ("6.5.2", "MAX_FRAME_SIZE above 2^24 - 1", settings(&[(5, 1 << 24)]), Goodbye(PROTOCOL_ERROR)),
        ("6.5.2", "a setting without a meaning", settings(&[(0xff, 1)]), Ignored),
        ("6.5.3", "the same setting twice", settings(&[(4, 1), (4, 100)]), Ignored),
    ];
    conform(&opened(), cases).await;
}

#[tokio::test]
async fn windows_have_their_bounds() {
    let open = || headers(OPEN, 1, POST);
    let most = (1 << 31) - 1;
    let cases = vec![
        ("6.9", "by 0, of the connection", window(0, 0), Goodbye(PROTOCOL_ERROR)),
        ("6.9", "by 0, of a stream", [open(), window(1, 0)].concat(), Reset(&[PROTOCOL_ERROR])),
        ("6.9", "WINDOW_UPDATE of 3 bytes", frame(Frame::WINDOW_UPDATE, 0, 0, &[0, 0, 1]), Goodbye(FRAME_SIZE_ERROR)),
        (
            "6.9.1",
            "beyond 2^31 - 1, of the connection",
            [window(0, most), window(0, most)].concat(),
            Goodbye(FLOW_CONTROL_ERROR),
        ),
        (
            "6.9.1",
            "beyond 2^31 - 1, of a stream",
            [open(), window(1, most), window(1, most)].concat(),
            Reset(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "6.9.2",
            "beyond 2^31 - 1, by a setting",
            [open(), window(1, most - 65_535), settings(&[(4, 65_536)])].concat(),
            Goodbye(FLOW_CONTROL_ERROR),
        ),
    ];
    conform(&opened(), cases).await;
}

/// RFC 9113, 6.9.1 and 6.9.2: no more DATA than the window allows, also when it shrinks.
#[tokio::test]
async fn the_clients_window_is_kept() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut frames = Frames::open(gateway.proxy, &[(4, 3)]).await;
    frames.write(&request(&[("x-origin", "size=5")])).await;
    let first = frames.next_of(&[Frame::DATA]).await.expect("what there is room for");
    assert_eq!(first.payload.len(), 3);
    frames.write(&settings(&[(4, 1)])).await;
    // Two below nothing: this makes it nothing.
    frames.write(&window(1, 2)).await;
    frames.send(Frame::PING, 0, 0, b"12345678").await;
    let frame = frames.next_of(&[Frame::DATA, Frame::PING]).await.expect("an answer");
    assert_eq!(frame.kind, Frame::PING, "there was no room: {frame:?}");
    frames.write(&window(1, 10)).await;
    let frame = frames.next_of(&[Frame::DATA]).await.expect("the rest");
    assert_eq!(frame.payload.len(), 2);
}

#[tokio::test]
async fn messages_are_well_formed() {
    let trailers = |flags: u8, fields: &[(&str, &str)]| headers(flags, 1, &Frames::block(fields));
    let cases = vec![
        ("8.1", "trailers", post(&[], &[data(0, 1, b"a"), trailers(END, &[("x-sum", "1")])]), Answered),
        (
            "8.1",
            "trailers that end nothing",
            post(&[], &[data(0, 1, b"a"), trailers(OPEN, &[("x-sum", "1")])]),
            Malformed,
        ),
        (
            "8.1.1",
            "a Content-Length above the content",
            post(&[("content-length", "2")], &[data(END, 1, b"a")]),
            Malformed,
        ),
        (
            "8.1.1",
            "a Content-Length below the content",
            post(&[("content-length", "1")], &[data(0, 1, b"a"), data(END, 1, b"b")]),
            Malformed,
        ),
        ("8.1.1", "a Content-Length and none", request(&[("content-length", "1")]), Malformed),
        (
            "8.1.1",
            "two lengths",
            post(&[("content-length", "1"), ("content-length", "2")], &[data(END, 1, b"a")]),
            Malformed,
        ),
        ("8.2.1", "upper case", request(&[("X-Upper", "a")]), Malformed),
        ("8.2.1", "a control character", request(&[("x-a", "a\0b")]), Malformed),
        ("8.2.2", "Connection", request(&[("connection", "x-a")]), Malformed),
        ("8.2.2", "Transfer-Encoding", request(&[("transfer-encoding", "chunked")]), Malformed),
        ("8.2.2", "TE of anything but trailers", request(&[("te", "trailers, gzip")]), Malformed),
        ("8.2.2", "TE: trailers", request(&[("te", "trailers")]), Answered),
        ("8.3", "an unknown pseudo-field", request(&[(":test", "a")]), Malformed),
        ("8.3", "one of responses", request(&[(":status", "200")]), Malformed),
        ("8.3", "one behind others", headers(END, 1, &[&Frames::block(&[("x-a", "1")]), GET].concat()), Malformed),
        // Malformed, says the RFC. The library drops it, and nothing of it goes on.
        ("8.3", "one in trailers", post(&[], &[data(0, 1, b"a"), trailers(END, &[(":path", "/b")])]), Answered),
        ("8.3", "one twice", headers(END, 1, &[GET, &[0x84]].concat()), Malformed),
        ("8.3.1", "no :method", headers(END, 1, &GET[1..]), Malformed),
        ("8.3.1", "no :scheme", headers(END, 1, &[&GET[..1], &GET[2..]].concat()), Malformed),
        ("8.3.1", "no :path", headers(END, 1, &[&GET[..2], &GET[3..]].concat()), Malformed),
        ("8.3.1", "an empty :path", request(&[(":path", "")]), Malformed),
        ("8.3.1", "an authority with user information", request(&[(":authority", "a@b")]), Malformed),
        ("8.3.1", "a Host that is another", request(&[("host", "b")]), Malformed),
        (
            "8.5",
            "CONNECT with :path and :scheme",
            headers(
                END,
                1,
                &Frames::block(&[(":method", "CONNECT"), (":scheme", "http"), (":path", "/"), (":authority", "a")]),
            ),
            Malformed,
        ),
        ("8.5", "CONNECT without an authority", headers(END, 1, &Frames::block(&[(":method", "CONNECT")])), Refused),
        (
            "8.5",
            "CONNECT",
            headers(END, 1, &Frames::block(&[(":method", "CONNECT"), (":authority", "a:443")])),
            Refused,
        ),
    ];
    conform(&opened(), cases).await;
}
