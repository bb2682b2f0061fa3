//! The requests that clients of a torture test send.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request};
use serde_json::json;

use super::connection::{get, post};

/// The password with which every account begins.
pub(crate) const PASSWORD: &str = "plumage-orbit-4417-cadence";

pub(crate) fn register(email: &str) -> Request<Full<Bytes>> {
    post("/api/v1/auth/register", &json!({ "email": email, "password": PASSWORD }))
}

pub(crate) fn log_in(email: &str) -> Request<Full<Bytes>> {
    log_in_with(email, PASSWORD)
}

pub(crate) fn log_in_with(email: &str, password: &str) -> Request<Full<Bytes>> {
    post("/api/v1/auth/login", &json!({ "email": email, "password": password }))
}

pub(crate) fn refresh(token: &str) -> Request<Full<Bytes>> {
    post("/api/v1/auth/refresh", &json!({ "refresh_token": token }))
}

pub(crate) fn log_out(refresh_token: &str) -> Request<Full<Bytes>> {
    post("/api/v1/auth/logout", &json!({ "refresh_token": refresh_token }))
}

pub(crate) fn change_password(access_token: &str, current: &str, new: &str) -> Request<Full<Bytes>> {
    let body = json!({ "current_password": current, "new_password": new });
    authorized(post("/api/v1/users/me/password", &body), access_token)
}

pub(crate) fn profile(access_token: &str) -> Request<Full<Bytes>> {
    get("/api/v1/users/me", Some(access_token))
}

pub(crate) fn change_profile(access_token: &str, full_name: &str) -> Request<Full<Bytes>> {
    let mut request = post("/api/v1/users/me", &json!({ "full_name": full_name }));
    *request.method_mut() = Method::PATCH;
    authorized(request, access_token)
}

/// A request whose token is verified and whose body is then refused: what it says of the token costs nothing but the look at it.
pub(crate) fn only_verify(access_token: &str) -> Request<Full<Bytes>> {
    authorized(post("/api/v1/users/me/password", &json!({})), access_token)
}

fn authorized(mut request: Request<Full<Bytes>>, access_token: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert(AUTHORIZATION, format!("Bearer {access_token}").parse().expect("a printable token"));
    request
}
