use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use super::BodyError;
use crate::error::ErrorKind;

/// A body that another task makes, piece by piece. It is whole only when that task says so: a task
/// that just goes away leaves a body that broke off.
#[derive(Debug)]
pub(crate) struct PipedBody {
    pieces: mpsc::Receiver<Piece>,
    over: bool,
}

/// The task's end of it.
#[derive(Clone, Debug)]
pub(crate) struct PieceSender(mpsc::Sender<Piece>);

#[derive(Debug)]
enum Piece {
    Frame(Frame<Bytes>),
    Broken(BodyError),
    End,
}

pub(crate) fn piped() -> (PieceSender, PipedBody) {
    let (sender, pieces) = mpsc::channel(PIECES);
    (PieceSender(sender), PipedBody { pieces, over: false })
}

impl PieceSender {
    /// False when nobody reads any more.
    pub(crate) async fn send(&self, frame: Frame<Bytes>) -> bool {
        self.0.send(Piece::Frame(frame)).await.is_ok()
    }

    pub(crate) async fn break_off(self, error: BodyError) {
        let _ = self.0.send(Piece::Broken(error)).await;
    }

    pub(crate) async fn end(self) {
        let _ = self.0.send(Piece::End).await;
    }

    /// Done once nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

impl PipedBody {
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(context).map(|piece| {
            self.over = !matches!(piece, Some(Piece::Frame(_)));
            match piece {
                Some(Piece::Frame(frame)) => Some(Ok(frame)),
                Some(Piece::Broken(error)) => Some(Err(error)),
                Some(Piece::End) => None,
                None => Some(Err(BodyError(ErrorKind::PluginFailed))),
            }
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }
}

/// Between the task and the connection.
const PIECES: usize = 4;
