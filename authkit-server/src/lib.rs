//! AuthKit as a user management service: the library behind HTTP, with its settings and its command line.
//!
//! - [`api`]: the HTTP contract, translated into calls of the library
//! - [`app`]: what is opened, put together and served
//! - [`http`]: the shell around the routes: connections, limits, problem documents
//! - [`settings`], [`cli`], [`banner`], [`data_dir`]: how it is told what to do, and where it keeps what it must
//! - [`telemetry`]: log and metrics

pub mod api;
pub mod app;
pub mod audit_stream;
pub mod banner;
pub mod breach;
pub mod cli;
pub mod data_dir;
pub mod http;

mod mail;
pub mod problem;
pub mod settings;
mod sms;
pub mod telemetry;
