//! Asks targets whether they are well: one task for each target, apart from the workers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rand::Rng;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tollgate_model::Name;
use tollgate_model::entity::{HealthCheck, Protocol, Scheme};

use super::{Endpoint, UpstreamHealth, dial};
use crate::snapshot::Snapshot;
use crate::timer::within;

/// The checks of a configuration. Dropped, they end.
#[derive(Default)]
pub struct HealthChecks {
    running: HashMap<Checked, Running, RandomState>,
    /// Of the snapshot that is followed.
    services_since: u64,
}

/// Which upstream, and which of its targets.
type Checked = (Name, usize);

/// One target's. It goes on as long as neither its health nor its endpoint is another one.
struct Running {
    health: Arc<UpstreamHealth>,
    endpoint: Arc<Endpoint>,
    task: AbortHandle,
}

impl HealthChecks {
    /// Checks what this snapshot asks for, from now on. To be called on a runtime.
    pub fn follow(&mut self, snapshot: &Snapshot) {
        if std::mem::replace(&mut self.services_since, snapshot.services_since()) == snapshot.services_since() {
            return;
        }
        let mut running = HashMap::default();
        for (health, endpoints) in snapshot.checked() {
            for (place, endpoint) in endpoints.into_iter().enumerate() {
                let checked = (health.name().clone(), place);
                let same = self.running.remove(&checked).and_then(|known| known.unless_other(&health, &endpoint));
                let goes_on = same.or_else(|| Running::start(Arc::clone(&health), place, endpoint));
                running.extend(goes_on.map(|goes_on| (checked, goes_on)));
            }
        }
        std::mem::replace(&mut self.running, running).into_values().for_each(|gone| gone.task.abort());
    }
}

impl Drop for HealthChecks {
    fn drop(&mut self) {
        self.running.values().for_each(|running| running.task.abort());
    }
}

impl Running {
    fn start(health: Arc<UpstreamHealth>, place: usize, endpoint: Arc<Endpoint>) -> Option<Running> {
        let check = health.check.clone()?;
        let task = tokio::spawn(watch(Arc::clone(&health), place, Arc::clone(&endpoint), check)).abort_handle();
        Some(Running { health, endpoint, task })
    }

    /// Ends it if it is about something else.
    fn unless_other(self, health: &Arc<UpstreamHealth>, endpoint: &Arc<Endpoint>) -> Option<Running> {
        if Arc::ptr_eq(&self.health, health) && Arc::ptr_eq(&self.endpoint, endpoint) {
            return Some(self);
        }
        self.task.abort();
        None
    }
}

async fn watch(health: Arc<UpstreamHealth>, place: usize, endpoint: Arc<Endpoint>, check: HealthCheck) {
    // Not all of them at the same moment.
    let first = check.interval.min(SPREAD).mul_f64(rand::rng().random());
    tokio::time::sleep(first).await;
    let (mut good, mut bad) = (0, 0);
    loop {
        let outcome = within(check.timeout, ask(&endpoint, &check)).await;
        match outcome.unwrap_or_else(|_| Err(format!("no answer within {:?}", check.timeout))) {
            Ok(()) => {
                (good, bad) = (good + 1, 0);
                if good >= check.healthy {
                    health.checked(place, Ok(()));
                }
            }
            Err(reason) => {
                (good, bad) = (0, bad + 1);
                if bad >= check.unhealthy {
                    health.checked(place, Err(reason));
                }
            }
        }
        let pause = check.interval.mul_f64(rand::rng().random_range(0.9..=1.1));
        tokio::time::sleep(pause).await;
    }
}

/// On a connection of its own, in the protocol that requests are sent in, HTTP/1.1 where there is a choice.
async fn ask(endpoint: &Endpoint, check: &HealthCheck) -> Result<(), String> {
    let stream = dial::reach(endpoint).await.map_err(|failure| failure.detail)?;
    let http2 = endpoint.address().protocol == Protocol::Http2;
    let status = match &endpoint.tls {
        None => exchange(stream, http2, endpoint, check).await?,
        Some(tls) => {
            let connected = tls.connector(!http2).connect(tls.name(), stream).await;
            exchange(connected.map_err(|error| dial::refused(error).detail)?, http2, endpoint, check).await?
        }
    };
    if check.accepts(status) { Ok(()) } else { Err(format!("it answers {status}")) }
}

async fn exchange<T>(stream: T, http2: bool, endpoint: &Endpoint, check: &HealthCheck) -> Result<u16, String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut request = Request::new(Empty::<Bytes>::new());
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("tollgate-health-check"));
    let path = check.path.as_str();
    let told = |error: hyper::Error| error.to_string();
    let io = TokioIo::new(stream);
    let response = if http2 {
        let scheme = match endpoint.address().scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let authority = String::from_utf8_lossy(endpoint.authority.as_bytes());
        *request.uri_mut() = uri(&format!("{scheme}://{authority}{path}"))?;
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(told)?;
        // With the sender's end it ends too.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(told)?
    } else {
        *request.uri_mut() = uri(path)?;
        request.headers_mut().insert(header::HOST, endpoint.authority.clone());
        let (mut sender, connection) = http1::handshake(io).await.map_err(told)?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(told)?
    };
    Ok(response.status().as_u16())
}

fn uri(text: &str) -> Result<Uri, String> {
    text.parse().map_err(|_| "the path of the check is not valid".to_owned())
}

/// Within this time the first checks of all targets begin.
const SPREAD: Duration = Duration::from_secs(1);
