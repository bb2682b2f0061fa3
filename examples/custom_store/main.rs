//! A store of one's own: accounts and sessions in a single file of redb, an embedded key-value database in pure Rust.
//!
//! `cargo run -p authkit-examples --bin custom_store` registers, logs in, refreshes, logs out, starts again on the same file,
//! and finds everything where it was. `cargo test -p authkit-examples --bin custom_store` runs the store contract on it.
//!
//! Read it in this order: `tables.rs` (what is kept where), `records.rs` (as which bytes), `reads.rs`, `changes.rs` (the
//! guards: the heart of a store), `store.rs` (transactions and threads), `contract.rs` (the proof).

mod changes;
#[cfg(test)]
mod contract;
mod passkeys;
mod proofs;
mod reads;
mod records;
mod store;
mod tables;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use authkit_core::{
    AuthKit, Config, Email, LocalKeyCustody, Login, Password, RefreshToken, Refreshed, Registration, RequestContext,
};

use crate::store::RedbStore;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("accounts.redb");
    // It seals the signing keys in the database. A real host keeps it somewhere else, and for longer than a run.
    let master_key = folder.path().join("master.key");

    // A runtime each: the first takes every task and the open file with it, as the end of a process would.
    let kept = tokio::runtime::Runtime::new()?.block_on(first_run(&file, &master_key))?;
    tokio::runtime::Runtime::new()?.block_on(second_run(&file, &master_key, &kept))
}

/// A new file: an account and two sessions, one of which is ended. Returns the refresh token of the other one.
async fn first_run(file: &Path, master_key: &Path) -> Result<RefreshToken, Box<dyn Error>> {
    let auth = open(file, master_key).await?;
    let request = RequestContext::default();
    let (email, password) = credentials()?;

    let phone = auth.accounts().register(Registration::new(email.clone(), password.clone()), &request).await?;
    println!("registered {} as {}", phone.user.email, phone.user.id);

    let laptop = auth.sessions().log_in(Login::new(email, password), &request).await?;
    println!("logged in: session {}", laptop.session_id);

    let Refreshed::Renewed(laptop) = auth.sessions().refresh(&laptop.tokens.refresh_token, &request).await? else {
        return Err("a fresh refresh token is not a reused one".into());
    };
    println!("refreshed: session {} moved to its next token", laptop.session_id);

    auth.sessions().log_out(&phone.tokens.refresh_token, &request).await?;
    match auth.authenticate(phone.tokens.access_token.expose()) {
        Err(refused) => println!("logged out: {refused}"),
        Ok(_) => return Err("a token outlived its session".into()),
    }
    Ok(laptop.tokens.refresh_token)
}

/// The same file again: the account is there, and so is the session that was not ended.
async fn second_run(file: &Path, master_key: &Path, kept: &RefreshToken) -> Result<(), Box<dyn Error>> {
    let auth = open(file, master_key).await?;
    let request = RequestContext::default();
    let (email, password) = credentials()?;

    let again = auth.sessions().log_in(Login::new(email, password), &request).await?;
    println!("reopened: {} is still {}", again.user.email, again.user.id);

    let Refreshed::Renewed(laptop) = auth.sessions().refresh(kept, &request).await? else {
        return Err("the session was lost".into());
    };
    println!("reopened: session {} goes on", laptop.session_id);
    Ok(())
}

/// AuthKit on our store: it takes any `Arc<dyn Store>`.
async fn open(file: &Path, master_key: &Path) -> Result<AuthKit, Box<dyn Error>> {
    let store = RedbStore::open(file).await?;
    let auth = AuthKit::builder(Config::new("https://app.example"))
        .store(Arc::new(store))
        .custody(Arc::new(LocalKeyCustody::in_file(master_key)?))
        .build()
        .await?;
    Ok(auth)
}

fn credentials() -> Result<(Email, Password), Box<dyn Error>> {
    Ok((Email::parse("user@example.com")?, Password::parse("SecurePass123")?))
}
