//! An account to test with, and the pair of tokens of its last login.

use serde_json::{Value, json};

use crate::support::{Reply, Server};

/// What the seed's example types.
pub(crate) const PASSWORD: &str = "SecurePass123";

pub(crate) const REGISTER: &str = "/api/v1/auth/register";
pub(crate) const LOGIN: &str = "/api/v1/auth/login";
pub(crate) const REFRESH: &str = "/api/v1/auth/refresh";
pub(crate) const LOGOUT: &str = "/api/v1/auth/logout";
pub(crate) const LOGOUT_ALL: &str = "/api/v1/auth/logout-all";
pub(crate) const REAUTHENTICATE: &str = "/api/v1/auth/reauthenticate";
pub(crate) const ME: &str = "/api/v1/users/me";
pub(crate) const MY_PASSWORD: &str = "/api/v1/users/me/password";
pub(crate) const SESSIONS: &str = "/api/v1/users/me/sessions";

/// A pair of tokens.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    /// The pair of a reply.
    #[track_caller]
    pub(crate) fn of(reply: &Reply) -> Self {
        Self { access: reply.text("access_token"), refresh: reply.text("refresh_token") }
    }
}

/// Registers an account.
pub(crate) async fn register(server: &Server, email: &str) -> Tokens {
    Tokens::of(&server.post(REGISTER, &credentials(email)).await.expect(201))
}

/// Logs in with the password that every account here begins with.
pub(crate) async fn log_in(server: &Server, email: &str) -> Tokens {
    Tokens::of(&server.post(LOGIN, &credentials(email)).await.expect(200))
}

/// The body of a login or a registration.
pub(crate) fn credentials(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
}

/// The body of a refresh or a logout.
pub(crate) fn refresh_token(tokens: &Tokens) -> Value {
    json!({ "refresh_token": tokens.refresh })
}

/// Both tokens are refused, and as tokens of a session that is over.
pub(crate) async fn assert_over(server: &Server, tokens: &Tokens) {
    server.get_as(ME, &tokens.access).await.problem(401, "auth.session_ended");
    server.post(REFRESH, &refresh_token(tokens)).await.problem(401, "auth.invalid_refresh_token");
}
