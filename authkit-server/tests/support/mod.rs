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

pub(crate) mod authority;
pub(crate) mod calls;
mod connection;
mod dice;
mod half_made;
mod port;
mod server;

pub(crate) use connection::{Connection, NoReply, Reply, get, post};
pub(crate) use dice::{Dice, random_seed};
pub(crate) use half_made::{HALF_MADE, for_postgres};
pub(crate) use port::free as free_address;
pub(crate) use server::Server;
