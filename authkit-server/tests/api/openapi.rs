//! The OpenAPI document is a golden file: a change of the contract is a diff that somebody has to look at.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::SETTINGS;
use crate::support::Server;

/// Writes the golden file instead of comparing with it.
const UPDATE: &str = "AUTHKIT_UPDATE_GOLDEN";

#[tokio::test]
async fn the_openapi_document_is_the_golden_file_and_what_the_server_serves() {
    let server = Server::start(SETTINGS).await;
    let output = server.run(&["openapi"], &[], "").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("UTF-8");

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/openapi.json");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&golden, &printed).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(printed == expected, "the contract changed: set {UPDATE}=1 to write {}, and read the diff", golden.display());

    let fetched = server.get("/openapi.json").await.expect(200);
    assert_eq!(fetched.header("content-type"), "application/json");
    let mut document: Value = fetched.json();
    let url = format!("http://localhost:{}", server.address().port());
    assert_eq!(document["servers"][0]["url"], url.as_str());
    document["servers"][0]["url"] = "http://localhost:8000".into();
    assert_eq!(document, serde_json::from_str::<Value>(&printed).expect("JSON"));
    every_operation_is_documented(&document);
    every_reference_leads_somewhere(&document, &document);
    let user = &document["components"]["schemas"]["User"];
    assert_eq!((&user["properties"]["full_name"]["nullable"], user["properties"]["id"].get("nullable")), (&true.into(), None));
}

fn every_reference_leads_somewhere(document: &Value, part: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
                assert!(target.is_some(), "{reference} leads nowhere");
            }
            members.values().for_each(|member| every_reference_leads_somewhere(document, member));
        }
        Value::Array(items) => items.iter().for_each(|item| every_reference_leads_somewhere(document, item)),
        _ => {}
    }
}

fn every_operation_is_documented(document: &Value) {
    let paths = document["paths"].as_object().expect("paths");
    let operations: Vec<_> = paths
        .iter()
        .flat_map(|(path, methods)| methods.as_object().expect("methods").iter().map(move |(m, o)| (format!("{m} {path}"), o)))
        .collect();
    assert!(!operations.is_empty());
    for (name, operation) in operations {
        assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{name}");
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{name} belongs to a group");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} says what it answers");
        assert!(responses.contains_key("500") && responses.contains_key("503"), "{name}");
        let statuses: &[&str] = match operation["requestBody"].is_object() {
            true => &["400", "413", "415", "422"],
            // It asks nobody who she is, and for nothing.
            false if operation["operationId"] == "startPasskeyLogin" => &["404", "429"],
            false => &["401"],
        };
        for status in statuses {
            let response = &responses[*status];
            assert!(response["description"].as_str().is_some_and(|codes| codes.contains('.')), "{name} {status} names its codes");
            assert!(response["content"]["application/problem+json"].is_object(), "{name} {status}");
        }
    }
}
