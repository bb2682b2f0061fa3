//! The routes under one OpenAPI document, with the problems of the catalogue written into it.

use authkit_core::AuthKit;
#[cfg(test)]
use poem_openapi::OpenApi as _;
use poem_openapi::registry::Registry;
use poem_openapi::{ApiResponse, LicenseObject, OpenApiService};
use serde_json::{Map, Value, json};

use super::admin_roles::AdminRoleRoutes;
use super::admin_users::AdminUserRoutes;
use super::audit::AuditRoutes;
use super::auth::AuthRoutes;
use super::catalogue;
use super::links::LinkRoutes;
use super::me::MeRoutes;
use super::mfa::MfaRoutes;
use super::outbox::OutboxRoutes;
use super::passkeys::PasskeyRoutes;
use super::user_roles::UserRoleRoutes;
use crate::problem::Problem;

/// The routes of the contract.
pub type Service = OpenApiService<Routes, ()>;

/// Their handlers.
pub type Routes = (
    AuthRoutes,
    LinkRoutes,
    MeRoutes,
    MfaRoutes,
    PasskeyRoutes,
    AdminUserRoutes,
    AdminRoleRoutes,
    UserRoleRoutes,
    AuditRoutes,
    OutboxRoutes,
);

/// The routes of the contract, over one `AuthKit`.
#[must_use]
pub fn service(auth: &AuthKit, public_url: &str) -> Service {
    let routes = (
        AuthRoutes::new(auth.clone()),
        LinkRoutes::new(auth.clone()),
        MeRoutes::new(auth.clone()),
        MfaRoutes::new(auth.clone()),
        PasskeyRoutes::new(auth.clone()),
        AdminUserRoutes::new(auth.clone()),
        AdminRoleRoutes::new(auth.clone()),
        UserRoleRoutes::new(auth.clone()),
        AuditRoutes::new(auth.clone()),
        OutboxRoutes::new(auth.clone()),
    );
    OpenApiService::new(routes, "AuthKit", env!("CARGO_PKG_VERSION"))
        .description(
            "Registration, login, sessions, the caller's own account, and administration.\n\nErrors are `application/problem+json` (RFC 9457) \
             with a stable `code`. Unknown members of a request body are refused. Times are RFC 3339 in UTC, durations are whole seconds.",
        )
        .license(LicenseObject::new("MIT"))
        .server(public_url)
}

/// The OpenAPI document of a service: its members in a stable order, and the problems that each route can answer with.
#[must_use]
pub fn document(service: &Service) -> String {
    let mut document: Value = serde_json::from_str(&service.spec()).unwrap_or_default();
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut).for_each(describe_problems);
    }
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.values_mut().for_each(mark_nullable);
        schemas.extend(problem_schemas());
    }
    document["components"]["headers"] = headers();
    let mut text = format!("{document:#}");
    text.push('\n');
    text
}

/// The page that lets a reader try the routes: Swagger UI over the document.
#[must_use]
pub fn docs_page(service: &Service, document: &str) -> String {
    service.swagger_ui_html().replace(&service.spec(), document)
}

/// Members that need not be there may be `null`, in requests and in replies; poem-openapi says the first only.
fn mark_nullable(schema: &mut Value) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|required| required == name));
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
            property["nullable"] = true.into();
        }
    }
}

/// The schemas of a problem document, which no handler names: its members are absent where there is nothing to say.
fn problem_schemas() -> impl Iterator<Item = (String, Value)> {
    let mut registry = Registry::new();
    <Problem as ApiResponse>::register(&mut registry);
    registry.schemas.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default()))
}

fn describe_problems(operation: &mut Value) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, codes) in catalogue::problems_of(&id) {
        let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
        responses.insert(status.to_string(), json!({ "description": codes.join(", "), "content": content }));
    }
    if catalogue::is_limited(&id) {
        responses.iter_mut().filter(|(status, _)| counts(status)).for_each(|(_, response)| describe_rate_limit(response));
    }
    if responses.contains_key("429") {
        describe_rate_limit(&mut responses["429"]);
        responses["429"]["headers"]["Retry-After"] = json!({ "$ref": "#/components/headers/Retry-After" });
    }
}

/// Whether a reply of a route that counts its requests can be one that was counted: not where the request could not be read.
fn counts(status: &str) -> bool {
    status.starts_with('2') || matches!(status, "401" | "403" | "409" | "422" | "429")
}

fn describe_rate_limit(response: &mut Value) {
    for name in ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"] {
        response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
    }
}

/// The headers that several replies have.
fn headers() -> Value {
    let header = |description: &str| json!({ "description": description, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "RateLimit-Limit": header("How often it may be tried at once, where the request was counted."),
        "RateLimit-Remaining": header("How much of that is left."),
        "RateLimit-Reset": header("In how many seconds all of it is there again."),
        "Retry-After": header("In how many seconds to try again."),
    })
}

/// Every operation id, for the test that holds the catalogue against the routes.
#[cfg(test)]
pub(super) fn operations() -> Vec<String> {
    <Routes>::meta()
        .into_iter()
        .flat_map(|api| api.paths)
        .flat_map(|path| path.operations)
        .filter_map(|operation| operation.operation_id.map(str::to_owned))
        .collect()
}
