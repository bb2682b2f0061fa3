//! What is opened, put together and served: the commands that need a store, keys or a listener.

mod assembly;
mod audit;
mod checks;
mod commands;
mod durable;
mod hot_state;
mod import;
mod link_pages;
mod metrics;
mod operations_routes;
mod outbox;
mod passkey_page;
mod roles;
mod serve;
mod users;

pub use commands::App;
