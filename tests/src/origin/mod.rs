//! An upstream under the test's control.

mod answer;
mod behaviour;
mod seen;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

pub(crate) use behaviour::BEHAVIOUR;
pub use seen::Seen;

/// An HTTP/1.1 server on a thread of its own. It answers with what it saw ([`Seen`], as JSON), unless
/// the request's `x-origin` field tells it to do something else; what that may say is documented at
/// [`Behaviour`](behaviour::Behaviour). WebSockets are echoed.
#[derive(Debug)]
pub struct Origin {
    pub address: SocketAddr,
    records: Arc<Records>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the origin counts and remembers.
#[derive(Debug, Default)]
struct Records {
    connections: AtomicU64,
    requests: AtomicU64,
    /// The latest ones.
    seen: Mutex<VecDeque<Seen>>,
}

impl Origin {
    pub fn start() -> Origin {
        Origin::named("")
    }

    /// With a name, which it sends as `x-origin-name`.
    pub fn named(name: &str) -> Origin {
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
                    () = serve(listener, served.0, served.1) => {}
                    _ = stopped => {}
                }
            });
        });
        Origin { address, records, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
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
    fn remember(&self, seen: Seen) {
        let mut kept = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(seen);
    }
}

async fn serve(listener: TcpListener, records: Arc<Records>, name: String) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        records.connections.fetch_add(1, Ordering::SeqCst);
        let (records, name) = (Arc::clone(&records), name.clone());
        let service = service_fn(move |request| {
            let (records, name) = (Arc::clone(&records), name.clone());
            async move {
                records.requests.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Infallible>(answer::answer(request, &records, &name).await)
            }
        });
        let connection = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(stream), service);
        // Errors are the other side's: tests cut connections on purpose.
        tokio::spawn(connection.with_upgrades());
    }
}

const KEPT: usize = 1000;
