use super::*;
use crate::primitives::OsEntropy;

fn key(id: &str) -> MasterKey {
    MasterKey::generate(KeyId::parse(id).unwrap(), &OsEntropy)
}

fn custody(keys: &[&MasterKey]) -> LocalKeyCustody {
    LocalKeyCustody::new(keys.iter().map(|key| (*key).clone()).collect(), Arc::new(OsEntropy)).unwrap()
}

fn secret() -> SecretBytes {
    SecretBytes::new(b"a private key".to_vec())
}

#[tokio::test]
async fn what_was_sealed_opens_in_its_row_and_in_no_other() {
    let custody = custody(&[&key("k1")]);
    let sealed = custody.seal(&secret(), b"row 1").await.unwrap();
    assert_eq!(custody.open(&sealed, b"row 1").await.unwrap().expose(), secret().expose());
    for elsewhere in [&b"row 2"[..], b"", b"row 1 "] {
        assert!(matches!(custody.open(&sealed, elsewhere).await, Err(CustodyError::Forged)));
    }
    let empty = custody.seal(&SecretBytes::new(Vec::new()), b"").await.unwrap();
    assert_eq!(custody.open(&empty, b"").await.unwrap().expose(), b"");
}

#[tokio::test]
async fn an_envelope_with_any_byte_altered_or_missing_does_not_open() {
    let custody = custody(&[&key("k1")]);
    let sealed = custody.seal(&secret(), b"row").await.unwrap();
    for index in 0..sealed.as_bytes().len() {
        let mut altered = sealed.as_bytes().to_vec();
        altered[index] ^= 1;
        assert!(custody.open(&Sealed::from_bytes(altered), b"row").await.is_err(), "byte {index}");
        let cut = sealed.as_bytes()[..index].to_vec();
        assert!(custody.open(&Sealed::from_bytes(cut), b"row").await.is_err(), "cut at {index}");
    }
}

#[tokio::test]
async fn an_envelope_of_another_key_is_refused_by_name_or_by_content() {
    let sealed = custody(&[&key("gone")]).seal(&secret(), b"row").await.unwrap();
    let refused = custody(&[&key("here")]).open(&sealed, b"row").await;
    assert!(matches!(refused, Err(CustodyError::UnknownKey { key_id }) if key_id == "gone"));
    // The same name over other bytes: another installation.
    assert!(matches!(custody(&[&key("gone")]).open(&sealed, b"row").await, Err(CustodyError::Forged)));
}

#[tokio::test]
async fn an_envelope_cannot_be_moved_under_another_key_of_the_same_bytes() {
    let one = key("one");
    let two = MasterKey { id: KeyId::parse("two").unwrap(), secret: one.secret.clone() };
    let custody = custody(&[&one, &two]);
    let mut bytes = custody.seal(&secret(), b"row").await.unwrap().as_bytes().to_vec();
    bytes[2..5].copy_from_slice(b"two");
    assert!(matches!(custody.open(&Sealed::from_bytes(bytes), b"row").await, Err(CustodyError::Forged)));
}

#[tokio::test]
async fn after_a_rotation_the_new_key_seals_and_the_old_one_still_opens() {
    let (old, new) = (key("old"), key("new"));
    let before = custody(&[&old]).seal(&secret(), b"row").await.unwrap();
    let rotated = custody(&[&new, &old]);
    assert_eq!(rotated.open(&before, b"row").await.unwrap().expose(), secret().expose());
    let after = rotated.seal(&secret(), b"row").await.unwrap();
    assert_eq!(custody(&[&new]).open(&after, b"row").await.unwrap().expose(), secret().expose());
    assert!(custody(&[&old]).open(&after, b"row").await.is_err());
}

#[tokio::test]
async fn no_two_envelopes_share_a_nonce() {
    let custody = custody(&[&key("k1")]);
    let mut seen = HashSet::new();
    for _ in 0..1_000 {
        let sealed = custody.seal(&secret(), b"row").await.unwrap();
        assert!(seen.insert(sealed.as_bytes()[4..4 + NONCE_BYTES].to_vec()));
    }
}

#[test]
fn a_master_key_survives_its_text_and_never_shows_in_debug() {
    let key = key("2025-01_a");
    let text = key.to_text();
    let parsed = MasterKey::parse(&format!(" {text}\n")).unwrap();
    assert_eq!((parsed.id(), parsed.secret.expose()), (key.id(), key.secret.expose()));
    let shown = format!("{key:?} {:?}", custody(&[&key]));
    assert!(!shown.contains(text.split_once(':').unwrap().1), "{shown}");
}

#[test]
fn a_text_that_is_no_key_or_a_weak_one_is_refused() {
    let encoded = |bytes: &[u8]| format!("k:{}", URL_SAFE_NO_PAD.encode(bytes));
    for (text, error) in [
        (String::new(), MasterKeyError::Malformed),
        ("no-colon".to_owned(), MasterKeyError::Malformed),
        (":AAAA".to_owned(), MasterKeyError::Id),
        ("a b:AAAA".to_owned(), MasterKeyError::Id),
        ("k:not base64!".to_owned(), MasterKeyError::Encoding),
        (encoded(&[7; 31]), MasterKeyError::Length { bytes: 31 }),
        (encoded(&[7; 33]), MasterKeyError::Length { bytes: 33 }),
        (encoded(&[0; 32]), MasterKeyError::Guessable),
        (encoded(&b"abcabca".repeat(5)[..32]), MasterKeyError::Guessable),
    ] {
        assert_eq!(MasterKey::parse(&text).map(|_| ()), Err(error), "{text:?}");
    }
}

#[test]
fn a_ring_without_keys_or_with_twins_is_refused() {
    let ring = |keys| LocalKeyCustody::new(keys, Arc::new(OsEntropy)).map(|_| ());
    assert_eq!(ring(Vec::new()), Err(KeyringError::Empty));
    let twin = KeyringError::DuplicateId { id: KeyId::parse("a").unwrap() };
    assert_eq!(ring(vec![key("a"), key("b"), key("a")]), Err(twin));
}
