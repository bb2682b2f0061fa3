//! The HTTP shell, from outside: raw bytes over real sockets against a tiny application.

mod framing;
mod harness;
mod logging;
mod problems;
mod shutdown;
mod slow;
