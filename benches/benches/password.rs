//! One password on one thread: our hasher against the bare crate, and the policy that comes before.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use authkit_benches::account::PASSWORD;
use authkit_benches::hash_baseline::{BareArgon2, Hasher as _};
use authkit_core::config::{Argon2Params, HashingConfig, PasswordConfig};
use authkit_core::password::{Hasher, Verdict};
use authkit_core::primitives::{OsEntropy, Password};
use criterion::{Criterion, criterion_group, criterion_main};

fn hash(c: &mut Criterion) {
    let mut group = c.benchmark_group("password");
    let mut bare = BareArgon2::new(Argon2Params::OWASP).expect("the default cost");
    group.bench_function("hash_bare", |b| b.iter(|| bare.hash()));

    let mut hasher =
        Hasher::new(&HashingConfig::default(), &PasswordConfig::default(), Arc::new(OsEntropy)).expect("the defaults");
    let password = Password::parse(PASSWORD).expect("a password");
    group.bench_function("hash", |b| b.iter(|| hasher.hash(black_box(&password))));

    let stored = hasher.hash(&password).expect("hashes");
    assert_eq!(hasher.verify(&password, &stored).expect("verifies"), Verdict::Match { needs_upgrade: false });
    group.bench_function("verify", |b| b.iter(|| hasher.verify(black_box(&password), &stored)));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5));
    targets = hash
}
criterion_main!(benches);
