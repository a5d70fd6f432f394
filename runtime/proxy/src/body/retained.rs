use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::{BodyError, RequestBody};
use crate::error::ErrorKind;

/// A request's body of which the beginning is kept until a response came, so that it can be sent
/// again. It streams all the same: what is kept is what was sent.
#[derive(Clone)]
pub(crate) struct Retained(Rc<RefCell<Kept>>);

/// The body as one attempt sends it.
pub(crate) struct Attempt {
    body: Retained,
    /// The latest attempt alone has the body.
    turn: u32,
    /// Pieces that this attempt has sent of those kept.
    sent: usize,
    /// It has sent the trailers too.
    over: bool,
}

struct Kept {
    source: RequestBody,
    pieces: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    /// Nothing more comes from the source.
    ended: bool,
    room: u64,
    turn: u32,
    keeping: Keeping,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Everything,
    /// There was no room for a piece that was sent, or it will not be sent again.
    Nothing,
}

impl Retained {
    /// Keeps up to `room` bytes.
    pub(crate) fn new(source: RequestBody, room: u64) -> Retained {
        let keeping = Keeping::Everything;
        let (pieces, trailers) = (Vec::new(), None);
        Retained(Rc::new(RefCell::new(Kept { source, pieces, trailers, ended: false, room, turn: 0, keeping })))
    }

    /// The whole body, from its beginning; attempts before get no more of it.
    pub(crate) fn attempt(&self) -> RequestBody {
        let mut kept = self.0.borrow_mut();
        kept.turn += 1;
        RequestBody::Attempt(Attempt { body: self.clone(), turn: kept.turn, sent: 0, over: false })
    }

    /// The attempt gets no more of it: what it took meanwhile would be missing in the next.
    pub(crate) fn recall(&self) {
        self.0.borrow_mut().turn += 1;
    }

    /// Whether all that was sent of it is still here.
    pub(crate) fn can_repeat(&self) -> bool {
        self.0.borrow().keeping == Keeping::Everything
    }

    /// It will not be sent again.
    pub(crate) fn let_go(&self) {
        self.0.borrow_mut().keeping = Keeping::Nothing;
    }
}

impl Kept {
    /// Keeps a piece that is sent for the first time.
    fn keep(&mut self, frame: &Frame<Bytes>) {
        self.ended |= frame.is_trailers();
        if self.keeping == Keeping::Nothing {
            return;
        }
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
        } else if let Some(data) = frame.data_ref() {
            match self.room.checked_sub(data.len() as u64) {
                Some(room) => {
                    self.room = room;
                    self.pieces.push(data.clone());
                }
                None => self.keeping = Keeping::Nothing,
            }
        }
    }
}

impl Attempt {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut kept = self.body.0.borrow_mut();
        if kept.turn != self.turn {
            return Poll::Ready(Some(Err(BodyError(ErrorKind::UpstreamFailed))));
        }
        if let Some(piece) = kept.pieces.get(self.sent) {
            self.sent += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
        }
        if kept.ended {
            let trailers = kept.trailers.clone().filter(|_| !self.over);
            self.over = true;
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        if kept.keeping == Keeping::Nothing && self.sent > 0 {
            kept.pieces = Vec::new();
            self.sent = 0;
        }
        let frame = ready!(Pin::new(&mut kept.source).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                kept.keep(frame);
                self.sent = kept.pieces.len();
                self.over = frame.is_trailers();
            }
            Some(Err(_)) => {}
            None => kept.ended = true,
        }
        Poll::Ready(frame)
    }
}

impl Body for Attempt {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.get_mut().poll_next(context)
    }

    fn is_end_stream(&self) -> bool {
        let kept = self.body.0.borrow();
        let told = self.over || kept.trailers.is_none();
        self.sent >= kept.pieces.len() && told && (kept.ended || kept.source.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let kept = self.body.0.borrow();
        let rest = kept.source.size_hint();
        let here: u64 = kept.pieces[self.sent.min(kept.pieces.len())..].iter().map(|piece| piece.len() as u64).sum();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + here);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + here);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn piped(pieces: &'static [&'static str]) -> RequestBody {
        let (sender, body) = crate::body::piped();
        tokio::spawn(async move {
            for piece in pieces {
                sender.send(Frame::data(Bytes::from_static(piece.as_bytes()))).await;
            }
            sender.end().await;
        });
        RequestBody::Piped(body)
    }

    async fn next(body: &mut RequestBody) -> Option<Result<Bytes, ()>> {
        let frame = body.frame().await?;
        Some(frame.map_err(|_| ()).map(|frame| frame.into_data().expect("data")))
    }

    #[tokio::test]
    async fn a_second_attempt_starts_anew_and_goes_on() {
        let body = Retained::new(piped(&["one", "two", "three"]), 100);
        let mut first = body.attempt();
        assert_eq!(next(&mut first).await, Some(Ok("one".into())));
        assert_eq!(next(&mut first).await, Some(Ok("two".into())));
        assert!(body.can_repeat());
        let mut second = body.attempt();
        assert!(matches!(next(&mut first).await, Some(Err(()))), "the body is with the second");
        for piece in ["one", "two", "three"] {
            assert_eq!(next(&mut second).await, Some(Ok(piece.into())));
        }
        assert_eq!(next(&mut second).await, None);
    }

    #[tokio::test]
    async fn an_attempt_that_is_over_takes_nothing_from_the_next() {
        let body = Retained::new(piped(&["one", "two", "three"]), 5);
        let mut first = body.attempt();
        assert_eq!(next(&mut first).await, Some(Ok("one".into())));
        body.recall();
        assert!(matches!(next(&mut first).await, Some(Err(()))));
        assert!(body.can_repeat());
        assert_eq!(next(&mut body.attempt()).await, Some(Ok("one".into())));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_not_repeated() {
        let body = Retained::new(piped(&["one", "two", "three"]), 5);
        let mut first = body.attempt();
        for piece in ["one", "two", "three"] {
            assert_eq!(next(&mut first).await, Some(Ok(piece.into())));
        }
        assert!(!body.can_repeat());
        assert_eq!(next(&mut first).await, None);
    }

    #[tokio::test]
    async fn a_known_length_stays_known() {
        let body = Retained::new(RequestBody::Whole(Some(Bytes::from_static(b"12345"))), 100);
        let mut first = body.attempt();
        assert_eq!(first.size_hint().exact(), Some(5));
        assert_eq!(next(&mut first).await, Some(Ok("12345".into())));
        assert!(first.is_end_stream());
        assert_eq!(body.attempt().size_hint().exact(), Some(5));
    }
}
