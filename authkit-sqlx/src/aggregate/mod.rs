//! One file per aggregate: its columns, how its rows are read, and the statements of its changes, for every dialect.

pub(crate) mod audit;
pub(crate) mod credential;
pub(crate) mod factor;
pub(crate) mod guess;
pub(crate) mod one_time_token;
pub(crate) mod outbox;
pub(crate) mod passkey;
pub(crate) mod role;
pub(crate) mod server_key;
pub(crate) mod session;
pub(crate) mod user;
pub(crate) mod user_search;
