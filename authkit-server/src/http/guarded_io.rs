//! A client's stream that cannot be held open by being slow.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::bare_refusal::replacement;
use super::limits::Limits;

/// Whose turn it is on a connection: the client's, to send a request, or ours, to answer it.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Even: the client's turn. Odd: ours. It grows by one whenever the turn changes.
    count: AtomicU64,
    /// A request was answered before its body was read to the end.
    unread: AtomicBool,
}

impl Turns {
    /// Takes the turn until the guard is dropped.
    pub(crate) fn take(self: &Arc<Self>) -> Turn {
        self.count.fetch_add(1, Ordering::AcqRel);
        Turn(Arc::clone(self))
    }

    pub(crate) fn note_unread_body(&self) {
        self.unread.store(true, Ordering::Release);
    }

    /// Whether no request has come yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.current() == 0
    }

    fn current(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }
}

/// Our turn on a connection; it ends with the last byte of the reply.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Turns>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.count.fetch_add(1, Ordering::AcqRel);
    }
}

/// The stream of one client, with a deadline on everything that the client alone decides.
#[derive(Debug)]
pub(crate) struct GuardedIo<S> {
    stream: S,
    turns: Arc<Turns>,
    limits: Arc<Limits>,
    /// The turn for which `read_timer` was set.
    turn: u64,
    head_started: bool,
    read_timer: Pin<Box<Sleep>>,
    stall: Option<Stall>,
    end_of_input: bool,
    closing: Option<Pin<Box<Sleep>>>,
    /// What is sent in place of a refusal of hyper's own, and how much of it is sent.
    refusal: Option<(Vec<u8>, usize)>,
}

#[derive(Debug)]
struct Stall {
    since: Instant,
    written: u64,
    timer: Pin<Box<Sleep>>,
}

impl<S> GuardedIo<S> {
    pub(crate) fn new(stream: S, turns: Arc<Turns>, limits: Arc<Limits>) -> Self {
        // A fresh connection has no claim to the idle time: it gets the time of a head for its first byte.
        let read_timer = Box::pin(sleep(limits.head_timeout));
        let turn = turns.current();
        Self {
            stream,
            turns,
            limits,
            turn,
            head_started: false,
            read_timer,
            stall: None,
            end_of_input: false,
            closing: None,
            refusal: None,
        }
    }

    fn now() -> Instant {
        Instant::now()
    }

    fn note_written(&mut self, written: usize, offered: usize) {
        if written >= offered {
            self.stall = None;
        } else if let Some(stall) = &mut self.stall {
            stall.written += written as u64;
        }
    }

    /// SECURITY: a reader that takes a byte now and then makes progress, but not enough of it: what it has taken since the
    /// reply first stalled buys time at `min_write_rate` only.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let write_timeout = self.limits.write_timeout;
        let stall =
            self.stall.get_or_insert_with(|| Stall { since: Self::now(), written: 0, timer: Box::pin(sleep(write_timeout)) });
        let earned = std::time::Duration::from_secs(stall.written / u64::from(self.limits.min_write_rate.max(1)));
        let deadline = stall.since + write_timeout + earned;
        if stall.timer.deadline() != deadline {
            stall.timer.as_mut().reset(deadline);
        }
        stall.timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn client_may_still_be_sending(&self) -> bool {
        let within_a_head = self.head_started && self.turns.current() == self.turn;
        !self.end_of_input && (within_a_head || self.turns.unread.load(Ordering::Acquire))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let turn = this.turns.current();
        let clients_turn = turn.is_multiple_of(2);
        if clients_turn && turn != this.turn {
            this.turn = turn;
            this.head_started = false;
            this.read_timer.as_mut().reset(Self::now() + this.limits.idle_timeout);
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                if buffer.filled().len() == before {
                    this.end_of_input = true;
                } else if clients_turn && !this.head_started {
                    this.head_started = true;
                    this.read_timer.as_mut().reset(Self::now() + this.limits.head_timeout);
                }
                Poll::Ready(Ok(()))
            }
            // While it is our turn, the body has its own deadline, and the request as a whole too.
            Poll::Pending if clients_turn => this.read_timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> GuardedIo<S> {
    /// Sends the problem document for a refusal of hyper's own; `None` where `bytes` are none.
    fn poll_refusal(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.refusal.is_none() {
            self.refusal = Some((replacement(bytes)?, 0));
        }
        while let Some((reply, sent)) = &mut self.refusal {
            match Pin::new(&mut self.stream).poll_write(cx, &reply[*sent..]) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(written)) if *sent + written < reply.len() => *sent += written,
                Poll::Ready(Ok(_)) => self.refusal = None,
                Poll::Pending => return Some(self.poll_stalled(cx)),
                error @ Poll::Ready(Err(_)) => return Some(error),
            }
        }
        // To hyper, all of its own bytes are gone.
        Some(Poll::Ready(Ok(bytes.len())))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for GuardedIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(refused) = this.poll_refusal(cx, bytes) {
            return refused;
        }
        match Pin::new(&mut this.stream).poll_write(cx, bytes) {
            Poll::Ready(Ok(written)) => {
                this.note_written(written, bytes.len());
                Poll::Ready(Ok(written))
            }
            Poll::Pending => this.poll_stalled(cx),
            error @ Poll::Ready(Err(_)) => error,
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // A refusal of hyper's own is one piece.
        if let Some(only) = slices.first().filter(|_| slices.len() == 1)
            && let Some(refused) = this.poll_refusal(cx, only)
        {
            return refused;
        }
        match Pin::new(&mut this.stream).poll_write_vectored(cx, slices) {
            Poll::Ready(Ok(written)) => {
                this.note_written(written, slices.iter().map(|slice| slice.len()).sum());
                Poll::Ready(Ok(written))
            }
            Poll::Pending => this.poll_stalled(cx),
            error @ Poll::Ready(Err(_)) => error,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_flush(cx) {
            Poll::Pending => this.poll_stalled(cx).map_ok(|_| ()),
            done @ Poll::Ready(_) => done,
        }
    }

    /// Ends our half, then takes in for a moment what the client is still sending.
    ///
    /// A socket that is closed with unread bytes sends a reset, and a reset throws away the reply that the client has not
    /// read yet: it would see a broken connection instead of the 413.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            // A client that is gone already makes no difference to a connection that ends.
            let _ = ready!(Pin::new(&mut this.stream).poll_shutdown(cx));
            if !this.client_may_still_be_sending() {
                return Poll::Ready(Ok(()));
            }
            this.closing = Some(Box::pin(sleep(this.limits.linger)));
        }
        let mut scratch = [0_u8; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        this.closing.as_mut().map_or(Poll::Ready(Ok(())), |timer| timer.as_mut().poll(cx).map(Ok))
    }
}
