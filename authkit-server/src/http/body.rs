//! The body of a request, counted while it arrives and given up on when it is late.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::problem::Problem;

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// More bytes than the limit.
    #[error("the body is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit, in bytes.
        max_bytes: usize,
    },
    /// The deadline passed.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The connection ended, or the framing of the body broke.
    #[error("the body is incomplete")]
    Incomplete,
}

impl BodyError {
    /// The problem that the client is told.
    pub fn to_problem(self) -> Problem {
        match self {
            Self::TooLarge { max_bytes } => Problem::body_too_large(max_bytes),
            Self::TimedOut => Problem::body_timeout(),
            Self::Incomplete => Problem::body_incomplete(),
        }
    }

    /// Finds out what a failed read of a body means.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        let mut next = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
        while let Some(current) = next {
            if let Some(found) = current.downcast_ref::<Self>() {
                return *found;
            }
            next = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(payload) => Some(payload),
                None => current.source(),
            };
        }
        Self::Incomplete
    }
}

/// A body that fails with a [`BodyError`] when it grows over its limit or is not there by its deadline.
#[derive(Debug)]
pub(crate) struct CappedBody {
    inner: BoxBody<Bytes, io::Error>,
    max_bytes: usize,
    received: usize,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl CappedBody {
    pub(crate) fn new(inner: BoxBody<Bytes, io::Error>, max_bytes: usize, deadline: Instant) -> Self {
        Self { inner, max_bytes, received: 0, deadline, timer: None }
    }
}

impl Body for CappedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.received = this.received.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                // SECURITY: bytes are counted as they come, so a chunked body that never says its length is bounded too.
                if this.received > this.max_bytes {
                    let error = BodyError::TooLarge { max_bytes: this.max_bytes };
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                // The timer is made when the body is first waited for: most bodies arrive with their head.
                let deadline = this.deadline;
                let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                // SECURITY: one deadline for the whole body; no byte of it buys more time.
                timer.as_mut().poll(cx).map(|()| Some(Err(io::Error::new(io::ErrorKind::TimedOut, BodyError::TimedOut))))
            }
            end_or_error @ Poll::Ready(_) => end_or_error,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_survives_the_wrapping_of_the_frameworks() {
        let inner = io::Error::other(BodyError::TooLarge { max_bytes: 7 });
        assert_eq!(BodyError::of_io(&io::Error::other(inner)), BodyError::TooLarge { max_bytes: 7 });
        assert_eq!(BodyError::of_io(&io::Error::other("boom")), BodyError::Incomplete);
        assert_eq!(BodyError::of_io(&io::ErrorKind::ConnectionReset.into()), BodyError::Incomplete);
    }
}
