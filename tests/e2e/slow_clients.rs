//! Clients that send next to nothing for as long as they may.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_tests::{Connection, Load, Origin, Raw, Setup, get, proof, scaled};

use crate::configs::plain;

/// Sends a head byte by byte, for ever, and tells how long the other side bore it.
async fn trickle(address: SocketAddr, every: Duration) -> Duration {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let started = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: slow\r\nX-Endless: ").await.expect("the beginning");
    let mut pace = tokio::time::interval(every);
    let mut answer = [0; 512];
    loop {
        tokio::select! {
            _ = pace.tick() => {
                if stream.write_all(b"a").await.is_err() {
                    return started.elapsed();
                }
            }
            read = stream.read(&mut answer) => match read {
                Ok(0) | Err(_) => return started.elapsed(),
                Ok(_) => {}
            }
        }
    }
}

#[tokio::test]
async fn trickled_heads_are_cut_off_and_hold_up_nobody() {
    let bound = Duration::from_secs(scaled(2, 15));
    let origin = Origin::start();
    let setup = Setup::new(plain(&origin)).proxy(&format!("head_timeout = \"{}s\"", bound.as_secs()));
    let gateway = setup.proxy("idle_timeout = \"300s\"").start().await;
    let quiet = Load::steady(gateway.proxy, 4, get("/"));
    while quiet.answered() < 500 {
        tokio::task::yield_now().await;
    }
    let quiet = quiet.stop();

    let load = Load::steady(gateway.proxy, 4, get("/"));
    let every = scaled(Duration::from_millis(200), Duration::from_secs(1));
    let borne = join_all((0..200).map(|_| trickle(gateway.proxy, every))).await;
    let tally = load.stop();
    tally.assert_clean();
    let longest = borne.iter().max().expect("two hundred");
    let shortest = borne.iter().min().expect("two hundred");
    assert!(*shortest + Duration::from_millis(100) >= bound, "cut off after {shortest:?}, {bound:?} are allowed");
    assert!(*longest < bound + Duration::from_secs(3), "one was borne for {longest:?}, {bound:?} are allowed");
    proof!(
        3,
        3,
        "slowloris: 200 connections that send a byte of a head now and then",
        "all cut off after {shortest:?} to {longest:?} (head_timeout {bound:?}); beside them {} requests, 0 failed, p99 \
         {:?} (without them {:?})",
        tally.requests,
        tally.quantile(0.99),
        quiet.quantile(0.99)
    );
}

/// The time for a head starts with its first byte, not with the end of the answer before.
#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_a_head() {
    let origin = Origin::start();
    let setup = Setup::new(plain(&origin)).proxy("head_timeout = \"500ms\"\nidle_timeout = \"300s\"");
    let gateway = setup.start().await;
    let mut kept = Connection::open(gateway.proxy).await.expect("a connection");
    kept.send(get("/")).await.expect("an answer");
    let mut silent = Raw::open(gateway.proxy).await;
    let borne = trickle(gateway.proxy, Duration::from_millis(50)).await;
    assert!(borne < Duration::from_secs(5), "{borne:?}");
    assert_eq!(kept.send(get("/")).await.expect("it was only idle").status, 200);
    silent.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(silent.read_until("\r\n").await.contains("200"), "silent from its start, but in time");
}

#[tokio::test]
async fn silence_has_its_own_bound() {
    let origin = Origin::start();
    let setup = Setup::new(plain(&origin)).proxy("head_timeout = \"300s\"\nidle_timeout = \"1s\"");
    let gateway = setup.start().await;
    let mut kept = Raw::open(gateway.proxy).await;
    kept.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    kept.read_until("\r\n\r\n").await;
    let started = Instant::now();
    kept.read_to_end().await;
    assert!(Raw::open(gateway.proxy).await.read_to_end().await.is_empty());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
