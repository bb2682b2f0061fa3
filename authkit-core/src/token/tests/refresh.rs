//! Refresh tokens: authenticated, and succeeded by the same token however often one asks.

use std::sync::Arc;
use std::time::Duration;

use crate::primitives::{Digest, Timestamp};
use crate::token::refresh::{self, PREFIX, TOKEN_CHARS};
use crate::token::tests::support::{MINUTE, NOW, Seeded, refresh_key, session};
use crate::token::{Keyring, Minted, PresentedRefreshToken, RefreshTokenError};

fn keyring() -> Keyring {
    Keyring::new(Vec::new(), vec![refresh_key(1, NOW - MINUTE)])
}

fn mint(keyring: &Keyring, generation: u32, at: Timestamp) -> Minted {
    refresh::mint(keyring, session(), generation, at, &Seeded::new(3)).expect("a token")
}

fn parse(keyring: &Keyring, minted: &Minted) -> PresentedRefreshToken {
    PresentedRefreshToken::parse(keyring, minted.token.expose()).expect("ours")
}

fn refused(keyring: &Keyring, text: &str) -> RefreshTokenError {
    PresentedRefreshToken::parse(keyring, text).expect_err("not ours")
}

fn bytes_of(minted: &Minted) -> Vec<u8> {
    crate::token::jws::decode(&minted.token.expose()[PREFIX.len()..]).expect("base64url")
}

fn text_of(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", crate::token::jws::encode(bytes))
}

#[test]
fn a_minted_token_is_read_back() {
    let keyring = keyring();
    let minted = mint(&keyring, 41, NOW);
    let text = minted.token.expose();
    assert!(text.starts_with("ak_rt_") && text.len() == TOKEN_CHARS && TOKEN_CHARS == 130, "{text}");
    let presented = parse(&keyring, &minted);
    assert_eq!((presented.session_id(), presented.generation()), (session(), 41));
    assert_eq!(presented.secret(), minted.secret);
    assert_eq!(minted.secret, Digest::of(&bytes_of(&minted)[29..61]), "the digest is of the secret alone");
}

#[test]
fn every_token_has_a_secret_of_its_own() {
    let (keyring, entropy) = (keyring(), Seeded::new(3));
    let draw = || refresh::mint(&keyring, session(), 0, NOW, &entropy).expect("a token").secret;
    assert_ne!(draw(), draw());
}

#[test]
fn the_successor_is_the_same_however_often_one_asks() {
    let keyring = keyring();
    let minted = mint(&keyring, 0, NOW);
    let first = parse(&keyring, &minted).successor(&keyring, NOW + MINUTE).expect("a token");
    let again = parse(&keyring, &minted).successor(&keyring, NOW + MINUTE).expect("a token");
    assert_eq!(first.token.expose(), again.token.expose());
    assert_eq!(first.secret, again.secret);

    let read = parse(&keyring, &first);
    assert_eq!((read.session_id(), read.generation(), read.secret()), (session(), 1, first.secret));
}

#[test]
fn each_generation_has_another_secret() {
    let keyring = keyring();
    let mut token = mint(&keyring, 0, NOW);
    let mut seen = std::collections::HashSet::new();
    for generation in 0..100 {
        assert_eq!(token.generation, generation);
        assert!(seen.insert(*token.secret.as_bytes()));
        token = parse(&keyring, &token).successor(&keyring, NOW).expect("a token");
    }
}

#[test]
fn a_key_rotated_between_rotation_and_retry_gives_the_same_successor() {
    let (old, young) = (refresh_key(1, NOW - MINUTE), refresh_key(2, NOW + Duration::from_secs(5)));
    let before = Keyring::new(Vec::new(), vec![Arc::clone(&old)]);
    let after = Keyring::new(Vec::new(), vec![Arc::clone(&old), Arc::clone(&young)]);
    let minted = mint(&before, 0, NOW - MINUTE);

    // Rotated under the old key at NOW; retried when the new one is current, with the time that the row remembers.
    let rotated = parse(&before, &minted).successor(&before, NOW).expect("a token");
    let retried = parse(&after, &minted).successor(&after, NOW).expect("a token");
    assert_eq!(rotated.token.expose(), retried.token.expose());

    // The next one is made under the new key, and the old key is not needed for it any more.
    let next = parse(&after, &rotated).successor(&after, NOW + MINUTE).expect("a token");
    let only_young = Keyring::new(Vec::new(), vec![young]);
    assert_eq!(parse(&only_young, &next).generation(), 2);
    assert_eq!(refused(&only_young, rotated.token.expose()), RefreshTokenError::UnknownKey);
}

#[test]
fn the_successor_needs_the_server_key() {
    // Two servers whose keys differ derive different successors from the same bytes of a token.
    let (mine, other) = (refresh_key(1, NOW), refresh_key(2, NOW));
    let presented = bytes_of(&mint(&Keyring::new(Vec::new(), vec![Arc::clone(&mine)]), 0, NOW));
    assert_ne!(mine.successor_secret(&presented), other.successor_secret(&presented));
    // A MAC and a derivation of the same bytes are different things.
    assert_ne!(mine.successor_secret(&presented), mine.mac(&presented));
}

#[test]
fn the_last_generation_has_no_successor() {
    let keyring = keyring();
    let last = parse(&keyring, &mint(&keyring, u32::MAX, NOW));
    assert_eq!(last.successor(&keyring, NOW).map(|_| ()), Err(RefreshTokenError::Exhausted));
    let before = parse(&keyring, &mint(&keyring, u32::MAX - 1, NOW));
    assert_eq!(before.successor(&keyring, NOW).expect("a token").generation, u32::MAX);
}

#[test]
fn a_stranger_cannot_make_one_up() {
    let keyring = keyring();
    let stranger = Keyring::new(Vec::new(), vec![refresh_key(77, NOW - MINUTE)]);
    let theirs = bytes_of(&mint(&stranger, 0, NOW));
    assert_eq!(refused(&keyring, &text_of(&theirs)), RefreshTokenError::UnknownKey);
    // With our key's fingerprint, which every token of ours shows, but without the key.
    let mut relabelled = theirs;
    relabelled[1..9].copy_from_slice(&bytes_of(&mint(&keyring, 0, NOW))[1..9]);
    assert_eq!(refused(&keyring, &text_of(&relabelled)), RefreshTokenError::BadMac);
}

#[test]
fn no_bit_of_a_token_can_be_changed() {
    let keyring = keyring();
    let good = bytes_of(&mint(&keyring, 5, NOW));
    for bit in 0..good.len() * 8 {
        let mut altered = good.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0 => RefreshTokenError::UnknownVersion,
            1..=8 => RefreshTokenError::UnknownKey,
            _ => RefreshTokenError::BadMac,
        };
        assert_eq!(refused(&keyring, &text_of(&altered)), expected, "bit {bit}");
    }
}

#[test]
fn what_is_no_refresh_token_is_refused_unread() {
    let keyring = keyring();
    let good = mint(&keyring, 0, NOW);
    let text = good.token.expose();
    for other in [
        String::new(),
        PREFIX.to_owned(),
        text[..TOKEN_CHARS - 1].to_owned(),
        format!("{text}A"),
        format!("{text}="),
        format!(" {}", &text[..TOKEN_CHARS - 1]),
        text.replacen("ak_rt_", "AK_RT_", 1),
        text.replacen("ak_rt_", "ak_at_", 1),
        format!("{}=", &text[..TOKEN_CHARS - 1]),
        format!("{}\n", &text[..TOKEN_CHARS - 1]),
        format!("{}+", &text[..TOKEN_CHARS - 1]),
        format!("{}é", &text[..TOKEN_CHARS - 2]),
        "é".repeat(TOKEN_CHARS / 2),
        "\0".repeat(TOKEN_CHARS),
        "A".repeat(1_000_000),
        text_of(&[1; 94]),
    ] {
        assert_eq!(refused(&keyring, &other), RefreshTokenError::Malformed, "{other:.150}");
    }
    assert_eq!(refused(&keyring, &text_of(&[0; 93])), RefreshTokenError::UnknownVersion);
    assert_eq!(refused(&Keyring::default(), text), RefreshTokenError::UnknownKey);
    assert_eq!(refresh::mint(&Keyring::default(), session(), 0, NOW, &Seeded::new(1)).map(|_| ()), Err(RefreshTokenError::NoKey));
}

#[test]
fn a_presented_token_does_not_show_itself() {
    let keyring = keyring();
    let minted = mint(&keyring, 0, NOW);
    let shown = format!("{:?} {minted:?}", parse(&keyring, &minted));
    assert!(!shown.contains(&minted.token.expose()[20..40]), "{shown}");
}
