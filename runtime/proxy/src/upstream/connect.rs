//! Opens connections and sends requests on them.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tollgate_model::entity::Timeouts;

use super::{ConnectionPool, Endpoint, PooledConnection};
use crate::body::RequestBody;
use crate::connection::tune;
use crate::error::ErrorKind;
use crate::timer::within;

/// A request that was not answered.
pub(crate) struct SendFailure {
    pub(crate) kind: ErrorKind,
    /// Given back when not a byte of it was sent: it may be sent elsewhere.
    pub(crate) unsent: Option<Box<Request<RequestBody>>>,
    pub(crate) detail: String,
}

impl ConnectionPool {
    /// A connection that is ready for a request.
    pub(crate) async fn connect(
        &self,
        endpoint: &Arc<Endpoint>,
        timeouts: &Timeouts,
    ) -> Result<PooledConnection, (ErrorKind, String)> {
        if let Some(idle) = self.take(endpoint) {
            return Ok(idle);
        }
        let address = (&*endpoint.host, endpoint.port);
        let stream = within(timeouts.connect, TcpStream::connect(address))
            .await
            .map_err(|_| (ErrorKind::ConnectTimeout, format!("no connection after {:?}", timeouts.connect)))?
            .map_err(|error| (ErrorKind::ConnectFailed, error.to_string()))?;
        tune(&stream);
        let (sender, connection) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| (ErrorKind::ConnectFailed, error.to_string()))?;
        let open = self.count_open();
        tokio::task::spawn_local(async move {
            let _open = open;
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        Ok(PooledConnection { sender, endpoint: Arc::clone(endpoint), reused: false })
    }
}

impl PooledConnection {
    /// Sends one request and waits for the head of its response.
    pub(crate) async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, SendFailure> {
        if let Err(error) = self.sender.ready().await {
            return Err(SendFailure {
                kind: ErrorKind::UpstreamFailed,
                unsent: Some(Box::new(request)),
                detail: error.to_string(),
            });
        }
        self.sender.try_send_request(request).await.map_err(|mut error| {
            let unsent = error.take_message().map(Box::new);
            SendFailure { kind: ErrorKind::UpstreamFailed, unsent, detail: chain_text(error.error()) }
        })
    }
}

/// An error with its causes.
fn chain_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
