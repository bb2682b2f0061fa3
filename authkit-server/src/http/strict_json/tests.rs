use serde::Deserialize;

use super::{StrictJson, is_json};
use crate::problem::Problem;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    email: String,
    password: String,
    #[serde(default)]
    device: Option<Device>,
    #[serde(default)]
    tries: Option<u32>,
    #[serde(default)]
    factor: Option<Factor>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    name: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Factor {
    Totp,
}

fn refused(body: impl AsRef<[u8]>) -> Problem {
    StrictJson::<Login>::decode(body.as_ref()).expect_err("must be refused")
}

fn field(problem: &Problem) -> &str {
    problem.errors().first().map_or("", |error| &error.field)
}

#[test]
fn what_the_operation_takes_is_decoded() {
    let body = r#"{"email":"a@b.example","password":"p\u00e4ss","device":{"name":"x"},"factor":"totp","tries":3,"tags":["t"]}"#;
    let login = StrictJson::<Login>::decode(body.as_bytes()).expect("decodes").0;
    assert_eq!(login.password, "p\u{e4}ss");
    assert_eq!((login.tries, login.factor, login.device), (Some(3), Some(Factor::Totp), Some(Device { name: "x".into() })));
    assert_eq!(login.tags, ["t"]);
}

#[test]
fn an_unknown_member_is_named_with_its_path() {
    let problem = refused(r#"{"email":"a","password":"b","is_admin":true}"#);
    assert_eq!((problem.status().as_u16(), problem.code(), field(&problem)), (422, "request.unknown_member", "is_admin"));
    let nested = refused(r#"{"email":"a","password":"b","device":{"name":"x","nom":"y"}}"#);
    assert_eq!((nested.code(), field(&nested)), ("request.unknown_member", "device.nom"));
    let long = format!(r#"{{"email":"a","password":"b","{}":1}}"#, "k".repeat(5_000));
    assert!(field(&refused(long)).len() <= 256);
}

#[test]
fn a_missing_member_and_a_wrong_type_are_named_with_their_path() {
    let missing = refused(r#"{"email":"a"}"#);
    assert_eq!((missing.code(), field(&missing)), ("request.missing_member", "password"));
    let nested = refused(r#"{"email":"a","password":"b","device":{}}"#);
    assert_eq!((nested.code(), field(&nested)), ("request.missing_member", "device.name"));
    for (body, at) in [
        (r#"{"email":1,"password":"b"}"#, "email"),
        (r#"{"email":null,"password":"b"}"#, "email"),
        (r#"{"email":["a"],"password":"b"}"#, "email"),
        (r#"{"email":"a","password":"b","tries":"x"}"#, "tries"),
        (r#"{"email":"a","password":"b","tags":["x",2]}"#, "tags[1]"),
        (r#"{"email":"a","password":"b","device":["x"]}"#, "device"),
        (r#"{"email":"a","password":"b","factor":{"totp":1}}"#, "factor"),
        ("[]", ""),
        ("null", ""),
        ("\"text\"", ""),
    ] {
        let problem = refused(body);
        assert_eq!((problem.status().as_u16(), problem.code(), field(&problem)), (422, "request.invalid_type", at), "{body}");
    }
    for body in [r#"{"email":"a","password":"b","factor":"nope"}"#, r#"{"email":"a","password":"b","tries":-1}"#] {
        assert_eq!(refused(body).code(), "request.invalid_value", "{body}");
    }
}

#[test]
fn what_is_not_json_is_a_400_with_its_place() {
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    let abyss = "[".repeat(60_000);
    let bodies: [&[u8]; 12] = [
        b"",
        b" \n",
        b"{",
        b"{\"email\":}",
        b"{'email':1}",
        b"{} {}",
        b"nul",
        b"{\"a\":\"\xff\"}",
        b"{\"email\":\"a\",\"email\":\"b\"}",
        b"{\"device\":{\"name\":1,\"n\\u0061me\":2}}",
        deep.as_bytes(),
        abyss.as_bytes(),
    ];
    for body in bodies {
        let problem = refused(body);
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (400, "request.malformed_json"),
            "{:?}",
            String::from_utf8_lossy(body)
        );
    }
    assert_eq!(refused("{\n \"email\": }").to_json()["line"], 2);
}

#[test]
fn no_answer_repeats_a_value() {
    for body in [
        r#"{"email":"a","password":{"canary":"canary"}}"#.to_owned(),
        r#"{"email":"a","password":"b","tries":"canary"}"#.to_owned(),
        r#"{"email":"a","password":"b","factor":"canary"}"#.to_owned(),
        r#"{"email":"a","password":canary}"#.to_owned(),
        r#"{"email":"a","password":"canary"#.to_owned(),
        r#""canary""#.to_owned(),
    ] {
        let answer = refused(&body).to_json().to_string();
        assert!(!answer.contains("canary"), "{body} was answered with {answer}");
    }
}

#[test]
fn only_json_in_utf_8_is_json() {
    for good in ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\""]
    {
        assert!(is_json(good), "{good}");
    }
    for bad in [
        "",
        "text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "text/json",
        "application/problem+json",
    ] {
        assert!(!is_json(bad), "{bad}");
    }
}
