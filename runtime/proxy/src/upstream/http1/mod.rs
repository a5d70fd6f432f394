//! A connection of HTTP/1.1 towards a target: one request at a time, then the next (RFC 9112).
//!
//! Of our own, where clients are served by hyper: nothing costs a proxy as much as a request that is made into
//! an object, handed to another task, made into bytes there, and back. Here whoever waits for the answer writes
//! the request and reads the response, in one task.
//!
//! Invariants
//! - A connection is used again only when request and response were both whole, the target wants it to stay
//!   open, and not a byte came that nobody asked for.
//! - Where the end of a response can't be told for certain, it is refused or ends with the connection.

mod chunked;
mod connection;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod head;
mod sending;

pub(crate) use connection::{Broken, Http1};
pub(crate) use head::Expected;
pub(crate) use sending::{Announced, write_field};

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::protocol::Opened;

/// What a connection's bytes go over: in clear, or with TLS.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;
/// A connection that changed to another protocol: what was read of that already, then the rest.
pub(crate) type Switched = Opened<Stream>;
