//! The routes under one OpenAPI document.

use authkit_core::AuthKit;
use poem_openapi::{LicenseObject, OpenApiService};

use super::auth::AuthRoutes;
use super::me::MeRoutes;

/// The routes of the contract, over one `AuthKit`.
#[must_use]
pub fn service(auth: &AuthKit, public_url: &str) -> OpenApiService<(AuthRoutes, MeRoutes), ()> {
    build((AuthRoutes::new(auth.clone()), MeRoutes::new(auth.clone())), public_url)
}

fn build<Routes>(routes: Routes, public_url: &str) -> OpenApiService<Routes, ()> {
    OpenApiService::new(routes, "AuthKit", env!("CARGO_PKG_VERSION"))
        .description(
            "Registration, login, sessions and the caller's own account.\n\nErrors are `application/problem+json` (RFC 9457) \
             with a stable `code`. Unknown members of a request body are refused. Times are RFC 3339 in UTC, durations whole seconds.",
        )
        .license(LicenseObject::new("MIT"))
        .server(public_url)
}

/// The OpenAPI document, with its members in a stable order.
///
/// # Panics
/// Never: the document is made of nothing but the routes' own metadata.
#[must_use]
pub fn document(public_url: &str) -> String {
    let routes = (AuthRoutes::unserved(), MeRoutes::unserved());
    let document: serde_json::Value = serde_json::from_str(&build(routes, public_url).spec()).expect("the generator writes JSON");
    let mut text = serde_json::to_string_pretty(&document).expect("JSON can be written");
    text.push('\n');
    text
}
