//! The hot use cases as a host calls them: authenticate a token, refresh a session in memory and on SQLite.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use authkit_core::config::{Argon2Params, Config};
use authkit_core::embedded::{LocalKeyCustody, MemoryStore};
use authkit_core::ports::Store;
use authkit_core::{AuthKit, Email, OsEntropy, Password, RefreshToken, Refreshed, Registration, RequestContext};
use authkit_sqlx::{SqliteOptions, SqliteStore};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

async fn node(store: Arc<dyn Store>, cache_capacity: usize) -> AuthKit {
    let mut config = Config::new("https://auth.example");
    // Nothing here measures hashing.
    config.passwords.params = Argon2Params { memory_kib: 8, iterations: 1, parallelism: 1 };
    config.tokens.cache_capacity = cache_capacity;
    // One session is refreshed as fast as that goes.
    config.limits.enabled = false;
    let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::new(OsEntropy)));
    AuthKit::builder(config).store(store).custody(custody).build().await.expect("builds")
}

async fn sqlite(folder: &Path) -> Arc<dyn Store> {
    let store = SqliteStore::open(SqliteOptions::new(folder.join("bench.sqlite3"))).await.expect("opens");
    store.migrate().await.expect("migrates");
    Arc::new(store)
}

async fn register(auth: &AuthKit) -> authkit_core::LoggedIn {
    let email = Email::parse("user@example.com").expect("an address");
    let registration = Registration::new(email, Password::parse("SecurePass123").expect("a password"));
    auth.accounts().register(registration, &RequestContext::default()).await.expect("registers")
}

async fn next(auth: &AuthKit, token: &RefreshToken) -> RefreshToken {
    match auth.sessions().refresh(token, &RequestContext::default()).await.expect("refreshes") {
        Refreshed::Renewed(renewed) => renewed.tokens.refresh_token,
        other => panic!("not renewed: {other:?}"),
    }
}

fn authenticate(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("authenticate");
    for (name, cache_capacity) in [("cached", 10_000), ("cold", 0)] {
        let (auth, token) = runtime.block_on(async {
            let auth = node(Arc::new(MemoryStore::new()), cache_capacity).await;
            let token = register(&auth).await.tokens.access_token.expose().to_owned();
            (auth, token)
        });
        group.bench_function(name, |bencher| bencher.iter(|| auth.authenticate(black_box(&token)).expect("valid")));
    }
    group.finish();
}

fn refresh_chain(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let stores: [(&str, Arc<dyn Store>); 2] =
        [("memory", Arc::new(MemoryStore::new())), ("sqlite", runtime.block_on(sqlite(folder.path())))];
    let mut group = criterion.benchmark_group("refresh");
    for (name, store) in stores {
        let auth = runtime.block_on(node(store, 10_000));
        let mut token = runtime.block_on(register(&auth)).tokens.refresh_token;
        group.bench_function(name, |bencher| bencher.iter(|| token = runtime.block_on(next(&auth, &token))));
    }
    group.finish();
}

criterion_group!(benches, authenticate, refresh_chain);
criterion_main!(benches);
