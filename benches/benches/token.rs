//! One token on one thread: issued, verified from scratch and from memory, against the bare signature check; rotated.

use std::hint::black_box;
use std::sync::Arc;

use authkit_core::config::{Config, TokenConfig};
use authkit_core::model::{AuthMethod, KeyAlgorithm, KeyPurpose, ServerKey};
use authkit_core::primitives::{Clock as _, OsEntropy, Sealed, SessionId, SystemClock, Timestamp, UserId};
use authkit_core::token::{
    AccessKey, Issuance, KeyMaterial, Keyring, PresentedRefreshToken, RefreshKey, RevokedSessions, VerifiedTokens, access,
    refresh,
};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    ParsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};

/// A keyring with one key of each purpose, and the public half for the bare check.
struct Fixture {
    config: TokenConfig,
    keyring: Keyring,
    public: ParsedPublicKey,
    now: Timestamp,
    session_id: SessionId,
    user_id: UserId,
}

impl Fixture {
    fn new(algorithm: KeyAlgorithm) -> Self {
        let now = SystemClock.now();
        let access = KeyMaterial::generate(algorithm, &OsEntropy).expect("a key");
        let refresh = KeyMaterial::generate(KeyAlgorithm::Hs256, &OsEntropy).expect("a key");
        let access_key = AccessKey::load(&stored(&access, KeyPurpose::AccessToken, now), &access.private).expect("loads");
        let refresh_key = RefreshKey::load(&stored(&refresh, KeyPurpose::RefreshToken, now), &refresh.private).expect("loads");
        Self {
            config: Config::new("https://auth.example").tokens,
            keyring: Keyring::new(vec![Arc::new(access_key)], vec![Arc::new(refresh_key)]),
            public: public_half(algorithm, access.private.expose()),
            now,
            session_id: SessionId::generate(now, &OsEntropy),
            user_id: UserId::generate(now, &OsEntropy),
        }
    }

    fn issue(&self) -> String {
        let issuance = Issuance {
            user_id: self.user_id,
            session_id: self.session_id,
            methods: &[AuthMethod::Password],
            authenticated_at: self.now,
            session_ends_at: self.now + std::time::Duration::from_hours(24),
            access: &authkit_core::model::Access::default(),
        };
        let issued = access::issue(&self.keyring, &self.config, issuance, self.now, &OsEntropy);
        issued.expect("signs").token.expose().to_owned()
    }
}

fn stored(material: &KeyMaterial, purpose: KeyPurpose, now: Timestamp) -> ServerKey {
    ServerKey {
        id: material.id.clone(),
        purpose,
        serial: 1,
        algorithm: material.algorithm,
        private: Sealed::from_bytes(Vec::new()),
        public_jwk: material.public_jwk.clone(),
        created_at: now,
        activates_at: now,
    }
}

fn public_half(algorithm: KeyAlgorithm, pkcs8: &[u8]) -> ParsedPublicKey {
    let public = match algorithm {
        KeyAlgorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).expect("P-256");
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key())
        }
        KeyAlgorithm::EdDsa => ParsedPublicKey::new(&ED25519, Ed25519KeyPair::from_pkcs8(pkcs8).expect("Ed25519").public_key()),
        other => panic!("no bare check for {other:?} here"),
    };
    public.expect("a public key")
}

fn access_tokens(c: &mut Criterion) {
    for algorithm in [KeyAlgorithm::Es256, KeyAlgorithm::EdDsa] {
        let fixture = Fixture::new(algorithm);
        let Fixture { config, keyring, public, now, session_id, .. } = &fixture;
        let mut group = c.benchmark_group(format!("access_{}", algorithm.as_str()));
        group.bench_function("issue", |b| b.iter(|| fixture.issue()));

        // The floor: the signature alone, of the same bytes, by the same library, with the key parsed once.
        let token = fixture.issue();
        let (message, signature) = token.rsplit_once('.').expect("a compact JWS");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        public.verify_sig(message.as_bytes(), &signature).expect("the signature is ours");
        group
            .bench_function("verify_bare_signature", |b| b.iter(|| public.verify_sig(black_box(message).as_bytes(), &signature)));

        // Cold: what a token costs that was never seen.
        access::verify(keyring, config, &token, *now).expect("the token is ours");
        group.bench_function("verify_cold", |b| b.iter(|| access::verify(keyring, config, black_box(&token), *now)));

        // Cached: what it costs from then on, with the question whether its session was revoked.
        let (verified, revoked) = (VerifiedTokens::<()>::new(config.cache_capacity), RevokedSessions::new(config));
        verified.verify(keyring, config, &token, *now).expect("the token is ours");
        assert!(!revoked.contains(*session_id));
        group.bench_function("verify_cached", |b| {
            b.iter(|| {
                let claims = verified.verify(keyring, config, black_box(&token), *now)?;
                let revoked = revoked.contains(claims.claims().session_id);
                Ok::<_, access::AccessTokenError>((claims, revoked))
            });
        });
        group.finish();
    }
}

fn refresh_tokens(c: &mut Criterion) {
    let Fixture { keyring, now, session_id, .. } = Fixture::new(KeyAlgorithm::Es256);
    let mut group = c.benchmark_group("refresh_token");
    group.bench_function("mint", |b| b.iter(|| refresh::mint(&keyring, session_id, 0, now, &OsEntropy)));
    let minted = refresh::mint(&keyring, session_id, 0, now, &OsEntropy).expect("mints");
    group.bench_function("parse_and_derive_successor", |b| {
        b.iter(|| PresentedRefreshToken::parse(&keyring, black_box(minted.token.expose()))?.successor(&keyring, now));
    });
    group.finish();
}

criterion_group!(benches, access_tokens, refresh_tokens);
criterion_main!(benches);
