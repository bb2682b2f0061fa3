//! AuthKit inside an axum application, on SQLite: register, log in, refresh, log out, a guarded route, and one that needs a permission.
//!
//! `cargo run -p authkit-examples --bin embed_axum` listens on 127.0.0.1:3000; the first argument names another address, the
//! second the folder for the database and the key.

use std::sync::Arc;

use authkit_core::{
    AuthKit, Config, Error, LocalKeyCustody, Login, RefreshToken, Refreshed, Registration, RequestContext, TokenReply,
};
use authkit_sqlx::{SqliteOptions, SqliteStore};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

// The routes, a line or three each.

async fn register(State(auth): State<AuthKit>, Json(account): Json<Registration>) -> Result<Json<TokenReply>, Refused> {
    Ok(Json(auth.accounts().register(account, &RequestContext::default()).await?.into_reply()))
}

async fn log_in(State(auth): State<AuthKit>, Json(login): Json<Login>) -> Result<Json<TokenReply>, Refused> {
    Ok(Json(auth.sessions().log_in(login, &RequestContext::default()).await?.into_reply()))
}

async fn refresh(State(auth): State<AuthKit>, Json(token): Json<RefreshToken>) -> Result<Json<TokenReply>, Refused> {
    match auth.sessions().refresh(&token, &RequestContext::default()).await? {
        Refreshed::Renewed(next) => Ok(Json(next.into_reply())),
        _ => Err(Refused(StatusCode::UNAUTHORIZED, "auth.refresh_token_reused", None)),
    }
}

async fn log_out(State(auth): State<AuthKit>, Json(token): Json<RefreshToken>) -> Result<StatusCode, Refused> {
    auth.sessions().log_out(&token, &RequestContext::default()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn hello(Caller(principal): Caller) -> Json<Value> {
    Json(json!({ "hello": principal.user_id() }))
}

async fn write_invoice(Caller(principal): Caller) -> Json<Value> {
    Json(json!({ "written_by": principal.user_id() }))
}

// The guard: a handler that takes a `Caller` runs only for somebody who is logged in.

struct Caller(authkit_core::Principal);

impl FromRequestParts<AuthKit> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, auth: &AuthKit) -> Result<Self, Refused> {
        Self::of(&parts.headers, auth)
    }
}

impl Caller {
    fn of(headers: &HeaderMap, auth: &AuthKit) -> Result<Self, Refused> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self(auth.authenticate(header.strip_prefix("Bearer ").unwrap_or_default())?))
    }
}

// The guard of a permission, in front of a route: whoever may not gets no further. It is a look into a hash table, and a role that was
// taken a second ago is taken, whatever her token says.

fn require(needed: &'static str, auth: &AuthKit, route: MethodRouter<AuthKit>) -> MethodRouter<AuthKit> {
    let auth = auth.clone();
    route.layer(middleware::from_fn(move |request: Request, next: Next| {
        let checked = Caller::of(request.headers(), &auth).and_then(|Caller(principal)| Ok(principal.require(needed)?));
        async move {
            match checked {
                Ok(()) => next.run(request).await,
                Err(refused) => refused.into_response(),
            }
        }
    }))
}

// One place for every error: the library says the status and the stable code, and which permission would do.

struct Refused(StatusCode, &'static str, Option<String>);

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        let error = error.into();
        let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self(status, error.code(), error.scope_challenge())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let challenge = self.2.map(|parameters| [(header::WWW_AUTHENTICATE, format!("Bearer {parameters}"))]);
        (self.0, challenge, Json(json!({ "code": self.1 }))).into_response()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let folder = std::path::PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));

    let store = SqliteStore::open(SqliteOptions::new(folder.join("app.sqlite3"))).await?;
    store.migrate().await?;
    let auth = AuthKit::builder(Config::new("http://localhost:3000"))
        .store(Arc::new(store))
        .custody(Arc::new(LocalKeyCustody::in_file(folder.join("app.key"))?))
        .build()
        .await?;
    let app = Router::new()
        .route("/register", post(register))
        .route("/login", post(log_in))
        .route("/refresh", post(refresh))
        .route("/logout", post(log_out))
        .route("/hello", get(hello))
        .route("/invoices", require("invoice:write", &auth, post(write_invoice)))
        .with_state(auth);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
