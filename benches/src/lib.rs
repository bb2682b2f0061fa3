//! How fast AuthKit is, measured from outside: the parts of the load driver.
//!
//! The binary `load` speaks the HTTP contract to a server on this machine and prints one JSON line per [`scenario`].
//! Two ways of sending are told apart, because they answer different questions: [`closed_loop`] keeps every connection
//! busy and finds the throughput; [`open_loop`] sends at a constant rate whatever the server does and finds the latency.
//!
//! The binary `scale` asks whether that changes with the number of accounts: it fills PostgreSQL, and runs the [`scale`] steps.
//!
//! Driver and server share the machine's cores. Every number is therefore a lower bound of what the server does alone.

pub mod account;
pub mod api;
pub mod client;
pub mod closed_loop;
pub mod context;
pub mod enumeration;
pub mod hash_baseline;
pub mod latency;
pub mod open_loop;
pub mod options;
pub mod port;
pub mod report;
pub mod scale;
pub mod scenario;
pub mod server;
pub mod services;
pub mod stopwatch;
pub mod tally;
