//! Who may what: every operation of the administration, as the document lists them, for everybody from nobody to somebody who may
//! everything. A route that is added is in here by itself.

use hyper::Method;
use serde_json::{Value, json};

use crate::SETTINGS;
use crate::account::{ME, register};
use crate::administration::{administrator, grant};
use crate::own_account::request;
use crate::support::{Server, post};

/// What an operation is sent, where that is not nothing: enough to come as far as the question whether the caller may.
fn body(operation: &str, number: usize) -> Value {
    match operation {
        "adminCreateUser" => json!({ "email": format!("made{number}@example.com") }),
        "adminImpersonate" => json!({ "reason": "the matrix" }),
        _ => json!({}),
    }
}

/// The permission that an operation says it needs: the first code in its description that is one.
fn permission(operation: &Value) -> String {
    let description = operation["description"].as_str().unwrap_or_default();
    let said = description.strip_prefix("Needs `").and_then(|rest| rest.split('`').next()).unwrap_or_default();
    assert!(said.contains(':'), "{} does not begin its description with the permission that it needs", operation["operationId"]);
    said.to_owned()
}

#[tokio::test]
async fn every_operation_of_the_administration_asks_for_its_permission_and_for_no_other() {
    let server = Server::start(SETTINGS).await;
    let document: Value = server.get("/openapi.json").await.expect(200).json();
    let plain = register(&server, "plain@example.com").await;
    let holder = administrator(&server, "holder@example.com", &[]).await;
    let mut cells = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        if !["/api/v1/admin/users", "/api/v1/admin/outbox"].iter().any(|prefix| path.starts_with(prefix)) {
            continue;
        }
        for (method, operation) in methods.as_object().expect("methods") {
            let id = operation["operationId"].as_str().expect("an id");
            let method: Method = method.to_uppercase().parse().expect("a method");
            let (needed, number) = (permission(operation), cells);
            // Each on an account of its own, because some of them close it.
            let email = format!("victim{cells}@example.com");
            let victim = register(&server, &email).await;
            let user = server.get_as(ME, &victim.access).await.expect(200).text("id");
            let sessions = server.get_as("/api/v1/users/me/sessions", &victim.access).await.expect(200).json();
            let session = sessions["items"][0]["id"].as_str().expect("an id");
            let path = path.replace("{session_id}", session).replace("{id}", &user);
            let send = async |token: Option<&str>| {
                if let Some(token) = token {
                    return server.send(request(method.clone(), &path, token, &body(id, number))).await;
                }
                let mut anonymous = post(&path, &body(id, number));
                *anonymous.method_mut() = method.clone();
                server.send(anonymous).await
            };
            send(None).await.problem(401, "auth.unauthenticated");
            send(Some("x")).await.problem(401, "auth.invalid_token");
            for (token, permissions) in [
                (&plain.access, None),
                (&victim.access, None),
                (&holder.access, Some(vec![])),
                (&holder.access, Some(others(&needed))),
            ] {
                if let Some(permissions) = permissions {
                    let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
                    grant(&server, "holder@example.com", &permissions).await;
                }
                let refused = send(Some(token)).await;
                assert_eq!((refused.status, refused.code().as_str()), (403, "auth.permission_required"), "{id}");
                cells += 1;
            }
            grant(&server, "holder@example.com", &[&needed]).await;
            let let_through = send(Some(&holder.access)).await;
            // An account that has a password is not invited, and there is no message of that id.
            let is_judged = (200..300).contains(&let_through.status)
                || ["account.invitation_accepted", "outbox.not_found"].contains(&let_through.code().as_str());
            assert!(is_judged, "{id} with {needed} gives {}", let_through.status);
            cells += 1;
        }
    }
    assert!(cells >= 11 * 5, "only {cells} cells");
}

/// Every other permission that the administration knows.
fn others(needed: &str) -> Vec<String> {
    let all = [
        "users:read",
        "users:write",
        "users:impersonate",
        "sessions:read",
        "sessions:write",
        "roles:read",
        "audit:read",
        "outbox:read",
        "outbox:write",
    ];
    all.into_iter().filter(|permission| *permission != needed).map(str::to_owned).collect()
}
