//! Takes connections from the listeners.
//!
//! At the node's bound a listener stops accepting: what comes then waits in the kernel's queue, which
//! is bounded too, and is served a moment later. Closing such connections at once would turn a burst
//! into errors, and the clients' next attempts into more work than serving them. Over the bound of
//! one address, and only there, connections are closed: waiting would hold up everybody else.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::admission::{Arrival, Ticket};
use crate::connection;
use crate::tls::TlsServer;
use crate::worker::Shared;

/// A client's connection, on the worker that serves it or is about to give it away.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Of the listener; `None`: plaintext.
    pub(crate) tls: Option<TlsServer>,
}

/// Accepts until told to drain.
pub(crate) async fn accept(shared: &Rc<Shared>, listener: TcpListener, tls: Option<TlsServer>) {
    let accepted = |(stream, peer)| Accepted { stream, peer, tls: tls.clone() };
    loop {
        let incoming = tokio::select! {
            biased;
            () = shared.draining() => break,
            incoming = listener.accept() => incoming,
        };
        match incoming {
            Ok(incoming) => {
                let short = shared.admission.is_over_ceiling(&incoming.0);
                take(shared, accepted(incoming)).await;
                if short {
                    recovered(shared).await;
                }
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                shared.metrics.accepts_failed.add(1);
                tracing::warn!(%error, "accepting stops until there are descriptors again");
                recovered(shared).await;
            }
        }
    }
    // What the kernel had accepted before the listener closes is served, not reset.
    while let Some(Ok(incoming)) = ready_now(listener.accept()).await {
        take(shared, accepted(incoming)).await;
    }
}

/// Serves what other workers accepted, until told to drain and their last one is here.
pub(crate) async fn receive(shared: &Rc<Shared>, mut inbox: mpsc::UnboundedReceiver<Arrival>) {
    loop {
        tokio::select! {
            biased;
            () = shared.draining() => break,
            arrival = inbox.recv() => match arrival {
                Some(arrival) => arrived(shared, arrival),
                None => break,
            }
        }
    }
    // From here on others keep what they accept.
    inbox.close();
    while let Some(arrival) = inbox.recv().await {
        arrived(shared, arrival);
    }
}

/// Lets a connection in, here or at a worker with far fewer; done when the next one may be accepted.
async fn take(shared: &Rc<Shared>, accepted: Accepted) {
    let metrics = &shared.metrics;
    metrics.connections.add(1);
    let admission = &shared.admission;
    let counted = match shared.config.trusts(accepted.peer.ip().to_canonical()) {
        true => Ok(None),
        false => admission.count_address(accepted.peer),
    };
    let Ok(block) = counted else {
        metrics.refused_by_address.add(1);
        return;
    };
    let room = match admission.try_room() {
        Some(room) => Some(room),
        None => {
            metrics.held_back.add(1);
            // A draining node ends soon: what it accepted has to be served now.
            tokio::select! {
                room = admission.room() => room,
                () = shared.draining() => None,
            }
        }
    };
    let ticket = admission.ticket(shared.index, block, room);
    if ticket.worker() == shared.index || shared.is_draining() {
        return serve(shared, accepted, ticket);
    }
    let Accepted { stream, peer, tls } = accepted;
    match stream.into_std() {
        Ok(stream) => match admission.hand_over(Arrival { stream, peer, tls, ticket }) {
            Ok(()) => metrics.handed_over.add(1),
            Err(arrival) => arrived(shared, arrival),
        },
        Err(error) => tracing::warn!(%error, "a connection was lost on its way to another worker"),
    }
}

fn arrived(shared: &Rc<Shared>, arrival: Arrival) {
    let Arrival { stream, peer, tls, ticket } = arrival;
    match TcpStream::from_std(stream) {
        Ok(stream) => serve(shared, Accepted { stream, peer, tls }, ticket),
        Err(error) => tracing::warn!(%error, "a connection was lost on its way to another worker"),
    }
}

fn serve(shared: &Rc<Shared>, accepted: Accepted, mut ticket: Ticket) {
    if ticket.worker() != shared.index {
        ticket.moved_to(shared.index);
    }
    let open = shared.connections.open();
    shared.count_connections();
    let worker = Rc::clone(shared);
    tokio::task::spawn_local(async move {
        connection::serve(Rc::clone(&worker), accepted, ticket).await;
        drop(open);
        worker.count_connections();
    });
}

/// Done once descriptors are free again. Looks ten times a second: accepting on at once would only spin.
async fn recovered(shared: &Shared) {
    loop {
        // Connections that serve nobody are the ones to spare.
        shared.pool.close_idle();
        tokio::select! {
            () = tokio::time::sleep(BACK_OFF) => {}
            () = shared.draining() => return,
        }
        if !shared.admission.is_short_of_descriptors() {
            return;
        }
    }
}

/// The client gave up before it was accepted, accept(2): nothing to wait for.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | TimedOut)
}

/// What is ready now; `None` when that is nothing.
async fn ready_now<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::ZERO, work).await.ok()
}

const BACK_OFF: Duration = Duration::from_millis(100);
