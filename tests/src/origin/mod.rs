//! An upstream under the test's control.

mod answer;
mod behaviour;
mod seen;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

pub(crate) use behaviour::BEHAVIOUR;
pub use seen::Seen;
pub use wire::Wire;

/// A server on a thread of its own, of HTTP/1.1 in clear unless a [`Wire`] says otherwise. It answers with what it saw ([`Seen`], as JSON), unless
/// the request's `x-origin` field tells it to do something else; what that may say is documented at
/// [`Behaviour`](behaviour::Behaviour). WebSockets are echoed.
#[derive(Debug)]
pub struct Origin {
    pub address: SocketAddr,
    scheme: &'static str,
    records: Arc<Records>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the origin counts and remembers.
#[derive(Debug, Default)]
struct Records {
    connections: AtomicU64,
    requests: AtomicU64,
    /// Of requests that were told to misbehave a few times, by target.
    misbehaved: Mutex<HashMap<String, u64>>,
    /// The latest ones.
    seen: Mutex<VecDeque<Seen>>,
}

impl Origin {
    pub fn start() -> Origin {
        Origin::named("")
    }

    /// With a name, which it sends as `x-origin-name`.
    pub fn named(name: &str) -> Origin {
        Origin::on(name, Wire::default())
    }

    pub fn speaking(wire: Wire) -> Origin {
        Origin::on("", wire)
    }

    fn on(name: &str, wire: Wire) -> Origin {
        let scheme = if wire.tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let (stop, stopped) = oneshot::channel();
        let records = Arc::new(Records::default());
        let served = (Arc::clone(&records), name.to_owned());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, wire, served.0, served.1) => {}
                    _ = stopped => {}
                }
            });
        });
        Origin { address, scheme, records, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.records.connections.load(Ordering::SeqCst)
    }

    /// Requests whose head arrived so far.
    pub fn requests(&self) -> u64 {
        self.records.requests.load(Ordering::SeqCst)
    }

    /// The latest requests, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.records.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the origin panicked, see above");
        }
    }
}

impl Records {
    /// Whether a request to this target is one of the first few.
    fn misbehaves(&self, target: &str, times: u64) -> bool {
        let mut counts = self.misbehaved.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(target.to_owned()).or_default();
        *count += 1;
        *count <= times
    }

    fn remember(&self, seen: Seen) {
        let mut kept = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(seen);
    }
}

async fn serve(listener: TcpListener, wire: Wire, records: Arc<Records>, name: String) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        records.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(wire::serve(stream, wire.clone(), Arc::clone(&records), name.clone()));
    }
}

const KEPT: usize = 1000;
