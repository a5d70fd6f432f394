use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// An open WebSocket, with somebody at the other end who sends everything back.
#[derive(Debug)]
pub struct WebSocket(WebSocketStream<TcpStream>);

impl WebSocket {
    pub async fn open(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Result<WebSocket, String> {
        let mut request = format!("ws://{address}{target}").into_client_request().expect("the test's target is valid");
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("the test's field name is valid");
            request.headers_mut().append(name, value.parse().expect("the test's field value is valid"));
        }
        let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
        let (socket, _) = client_async(request, stream).await.map_err(|error| error.to_string())?;
        Ok(WebSocket(socket))
    }

    /// Sends a text and waits for it to come back.
    pub async fn echo(&mut self, text: &str) -> Result<(), String> {
        self.0.send(Message::text(text)).await.map_err(|error| format!("send: {error}"))?;
        match timeout(PATIENCE, self.0.next()).await {
            Ok(Some(Ok(Message::Text(back)))) if back.as_str() == text => Ok(()),
            Ok(other) => Err(format!("{other:?} came back for {text:?}")),
            Err(_) => Err(format!("nothing came back for {text:?}")),
        }
    }

    /// Says goodbye and waits for the same.
    pub async fn close(mut self) -> Result<(), String> {
        self.0.close(None).await.map_err(|error| format!("close: {error}"))?;
        match timeout(PATIENCE, self.0.next()).await {
            Ok(Some(Ok(Message::Close(_))) | None) => Ok(()),
            other => Err(format!("{other:?} instead of a close")),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
