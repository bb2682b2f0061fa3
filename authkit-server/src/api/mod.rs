//! The HTTP contract: routes that translate between JSON and the library, and nothing else. No rule lives here.
//!
//! One file per resource. `field` turns request members into the library's types, `refusal` turns the library's errors into
//! problem documents, `caller` reads the bearer token, `catalogue` says which problems a route can answer with.

mod admin_roles;
mod admin_users;
mod audit;
mod audit_export;
mod audit_reply;
mod auth;
mod caller;
mod catalogue;
mod export;
mod field;
mod links;
mod me;
mod mfa;
mod openapi;
mod outbox;
mod passkeys;
mod precondition;
mod refusal;
mod reply;
mod role_reply;
mod tag;
mod user_roles;

pub use openapi::{Routes, Service, docs_page, document, service};
