//! HTTP/2 that no honest client sends: refused, and never passed on.

use tollgate_tests::{Frame, Frames, Http2, Origin, Setup, get};

use crate::configs::plain;

type Fields<'a> = Vec<(&'a str, &'a str)>;

fn valid(authority: &str) -> Fields<'_> {
    vec![(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", authority)]
}

fn with<'a>(authority: &'a str, name: &'a str, value: &'a str) -> Fields<'a> {
    let mut fields = valid(authority);
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some(field) => field.1 = value,
        None => fields.push((name, value)),
    }
    fields
}

/// RFC 9113, 8.1.1: malformed requests are stream errors; a 400 before that is allowed.
#[tokio::test]
async fn malformed_requests_never_reach_the_upstream() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let cases = [
        // Forms of the target.
        (":path", "admin"),
        (":path", "*"),
        (":path", "http://elsewhere/"),
        (":path", ""),
        (":path", "/a b"),
        (":path", "/a\r\nx: y"),
        (":path", "/a%2fb"),
        (":path", "/../b"),
        (":path", "/a\\b"),
        (":path", "/%00"),
        // The authority.
        (":authority", "user@host"),
        (":authority", "a,b"),
        (":authority", "a/b"),
        (":authority", "a b"),
        ("host", "elsewhere"),
        // Fields of a connection (8.2.2).
        ("connection", "close"),
        ("connection", "x-forwarded-for"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        // What would end a field, or a message, over HTTP/1.1 (8.2.1).
        ("x-split", "a\r\nx-injected: 1"),
        ("x-split", "a\n"),
        ("x-split", "a\r"),
        ("x-split", "a\0b"),
        ("x split", "a"),
        ("x:split", "a"),
        ("X-Upper", "a"),
        ("x-split\r\nx-injected", "a"),
        // Lengths that are not the body's (8.1.1).
        ("content-length", "5"),
        ("content-length", "-1"),
        ("content-length", "1, 1"),
        // Pseudo-fields.
        (":status", "200"),
        (":unknown", "a"),
        (":protocol", "websocket"),
        (":method", "G T"),
        (":scheme", "ht tp"),
    ];
    let authority = gateway.proxy.to_string();
    for (name, value) in cases {
        refused(&gateway, &with(&authority, name, value), &format!("{name}: {value:?}")).await;
    }
    let mut twice = valid(&authority);
    twice.push((":path", "/again"));
    refused(&gateway, &twice, "two paths").await;
    let hosts = [valid(&authority), vec![("host", &authority), ("host", "elsewhere")]].concat();
    refused(&gateway, &hosts, "two hosts").await;
    let late = [vec![("x-early", "1")], valid(&authority)].concat();
    refused(&gateway, &late, "a pseudo-field behind others").await;
    for missing in [":method", ":scheme", ":path", ":authority"] {
        let fields: Fields<'_> = valid(&authority).into_iter().filter(|(name, _)| *name != missing).collect();
        refused(&gateway, &fields, &format!("without {missing}")).await;
    }
    assert_eq!(origin.requests(), 0, "{:?}", origin.seen());

    let host = [valid(&authority), vec![("host", &authority), ("te", "trailers")]].concat();
    let mut frames = Frames::open(gateway.proxy, &[]).await;
    frames.request(1, &host).await;
    assert_eq!(frames.next_of(&[Frame::HEADERS]).await.expect("an answer").status(), Some(200), "and this is right");
}

async fn refused(gateway: &tollgate_tests::Gateway, fields: &Fields<'_>, what: &str) {
    let mut frames = Frames::open(gateway.proxy, &[]).await;
    frames.request(1, fields).await;
    let answer = frames.next_of(&[Frame::HEADERS, Frame::RST_STREAM, Frame::GOAWAY]).await;
    let refused = answer.as_ref().is_none_or(|frame| frame.kind != Frame::HEADERS || frame.status() == Some(400));
    assert!(refused, "{what}: {answer:?}");
}

#[tokio::test]
async fn floods_of_control_frames_end_their_connection() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).workers(1).start().await;
    let mut neighbour = Http2::open(gateway.proxy).await.expect("a connection");
    let floods = [
        ("PING", Frames::encoded(Frame::PING, 0, 0, b"12345678")),
        ("SETTINGS", Frames::encoded(Frame::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
        ("PRIORITY", Frames::encoded(2, 0, 1, &[0, 0, 0, 0, 200])),
        ("WINDOW_UPDATE", Frames::encoded(8, 0, 0, &[0, 0, 0, 1])),
    ];
    for (what, frame) in floods {
        let mut frames = Frames::open(gateway.proxy, &[]).await;
        frames.write(&frame.repeat(10_000)).await;
        let goodbye = frames.next_of(&[Frame::GOAWAY]).await.unwrap_or_else(|| panic!("{what}: no GOAWAY"));
        assert_eq!(goodbye.error_code(), ENHANCE_YOUR_CALM, "{what}");
        assert_eq!(frames.next_of(&[]).await, None, "{what}: closed");
        assert_eq!(neighbour.send(get("/")).await.expect("an answer").status, 200);
    }
    let metrics = get("/metrics").send(gateway.status).await.text();
    assert!(metrics.contains("tollgate_connection_faults_total{kind=\"http2_flood\"} 4\n"), "{metrics}");
}

#[tokio::test]
async fn rapid_resets_end_their_connection() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).workers(1).start().await;
    let authority = gateway.proxy.to_string();
    let mut frames = Frames::open(gateway.proxy, &[]).await;
    for stream in (1..4000).step_by(2) {
        frames.request(stream, &valid(&authority)).await;
        frames.send(Frame::RST_STREAM, 0, stream, &[0, 0, 0, 8]).await;
    }
    let goodbye = frames.next_of(&[Frame::GOAWAY]).await.expect("GOAWAY");
    assert_eq!(goodbye.error_code(), ENHANCE_YOUR_CALM);
    assert!(origin.requests() < 1000, "{}", origin.requests());
}

/// What a busy client sends beside its requests is no flood.
#[tokio::test]
async fn a_long_download_in_small_windows_is_served() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).workers(1).start().await;
    let authority = gateway.proxy.to_string();
    let mut frames = Frames::open(gateway.proxy, &[(4, 1000)]).await;
    let fields = with(&authority, "x-origin", "size=10000000");
    frames.request(1, &fields).await;
    let mut received = 0;
    while received < 10_000_000 {
        let data = frames.next_of(&[Frame::DATA, Frame::RST_STREAM, Frame::GOAWAY]).await.expect("more");
        assert_eq!(data.kind, Frame::DATA, "after {received} bytes: {data:?}");
        let length = data.payload.len() as u32;
        received += length;
        if length > 0 {
            frames.send(8, 0, 0, &length.to_be_bytes()).await;
            frames.send(8, 0, 1, &length.to_be_bytes()).await;
        }
    }
}

const ENHANCE_YOUR_CALM: u32 = 0xb;
