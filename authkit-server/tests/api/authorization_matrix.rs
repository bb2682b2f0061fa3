//! Who may what: every operation of the administration, as the document lists them, for everybody from nobody to somebody who may
//! everything. A route that is added and is not in the table here fails the test.

use hyper::Method;
use serde_json::{Value, json};

use crate::SETTINGS;
use crate::account::{ME, Tokens, register};
use crate::administration::{administrator, grant};
use crate::own_account::request;
use crate::support::{Reply, Server, post};

/// What an operation is asked with: the query, and the body. Enough to succeed for whoever may.
fn asked(operation: &str, number: usize) -> (&'static str, Value) {
    match operation {
        "adminCreateUser" => ("", json!({ "email": format!("made{number}@example.com") })),
        "adminImpersonate" => ("", json!({ "reason": "the matrix" })),
        "adminCreateRole" => ("", json!({ "name": format!("made{number}") })),
        "adminUpdateRole" => ("", json!({ "description": "the matrix" })),
        "adminAssignRole" => ("", json!({ "scope": "tenant:matrix" })),
        "explainRequest" => ("?request_id=01890000-0000-7000-8000-000000000000", json!({})),
        "adminListUsers"
        | "adminGetUser"
        | "adminUpdateUser"
        | "adminCloseUser"
        | "adminSuspendUser"
        | "adminRestoreUser"
        | "adminUnlockUser"
        | "adminResetMfa"
        | "adminListSessions"
        | "adminRevokeSessions"
        | "adminRevokeSession"
        | "adminListRoles"
        | "adminGetRole"
        | "adminDeleteRole"
        | "adminListPermissions"
        | "adminListHolders"
        | "adminGetUserRoles"
        | "adminUnassignRole"
        | "listAuditEvents"
        | "exportAuditEvents"
        | "adminInviteUser"
        | "adminSendPasswordReset"
        | "adminListMessages"
        | "adminRetryMessage"
        | "adminDiscardMessage" => ("", json!({})),
        unknown => panic!("{unknown} is a new operation of the administration: say here what it is asked with"),
    }
}

/// The permission that an operation says it needs: the first code in its description that is one.
fn permission(operation: &Value) -> String {
    let description = operation["description"].as_str().unwrap_or_default();
    let said = description.strip_prefix("Needs `").and_then(|rest| rest.split('`').next()).unwrap_or_default();
    assert!(said.contains(':'), "{} does not begin its description with the permission that it needs", operation["operationId"]);
    said.to_owned()
}

/// One operation on things of its own, because some of them are gone afterwards.
struct Cell {
    id: String,
    needed: String,
    method: Method,
    path: String,
    body: Value,
    /// The owner of the account that it is about.
    subject: Tokens,
}

impl Cell {
    async fn of(server: &Server, root: &Tokens, path: &str, method: &str, operation: &Value, number: usize) -> Self {
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        let subject = register(server, &format!("subject{number}@example.com")).await;
        let user = server.get_as(ME, &subject.access).await.expect(200).text("id");
        let sessions = server.get_as("/api/v1/users/me/sessions", &subject.access).await.expect(200).json();
        let session = sessions["items"][0]["id"].as_str().expect("an id");
        let role = format!("cell{number}");
        let made = request(Method::POST, "/api/v1/admin/roles", &root.access, &json!({ "name": role }));
        server.send(made).await.expect(201);
        if id == "adminUnassignRole" {
            let given = request(Method::PUT, &format!("/api/v1/admin/users/{user}/roles/{role}"), &root.access, &json!({}));
            server.send(given).await.expect(200);
        }
        let (query, body) = asked(&id, number);
        let path = path.replace("{session_id}", session).replace("{id}", &user);
        let path = path.replace("{role}", &role).replace("{name}", &role).replace("{permission}", "invoice:write");
        assert!(!path.contains('{'), "{path} names something that the test does not know");
        let method = method.to_uppercase().parse().expect("a method");
        Self { needed: permission(operation), method, path: format!("{path}{query}"), body, subject, id }
    }

    async fn send(&self, server: &Server, token: Option<&str>) -> Reply {
        if let Some(token) = token {
            return server.send(request(self.method.clone(), &self.path, token, &self.body)).await;
        }
        let mut anonymous = post(&self.path, &self.body);
        *anonymous.method_mut() = self.method.clone();
        server.send(anonymous).await
    }

    async fn is_forbidden(&self, server: &Server, token: &str) {
        let refused = self.send(server, Some(token)).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "auth.permission_required"), "{}", self.id);
        // RFC 6750 §3.1: whoever is refused is told what would do.
        let challenge = format!("Bearer realm=\"authkit\", error=\"insufficient_scope\", scope=\"{}\"", self.needed);
        assert_eq!(refused.header("www-authenticate"), challenge, "{}", self.id);
        assert_eq!(refused.json()["permission"], self.needed.as_str(), "{}", self.id);
    }
}

#[tokio::test]
async fn every_operation_of_the_administration_asks_for_its_permission_and_for_no_other() {
    let server = Server::start(SETTINGS).await;
    let document: Value = server.get("/openapi.json").await.expect(200).json();
    let root = administrator(&server, "root@example.com", &["*"]).await;
    let plain = register(&server, "plain@example.com").await;
    let holder = administrator(&server, "holder@example.com", &[]).await;
    // Somebody acts as somebody who may everything herself.
    let twin = administrator(&server, "twin@example.com", &["*"]).await;
    let twin = server.get_as(ME, &twin.access).await.expect(200).text("id");
    let path = format!("/api/v1/admin/users/{twin}/impersonate");
    let begun = server.send(request(Method::POST, &path, &root.access, &json!({ "reason": "the matrix" }))).await.expect(200);
    let acting = begun.text("access_token");
    let mut cells = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        if !path.starts_with("/api/v1/admin") {
            continue;
        }
        for (method, operation) in methods.as_object().expect("methods") {
            let cell = Cell::of(&server, &root, path, method, operation, cells).await;
            cell.send(&server, None).await.problem(401, "auth.unauthenticated");
            cell.send(&server, Some("x")).await.problem(401, "auth.invalid_token");
            cell.send(&server, Some(&acting)).await.problem(403, "auth.impersonation_forbidden");
            cell.is_forbidden(&server, &plain.access).await;
            cell.is_forbidden(&server, &cell.subject.access).await;
            grant(&server, "holder@example.com", &[]).await;
            cell.is_forbidden(&server, &holder.access).await;
            let others = others(&cell.needed);
            grant(&server, "holder@example.com", &others.iter().map(String::as_str).collect::<Vec<_>>()).await;
            cell.is_forbidden(&server, &holder.access).await;
            grant(&server, "holder@example.com", &[&cell.needed]).await;
            let let_through = cell.send(&server, Some(&holder.access)).await;
            let text = String::from_utf8_lossy(&let_through.body).into_owned();
            // An account that has a password is not invited, and there is no message of that id.
            let is_judged = (200..300).contains(&let_through.status)
                || match cell.id.as_str() {
                    "adminInviteUser" => let_through.code() == "account.invitation_accepted",
                    "adminRetryMessage" | "adminDiscardMessage" => let_through.code() == "outbox.not_found",
                    _ => false,
                };
            assert!(is_judged, "{} gives {} {text}", cell.id, let_through.status);
            cells += 1;
        }
    }
    assert!(cells >= 24, "only {cells} operations");
}

/// Every other permission that the administration knows.
fn others(needed: &str) -> Vec<String> {
    let own = authkit_core::flows::OWN_PERMISSIONS.iter().map(|(permission, _)| *permission);
    own.filter(|permission| *permission != needed).map(str::to_owned).collect()
}
