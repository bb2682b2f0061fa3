//! What can go wrong with Redis, told apart by what to do about it.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Redis does not take us, and that will not pass by waiting. A Redis that is away is no error, see
/// [`RedisConnections::connect`](crate::RedisConnections::connect).
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
    /// None of the names in the URL resolves.
    #[error("the name of Redis in {address} does not resolve")]
    UnknownHost {
        /// The hosts and the ports.
        address: String,
        /// What the resolver said.
        source: io::Error,
    },
}

/// What we say for a sentinel that knows no master of a service: it answers nothing then.
pub(crate) const UNKNOWN_SERVICE: &str = "the sentinel does not watch this service";

/// What Redis refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The user or the password, or that there is none.
    #[error("does not accept the user and the password")]
    Credentials,
    /// What the user may do there.
    #[error("does not permit this user what AuthKit does there (the rights are in the documentation of authkit-redis)")]
    Permission,
    /// Its certificate, or that it has none of an authority that we trust.
    #[error("has no certificate that we trust for this name")]
    Certificate,
    /// It is a node of a cluster, and the URL says that it is alone.
    #[error("is a node of a Redis Cluster: write redis+cluster://…")]
    ClusterNode,
    /// It is alone, and the URL says that it is a cluster.
    #[error("is no Redis Cluster: write redis://… or rediss://…")]
    NoCluster,
    /// The sentinel does not watch the service.
    #[error("is no sentinel of this service")]
    Service,
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
            // Our probe of a Redis that is alone has keys of two slots.
            (ErrorKind::Server(ServerErrorKind::CrossSlot), _) => Some(Self::ClusterNode),
            // The client has no kind of its own for these.
            (ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::InvalidClientConfig, _) => {
                let said = error.to_string();
                let refusals = [
                    ("switch database", Self::Database),
                    ("DB index is out of range", Self::Database),
                    ("cluster support disabled", Self::NoCluster),
                    ("unknown command 'SENTINEL'", Self::Service),
                    (UNKNOWN_SERVICE, Self::Service),
                ];
                refusals.into_iter().find(|(part, _)| said.contains(part)).map(|(_, reason)| reason)
            }
            (ErrorKind::Io, _) if is_about_a_certificate(error) => Some(Self::Certificate),
            _ => None,
        }
    }
}

fn is_about_a_certificate(error: &RedisError) -> bool {
    // The client shows its cause as the `Arc` that it keeps it in.
    let cause = error.source().and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>()).and_then(io::Error::get_ref);
    let cause = cause.and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}

/// Why Redis did not do what it was asked: the cause inside the errors of the ports.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no connection, or Redis did not answer of late: nothing was tried, no time was lost.
    #[error("Redis is not reachable")]
    Unreachable,
    /// Redis did not answer in time.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// Redis answered with an error, or the connection broke.
    #[error("Redis did not do what it was asked")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// Redis answered something that our script does not say.
    #[error("Redis answered something else")]
    Unexpected,
}
