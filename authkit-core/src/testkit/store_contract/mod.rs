//! The contract of [`Store`]: what every implementation promises, as checks that can fail.
//!
//! A store of one's own passes it with a few lines in a test file:
//!
//! ```
//! use authkit_core::embedded::MemoryStore;
//!
//! async fn fresh_store() -> MemoryStore {
//!     MemoryStore::new()
//! }
//!
//! authkit_core::store_contract!(fresh_store);
//! # fn main() {}
//! ```
//!
//! The factory makes an empty store each time it is called: a `Store`, an `Arc` of one, or either with something that has
//! to live as long, such as a temporary directory: `(store, dir)`.
//!
//! `AUTHKIT_CONTRACT_ROUNDS` (default 20) says how often each race is run, and `AUTHKIT_CONTRACT_CASES` (default 64) how
//! many random histories are compared with the model.

#[doc(hidden)]
pub mod administration;
#[doc(hidden)]
pub mod atomicity;
#[doc(hidden)]
pub mod audit;
#[doc(hidden)]
pub mod credentials;
#[doc(hidden)]
pub mod factors;
#[doc(hidden)]
pub mod guesses;
mod history;
#[doc(hidden)]
pub mod keys;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod one_time_tokens;
#[doc(hidden)]
pub mod outbox;
#[doc(hidden)]
pub mod passkeys;
mod promises;
#[doc(hidden)]
pub mod races;
#[doc(hidden)]
pub mod roles;
#[doc(hidden)]
pub mod rotation;
#[doc(hidden)]
pub mod search;
#[doc(hidden)]
pub mod sessions;
mod trial;
#[doc(hidden)]
pub mod users;
mod view;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use crate::ports::store::Store;

pub use promises::{Promise, promises};

pub use super::promise::{assert_promise, run};
pub(super) use trial::{race, rounds};

/// An empty store, and what has to live as long as it does.
pub struct FreshStore {
    store: Arc<dyn Store>,
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl FreshStore {
    /// The store, for another task.
    #[must_use]
    pub fn share(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }
}

impl Deref for FreshStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl fmt::Debug for FreshStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FreshStore").field(&self.store).finish()
    }
}

impl<S: Store + 'static> From<S> for FreshStore {
    fn from(store: S) -> Self {
        Self { store: Arc::new(store), _guard: None }
    }
}

impl<S: Store + 'static> From<Arc<S>> for FreshStore {
    fn from(store: Arc<S>) -> Self {
        Self { store, _guard: None }
    }
}

impl From<Arc<dyn Store>> for FreshStore {
    fn from(store: Arc<dyn Store>) -> Self {
        Self { store, _guard: None }
    }
}

impl<S: Into<FreshStore>, G: Any + Send + Sync> From<(S, G)> for FreshStore {
    fn from((store, guard): (S, G)) -> Self {
        let Self { store, _guard: inner } = store.into();
        Self { store, _guard: Some(Box::new((inner, guard))) }
    }
}

/// Where a check gets its stores from. Each one is empty and nobody else's.
#[derive(Clone)]
pub struct Stores(Arc<dyn Fn() -> Pin<Box<dyn Future<Output = FreshStore> + Send>> + Send + Sync>);

impl Stores {
    /// Stores made by an async function or closure.
    pub fn new<F, Making, S>(fresh_store: F) -> Self
    where
        F: Fn() -> Making + Send + Sync + 'static,
        Making: Future<Output = S> + Send + 'static,
        S: Into<FreshStore>,
    {
        Self(Arc::new(move || {
            let making = fresh_store();
            Box::pin(async move { making.await.into() })
        }))
    }

    /// Makes one.
    pub async fn fresh(&self) -> FreshStore {
        (self.0)().await
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

/// Holds the stores to every promise, one after the other, and says for each what broke it, if anything did.
///
/// For the tests of the contract itself: run it on a store that is wrong on purpose, and see that somebody notices.
pub async fn run_all(stores: &Stores) -> Vec<(&'static str, Result<(), String>)> {
    let mut results = Vec::new();
    for promise in promises() {
        results.push((promise.name, run(&promise, stores).await));
    }
    results
}
