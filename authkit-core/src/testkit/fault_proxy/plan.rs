//! What is to happen to the connections of a proxy.

use std::time::Duration;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: replies.
    ToClient,
}

/// What the network does wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NetworkFault {
    /// Nothing: bytes pass.
    #[default]
    None,
    /// Every piece is held for this long, in both directions.
    Latency(Duration),
    /// No direction of a connection passes more than this.
    Throttle {
        /// Bytes a second.
        bytes_per_second: u32,
    },
    /// Connections are accepted and stay, and nothing passes, not even their end. What was held back passes when it is over.
    BlackHole,
    /// New connections are refused; those that live go on.
    Refuse,
    /// A connection breaks (RST) once so many more bytes have passed in a direction.
    CutAfter {
        /// Which bytes are counted.
        direction: Direction,
        /// How many pass, counted anew on each connection.
        bytes: u64,
    },
    /// A request passes and is carried out, its reply does not arrive: from a request with certain bytes on, nothing reaches the
    /// client; once the reply is there (so the server has acted), the connection breaks (RST).
    LoseReply {
        /// What the request holds; nothing: every request.
        request: Vec<u8>,
        /// What ends the reply; nothing: its first byte.
        reply: Vec<u8>,
    },
}

impl NetworkFault {
    /// Loses the reply to a request that holds this text: `COMMIT`, on the wire of PostgreSQL. The server repeats the word in its
    /// reply, so the break comes when it is done.
    #[must_use]
    pub fn lost_reply(text: &str) -> Self {
        Self::LoseReply { request: text.into(), reply: text.into() }
    }
}

/// What is to happen, and what has.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) fault: NetworkFault,
    /// How often the fault was changed: what is counted for one is counted anew for the next.
    pub(super) changes: u64,
    /// How often every connection was to be reset.
    pub(super) resets: u64,
    /// How often a direction of every connection was to be ended.
    pub(super) half_closes: HalfCloses,
    pub(super) connections: usize,
    pub(super) lost_replies: u64,
}

impl Plan {
    pub(super) fn change_to(&mut self, fault: NetworkFault) {
        self.fault = fault;
        self.changes += 1;
    }
}

/// A count for each direction.
#[derive(Debug, Default)]
pub(super) struct HalfCloses {
    to_server: u64,
    to_client: u64,
}

impl HalfCloses {
    pub(super) const fn of(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }

    pub(super) const fn of_mut(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}
