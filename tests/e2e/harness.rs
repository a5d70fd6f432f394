//! The harness itself: what it can't see, no test shows.

use std::time::Duration;

use tollgate_tests::{Connection, Load, Origin, Raw, WebSocket, curl, get, post};

#[tokio::test]
async fn the_origin_answers_with_what_it_saw() {
    let origin = Origin::start();
    let seen = post("/a/b?c=d", "hello").header("x-custom", "1").send(origin.address).await.seen();
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.body_length), ("POST", "/a/b?c=d", 5));
    assert_eq!(seen.body_sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!((seen.header("x-custom"), seen.header("host")), ("1", &*origin.address.to_string()));
    assert_eq!((origin.connections(), origin.requests(), origin.seen().len()), (1, 1, 1));
}

#[tokio::test]
async fn the_origin_behaves_as_told() {
    let origin = Origin::start();
    let told = async |behaviour: &str| get("/").origin(behaviour).try_send(origin.address).await;
    assert_eq!(told("status=418").await.expect("an answer").status, 418);
    let sized = told("size=100000").await.expect("an answer");
    assert_eq!((sized.body.len(), sized.header("content-length")), (100_000, "100000"));
    let with_trailers = get("/").header("te", "trailers").origin("chunks=3 gap=1 trailers");
    let chunked = with_trailers.send(origin.address).await;
    assert_eq!((chunked.text().as_str(), chunked.header("content-length")), ("line 0\nline 1\nline 2\n", ""));
    assert_eq!(chunked.trailers.expect("trailers")["x-trailer"], "from-origin");
    assert!(told("size=1000 cut=500").await.is_err(), "a cut body is not a whole answer");
    let echoed = post("/", "back").origin("echo header=x-a:1").send(origin.address).await;
    assert_eq!((echoed.text().as_str(), echoed.header("x-a")), ("back", "1"));
}

#[tokio::test]
async fn curl_and_raw_bytes_see_a_cut_body_as_cut() {
    let origin = Origin::start();
    let url = format!("{}/", origin.url());
    assert_eq!(curl(&["-H", "x-origin: size=1000 cut=500", &url]).await.code, 18);
    assert_eq!(curl(&["-H", "x-origin: chunks=5 cut=9", &url]).await.code, 18);
    let text = Raw::exchange(origin.address, "GET / HTTP/1.1\r\nHost: a\r\nx-origin: size=9 cut=4\r\n\r\n").await;
    assert!(text.ends_with("\r\n\r\nxxxx"), "{text}");
}

#[tokio::test]
async fn websockets_are_echoed() {
    let origin = Origin::start();
    let mut socket = WebSocket::open(origin.address, "/socket", &[("x-custom", "1")]).await.expect("an upgrade");
    for n in 0..3 {
        socket.echo(&format!("message {n}")).await.expect("an echo");
    }
    socket.close().await.expect("a goodbye");
    assert_eq!(origin.seen()[0].header("x-custom"), "1");
}

#[tokio::test]
async fn the_load_counts_every_failure_and_every_closed_connection() {
    let origin = Origin::start();
    let call = |n| {
        if n == 50 {
            get("/").origin("status=500")
        } else if n == 60 {
            get("/").origin("size=9 cut=4")
        } else {
            get("/")
        }
    };
    let check = |reply: &tollgate_tests::Reply| if reply.status == 200 { Ok(()) } else { Err("not 200".to_owned()) };
    let load = Load::start(origin.address, 4, Duration::from_millis(1), call, check);
    tollgate_tests::until(Duration::from_secs(30), "200 answers", async || load.answered() >= 200).await;
    let tally = load.stop();
    assert_eq!((tally.failed, tally.closed), (2, 1), "{:?}", tally.complaints);

    let load = Load::steady(origin.address, 2, get("/").header("connection", "close"));
    tollgate_tests::until(Duration::from_secs(30), "20 answers", async || load.answered() >= 20).await;
    let tally = load.stop();
    assert_eq!((tally.failed, tally.closed), (0, tally.requests), "each was closed by the origin");
}

#[tokio::test]
async fn a_connection_is_kept() {
    let origin = Origin::start();
    let mut connection = Connection::open(origin.address).await.expect("a connection");
    for _ in 0..3 {
        connection.send(get("/")).await.expect("an answer");
    }
    assert!(connection.alive().await);
    assert_eq!((origin.connections(), origin.requests()), (1, 3));
}
