//! What can go wrong with Redis, told apart by what to do about it.

use std::error::Error;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Redis is there and does not take us: that will not pass by waiting. A Redis that is away is no error, see
/// [`RedisRevocationBus::connect`](crate::RedisRevocationBus::connect).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Redis answered, and refused.
    #[error("Redis at {address} {reason}")]
    Refused {
        /// The host and the port.
        address: String,
        /// What it refused.
        reason: RefusalReason,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The client itself refused the options.
    #[error("the connection to Redis at {address} cannot be set up")]
    Options {
        /// The host and the port.
        address: String,
        /// What the client said.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// What Redis refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The user or the password, or that there is none.
    #[error("does not accept the user and the password")]
    Credentials,
    /// What the user may do there.
    #[error("does not permit this user to publish and subscribe on authkit:*")]
    Permission,
    /// The number of the database.
    #[error("has no database of that number")]
    Database,
    /// The protocol.
    #[error("is older than version 6")]
    Version,
}

impl RefusalReason {
    /// Whether the error is a refusal that stays, and which.
    pub(crate) fn of(error: &RedisError) -> Option<Self> {
        match (error.kind(), error.code()) {
            // DENIED is the protected mode: a Redis without a password that takes only local connections.
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS" | "DENIED")) => Some(Self::Credentials),
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => Some(Self::Permission),
            (ErrorKind::RESP3NotSupported, _) => Some(Self::Version),
            // The client has no kind of its own for a refused SELECT.
            (ErrorKind::Server(ServerErrorKind::ResponseError), _) if error.to_string().contains("switch database") => {
                Some(Self::Database)
            }
            _ => None,
        }
    }
}

/// Why a message was not published. The other nodes read the store, so that they know a second later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// There is no connection, or Redis did not answer of late: nothing was tried, no time was lost.
    #[error("Redis is not reachable")]
    Unreachable,
    /// Redis did not answer in time.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// Redis answered with an error, or the connection broke.
    #[error("Redis did not take the message")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}
