//! Connections that changed to another protocol: bytes both ways until one end closes.

use std::rc::Rc;

use http::{HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::body::ResponseBody;
use crate::record::Record;
use crate::upstream::{InFlight, Switched};
use crate::worker::Shared;

/// The two ends of a tunnel to be.
pub(crate) struct Upgrading {
    pub(crate) client: OnUpgrade,
    pub(crate) upstream: Switched,
    pub(crate) protocol: HeaderValue,
    /// Asked for by extended CONNECT: HTTP/2 has no 101.
    pub(crate) by_connect: bool,
    pub(crate) in_flight: InFlight,
}

/// Answers 101 (200 to a CONNECT) and carries bytes from then on. The tunnel holds neither route nor chain nor
/// snapshot: only its two connections and its record.
pub(crate) fn open(
    worker: &Rc<Shared>,
    upgrading: Upgrading,
    mut headers: http::HeaderMap,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    let status = if upgrading.by_connect { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
    record.answered(status);
    if let Some(ending) = record.tunnel_ending() {
        ending.half_close();
    }
    if !upgrading.by_connect {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, upgrading.protocol.clone());
    }
    tokio::task::spawn_local(carry(Rc::clone(worker), upgrading, record));
    crate::respond::assembled(status, headers, ResponseBody::unrecorded())
}

async fn carry(worker: Rc<Shared>, upgrading: Upgrading, mut record: Box<Record>) {
    let Upgrading { client, mut upstream, in_flight: _in_flight, .. } = upgrading;
    let _open = worker.tunnels.open();
    let mut client = match client.await {
        Ok(client) => TokioIo::new(client),
        Err(error) => {
            tracing::debug!(%error, "upgrade failed");
            return;
        }
    };
    let carried = tokio::select! {
        carried = copy_bidirectional(&mut client, &mut upstream) => carried,
        () = worker.closing() => return,
    };
    match carried {
        Ok((_, down)) => {
            record.count_response(down as usize);
            record.complete();
        }
        Err(error) => {
            if let Some(ending) = record.tunnel_ending() {
                ending.reset();
            }
            tracing::debug!(%error, "tunnel ended");
        }
    }
}
