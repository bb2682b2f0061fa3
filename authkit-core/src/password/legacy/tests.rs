//! Published hashes of every format, each with its source, through the hasher as a login uses it.

use std::sync::Arc;

use super::*;
use crate::config::{Argon2Params, FirebaseSignerKeys, HashingConfig, PasswordConfig, Peppers};
use crate::password::{Hasher, Verdict};
use crate::primitives::{OsEntropy, PasswordHash, SecretBytes};

const SIGNER_KEY: &str = "fb:jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";

/// The format, the password, the hash.
const PUBLISHED: &[(&str, &str, &str)] = &[
    // jBCrypt, TestBCrypt.java.
    ("bcrypt", "a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
    ("bcrypt", "abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
    // Openwall crypt_blowfish 1.3, wrapper.c; the last one has more than 72 bytes.
    ("bcrypt", "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("bcrypt", "U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
    (
        "bcrypt",
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored",
        "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
    ),
    // passlib 1.7, documentation of scrypt and tests of pbkdf2.
    ("scrypt", "password", "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"),
    ("pbkdf2", "password", "$pbkdf2$1212$OB.dtnSEXZK8U5cgxU/GYQ$y5LKPOplRmok7CZp/aqVDVg8zGI"),
    ("pbkdf2", "password", "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ"),
    (
        "pbkdf2",
        "\u{399}\u{3c9}\u{3b1}\u{3bd}\u{3bd}\u{3b7}\u{3c2}",
        "$pbkdf2$1212$THDqatpidANpadlLeTeOEg$HV3oi1k5C5LQCgG1BMOL.BX4YZc",
    ),
    (
        "pbkdf2",
        "password",
        "$pbkdf2-sha512$1212$RHY0Fr3IDMSVO/RSZyb5ow$eNLfBK.eVozomMr.1gYa17k9B7KIK25NOEshvhrSX.esqY3s.FvWZViXz4KoLlQI.BzY/YTNJOiKc5gBYFYGww",
    ),
    // Django 3.2 and 4.0, tests/auth_tests/test_hashers.py.
    ("pbkdf2", "lètmein", "pbkdf2_sha256$260000$seasalt2$UCGMhrOoaq1ghQPArIBK5RkI6IZLRxlIwHWA1dMy7y8="),
    ("pbkdf2", "lètmein", "pbkdf2_sha1$260000$seasalt2$wAibXvW6jgvatCdONi6SMJ6q7mI="),
    (
        "scrypt",
        "lètmein",
        "scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==",
    ),
    (
        "argon2",
        "secret",
        "argon2$argon2i$m=8,t=1,p=1$c29tZXNhbHQ$gwQOXSNhxiOxPOA0+PY10P9QFO4NAYysnqRt1GSQLE55m+2GYDt9FEjPMHhP2Cuf0nOEXXMocVrsJAtNSsKyfg",
    ),
    // RFC 7914 §11 (PBKDF2-HMAC-SHA-256) and §12 (scrypt), the octets in base64.
    (
        "pbkdf2",
        "passwd",
        "$pbkdf2-sha256$i=1,l=64$c2FsdA$VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw",
    ),
    (
        "scrypt",
        "pleaseletmein",
        "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw",
    ),
    // RFC 6070: PBKDF2-HMAC-SHA-1, 4096 iterations.
    ("pbkdf2", "password", "$pbkdf2-sha1$i=4096,l=20$c2FsdA$SwB5AbdlSJq+rUnZJvch0GWkKcE"),
    // ASP.NET Core Identity, PasswordHasherTest.cs: SHA-1, 250 iterations.
    ("pbkdf2", "my password", "AQAAAAAAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M"),
    // README of github.com/firebase/scrypt.
    (
        "firebase",
        "user1password",
        "$firebase-scrypt$ln=14,r=8,k=fb$42xEC+ixf3L2lw==$Bw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
    ),
    // The test suite of SHA-crypt.txt, as `openssl passwd -5` and `-6` print it too.
    ("sha-crypt", "Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    ("sha-crypt", "Hello world!", "$5$rounds=10000$saltstringsaltstring$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
    (
        "sha-crypt",
        "Hello world!",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
    // passlib 1.7, tests of LDAP's digests.
    ("salted-sha", "testing123", "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr"),
    ("salted-sha", "password", "{SSHA256}x1tymSTVjozxQ2PtT46ysrzhZxbcskK0o2f8hEFx7fAQQmhtDSEkJA=="),
    (
        "salted-sha",
        "password",
        "{SSHA512}dOeDLmVpHJThhHeag10Hm2g4T7s3SBE6rGHcXUolXJHVufY4qT782rwZ/0XE6cuLcBZ0KpnwmUzRpAEtZBdv+JYEEtZQs/uC",
    ),
];

fn hasher() -> Hasher {
    hasher_with(Peppers::default())
}

fn hasher_with(peppers: Peppers) -> Hasher {
    let passwords = PasswordConfig {
        params: Argon2Params { memory_kib: 8, iterations: 1, parallelism: 1 },
        firebase_signer_keys: FirebaseSignerKeys::parse_list(SIGNER_KEY).unwrap(),
        peppers,
        ..PasswordConfig::default()
    };
    Hasher::new(&HashingConfig::default(), &passwords, Arc::new(OsEntropy)).expect("the parameters are allowed")
}

fn password(text: &str) -> Password {
    Password::parse(text).expect("a password")
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_phc(text.to_owned())
}

const UPGRADED: Result<Verdict, HashError> = Ok(Verdict::Match { needs_upgrade: true });

#[test]
fn published_hashes_verify_and_ask_for_an_upgrade() {
    let mut hasher = hasher();
    let mut wrong = Vec::new();
    for (_, text, published) in PUBLISHED {
        if hasher.verify(&password(text), &hash(published)) != UPGRADED {
            wrong.push(*published);
        }
        let other = format!("x{text}");
        assert_eq!(hasher.verify(&password(&other), &hash(published)), Ok(Verdict::Mismatch), "{published}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_three_names_of_bcrypt_are_one() {
    let mut hasher = hasher();
    for version in ["2a", "2b", "2y"] {
        let text = format!("${version}$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        assert_eq!(hasher.verify(&password("U*U"), &hash(&text)), UPGRADED);
        assert_eq!(hasher.verify(&password("U*U"), &hash(&format!("bcrypt${text}"))), UPGRADED);
    }
}

#[test]
fn bcrypt_is_cut_at_72_bytes_as_its_origin_did_and_what_replaces_it_is_not() {
    let mut hasher = hasher();
    let stored = hash("$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui");
    let whole = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (text, matches) in [(whole.to_owned(), true), (format!("{whole}X"), true), (whole[..71].to_owned(), false)] {
        let expected = if matches { UPGRADED } else { Ok(Verdict::Mismatch) };
        assert_eq!(hasher.verify(&password(&text), &stored), expected, "{text}");
    }
    let upgraded = hasher.hash(&password(&format!("{whole}X"))).unwrap();
    assert_eq!(hasher.verify(&password(&format!("{whole}Y")), &upgraded), Ok(Verdict::Mismatch));
    assert_eq!(hasher.verify(&password(whole), &upgraded), Ok(Verdict::Mismatch));
}

#[test]
fn a_wrapped_hash_verifies_is_upgraded_and_holds_no_inner_digest() {
    let pepper = Peppers::new([("p1".to_owned(), SecretBytes::new((0..32).collect()))]).unwrap();
    for mut hasher in [hasher(), hasher_with(pepper)] {
        for (format, text, published) in PUBLISHED {
            let stored = hash(published);
            let wrapped = hasher.wrap(&stored).unwrap();
            let Some(wrapped) = wrapped else {
                assert_eq!(*format, "argon2", "{published}");
                continue;
            };
            assert!(wrapped.expose().len() <= PasswordHash::MAX_BYTES, "{}", wrapped.expose().len());
            assert!(wrapped.expose().starts_with("$authkit-wrap$"));
            let inner = ForeignHash::read(published).unwrap();
            assert!(!wrapped.expose().contains(&encode(&inner.digest)[..16]));
            assert_eq!(hasher.verify(&password(text), &wrapped), UPGRADED, "{published}");
            assert_eq!(hasher.verify(&password(&format!("x{text}")), &wrapped), Ok(Verdict::Mismatch), "{published}");
            assert_eq!(hasher.wrap(&wrapped), Ok(None), "nothing is wrapped twice");
        }
    }
}

#[test]
fn every_recipe_survives_its_text() {
    let limits = ForeignLimits { max_memory_kib: 262_144 };
    for (format, _, published) in PUBLISHED {
        if *format == "argon2" {
            continue;
        }
        let recipe = ForeignHash::parse(published, limits).unwrap().recipe;
        let text = recipe.to_text();
        assert!(text.starts_with(format), "{text}");
        assert_eq!(Recipe::from_text(&text, limits), Some(recipe), "{text}");
    }
}

#[test]
fn hostile_parameters_are_refused_with_the_reason_and_without_any_work() {
    let hasher = hasher();
    let sha512 = "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
    let b64 = "nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E";
    let beyond = [
        "$2b$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        format!("$scrypt$ln=30,r=8,p=1$c2FsdHNhbHQ${b64}"),
        format!("$scrypt$ln=63,r=8,p=1$c2FsdHNhbHQ${b64}"),
        format!("$scrypt$ln=14,r=4294967295,p=1$c2FsdHNhbHQ${b64}"),
        format!("$scrypt$ln=14,r=8,p=4294967295$c2FsdHNhbHQ${b64}"),
        format!("$scrypt$ln=17,r=8,p=8$c2FsdHNhbHQ${b64}"),
        format!("$firebase-scrypt$ln=30,r=8,k=fb$c2FsdA==$Bw==${b64}"),
        format!("$pbkdf2-sha256$i=4294967295,l=32$c2FsdA${b64}"),
        format!("$pbkdf2-sha1$i=2500001$c2FsdA${b64}"),
        format!("pbkdf2_sha256$5000001$seasalt${b64}"),
        format!("pbkdf2_sha256$1$seasalt$AAAA"),
        format!("pbkdf2_sha256$1${}${b64}", "s".repeat(129)),
        format!("$6$rounds=1000001$saltstring${sha512}"),
        format!("$argon2id$v=19$m=262145,t=2,p=1$c29tZXNhbHRzb21lc2FsdA${b64}"),
        format!("pbkdf2_sha256$1$seasalt${}", "A".repeat(600)),
    ];
    for text in beyond {
        let refusal = hasher.examine(&hash(&text)).expect_err(&text);
        assert!(matches!(refusal, HashRefusal::BeyondLimits { .. }), "{text}: {refusal}");
    }
    let malformed = [
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        "$2b$1$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        "$2b$+5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe".to_owned(),
        "$2b$05$€€€€€€€€€€€€€€€€€€€€€.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        format!("$scrypt$ln=0,r=8,p=1$c2FsdA${b64}"),
        format!("$scrypt$ln=14,r=0,p=1$c2FsdA${b64}"),
        format!("$scrypt$ln=14,r=8,p=0$c2FsdA${b64}"),
        format!("$scrypt$ln=14,r=8$c2FsdA${b64}"),
        format!("scrypt$16383$seasalt$8$1${b64}"),
        format!("scrypt$0$seasalt$8$1${b64}"),
        format!("$firebase-scrypt$ln=14,r=8,k=$c2FsdA==$Bw==${b64}"),
        format!("$pbkdf2-sha256$i=0$c2FsdA${b64}"),
        format!("$pbkdf2-md5$i=1$c2FsdA${b64}"),
        format!("$pbkdf2-sha256$i=1,l=31$c2FsdA${b64}"),
        "$pbkdf2-sha256$".to_owned(),
        "$6$saltstring$short".to_owned(),
        "$6$".to_owned(),
        "$5$rounds=99999999999$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5".to_owned(),
        "{SSHA}AAAA".to_owned(),
        "$argon2id$v=19$m=19456,t=2$c29tZXNhbHQ$AAAA".to_owned(),
        "$authkit-wrap$AAAA$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA".to_owned(),
        "$authkit-wrap$".to_owned(),
    ];
    for text in malformed {
        let refusal = hasher.examine(&hash(&text)).expect_err(&text);
        assert!(matches!(refusal, HashRefusal::Malformed { .. }), "{text}: {refusal}");
    }
}

#[test]
fn what_is_no_hash_or_a_worthless_one_is_named() {
    let hasher = hasher();
    for text in ["hunter2", "correct horse battery staple", "", "$", "{", "{NV3}abc", "$9$abc"] {
        assert_eq!(hasher.examine(&hash(text)), Err(HashRefusal::Unknown), "{text}");
    }
    for text in [
        "$1$saltsalt$xxxxxxxxxxxxxxxxxxxxxx",
        "$apr1$saltsalt$xxxxxxxxxxxxxxxxxxxxxx",
        "$P$984478476IagS59wHZvyQMArzfx58u.",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "{CRYPT}$6$saltstring$x",
        "$firebase-scrypt$ln=14,r=8,k=other$42xEC+ixf3L2lw==$Bw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1Q=",
        "$argon2id$v=19$m=8,t=1,p=1,keyid=cDE$c29tZXNhbHQ$4m3CYC6mvGl2/NbyGm5CmFL0nJHpvhqOlLYMUPzNDwI",
    ] {
        let refusal = hasher.examine(&hash(text)).expect_err(text);
        assert!(matches!(refusal, HashRefusal::Unsupported { .. }), "{text}: {refusal}");
    }
}

#[test]
fn a_pepper_is_named_in_the_hash_and_rotated_without_trial() {
    let key = |byte: u8| SecretBytes::new((byte..byte + 32).collect());
    let (old, new) = (("old".to_owned(), key(1)), ("new".to_owned(), key(2)));
    let mut bare = hasher();
    let mut first = hasher_with(Peppers::new([old.clone()]).unwrap());
    let mut rotated = hasher_with(Peppers::new([new.clone(), old.clone()]).unwrap());
    let mut forgot = hasher_with(Peppers::new([new.clone()]).unwrap());
    let mut swapped = hasher_with(Peppers::new([("old".to_owned(), key(3))]).unwrap());
    let mut retired = hasher_with(Peppers::new([old]).unwrap().retired());
    let word = password("pepper and salt");

    let plain = bare.hash(&word).unwrap();
    assert_eq!(first.verify(&word, &plain), UPGRADED, "what has no pepper gets one");
    let peppered = first.hash(&word).unwrap();
    assert!(peppered.expose().contains(",keyid=b2xk$"), "{}", peppered.expose());
    assert_eq!(first.verify(&word, &peppered), Ok(Verdict::Match { needs_upgrade: false }));
    assert_eq!(rotated.verify(&word, &peppered), UPGRADED, "the old pepper verifies and is replaced");
    assert_eq!(retired.verify(&word, &peppered), UPGRADED);
    assert!(!retired.hash(&word).unwrap().expose().contains("keyid"));
    assert_eq!(swapped.verify(&word, &peppered), Ok(Verdict::Mismatch), "a key of the same name is another key");
    let missing = Err(HashError::MissingPepper { id: "old".to_owned() });
    for hasher in [&mut bare, &mut forgot] {
        assert_eq!(hasher.verify(&word, &peppered), missing, "a missing pepper is not a wrong password");
    }
    assert!(matches!(bare.examine(&peppered), Err(HashRefusal::Unsupported { .. })));
}

#[test]
fn a_missing_signer_key_is_not_a_wrong_password() {
    let mut bare = Hasher::new(&HashingConfig::default(), &PasswordConfig::default(), Arc::new(OsEntropy)).unwrap();
    let (_, text, published) = PUBLISHED.iter().find(|(format, ..)| *format == "firebase").unwrap();
    let missing = Err(HashError::MissingSignerKey { id: "fb".to_owned() });
    assert_eq!(bare.verify(&password(text), &hash(published)), missing);
    let wrapped = hasher().wrap(&hash(published)).unwrap().unwrap();
    assert_eq!(bare.verify(&password(text), &wrapped), missing);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in r"(\$(2[abxy]?|scrypt|pbkdf2(-sha256)?|5|6|argon2id|authkit-wrap|firebase-scrypt)\$|scrypt\$|pbkdf2_sha256\$|\{SSHA\}|A)?[ -~]{0,60}(\$[A-Za-z0-9+/.=,-]{0,40}){0,4}\PC{0,3}") {
        let _ = hasher().examine(&hash(&text));
    }
}
