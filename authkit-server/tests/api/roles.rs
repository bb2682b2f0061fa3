//! `/api/v1/admin/roles`, `/api/v1/admin/permissions` and the roles of an account: what they answer, and what nobody reaches by them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::SETTINGS;
use crate::account::{ME, REGISTER, Tokens, credentials, register};
use crate::administration::{USERS, administrator};
use crate::database;
use crate::own_account::request;
use crate::support::{Reply, Server};

const ROLES: &str = "/api/v1/admin/roles";
const PERMISSIONS: &str = "/api/v1/admin/permissions";

/// A server, somebody who may everything, and her requests.
struct Office {
    server: Server,
    root: Tokens,
}

impl Office {
    async fn open() -> Self {
        let server = Server::start(SETTINGS).await;
        let root = administrator(&server, "root@example.com", &["*"]).await;
        Self { server, root }
    }

    async fn as_(&self, who: &Tokens, method: Method, path: &str, body: Value) -> Reply {
        self.server.send(request(method, path, &who.access, &body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Reply {
        self.as_(&self.root, method, path, body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.server.get_as(path, &self.root.access).await
    }

    async fn make(&self, name: &str, permissions: &[&str], inherits: &[&str]) {
        let body = json!({ "name": name, "permissions": permissions, "inherits": inherits });
        self.call(Method::POST, ROLES, body).await.expect(201);
    }

    /// Registers somebody, and gives her roles; returns her tokens and her id.
    async fn user(&self, email: &str, roles: &[&str]) -> (Tokens, String) {
        let tokens = register(&self.server, email).await;
        let id = self.server.get_as(ME, &tokens.access).await.expect(200).text("id");
        for role in roles {
            self.call(Method::PUT, &format!("{USERS}/{id}/roles/{role}"), json!({})).await.expect(200);
        }
        (tokens, id)
    }

    async fn permissions_of(&self, who: &Tokens) -> Value {
        self.server.get_as(ME, &who.access).await.expect(200).json()["permissions"].clone()
    }
}

fn with_if_match(mut request: Request<Full<Bytes>>, tag: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert("if-match", tag.parse().expect("a header"));
    request
}

fn without_body(method: Method, path: &str, token: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    request.body(Full::default()).expect("a request")
}

#[tokio::test]
async fn a_role_is_made_read_changed_and_deleted() {
    let office = Office::open().await;
    office.make("base", &["invoice:read"], &[]).await;
    let new = json!({
        "name": "writer", "description": "Writes invoices", "permissions": ["invoice:write", "invoice:write", "report:*"],
        "inherits": ["base"],
    });
    let made = office.call(Method::POST, ROLES, new.clone()).await.expect(201);
    let path = format!("{ROLES}/writer");
    assert_eq!(made.header("location"), path);
    let role = made.json();
    assert_eq!(role["permissions"], json!(["invoice:write", "report:*"]), "each once, in their order");
    assert_eq!((&role["inherits"], &role["built_in"], &role["version"]), (&json!(["base"]), &json!(false), &json!(0)));
    assert!(role.get("impact").is_none());
    office.call(Method::POST, ROLES, new.clone()).await.problem(409, "role.name_taken");
    let read = office.get(&path).await.expect(200);
    assert_eq!((read.json(), read.header("etag")), (role, made.header("etag")));

    // Two who have read the same: one changes it.
    let tag = read.header("etag").to_owned();
    let rename = |text: &str| request(Method::PATCH, &path, &office.root.access, &json!({ "description": text }));
    let changed = office.server.send(with_if_match(rename("mine"), &tag)).await.expect(200);
    assert_ne!(changed.header("etag"), tag);
    office.server.send(with_if_match(rename("theirs"), &tag)).await.problem(412, "role.changed");
    office.server.send(with_if_match(rename("theirs"), "W/\"1.1\"")).await.problem(412, "role.changed");
    office.server.send(with_if_match(rename("theirs"), "1")).await.problem_of(400, "request.invalid_parameter", "If-Match");
    let delete = request(Method::DELETE, &path, &office.root.access, &json!({}));
    office.server.send(with_if_match(delete, &tag)).await.problem(412, "role.changed");
    let emptied = office.call(Method::PATCH, &path, json!({ "description": null, "inherits": [] })).await.expect(200);
    assert_eq!((&emptied.json()["description"], &emptied.json()["inherits"]), (&Value::Null, &json!([])));
    assert_eq!(emptied.json()["permissions"], json!(["invoice:write", "report:*"]), "what is not named stays");

    // A role that comes to have the name is another one.
    office.call(Method::DELETE, &path, json!({})).await.expect(204);
    office.get(&path).await.problem(404, "role.not_found");
    office.call(Method::DELETE, &path, json!({})).await.problem(404, "role.not_found");
    let again = office.call(Method::POST, ROLES, new).await.expect(201);
    office.server.send(with_if_match(rename("theirs"), &tag)).await.problem(412, "role.changed");
    office.server.send(with_if_match(rename("mine"), again.header("etag"))).await.expect(200);

    // What is built in stays, and what is in use.
    for name in ["admin", "user"] {
        let path = format!("{ROLES}/{name}");
        office.call(Method::PATCH, &path, json!({ "permissions": [] })).await.problem(403, "role.built_in");
        office.call(Method::DELETE, &path, json!({})).await.problem(403, "role.built_in");
    }
    office.call(Method::DELETE, &format!("{ROLES}/base"), json!({})).await.problem(409, "role.in_use");
    office.user("jane@example.com", &["writer"]).await;
    for dry in ["", "?dry_run=true"] {
        office.call(Method::DELETE, &format!("{path}{dry}"), json!({})).await.problem(409, "role.in_use");
    }
    for (action, count) in [("role.created", 3), ("role.changed", 3), ("role.deleted", 1)] {
        assert_eq!(database::events(&office.server, action, "success").await, count, "{action}");
    }
}

#[tokio::test]
async fn lists_come_in_pages_in_the_order_of_names() {
    let office = Office::open().await;
    for name in ["c", "a", "b"] {
        office.make(name, &[&format!("thing:{name}")], &[]).await;
    }
    let walk = async |path: &str, member: &str| {
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = office.get(&format!("{path}?limit=2{cursor}")).await.expect(200).json();
            let items = page["items"].as_array().expect("items");
            assert!(items.len() <= 2);
            names.extend(items.iter().map(|item| item[member].as_str().expect("a name").to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={}", next.replace('*', "%2A")),
                None => return names,
            }
        }
    };
    let roles = walk(ROLES, "name").await;
    assert!(roles.is_sorted() && ["a", "admin", "b", "c", "user"].iter().all(|name| roles.contains(&(*name).to_owned())));
    let permissions = walk(PERMISSIONS, "permission").await;
    assert!(
        permissions.is_sorted() && ["*", "thing:a", "users:read"].iter().all(|text| permissions.contains(&(*text).to_owned()))
    );
    let all = office.get(&format!("{PERMISSIONS}?limit=200")).await.expect(200).json();
    let own =
        all["items"].as_array().expect("items").iter().find(|item| item["permission"] == "roles:assign").expect("it is one");
    assert_eq!(own["description"], "Give and take roles");
    for (path, query, field) in [
        (ROLES, "cursor=A", "cursor"),
        (ROLES, "limit=0", "limit"),
        (PERMISSIONS, "cursor=x", "cursor"),
        (PERMISSIONS, "cursor=%27%20OR%201", "cursor"),
        (ROLES, "limit=201", "limit"),
    ] {
        office.get(&format!("{path}?{query}")).await.problem_of(400, "request.invalid_parameter", field);
    }
    let (_, jane) = office.user("jane@example.com", &["a"]).await;
    office.call(Method::PUT, &format!("{USERS}/{jane}/roles/b"), json!({ "scope": "tenant:acme" })).await.expect(200);
    let holders = office.get(&format!("{PERMISSIONS}/thing:b/holders")).await.expect(200).json();
    let items = holders["items"].as_array().expect("items");
    assert_eq!(items.len(), 2, "who may everything may this as well: {holders}");
    let hers = items.iter().find(|item| item["user_id"] == jane.as_str()).expect("she is there");
    assert_eq!((&hers["email"], &hers["by"][0]["scope"]), (&json!("jane@example.com"), &json!("tenant:acme")));
    office.get(&format!("{PERMISSIONS}/thing/holders")).await.problem_of(400, "request.invalid_parameter", "permission");
    let everything = office.get(&format!("{PERMISSIONS}/%2A/holders")).await.expect(200).json();
    assert_eq!(everything["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_role_is_given_and_taken_and_its_owner_sees_it_at_once() {
    let office = Office::open().await;
    office.make("writer", &["invoice:write"], &[]).await;
    let (jane, id) = office.user("jane@example.com", &[]).await;
    let me = office.server.get_as(ME, &jane.access).await.expect(200).json();
    assert_eq!((&me["roles"], &me["permissions"], &me["scopes"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!(me["email"], "jane@example.com");
    let role = format!("{USERS}/{id}/roles/writer");
    // Without a body: everywhere and for good. With a token that was issued before.
    let given = office.server.send(without_body(Method::PUT, &role, &office.root.access)).await.expect(200).json();
    assert_eq!((&given["roles"], &given["permissions"]), (&json!(["writer"]), &json!(["invoice:write"])));
    let me = office.server.get_as(ME, &jane.access).await.expect(200).json();
    assert_eq!((&me["roles"], &me["permissions"]), (&json!(["writer"]), &json!(["invoice:write"])));
    // Asked for again it changes nothing.
    let again = office.call(Method::PUT, &role, json!({})).await.expect(200).json();
    assert_eq!(again, given);
    let scoped = json!({ "scope": "tenant:acme", "expires_at": "2099-01-01T00:00:00Z" });
    office.call(Method::PUT, &role, scoped).await.expect(200);
    let read = office.get(&format!("{USERS}/{id}/roles")).await.expect(200).json();
    assert_eq!(read["assignments"].as_array().map(Vec::len), Some(2), "{read}");
    assert_eq!(read["scopes"], json!([{ "scope": "tenant:acme", "roles": ["writer"], "permissions": ["invoice:write"] }]));
    assert!(read["assignments"][0]["assigned_by"].is_string());
    let export = office.server.get_as("/api/v1/users/me/export", &jane.access).await.expect(200).json();
    assert_eq!((export["roles"].as_array().map(Vec::len), &export["roles"][0]["assigned_by"]), (Some(2), &Value::Null));

    // Each is taken where it was given, and nowhere else.
    office.call(Method::DELETE, &format!("{role}?scope=tenant:other"), json!({})).await.problem(404, "role.not_assigned");
    let differs = office.call(Method::DELETE, &format!("{role}?scope=tenant:acme"), json!({ "scope": "tenant:other" })).await;
    differs.problem_of(400, "request.invalid_parameter", "scope");
    office.call(Method::DELETE, &role, json!({ "scope": "tenant:acme" })).await.expect(204);
    assert_eq!(office.permissions_of(&jane).await, json!(["invoice:write"]), "the other one stays");
    office.call(Method::DELETE, &role, json!({})).await.expect(204);
    assert_eq!(office.permissions_of(&jane).await, json!([]));
    office.call(Method::DELETE, &role, json!({})).await.problem(404, "role.not_assigned");
    office.call(Method::PUT, &format!("{USERS}/{id}/roles/nobody"), json!({})).await.problem(404, "role.not_found");
    for no_role in ["Writer", "%27%3B--", "a%00b"] {
        office.call(Method::PUT, &format!("{USERS}/{id}/roles/{no_role}"), json!({})).await.problem(404, "role.not_found");
    }
    for no_user in ["x", "00000000-0000-7000-8000-000000000000"] {
        let path = format!("{USERS}/{no_user}/roles");
        office.get(&path).await.problem(404, "account.not_found");
        office.call(Method::PUT, &format!("{path}/writer"), json!({})).await.problem(404, "account.not_found");
        office.call(Method::DELETE, &format!("{path}/writer"), json!({})).await.problem(404, "account.not_found");
    }
    for (body, field) in [
        (json!({ "scope": "" }), "scope"),
        (json!({ "scope": "tenant acme" }), "scope"),
        (json!({ "scope": "x".repeat(129) }), "scope"),
        (json!({ "expires_at": "tomorrow" }), "expires_at"),
    ] {
        office.call(Method::PUT, &role, body).await.problem_of(422, "request.invalid_value", field);
    }
    office.call(Method::PUT, &role, json!({ "expires_at": "2020-01-01T00:00:00Z" })).await.problem_of(
        422,
        "role.expired",
        "expires_at",
    );
    office.call(Method::PUT, &role, json!({ "expires_at": 1 })).await.problem_of(422, "request.invalid_type", "expires_at");
    let mut form = without_body(Method::PUT, &role, &office.root.access);
    *form.body_mut() = Full::new(Bytes::from_static(b"scope=tenant"));
    office.server.send(form).await.problem(415, "request.unsupported_media_type");
}

#[tokio::test]
async fn a_dry_run_says_who_would_gain_and_lose_what_and_changes_nothing() {
    let office = Office::open().await;
    office.make("base", &["invoice:read", "invoice:write"], &[]).await;
    office.make("heir", &[], &["base"]).await;
    let (jane, id) = office.user("jane@example.com", &["heir"]).await;
    let before = database::rows(&office.server).await;
    let base = format!("{ROLES}/base");
    let shown = office
        .call(Method::PATCH, &format!("{base}?dry_run=true"), json!({ "permissions": ["invoice:read", "report:read"] }))
        .await
        .expect(200);
    let impact = &shown.json()["impact"];
    let roles: Vec<&Value> = impact["roles"].as_array().expect("roles").iter().map(|role| &role["role"]).collect();
    assert_eq!(roles, [&json!("base"), &json!("heir")]);
    let expected = json!([{
        "user_id": id, "email": "jane@example.com", "scope": null, "gained": ["report:read"], "lost": ["invoice:write"],
    }]);
    assert_eq!((&impact["accounts"], &impact["is_cut"]), (&expected, &json!(false)));
    let shown = office.call(Method::POST, &format!("{ROLES}?dry_run=true"), json!({ "name": "new", "inherits": ["base"] })).await;
    assert_eq!(shown.expect(200).json()["impact"]["roles"][0]["gained"], json!(["invoice:read", "invoice:write"]));
    let path = format!("{USERS}/{id}/roles");
    let shown = office.call(Method::PUT, &format!("{path}/admin?dry_run=true"), json!({})).await.expect(200).json();
    assert_eq!((&shown["roles"], &shown["impact"]["accounts"][0]["gained"]), (&json!(["admin", "heir"]), &json!(["*"])));
    let shown = office.call(Method::DELETE, &format!("{path}/heir?dry_run=true"), json!({})).await.expect(200).json();
    assert_eq!(shown["impact"]["accounts"][0]["lost"], json!(["invoice:read", "invoice:write"]));
    // What would be refused is refused, and what is not understood is no real run.
    office.call(Method::PATCH, &format!("{base}?dry_run=true"), json!({ "inherits": ["heir"] })).await.problem(422, "role.cycle");
    for odd in ["1", "yes", "TRUE", "", "true%20"] {
        let reply = office.call(Method::PATCH, &format!("{base}?dry_run={odd}"), json!({ "permissions": [] })).await;
        reply.problem_of(400, "request.invalid_parameter", "dry_run");
    }
    assert_eq!(database::rows(&office.server).await, before, "nothing changed");
    assert_eq!(office.permissions_of(&jane).await, json!(["invoice:read", "invoice:write"]));
    office.make("gone", &["invoice:read"], &[]).await;
    let shown = office.call(Method::DELETE, &format!("{ROLES}/gone?dry_run=true"), json!({})).await.expect(200).json();
    assert_eq!(shown["impact"]["roles"][0]["lost"], json!(["invoice:read"]));
    office.get(&format!("{ROLES}/gone")).await.expect(200);
}

#[tokio::test]
async fn nobody_climbs_by_roles() {
    let office = Office::open().await;
    let clerk = ["roles:read", "roles:write", "roles:assign", "users:write", "invoice:read"];
    office.make("clerk", &clerk, &[]).await;
    office.make("writer", &["invoice:write"], &[]).await;
    office.make("reader", &["invoice:read"], &[]).await;
    let (eve, eve_id) = office.user("eve@example.com", &["clerk"]).await;
    let (_, jane_id) = office.user("jane@example.com", &["writer"]).await;
    let refused = async |method: Method, path: String, body: Value| {
        office.as_(&eve, method, &path, body).await.problem(403, "role.not_held");
    };
    // To herself and to others, for good and for a moment, everywhere and in a scope.
    for id in [&eve_id, &jane_id] {
        for role in ["admin", "writer"] {
            let path = format!("{USERS}/{id}/roles/{role}");
            for body in [json!({}), json!({ "scope": "tenant:acme" }), json!({ "expires_at": "2099-01-01T00:00:00Z" })] {
                refused(Method::PUT, path.clone(), body).await;
            }
        }
    }
    // By a role of her own making, by inheritance, by a wildcard around what she holds.
    for (permissions, inherits) in [
        (json!(["*"]), json!([])),
        (json!(["invoice:write"]), json!([])),
        (json!(["invoice:*"]), json!([])),
        (json!([]), json!(["admin"])),
        (json!([]), json!(["reader", "writer"])),
    ] {
        refused(Method::POST, ROLES.to_owned(), json!({ "name": "mine", "permissions": permissions, "inherits": inherits }))
            .await;
        // By editing the role that she has.
        refused(Method::PATCH, format!("{ROLES}/clerk"), json!({ "permissions": permissions, "inherits": inherits })).await;
        // By one that others have, which would be the same a step later.
        if inherits != json!(["reader", "writer"]) {
            refused(Method::PATCH, format!("{ROLES}/reader"), json!({ "permissions": permissions, "inherits": inherits })).await;
        }
    }
    // In two steps: a role that inherits one that she may change.
    let step = json!({ "name": "step", "inherits": ["reader"] });
    office.as_(&eve, Method::POST, ROLES, step).await.expect(201);
    office.as_(&eve, Method::PUT, &format!("{USERS}/{eve_id}/roles/step"), json!({})).await.expect(200);
    refused(Method::PATCH, format!("{ROLES}/reader"), json!({ "permissions": ["invoice:write"] })).await;
    refused(Method::PATCH, format!("{ROLES}/step"), json!({ "inherits": ["reader", "admin"] })).await;
    // Nor does she take from others what she does not hold.
    refused(Method::DELETE, format!("{USERS}/{jane_id}/roles/writer"), json!({})).await;
    refused(Method::PATCH, format!("{ROLES}/writer"), json!({ "permissions": [] })).await;
    refused(Method::DELETE, format!("{ROLES}/writer"), json!({})).await;
    let expected = ["invoice:read", "roles:assign", "roles:read", "roles:write", "users:write"];
    assert_eq!(office.permissions_of(&eve).await, json!(expected), "she is what she was");
    let attempts = 12 + 14 + 2 + 3;
    let failures = ["role.assigned", "role.unassigned", "role.created", "role.changed", "role.deleted"];
    let mut recorded = 0;
    for action in failures {
        recorded += database::events(&office.server, action, "failure").await;
    }
    assert_eq!(recorded, attempts, "every attempt is in the audit log");
}

#[tokio::test]
async fn a_role_of_one_scope_counts_in_no_other_and_not_everywhere() {
    let office = Office::open().await;
    office.make("boss", &["roles:read", "roles:write", "roles:assign", "users:read", "users:write", "invoice:*"], &[]).await;
    office.make("writer", &["invoice:write"], &[]).await;
    let (eve, eve_id) = office.user("eve@example.com", &[]).await;
    let (_, jane_id) = office.user("jane@example.com", &[]).await;
    office.call(Method::PUT, &format!("{USERS}/{eve_id}/roles/boss"), json!({ "scope": "tenant:acme" })).await.expect(200);
    let of_jane = format!("{USERS}/{jane_id}/roles/writer");
    office.as_(&eve, Method::PUT, &of_jane, json!({ "scope": "tenant:acme" })).await.expect(200);
    // Everything else is somewhere else.
    for scope in ["tenant:globex", "tenant:acm", "tenant:acme/x", "tenant:ACME"] {
        for method in [Method::PUT, Method::DELETE] {
            office.as_(&eve, method, &of_jane, json!({ "scope": scope })).await.problem(403, "auth.permission_required");
        }
    }
    for (method, path, body) in [
        (Method::PUT, of_jane.clone(), json!({})),
        (Method::PUT, format!("{USERS}/{eve_id}/roles/boss"), json!({})),
        (Method::GET, ROLES.to_owned(), json!({})),
        (Method::POST, ROLES.to_owned(), json!({ "name": "mine" })),
        (Method::PATCH, format!("{ROLES}/boss"), json!({ "permissions": ["*"] })),
        (Method::GET, USERS.to_owned(), json!({})),
        (Method::PATCH, format!("{USERS}/{jane_id}"), json!({ "full_name": "x" })),
        (Method::GET, format!("{USERS}/{jane_id}/roles"), json!({})),
    ] {
        office.as_(&eve, method, &path, body).await.problem(403, "auth.permission_required");
    }
    // Nor is everything in a scope everything.
    office.call(Method::PUT, &format!("{USERS}/{eve_id}/roles/admin"), json!({ "scope": "tenant:acme" })).await.expect(200);
    office
        .as_(&eve, Method::PUT, &format!("{USERS}/{eve_id}/roles/admin"), json!({}))
        .await
        .problem(403, "auth.permission_required");
    office.as_(&eve, Method::GET, ROLES, json!({})).await.problem(403, "auth.permission_required");
    let me = office.server.get_as(ME, &eve.access).await.expect(200).json();
    assert_eq!((&me["roles"], &me["permissions"]), (&json!([]), &json!([])));
    assert_eq!(me["scopes"][0]["permissions"], json!(["*"]));
}

#[tokio::test]
async fn the_last_who_may_everything_stays_by_whatever_path() {
    let office = Office::open().await;
    office.make("chief", &["*"], &[]).await;
    let (chief, chief_id) = office.user("chief@example.com", &["chief"]).await;
    let root_id = office.get(ME).await.expect(200).text("id");
    let root_role = office.get(ME).await.expect(200).json()["roles"][0].as_str().expect("a role").to_owned();
    // Two hold everything: each could take it from the other, and one does.
    office.as_(&chief, Method::DELETE, &format!("{USERS}/{root_id}/roles/{root_role}"), json!({})).await.expect(204);
    office.get(ROLES).await.problem(403, "auth.permission_required");
    let own = format!("{USERS}/{chief_id}/roles/chief");
    for dry in ["", "?dry_run=true"] {
        office.as_(&chief, Method::DELETE, &format!("{own}{dry}"), json!({})).await.problem(409, "role.last_superuser");
        let end = json!({ "expires_at": "2099-01-01T00:00:00Z" });
        office.as_(&chief, Method::PUT, &format!("{own}{dry}"), end).await.problem(409, "role.last_superuser");
        let weaker = json!({ "permissions": ["users:read"] });
        let reply = office.as_(&chief, Method::PATCH, &format!("{ROLES}/chief{dry}"), weaker).await;
        reply.problem(409, "role.last_superuser");
    }
    office.as_(&chief, Method::DELETE, &format!("{ROLES}/chief"), json!({})).await.problem(409, "role.in_use");
    assert_eq!(office.permissions_of(&chief).await, json!(["*"]));
    assert!(database::events(&office.server, "role.unassigned", "failure").await >= 1);
}

#[tokio::test]
async fn what_is_too_much_goes_in_a_circle_or_is_no_name_is_refused_and_named() {
    let office = Office::open().await;
    office.make("a", &[], &[]).await;
    office.make("b", &[], &["a"]).await;
    let before = database::rows(&office.server).await;
    let a = format!("{ROLES}/a");
    office.call(Method::PATCH, &a, json!({ "inherits": ["b"] })).await.problem_of(422, "role.cycle", "inherits");
    office.call(Method::PATCH, &a, json!({ "inherits": ["a"] })).await.problem_of(422, "role.cycle", "inherits");
    office.call(Method::POST, ROLES, json!({ "name": "c", "inherits": ["c"] })).await.problem_of(422, "role.cycle", "inherits");
    office.call(Method::PATCH, &a, json!({ "inherits": ["nobody"] })).await.problem_of(422, "role.unknown", "inherits");
    let many: Vec<String> = (0..1_001).map(|n| format!("a:b{n}")).collect();
    office.call(Method::PATCH, &a, json!({ "permissions": many })).await.problem(422, "role.too_many");
    office.call(Method::POST, ROLES, json!({ "name": "c", "permissions": many })).await.problem(422, "role.too_many");
    let huge: Vec<String> = (0..20_000).map(|n| format!("a:b{n}")).collect();
    office.call(Method::POST, ROLES, json!({ "name": "c", "permissions": huge })).await.problem(413, "request.body_too_large");
    // However many are wrong, the reply says of ten which.
    let wrong: Vec<&str> = vec!["*:*"; 5_000];
    let reply = office.call(Method::POST, ROLES, json!({ "name": "c", "permissions": wrong })).await;
    let problem = reply.problem(422, "request.invalid_value");
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(10));
    for (body, field) in [
        (json!({ "name": "Admin" }), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a b" }), "name"),
        (json!({ "name": "x".repeat(65) }), "name"),
        (json!({ "name": "\u{202e}nimda" }), "name"),
        (json!({ "name": "c", "description": "a\nb" }), "description"),
        (json!({ "name": "c", "description": "x".repeat(201) }), "description"),
        (json!({ "name": "c", "permissions": ["invoice:write", "Invoice:write"] }), "permissions[1]"),
        (json!({ "name": "c", "inherits": ["*"] }), "inherits[0]"),
    ] {
        office.call(Method::POST, ROLES, body).await.problem_of(422, "request.invalid_value", field);
    }
    office.call(Method::POST, ROLES, json!({})).await.problem_of(422, "request.missing_member", "name");
    office.call(Method::POST, ROLES, json!({ "name": "c", "permissions": "*" })).await.problem_of(
        422,
        "request.invalid_type",
        "permissions",
    );
    office.call(Method::POST, ROLES, json!({ "name": "c", "permissions": [1] })).await.problem_of(
        422,
        "request.invalid_type",
        "permissions[0]",
    );
    assert_eq!(database::rows(&office.server).await, before, "what was refused changed nothing");
    // Nor does an account get more than a token can carry.
    let (_, id) = office.user("jane@example.com", &[]).await;
    let (mut given, path) = (0, format!("{USERS}/{id}/roles/a"));
    loop {
        let scope = format!("{given:02}{}", "s".repeat(126));
        let reply = office.call(Method::PUT, &path, json!({ "scope": scope })).await;
        if reply.status != 200 {
            reply.problem(422, "role.too_many");
            break;
        }
        given += 1;
        assert!(given <= 64, "a bound is missing");
    }
    assert!(given >= 20, "{given}");
}

#[tokio::test]
async fn no_body_brings_along_what_only_roles_give() {
    let office = Office::open().await;
    office.make("plain", &[], &[]).await;
    let (jane, id) = office.user("jane@example.com", &[]).await;
    let before = database::rows(&office.server).await;
    let of_accounts =
        ["role", "roles", "permissions", "scopes", "is_admin", "admin", "built_in", "access", "access_version", "assignments"];
    for member in of_accounts {
        for value in [json!(true), json!("admin"), json!(["admin"]), json!(["*"]), json!({ "role": "admin" })] {
            let mut account = credentials("mallory@example.com");
            account[member] = value.clone();
            office.server.post(REGISTER, &account).await.problem_of(422, "request.unknown_member", member);
            let profile = json!({ "full_name": "Mallory", member: value });
            office.as_(&jane, Method::PATCH, ME, profile.clone()).await.problem_of(422, "request.unknown_member", member);
            let user = json!({ "email": "mallory@example.com", member: value });
            office.call(Method::POST, USERS, user).await.problem_of(422, "request.unknown_member", member);
            office.call(Method::PATCH, &format!("{USERS}/{id}"), profile).await.problem_of(422, "request.unknown_member", member);
        }
    }
    let of_roles = ["built_in", "version", "created_at", "updated_at", "id", "impact", "users", "accounts", "scope", "__proto__"];
    for member in of_roles {
        let role = json!({ "name": "mine", member: true });
        office.call(Method::POST, ROLES, role).await.problem_of(422, "request.unknown_member", member);
        let path = format!("{ROLES}/plain");
        office.call(Method::PATCH, &path, json!({ member: true })).await.problem_of(422, "request.unknown_member", member);
    }
    // A role keeps its name.
    office.call(Method::PATCH, &format!("{ROLES}/plain"), json!({ "name": "admin" })).await.problem_of(
        422,
        "request.unknown_member",
        "name",
    );
    for member in ["role", "roles", "user_id", "assigned_by", "assigned_at", "permissions", "until"] {
        let path = format!("{USERS}/{id}/roles/plain");
        office.call(Method::PUT, &path, json!({ member: "admin" })).await.problem_of(422, "request.unknown_member", member);
        office.call(Method::DELETE, &path, json!({ member: "admin" })).await.problem_of(422, "request.unknown_member", member);
    }
    office
        .call(Method::DELETE, &format!("{USERS}/{id}/roles/plain"), json!({ "expires_at": "2099-01-01T00:00:00Z" }))
        .await
        .problem_of(422, "request.unknown_member", "expires_at");
    assert_eq!(database::rows(&office.server).await, before, "nothing changed");
}

#[tokio::test]
async fn a_demoted_administrator_acts_as_nobody_any_more() {
    let office = Office::open().await;
    office.make("support", &["users:impersonate"], &[]).await;
    let (jane, jane_id) = office.user("jane@example.com", &[]).await;
    let begin = async |by: &Tokens| {
        let path = format!("{USERS}/{jane_id}/impersonate");
        office.as_(by, Method::POST, &path, json!({ "reason": "a question of hers" })).await.expect(200).text("access_token")
    };
    for path in ["taken", "changed"] {
        let (eve, eve_id) = office.user(&format!("{path}@example.com"), &["support"]).await;
        let acting = begin(&eve).await;
        office.server.get_as(ME, &acting).await.expect(200);
        if path == "taken" {
            office.call(Method::DELETE, &format!("{USERS}/{eve_id}/roles/support"), json!({})).await.expect(204);
        } else {
            office.call(Method::PATCH, &format!("{ROLES}/support"), json!({ "permissions": [] })).await.expect(200);
        }
        office.server.get_as(ME, &acting).await.problem(401, "auth.session_ended");
        office.server.get_as(ME, &eve.access).await.expect(200);
    }
    office.server.get_as(ME, &jane.access).await.expect(200);
    // Nor does anybody act as somebody who has come to hold more.
    office.call(Method::PATCH, &format!("{ROLES}/support"), json!({ "permissions": ["users:impersonate"] })).await.expect(200);
    let (eve, _) = office.user("third@example.com", &["support"]).await;
    let acting = begin(&eve).await;
    office.call(Method::PUT, &format!("{USERS}/{jane_id}/roles/admin"), json!({})).await.expect(200);
    office.server.get_as(ME, &acting).await.problem(401, "auth.session_ended");
}

#[tokio::test]
async fn an_operator_does_the_same_at_the_command_line() {
    let office = Office::open().await;
    let (jane, jane_id) = office.user("jane@example.com", &[]).await;
    let run = async |arguments: &[&str]| {
        let output = office.server.run(&[&["roles"], arguments].concat(), &[], "").await;
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) = run(&["create", "base", "--permission", "invoice:read", "--description", "Reads"]).await;
    assert_eq!((code, out.as_str()), (Some(0), "base\tv0\tinvoice:read\tinherits: -\n"), "{err}");
    assert_eq!(run(&["create", "writer", "--permission", "invoice:write", "--inherit", "base"]).await.0, Some(0));
    let (_, out, _) = run(&["list"]).await;
    assert!(
        out.contains("admin\tv0 built-in\t*\tinherits: -\n") && out.contains("writer\tv0\tinvoice:write\tinherits: base\n"),
        "{out}"
    );
    let assign = ["assign", "writer", "--email", "jane@example.com"];
    let (code, out, _) = run(&[&assign[..], &["--dry-run"]].concat()).await;
    let gains = format!("user {jane_id} jane@example.com\tgains: invoice:read invoice:write\tloses: -\n");
    assert_eq!((code, out.as_str()), (Some(0), gains.as_str()));
    assert_eq!(office.permissions_of(&jane).await, json!([]), "it was only shown");
    assert_eq!(run(&assign).await.0, Some(0));
    assert_eq!(
        run(&[&assign[..], &["--scope", "tenant:acme", "--expires-at", "2099-01-01T00:00:00Z"]].concat()).await.0,
        Some(0)
    );
    // The server that runs learns of it within a second or so.
    let heard = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while office.permissions_of(&jane).await != json!(["invoice:read", "invoice:write"]) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    heard.await.expect("within a second or so");
    let (_, out, _) = run(&["who-can", "invoice:write"]).await;
    let hers = out.lines().find(|line| line.contains("jane@example.com")).expect("she can");
    assert!(hers.ends_with("active\twriter, writer in tenant:acme until 2099-01-01T00:00:00Z"), "{hers}");
    assert_eq!(out.lines().count(), 2, "who may everything can as well: {out}");
    let (_, out, _) = run(&["update", "base", "--no-permissions", "--dry-run"]).await;
    assert!(out.contains("role base\tgains: -\tloses: invoice:read\nrole writer\tgains: -\tloses: invoice:read\n"), "{out}");
    assert!(out.contains(&format!("user {jane_id} jane@example.com\tgains: -\tloses: invoice:read\n")), "{out}");
    for (refused, why) in [
        (&["delete", "base"][..], "inherits this one"),
        (&["delete", "writer"], "somebody has the role"),
        (&["delete", "admin"], "built in"),
        (&["update", "admin", "--no-permissions"], "built in"),
        (&["update", "base", "--inherit", "writer"], "inherit itself"),
        (&["create", "base"], "has this name"),
        (&["create", "c", "--inherit", "nobody"], "no role `nobody`"),
        (&["assign", "nobody", "--email", "jane@example.com"], "no such role"),
        (&["assign", "base", "--email", "nobody@example.com"], "no account with this address"),
        (&["assign", "base", "--email", "jane@example.com", "--expires-at", "2020-01-01T00:00:00Z"], "has passed"),
        (&["unassign", "base", "--email", "jane@example.com"], "does not have this role"),
    ] {
        let (code, out, err) = run(refused).await;
        assert_eq!((code, out.as_str()), (Some(1), ""), "{refused:?}");
        assert!(err.contains(why), "{refused:?}: {err}");
    }
    for usage in [
        &["create", "Base"][..],
        &["create", "c", "--permission", "invoice"],
        &["who-can", "*:*"],
        &["assign", "base", "--email", "jane@example.com", "--scope", "a b"],
        &["assign", "base", "--email", "jane@example.com", "--expires-at", "tomorrow"],
        &["update", "base", "--permission", "a:b", "--no-permissions"],
        &["assign", "base"],
    ] {
        assert_eq!(run(usage).await.0, Some(2), "{usage:?}");
    }
    assert_eq!(run(&["unassign", "writer", "--email", "jane@example.com"]).await.0, Some(0));
    assert_eq!(run(&["unassign", "writer", "--email", "jane@example.com", "--scope", "tenant:acme"]).await.0, Some(0));
    assert_eq!(
        run(&["update", "writer", "--no-inherit", "--permission", "report:read"]).await.1,
        "writer\tv1\treport:read\tinherits: -\nrole writer\tgains: report:read\tloses: invoice:read invoice:write\n"
    );
    assert_eq!(run(&["delete", "writer"]).await.0, Some(0));
    // The operator keeps the last one as well.
    let root = office.get(ME).await.expect(200).json()["roles"][0].as_str().expect("a role").to_owned();
    let (code, _, err) = run(&["unassign", &root, "--email", "root@example.com"]).await;
    assert!(code == Some(1) && err.contains("nobody would hold every permission"), "{err}");
}
