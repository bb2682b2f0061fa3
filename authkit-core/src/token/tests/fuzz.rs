//! Random input: nothing panics, and nothing that we did not make is accepted.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::token::refresh::{self, PREFIX, TOKEN_CHARS};
use crate::token::tests::support::{MINUTE, NOW, Seeded, Service, algorithms, refresh_key, session};
use crate::token::{Keyring, PresentedRefreshToken, VerifiedTokens, jws};

static SERVICES: LazyLock<Vec<Service>> = LazyLock::new(|| algorithms().into_iter().map(Service::new).collect());
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| SERVICES.iter().map(Service::issue).collect());
static REFRESH: LazyLock<(Keyring, String)> = LazyLock::new(|| {
    let keyring = Keyring::new(Vec::new(), vec![refresh_key(1, NOW - MINUTE)]);
    let minted = refresh::mint(&keyring, session(), 3, NOW, &Seeded::new(3)).expect("a token");
    (keyring, minted.token.expose().to_owned())
});

#[derive(Debug, Clone)]
enum Mutation {
    Replace(prop::sample::Index, char),
    Insert(prop::sample::Index, String),
    Remove(prop::sample::Index),
    Truncate(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    let alike = prop_oneof![
        4 => prop::sample::select("ABCXYZabcxyz0189-_".chars().collect::<Vec<_>>()),
        1 => prop::sample::select(".=+/ \n\0{}\"é".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    prop_oneof![
        (index(), alike).prop_map(|(at, c)| Mutation::Replace(at, c)),
        (index(), ".{0,8}").prop_map(|(at, text)| Mutation::Insert(at, text)),
        index().prop_map(Mutation::Remove),
        index().prop_map(Mutation::Truncate),
        (index(), index()).prop_map(|(a, b)| Mutation::Swap(a, b)),
    ]
}

fn mutate(token: &str, mutations: &[Mutation]) -> String {
    let mut text: Vec<char> = token.chars().collect();
    for mutation in mutations {
        let length = text.len();
        if length == 0 {
            break;
        }
        match mutation {
            Mutation::Replace(at, c) => text[at.index(length)] = *c,
            Mutation::Insert(at, more) => {
                let at = at.index(length);
                text.splice(at..at, more.chars());
            }
            Mutation::Remove(at) => {
                text.remove(at.index(length));
            }
            Mutation::Truncate(at) => text.truncate(at.index(length)),
            Mutation::Swap(a, b) => text.swap(a.index(length), b.index(length)),
        }
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_no_access_token(text in prop_oneof![".{0,300}", "[A-Za-z0-9_.=-]{0,300}", "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,90}"]) {
        for service in SERVICES.iter() {
            prop_assert!(service.verify(&text).is_err());
        }
    }

    #[test]
    fn a_mutated_access_token_is_refused(which in any::<prop::sample::Index>(), mutations in prop::collection::vec(mutation(), 1..4)) {
        let index = which.index(SERVICES.len());
        let (service, token) = (&SERVICES[index], &TOKENS[index]);
        let mutated = mutate(token, &mutations);
        prop_assume!(mutated != *token);
        prop_assert!(service.verify(&mutated).is_err());
        let memory = VerifiedTokens::<()>::new(10);
        prop_assert!(memory.verify(&service.keyring, &service.config, token, NOW).is_ok());
        prop_assert!(memory.verify(&service.keyring, &service.config, &mutated, NOW).is_err());
    }

    #[test]
    fn a_signed_payload_of_anything_panics_nowhere(header in prop::collection::vec(any::<u8>(), 0..600), payload in prop::collection::vec(any::<u8>(), 0..600)) {
        let service = &SERVICES[1];
        prop_assert!(service.verify(&service.sign_bytes(service.header().to_string().as_bytes(), &payload)).is_err());
        prop_assert!(service.verify(&service.sign_bytes(&header, service.claims().to_string().as_bytes())).is_err());
    }

    #[test]
    fn signed_claims_with_any_part_changed_panic_nowhere(mutations in prop::collection::vec(mutation(), 1..4)) {
        let service = &SERVICES[1];
        let _ = service.verify(&service.sign(&service.header().to_string(), &mutate(&service.claims().to_string(), &mutations)));
        let _ = service.verify(&service.sign(&mutate(&service.header().to_string(), &mutations), &service.claims().to_string()));
    }

    #[test]
    fn arbitrary_text_is_no_refresh_token(text in prop_oneof![".{0,200}", "ak_rt_[A-Za-z0-9_-]{124}", "ak_rt_.{0,124}"]) {
        prop_assert!(PresentedRefreshToken::parse(&REFRESH.0, &text).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_no_refresh_token(mut bytes in prop::collection::vec(any::<u8>(), 93), ours in any::<bool>()) {
        if ours {
            let good = jws::decode(&REFRESH.1[PREFIX.len()..]).expect("base64url");
            bytes[..9].copy_from_slice(&good[..9]);
        }
        let text = format!("{PREFIX}{}", jws::encode(&bytes));
        prop_assert_eq!(text.len(), TOKEN_CHARS);
        prop_assert!(PresentedRefreshToken::parse(&REFRESH.0, &text).is_err());
    }

    #[test]
    fn a_mutated_refresh_token_is_refused(mutations in prop::collection::vec(mutation(), 1..4)) {
        let mutated = mutate(&REFRESH.1, &mutations);
        prop_assume!(mutated != REFRESH.1);
        prop_assert!(PresentedRefreshToken::parse(&REFRESH.0, &mutated).is_err());
    }

    #[test]
    fn a_lineage_is_a_function_of_its_first_token(seed in any::<u64>(), generation in 0_u32..u32::MAX, delay in 0_u64..1_000_000) {
        let keyring = &REFRESH.0;
        let at = NOW + std::time::Duration::from_micros(delay);
        let minted = refresh::mint(keyring, session(), generation, at, &Seeded::new(seed)).expect("a token");
        let successor = || {
            let presented = PresentedRefreshToken::parse(keyring, minted.token.expose()).expect("ours");
            presented.successor(keyring, at).expect("a token").token.expose().to_owned()
        };
        prop_assert_eq!(successor(), successor());
        let next = PresentedRefreshToken::parse(keyring, &successor()).expect("ours");
        prop_assert_eq!((next.session_id(), next.generation()), (session(), generation + 1));
    }
}
