//! Forged tokens: each of the known tricks, against each algorithm it applies to, is refused for its own reason.

use serde_json::{Value, json};

use crate::config::HmacSecret;
use crate::model::KeyAlgorithm;
use crate::token::backend::SigningKey;
use crate::token::tests::support::{Service, algorithms, sign_text};
use crate::token::{AccessKey, AccessTokenError as E, access, jws};

fn services() -> Vec<Service> {
    algorithms().into_iter().map(Service::new).collect()
}

/// The service's valid token with some header members replaced or added, and a signature that holds.
fn with_header(service: &Service, members: &Value) -> Result<(), E> {
    let mut header = service.header();
    for (name, value) in members.as_object().expect("an object") {
        header[name] = value.clone();
    }
    service.verify(&service.sign(&header.to_string(), &service.claims().to_string())).map(|_| ())
}

/// The service's valid token with one claim replaced, added or, where the value is absent, removed.
fn with_claim(service: &Service, name: &str, value: Option<Value>) -> Result<(), E> {
    let mut claims = service.claims();
    let members = claims.as_object_mut().expect("an object");
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    service.verify(&service.sign(&service.header().to_string(), &claims.to_string())).map(|_| ())
}

#[test]
fn the_tokens_that_the_forgeries_start_from_are_valid() {
    for service in services() {
        assert_eq!(with_header(&service, &json!({})), Ok(()));
        assert_eq!(with_claim(&service, "extra", Some(json!(1))), Ok(()));
    }
}

// JWT-1: the algorithm.

#[test]
fn no_spelling_of_none_is_an_algorithm() {
    for service in services() {
        let payload = jws::encode(service.claims().to_string().as_bytes());
        let signature = service.issue().rsplit_once('.').expect("a signature").1.to_owned();
        for alg in ["none", "None", "NONE", "nOnE", "", "none\0", " none"] {
            for with_kid in [true, false] {
                let mut header = service.header();
                header["alg"] = json!(alg);
                if !with_kid {
                    header.as_object_mut().expect("an object").remove("kid");
                }
                let header = jws::encode(header.to_string().as_bytes());
                let expected = if with_kid { E::AlgorithmMismatch } else { E::UnknownKey };
                for signature in ["", &signature] {
                    assert_eq!(service.verify(&format!("{header}.{payload}.{signature}")), Err(expected), "{alg:?}");
                }
            }
        }
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    for service in services() {
        let Some(jwk) = service.key().public_jwk() else { continue };
        let parsed: Value = serde_json::from_str(jwk).expect("JSON");
        let member = |name: &str| jws::decode(parsed[name].as_str().unwrap_or_default()).unwrap_or_default();
        let raw = [&[4][..], &member("x"), &member("y")].concat();
        let der = [&[0x30, 0x59, 0x30, 0x13][..], &raw].concat();
        let pem = |newline: &str| {
            let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
            format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----{newline}").into_bytes()
        };
        let secrets =
            [jwk.as_bytes().to_vec(), raw.clone(), member("x"), member("n"), der.clone(), pem(""), pem("\n"), pem("\r\n")];
        for secret in secrets {
            for alg in ["HS256", service.key().algorithm().as_str()] {
                let mut header = service.header();
                header["alg"] = json!(alg);
                let mut token = format!(
                    "{}.{}",
                    jws::encode(header.to_string().as_bytes()),
                    jws::encode(service.claims().to_string().as_bytes())
                );
                sign_text(&SigningKey::from_secret(&secret), &mut token);
                let expected = if alg == "HS256" { E::AlgorithmMismatch } else { E::BadSignature };
                assert_eq!(service.verify(&token), Err(expected), "{alg}");
            }
        }
    }
}

#[test]
fn the_algorithm_of_another_key_is_refused() {
    for service in services() {
        let own = service.key().algorithm().as_str();
        for alg in ["HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "ES256K", "EdDSA", "Ed25519"] {
            if alg != own {
                assert_eq!(with_header(&service, &json!({ "alg": alg })), Err(E::AlgorithmMismatch), "{own} as {alg}");
            }
        }
        for alg in [json!(null), json!(1), json!(["ES256"]), json!({})] {
            assert_eq!(with_header(&service, &json!({ "alg": alg })), Err(E::UnsupportedHeader));
        }
    }
}

#[test]
fn signatures_without_a_private_key_do_not_hold() {
    for service in services() {
        let token = service.issue();
        let (input, signature) = token.rsplit_once('.').expect("a signature");
        let good = jws::decode(signature).expect("base64url");
        // CVE-2022-21449 ("psychic signatures"): r = s = 0, and its relatives at the order of P-256.
        let order = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
            0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ];
        let mut forged: Vec<Vec<u8>> =
            vec![Vec::new(), vec![0], vec![0; 64], vec![0; good.len()], vec![0xff; good.len()], order.repeat(2)];
        forged.push([&order[..], &[0; 32]].concat());
        forged.push([&[0; 31][..], &[1], &[0; 31], &[1]].concat());
        forged.push(good[..good.len() - 1].to_vec());
        forged.push([&good[..], &[0]].concat());
        forged.push([&[0][..], &good].concat());
        forged.push(good.repeat(2));
        forged.push(vec![0; 600]);
        // The same ECDSA signature as ASN.1 DER instead of r and s.
        forged.push(
            [&[0x30, 0x44, 0x02, 0x20][..], &good[..32.min(good.len())], &[0x02, 0x20], &good[32.min(good.len())..]].concat(),
        );
        for bytes in forged {
            assert_eq!(service.verify(&format!("{input}.{}", jws::encode(&bytes))), Err(E::BadSignature), "{bytes:?}");
        }
    }
}

#[test]
fn a_signature_belongs_to_its_header_and_payload() {
    for service in services() {
        let token = service.issue();
        let mut claims = service.claims();
        claims["sub"] = json!("01890a5d-ac96-774b-bcce-b302099affff");
        let segments: Vec<_> = token.split('.').collect();
        let payload = jws::encode(claims.to_string().as_bytes());
        assert_eq!(service.verify(&format!("{}.{payload}.{}", segments[0], segments[2])), Err(E::BadSignature));
        let header = jws::encode(service.header().to_string().replace("at+jwt", "AT+JWT").as_bytes());
        assert_eq!(service.verify(&format!("{header}.{}.{}", segments[1], segments[2])), Err(E::BadSignature));
    }
}

#[test]
fn a_token_has_three_segments() {
    for service in services() {
        let token = service.issue();
        let (input, signature) = token.rsplit_once('.').expect("a signature");
        let segments: Vec<_> = token.split('.').collect();
        for text in [
            String::new(),
            ".".into(),
            input.to_owned(),
            format!("{token}."),
            format!(".{token}"),
            format!("{token}.{signature}"),
            format!("{}.{}", segments[0], segments[2]),
            segments.join(""),
            // The JSON serialisations of RFC 7515 §7.2.
            json!({ "protected": segments[0], "payload": segments[1], "signature": segments[2] }).to_string(),
            json!({ "payload": segments[1], "signatures": [{ "protected": segments[0], "signature": segments[2] }] }).to_string(),
        ] {
            assert_eq!(service.verify(&text), Err(E::Malformed), "{text}");
        }
        assert_eq!(service.verify(".."), Err(E::Malformed));
        assert_eq!(service.verify(&format!("{input}.")), Err(E::BadSignature));
    }
}

// JWT-2: the key.

#[test]
fn a_token_cannot_bring_its_own_key() {
    for service in services() {
        let jwk: Value =
            service.key().public_jwk().map_or(json!({ "kty": "oct", "k": "AA" }), |jwk| serde_json::from_str(jwk).expect("JSON"));
        for header in [
            json!({ "jwk": jwk }),
            json!({ "jku": "https://evil.example/jwks.json" }),
            json!({ "x5u": "https://evil.example/chain.pem" }),
            json!({ "x5c": ["MIIB"] }),
            json!({ "x5t": "dGh1bWI" }),
            json!({ "cty": "JWT" }),
            json!({ "zip": "DEF" }),
            json!({ "enc": "A256GCM" }),
            json!({ "unknown": 1 }),
        ] {
            assert_eq!(with_header(&service, &header), Err(E::UnsupportedHeader), "{header}");
        }
    }
}

#[test]
fn a_kid_is_looked_up_and_nothing_else() {
    for service in services() {
        let own = service.key().id().as_str().to_owned();
        for kid in [
            String::new(),
            "../../../../dev/null".into(),
            "' OR 1=1--".into(),
            "\0".into(),
            format!("{own}\0"),
            format!(" {own}"),
            format!("{own}/"),
            "http://evil.example/key".into(),
            own.to_lowercase(),
            "x".repeat(200),
        ] {
            assert_eq!(with_header(&service, &json!({ "kid": kid })), Err(E::UnknownKey), "{kid:?}");
        }
        assert_eq!(with_header(&service, &json!({ "kid": "x".repeat(4_000) })), Err(E::UnsupportedHeader));
        assert_eq!(with_header(&service, &json!({ "kid": "x".repeat(65_536) })), Err(E::TooLong));
        for kid in [json!(1), json!([own]), json!({ "kid": own })] {
            assert_eq!(with_header(&service, &json!({ "kid": kid })), Err(E::UnsupportedHeader));
        }
        assert_eq!(with_header(&service, &json!({ "kid": null })), Err(E::UnknownKey));
    }
}

#[test]
fn a_token_of_a_stranger_with_our_kid_is_refused() {
    for service in services() {
        let stranger = match service.key().algorithm() {
            KeyAlgorithm::Hs256 => SigningKey::from_secret(&[9; 64]),
            algorithm => {
                let material = super::support::material(algorithm, 1_234);
                SigningKey::from_pkcs8(algorithm, material.private.expose()).expect("a key")
            }
        };
        let token = service.issue();
        let mut forged = token.rsplit_once('.').expect("a signature").0.to_owned();
        sign_text(&stranger, &mut forged);
        assert_eq!(service.verify(&forged), Err(E::BadSignature));
    }
}

#[test]
fn a_token_under_the_previous_shared_secret_is_refused() {
    let service = Service::new(KeyAlgorithm::Hs256);
    let other = AccessKey::shared(&HmacSecret::new((1..40).collect()).expect("a secret")).expect("a key");
    let keyring = crate::token::Keyring::new(vec![std::sync::Arc::new(other)], Vec::new());
    let token = super::support::issue(&keyring, &service.config, super::support::NOW);
    assert_eq!(service.verify(&token), Err(E::UnknownKey));
}

// JWT-3: critical headers.

#[test]
fn critical_headers_are_refused_whatever_they_say() {
    for service in services() {
        for header in [
            json!({ "crit": ["x"] }),
            json!({ "crit": ["b64"], "b64": false }),
            json!({ "b64": false }),
            json!({ "b64": true }),
            json!({ "crit": [] }),
            json!({ "crit": "exp" }),
            json!({ "crit": null }),
        ] {
            assert_eq!(with_header(&service, &header), Err(E::UnsupportedHeader), "{header}");
        }
    }
}

// JWT-4: the claims.

#[test]
fn a_claim_of_a_wrong_type_fails_the_token() {
    for service in services() {
        let wrong = [
            (
                "exp",
                vec![
                    json!("9999999999"),
                    json!(-1),
                    json!(null),
                    json!(1.5e9),
                    json!(1e300),
                    json!([1]),
                    json!(true),
                    json!(u64::MAX),
                ],
            ),
            ("iat", vec![json!("1"), json!(null), json!(-1), json!({})]),
            ("nbf", vec![json!("x"), json!(null), json!([]), json!(-1), json!(false)]),
            ("auth_time", vec![json!("1"), json!(null)]),
            ("iss", vec![json!([service.config.issuer]), json!({}), json!(null), json!(1)]),
            (
                "aud",
                vec![
                    json!(123),
                    json!([]),
                    json!({}),
                    json!(null),
                    json!([123]),
                    json!([service.config.audience, 1]),
                    json!(true),
                ],
            ),
            ("sub", vec![json!(1), json!(null), json!(""), json!("root"), json!(["a"])]),
            ("sid", vec![json!(1), json!(null), json!(""), json!("01890a5dac96774bbcceb302099a8002")]),
            ("jti", vec![json!(1), json!(null), json!("x")]),
            ("amr", vec![json!("pwd"), json!(null), json!([1]), json!({})]),
            ("client_id", vec![json!(1), json!(null)]),
        ];
        for (name, values) in wrong {
            for value in values {
                assert_eq!(with_claim(&service, name, Some(value.clone())), Err(E::BadClaims), "{name}: {value}");
            }
            if name != "nbf" {
                assert_eq!(with_claim(&service, name, None), Err(E::BadClaims), "no {name}");
            }
        }
    }
}

#[test]
fn what_serde_json_cannot_write_is_refused_too() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    let (header, claims) = (service.header().to_string(), service.claims().to_string());
    let exp = format!("\"exp\":{}", service.claims()["exp"]);
    let sub = format!("\"sub\":{}", service.claims()["sub"]);
    assert!(claims.contains(&exp) && claims.contains(&sub));
    for payload in [
        claims.replace(&exp, "\"exp\":1e400"),
        claims.replace(&exp, "\"exp\":99999999999999999999999"),
        claims.replace(&exp, "\"exp\":NaN"),
        claims.replace(&exp, &format!("{exp},{exp}")),
        claims.replace(&sub, &format!("{sub},{sub}")),
        claims.replace(&sub, &format!("{sub},\"sub\":\"01890a5d-ac96-774b-bcce-b302099affff\"")),
        claims.replace(&sub, &format!("{sub},\"s\\u0075b\":\"01890a5d-ac96-774b-bcce-b302099affff\"")),
        claims.replace('}', ",}"),
        format!("{claims}{claims}"),
        format!("{claims} x"),
        format!("[{claims}]"),
        "null".into(),
        "\"\"".into(),
        "{}".into(),
        String::new(),
    ] {
        assert_eq!(service.verify(&service.sign(&header, &payload)).map(|_| ()), Err(E::BadClaims), "{payload}");
    }
    assert_eq!(service.verify(&service.sign_bytes(header.as_bytes(), b"\xff\xfe{}")).map(|_| ()), Err(E::BadClaims));
    let kid = format!("\"kid\":\"{}\"", service.key().id());
    for (broken, expected) in [
        (header.replace(&kid, &format!("{kid},{kid}")), E::UnsupportedHeader),
        (header.replace("\"alg\"", "\"alg\":\"none\",\"alg\""), E::UnsupportedHeader),
        (header.replace('}', ""), E::Malformed),
        (format!("{header}x"), E::Malformed),
        (String::new(), E::Malformed),
        ("[]".into(), E::UnsupportedHeader),
        ("\"at+jwt\"".into(), E::UnsupportedHeader),
    ] {
        assert_eq!(service.verify(&service.sign(&broken, &claims)).map(|_| ()), Err(expected), "{broken}");
    }
}

// JWT-5: the kind of token.

#[test]
fn no_other_kind_of_token_is_an_access_token() {
    for service in services() {
        for typ in [
            "JWT",
            "jwt",
            "id+jwt",
            "logout+jwt",
            "dpop+jwt",
            "secevent+jwt",
            "at+jwt ",
            "at jwt",
            "application/jwt",
            "rt+jwt",
            "mfa+jwt",
            "",
            "at+jwt\0",
        ] {
            assert_eq!(with_header(&service, &json!({ "typ": typ })), Err(E::WrongType), "{typ:?}");
        }
        assert_eq!(with_header(&service, &json!({ "typ": null })), Err(E::WrongType));
        assert_eq!(with_header(&service, &json!({ "typ": ["at+jwt"] })), Err(E::UnsupportedHeader));
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert_eq!(with_header(&service, &json!({ "typ": typ })), Ok(()), "{typ}");
        }
        let mut header = service.header();
        header.as_object_mut().expect("an object").remove("typ");
        assert_eq!(service.verify(&service.sign(&header.to_string(), &service.claims().to_string())), Err(E::WrongType));
    }
}

// JWT-9: size and shape.

#[test]
fn every_token_has_one_spelling() {
    for service in services() {
        let token = service.issue();
        for (index, dot) in [(1, token.find('.')), (2, token.rfind('.')), (3, Some(token.len()))] {
            let at = dot.expect("a dot");
            for insertion in ["=", "==", " ", "\n", "\r\n", "\t", "\0", "+", "/", "%3D", "é"] {
                let mut altered = token.clone();
                altered.insert_str(at, insertion);
                assert!(service.verify(&altered).is_err(), "segment {index} with {insertion:?}");
            }
        }
        assert!(service.verify(&format!(" {token}")).is_err());
        assert!(service.verify(&format!("Bearer {token}")).is_err());

        // The last character of the signature, with a spare bit set (GHSA-3fvg-4v2m-98jf).
        let (start, last) = token.split_at(token.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let accepted: Vec<_> = alphabet.chars().filter(|c| service.verify(&format!("{start}{c}")).is_ok()).collect();
        assert_eq!(String::from_iter(accepted), last);
    }
}

#[test]
fn a_padded_payload_is_refused_even_when_it_is_signed() {
    for service in services() {
        let header = jws::encode(service.header().to_string().as_bytes());
        let payload = jws::encode(service.claims().to_string().as_bytes());
        for altered in
            [format!("{payload}="), format!("{payload} "), format!("{payload}\n"), payload.replace(['-', '_'], "+") + "A"]
        {
            let mut token = format!("{header}.{altered}");
            sign_text(&service.signing, &mut token);
            assert!(matches!(service.verify(&token), Err(E::Malformed | E::BadClaims)), "{altered:?}");
            let mut token = format!("{header}=.{payload}");
            sign_text(&service.signing, &mut token);
            assert_eq!(service.verify(&token), Err(E::Malformed));
        }
    }
}

#[test]
fn a_big_token_is_refused_before_it_is_read() {
    for service in services() {
        let token = service.issue();
        for size in [access::MAX_TOKEN_BYTES + 1, 1_000_000] {
            assert_eq!(service.verify(&format!("{token}{}", "A".repeat(size - token.len()))), Err(E::TooLong));
        }
        assert_eq!(service.verify(&"A.".repeat(500_000)), Err(E::TooLong));
        assert_eq!(service.verify(&"A".repeat(access::MAX_TOKEN_BYTES)), Err(E::Malformed));
    }
}

#[test]
fn deep_nesting_overflows_nothing() {
    let service = Service::new(KeyAlgorithm::EdDsa);
    for depth in [15, 100, 2_000, 10_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let payload = service.claims().to_string().replacen('{', &format!("{{\"x\":{deep},"), 1);
            let token = service.sign(&service.header().to_string(), &payload);
            let expected = if depth == 15 {
                Ok(())
            } else if token.len() > access::MAX_TOKEN_BYTES {
                Err(E::TooLong)
            } else {
                Err(E::BadClaims)
            };
            assert_eq!(service.verify(&token).map(|_| ()), expected, "{depth} of {open}");
        }
    }
    // Brackets in a string nest nothing.
    assert_eq!(with_claim(&service, "x", Some(json!("[[[[[[[[[[[[[[[[[[[[\"[[[[\\"))), Ok(()));
    // A header of brackets only.
    let header = jws::encode("[".repeat(300).as_bytes());
    assert!(service.verify(&format!("{header}.e30.AA")).is_err());
}
