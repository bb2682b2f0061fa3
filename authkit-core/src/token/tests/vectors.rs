//! Published vectors, verbatim, against the verification that access tokens go through.

use jsonwebtoken::jwk::Jwk;

use crate::model::KeyAlgorithm;
use crate::token::backend::{SigningKey, VerifyingKey};
use crate::token::jws::{self, Compact};
use crate::token::{jwk, tests::support::sign_text};

// RFC 7515 A.1.1, A.2.1, A.3.1: the payload of all three examples.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

// RFC 7520 §4: the payload of all examples.
const FRODO: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9h\
    ZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";

fn parse(jwk: &str) -> Jwk {
    serde_json::from_str(jwk).expect("a JWK")
}

fn public(algorithm: KeyAlgorithm, jwk: &str) -> VerifyingKey {
    VerifyingKey::from_jwk(algorithm, &parse(jwk)).expect("a key")
}

fn is_signed_by(token: &str, key: &VerifyingKey) -> bool {
    Compact::split(token).expect("three segments").is_signed_by(key)
}

/// The vector verifies; with any one character of it changed it does not.
fn holds_and_only_as_published(token: &str, key: &VerifyingKey) {
    assert!(is_signed_by(token, key), "{token}");
    for (index, old) in token.char_indices().filter(|(_, c)| *c != '.') {
        let mut altered = token.to_owned();
        altered.replace_range(index..=index, if old == 'A' { "B" } else { "A" });
        assert!(!is_signed_by(&altered, key), "character {index}");
    }
}

#[test]
fn rfc_7515_a_1_hs256() {
    let secret =
        jws::decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow").expect("k");
    let input = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}");
    let published = format!("{input}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    holds_and_only_as_published(&published, &VerifyingKey::from_secret(&secret));

    let mut ours = input;
    sign_text(&SigningKey::from_secret(&secret), &mut ours);
    assert_eq!(ours, published);
}

#[test]
fn rfc_7515_a_2_rs256() {
    let key = public(
        KeyAlgorithm::Rs256,
        r#"{"kty":"RSA",
            "n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
            "e":"AQAB"}"#,
    );
    let published = format!(
        "eyJhbGciOiJSUzI1NiJ9.{JOE}.\
         cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZ\
         cAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-e\
         OkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    holds_and_only_as_published(&published, &key);
}

#[test]
fn rfc_7515_a_3_es256() {
    let key = public(
        KeyAlgorithm::Es256,
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    );
    let published = format!(
        "eyJhbGciOiJFUzI1NiJ9.{JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    holds_and_only_as_published(&published, &key);
}

#[test]
fn rfc_7515_a_5_an_unsecured_token_is_signed_by_nobody() {
    let published = format!("eyJhbGciOiJub25lIn0.{JOE}.");
    for key in [
        VerifyingKey::from_secret(b""),
        VerifyingKey::from_secret(&[0; 64]),
        public(KeyAlgorithm::EdDsa, r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#),
    ] {
        assert!(!is_signed_by(&published, &key));
    }
}

#[test]
fn rfc_7520_4_1_rsa_v1_5_signature() {
    let key = public(
        KeyAlgorithm::Rs256,
        r#"{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig",
            "n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
            "e":"AQAB"}"#,
    );
    let published = format!(
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{FRODO}.\
         MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA7818\
         5hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_\
         de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"
    );
    holds_and_only_as_published(&published, &key);
}

#[test]
fn rfc_7520_4_4_hmac_sha2_integrity_protection() {
    let secret = jws::decode("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg").expect("k");
    let input = format!("eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.{FRODO}");
    let published = format!("{input}.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0");
    holds_and_only_as_published(&published, &VerifyingKey::from_secret(&secret));

    let mut ours = input;
    sign_text(&SigningKey::from_secret(&secret), &mut ours);
    assert_eq!(ours, published);
}

#[test]
fn rfc_8037_a_2_to_a_5_ed25519() {
    // A.1 and A.2: the private and the public key.
    let seed = jws::decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("d");
    let public_jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    // RFC 8410 §7: the private key as PKCS#8 version 1.
    let prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let signing = SigningKey::from_pkcs8(KeyAlgorithm::EdDsa, &[prefix.as_slice(), &seed].concat()).expect("a key");
    assert_eq!(signing.public_jwk().expect("a public key").algorithm, parse(public_jwk).algorithm);

    // A.3: the thumbprint.
    assert_eq!(jwk::thumbprint(&parse(public_jwk)).expect("a name").as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");

    // A.4: signing; A.5: validating.
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let published = format!("{input}.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    let mut ours = input.to_owned();
    sign_text(&signing, &mut ours);
    assert_eq!(ours, published);
    holds_and_only_as_published(&published, &public(KeyAlgorithm::EdDsa, public_jwk));
}

#[test]
fn rfc_7638_3_1_thumbprint() {
    let key = parse(
        r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
    );
    assert_eq!(jwk::thumbprint(&key).expect("a name").as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}
