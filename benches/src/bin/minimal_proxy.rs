//! The least that a thread-per-core proxy on hyper costs: the yardstick for the gateway's bare proxy.
//!
//! `minimal-proxy <port> <upstream port> <workers>`: each worker is a thread with its own listener (SO_REUSEPORT),
//! runtime and idle upstream connections. Bodies stream both ways. No router, no policy, no field is touched.

use std::cell::RefCell;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let numbers: Vec<u16> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let [port, upstream, workers] = numbers[..] else {
        return Err(Error::other("usage: minimal-proxy <port> <upstream port> <workers>"));
    };
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let start = || std::thread::spawn(move || work(local(port), local(upstream)));
    let workers: Vec<_> = (0..workers).map(|_| start()).collect();
    workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(Error::other("a worker panicked"))))
}

fn work(address: SocketAddr, upstream: SocketAddr) -> Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::from_std(socket.into())?;
        let pool = Rc::new(Pool { upstream, idle: RefCell::default() });
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let pool = Rc::clone(&pool);
            let service = hyper::service::service_fn(move |request| Rc::clone(&pool).forward(request));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::task::spawn_local(connection);
        }
    })
}

type Sender = SendRequest<Incoming>;

/// Upstream connections of one worker that no request uses.
struct Pool {
    upstream: SocketAddr,
    idle: RefCell<Vec<Sender>>,
}

impl Pool {
    async fn forward(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Returning>> {
        let mut sender = self.take().await?;
        let response = sender.send_request(request).await.map_err(Error::other)?;
        Ok(response.map(|body| Returning { body, loan: Some((sender, self)) }))
    }

    async fn take(&self) -> Result<Sender> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            let Some(mut sender) = idle else { return self.connect().await };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
    }

    async fn connect(&self) -> Result<Sender> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(Error::other)?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }
}

/// A response body that gives its connection back to the pool at its end.
struct Returning {
    body: Incoming,
    loan: Option<(Sender, Rc<Pool>)>,
}

impl Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        if let Some((sender, pool)) = self.loan.take().filter(|_| self.body.is_end_stream()) {
            pool.idle.borrow_mut().push(sender);
        }
    }
}
