//! What black-box tests share: the real binary on a free port, and a client that sees every byte of a reply.
//!
//! ```ignore
//! #[path = "support/mod.rs"]
//! mod support;
//!
//! let server = Server::start(&[]).await;
//! let tokens = server.post("/api/v1/auth/login", &json!({ "email": …, "password": … })).await.expect(200);
//! server.get_as("/api/v1/users/me", tokens.text("access_token")).await.expect(200);
//! ```
#![allow(dead_code, unused_imports, reason = "every test binary compiles this module, and none uses all of it")]

mod connection;
mod port;
mod server;

pub(crate) use connection::{Connection, Reply, get, post};
pub(crate) use server::Server;
