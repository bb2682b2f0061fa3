//! The thin server of AuthKit: HTTP, settings and the command line around the library.

pub mod http;
pub mod problem;
pub mod telemetry;
