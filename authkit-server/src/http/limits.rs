//! How much of everything one client may take.

use std::time::Duration;

/// The limits of the HTTP shell.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// How long a client may take for the head of a request, counted from its first byte. A new connection has as long
    /// to send that byte. Default 5 s (against slow-loris drips).
    pub head_timeout: Duration,
    /// How long a client may take for the whole body. Default 10 s (against slow-loris drips).
    pub body_timeout: Duration,
    /// How long a kept-alive connection may stay silent between two requests. Default 75 s: longer than the 60 s after which
    /// common proxies drop an idle upstream connection, so that the proxy closes first and no request is lost to the race.
    pub idle_timeout: Duration,
    /// How long a reply may find no taker before the connection is dropped. Default 15 s (against slow readers).
    pub write_timeout: Duration,
    /// What a reader must take of a stalled reply on average beyond `write_timeout`, in bytes per second. Default 8 KiB/s.
    pub min_write_rate: u32,
    /// How long a closing connection still listens, so that a client that is sending can read why it was refused. Default 2 s.
    pub linger: Duration,
    /// How long a request may take in all. Default 30 s.
    pub request_timeout: Duration,
    /// The largest body, in bytes, counted while it arrives. Default 64 KiB (OWASP ASVS 15.2.2).
    pub max_body_bytes: usize,
    /// The largest head, in bytes: request line and headers. Default 16 KiB (OWASP ASVS 15.2.2).
    pub max_head_bytes: usize,
    /// The most headers. Default 100.
    pub max_headers: usize,
    /// The longest URL, in bytes. Default 8 KiB (OWASP ASVS 15.2.2).
    pub max_uri_bytes: usize,
    /// The most connections at once. Default 10 000; lowered to what the process's file descriptors allow.
    pub max_connections: usize,
    /// The most connections at once of one client address (one /64 for IPv6). Loopback and trusted proxies are exempt.
    /// Default 256.
    pub max_connections_per_address: usize,
    /// How long the service still accepts after it has said that it is not ready, so that balancers see it; every reply of that
    /// time ends its connection. Default none.
    pub drain_delay: Duration,
    /// How long requests in flight may take to finish after the service stopped accepting. Default 30 s.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(15),
            min_write_rate: 8 * 1024,
            linger: Duration::from_secs(2),
            request_timeout: Duration::from_secs(30),
            max_body_bytes: 64 * 1024,
            max_head_bytes: 16 * 1024,
            max_headers: 100,
            max_uri_bytes: 8 * 1024,
            max_connections: 10_000,
            max_connections_per_address: 256,
            drain_delay: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}
