//! SIGTERM: ready turns 503, what was accepted is finished, then the process ends.

use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::Signal;
use tollgate_tests::{Connection, Origin, Setup, WebSocket, get, until};

use crate::configs::plain;

#[tokio::test]
async fn accepted_requests_are_finished() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let proxy = gateway.proxy;
    let mut idle = Connection::open(proxy).await.expect("a connection");
    idle.send(get("/")).await.expect("an answer");

    let slow: Vec<_> = (0..50)
        .map(|_| tokio::spawn(get("/").origin("delay=2000 size=100000 chunks=10 gap=50").try_send(proxy)))
        .collect();
    until(Duration::from_secs(20), "the requests are at the upstream", async || origin.requests() == 51).await;
    gateway.process().signal(Signal::TERM);
    until(Duration::from_secs(10), "ready turns away new traffic", async || gateway.ready().await != Some(200)).await;

    let answers = join_all(slow).await;
    for answer in answers {
        let reply = answer.expect("no panic").expect("an accepted request is answered");
        assert_eq!((reply.status, reply.body.len()), (200, 100_000));
    }
    let status = gateway.process().ended(Duration::from_secs(20)).await;
    assert!(status.success(), "{status}");
    assert!(!idle.alive().await);
}

/// A request that is on its way when the drain begins is answered; the answer says that it was the last one.
#[tokio::test]
async fn busy_connections_lose_no_request() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let proxy = gateway.proxy;
    let clients: Vec<_> = (0..32)
        .map(|_| {
            tokio::spawn(async move {
                let mut kept = Connection::open(proxy).await?;
                for sent in 1.. {
                    let reply = kept.send(get("/")).await.map_err(|error| format!("request {sent}: {error}"))?;
                    if reply.header("connection") == "close" {
                        break;
                    }
                }
                Ok::<(), String>(())
            })
        })
        .collect();
    until(Duration::from_secs(20), "traffic flows", async || origin.requests() > 500).await;
    gateway.process().signal(Signal::TERM);
    for client in join_all(clients).await {
        client.expect("no panic").expect("every request is answered");
    }
    assert!(gateway.process().ended(Duration::from_secs(20)).await.success());
}

/// So that balancers that look at it send nothing more before anything is turned away.
#[tokio::test]
async fn ready_turns_503_before_accepting_stops() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).node("[drain]\ndelay = \"3s\"").start().await;
    gateway.process().signal(Signal::TERM);
    until(Duration::from_secs(10), "ready is 503", async || gateway.ready().await == Some(503)).await;
    assert_eq!(gateway.get("/").await.status, 200, "who asks meanwhile is still served");
    assert!(gateway.process().ended(Duration::from_secs(20)).await.success());
}

#[tokio::test]
async fn a_kept_connection_is_told_that_it_ends() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let mut kept = Connection::open(gateway.proxy).await.expect("a connection");
    let (answer, ()) = tokio::join!(kept.send(get("/").origin("delay=1500")), async {
        until(Duration::from_secs(10), "the request is at the upstream", async || origin.requests() == 1).await;
        gateway.process().signal(Signal::TERM);
    });
    assert_eq!(answer.expect("an answer").header("connection"), "close");
    assert!(gateway.process().ended(Duration::from_secs(20)).await.success());
}

#[tokio::test]
async fn what_never_ends_is_cut_at_the_deadline() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).node("[drain]\ntimeout = \"1s\"").start().await;
    let mut socket = WebSocket::open(gateway.proxy, "/", &[]).await.expect("an upgrade");
    socket.echo("here").await.expect("an echo");
    let status = gateway.terminate().await;
    assert!(status.success(), "{status}");
    assert!(socket.echo("gone").await.is_err());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).node("[drain]\ntimeout = \"600s\"").start().await;
    let slow = tokio::spawn(get("/").origin("delay=600000").try_send(gateway.proxy));
    until(Duration::from_secs(10), "the request is at the upstream", async || origin.requests() == 1).await;
    gateway.process().signal(Signal::TERM);
    gateway.says("draining").await;
    gateway.process().signal(Signal::TERM);
    gateway.process().ended(Duration::from_secs(10)).await;
    assert!(slow.await.expect("no panic").is_err(), "it was not waited for");
}

#[tokio::test]
async fn it_listens_until_it_ends_and_frees_its_ports() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let addresses = [gateway.proxy, gateway.admin, gateway.status];
    gateway.terminate().await;
    for address in addresses {
        std::net::TcpListener::bind(address).expect("the port is free again");
    }
}
