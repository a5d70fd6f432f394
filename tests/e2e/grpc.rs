//! gRPC through the gateway: both directions at once, errors in trailers.

use tollgate_tests::{Gateway, GrpcClient, GrpcServer, Setup};

async fn through(server: &GrpcServer) -> (Gateway, GrpcClient) {
    let config = format!(
        "[[services]]\nname = \"grpc\"\nurl = \"http://{}\"\nprotocol = \"http2\"\n\n\
         [[routes]]\nname = \"grpc\"\nservice = \"grpc\"\npaths = [\"/\"]\n",
        server.address
    );
    let gateway = Setup::new(config).start().await;
    let client = GrpcClient::open(gateway.proxy).await;
    (gateway, client)
}

#[tokio::test]
async fn unary_calls_are_answered() {
    let server = GrpcServer::start();
    let (_gateway, mut client) = through(&server).await;
    for size in [0, 10, 1_000_000] {
        let message = vec![b'x'; size];
        let mut call = client.call("/test/Unary", &message).await;
        call.close();
        assert_eq!(call.next().await.as_deref(), Some(&message[..]), "{size}");
        assert_eq!(call.next().await, None);
        assert_eq!(call.status().await, (0, String::new()));
    }
}

#[tokio::test]
async fn servers_stream() {
    let server = GrpcServer::start();
    let (_gateway, mut client) = through(&server).await;
    let mut call = client.call("/test/Count", &[200]).await;
    call.close();
    let mut messages = 0;
    while call.next().await.is_some() {
        messages += 1;
    }
    assert_eq!((messages, call.status().await.0), (200, 0));
}

#[tokio::test]
async fn both_sides_talk_at_once() {
    let server = GrpcServer::start();
    let (_gateway, mut client) = through(&server).await;
    // The head of the response is here, though the request has not ended.
    let mut call = client.call("/test/Chat", b"one").await;
    assert_eq!(call.next().await.as_deref(), Some(&b"one"[..]));
    for word in ["two", "three", "four"] {
        call.send(word.as_bytes()).await;
        assert_eq!(call.next().await.as_deref(), Some(word.as_bytes()));
    }
    call.close();
    assert_eq!(call.next().await, None);
    assert_eq!(call.status().await, (0, String::new()));
}

#[tokio::test]
async fn errors_come_in_trailers_or_alone() {
    let server = GrpcServer::start();
    let (_gateway, mut client) = through(&server).await;
    let call = client.call("/test/Fail", b"message").await;
    assert_eq!(call.status().await, (9, "as told".to_owned()));
    let call = client.call("/test/Refuse", b"message").await;
    assert_eq!(call.status().await, (7, "not for you".to_owned()));
}

#[tokio::test]
async fn calls_share_a_connection_and_do_not_wait_for_each_other() {
    let server = GrpcServer::start();
    let (_gateway, mut client) = through(&server).await;
    let mut open = Vec::new();
    for n in 0..50u8 {
        open.push((n, client.call("/test/Chat", &[n]).await));
    }
    for (n, call) in open.iter_mut().rev() {
        assert_eq!(call.next().await.as_deref(), Some(&[*n][..]));
        call.send(b"more").await;
        assert_eq!(call.next().await.as_deref(), Some(&b"more"[..]));
    }
}
