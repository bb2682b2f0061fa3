//! One password on one thread: our hasher against the bare crate, and the formats of other systems against ours.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use authkit_benches::account::PASSWORD;
use authkit_benches::hash_baseline::{BareArgon2, Hasher as _};
use authkit_core::config::{Argon2Params, HashingConfig, PasswordConfig};
use authkit_core::password::{Hasher, Verdict};
use authkit_core::primitives::{OsEntropy, Password, PasswordHash};
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

/// Stored hashes of other systems, at the cost that those systems have by default. What a login costs does not depend on whether
/// the password is the right one, so that any hash of the format serves.
const FOREIGN: &[(&str, &str)] = &[
    ("bcrypt_10", "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("bcrypt_12", "$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    (
        "scrypt_django",
        "scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==",
    ),
    ("pbkdf2_sha256_260000", "pbkdf2_sha256$260000$seasalt2$UCGMhrOoaq1ghQPArIBK5RkI6IZLRxlIwHWA1dMy7y8="),
    ("sha512_crypt_5000", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"),
];

/// The formats that are imported, against our own in the same run: the weights of the hashing queue come from here.
fn foreign(c: &mut Criterion) {
    let mut group = c.benchmark_group("foreign");
    let mut hasher =
        Hasher::new(&HashingConfig::default(), &PasswordConfig::default(), Arc::new(OsEntropy)).expect("the defaults");
    let password = Password::parse(PASSWORD).expect("a password");
    for (name, text) in FOREIGN {
        let stored = PasswordHash::from_phc((*text).to_owned());
        assert_eq!(hasher.verify(&password, &stored).expect("a format that is read"), Verdict::Mismatch, "{name}");
        group.bench_function(*name, |b| b.iter(|| hasher.verify(black_box(&password), &stored)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(5));
    targets = hash, foreign
}
criterion_main!(benches);
