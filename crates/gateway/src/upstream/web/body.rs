//! The body of a request, which is written at most once and only while its call may start.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};

use crate::authority::Started;
use crate::upstream::Failure;
use crate::upstream::ticket::Ticket;

/// The ticket starts when the connection is established and takes the bytes. A body is never
/// repeated, so no layer below can send a call twice.
pub(super) struct TicketBody {
    bytes: Option<Bytes>,
    /// In a mutex because the client wants a body that can be shared; it is never locked.
    starting: Option<Mutex<BoxFuture<'static, Result<Started, Failure>>>>,
    /// Held until the body is dropped, which is when it has been written.
    started: Option<Started>,
}

/// The call was withdrawn before it was written.
#[derive(Debug, thiserror::Error)]
#[error("the call was not started")]
pub(super) struct NotStarted(pub(super) Failure);

impl TicketBody {
    pub(super) fn new(bytes: Vec<u8>, ticket: Option<Arc<Ticket>>) -> Self {
        let start = |ticket: Arc<Ticket>| Mutex::new(async move { ticket.start().await }.boxed());
        Self { bytes: Some(bytes.into()), starting: ticket.map(start), started: None }
    }
}

impl Body for TicketBody {
    type Data = Bytes;
    type Error = NotStarted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NotStarted>>> {
        let this = &mut *self;
        if let Some(starting) = &mut this.starting {
            let starting = starting.get_mut().unwrap_or_else(PoisonError::into_inner);
            let started = ready!(starting.poll_unpin(context));
            this.starting = None;
            match started {
                Ok(started) => this.started = Some(started),
                Err(failure) => {
                    this.bytes = None;
                    return Poll::Ready(Some(Err(NotStarted(failure))));
                }
            }
        }
        Poll::Ready(this.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
