//! AuthKit inside a poem application, on SQLite: register, log in, refresh, log out, a guarded route, and one that needs a permission.
//!
//! `cargo run -p authkit-examples --bin embed_poem` listens on 127.0.0.1:3000; the first argument names another address, the
//! second the folder for the database and the key.

use std::sync::Arc;

use authkit_core::{
    AuthKit, Config, Error, LocalKeyCustody, Login, Principal, RefreshToken, Refreshed, Registration, RequestContext, TokenReply,
};
use authkit_sqlx::{SqliteOptions, SqliteStore};
use poem::http::{StatusCode, header};
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::web::{Data, Json};
use poem::{Endpoint, EndpointExt, FromRequest, IntoResponse, Request, RequestBody, Route, Server, get, handler, post};
use serde_json::{Value, json};

// The routes, a line or three each.

#[handler]
async fn register(auth: Data<&AuthKit>, Json(account): Json<Registration>) -> poem::Result<Json<TokenReply>> {
    Ok(Json(auth.accounts().register(account, &RequestContext::default()).await.map_err(refused)?.into_reply()))
}

#[handler]
async fn log_in(auth: Data<&AuthKit>, Json(login): Json<Login>) -> poem::Result<Json<TokenReply>> {
    Ok(Json(auth.sessions().log_in(login, &RequestContext::default()).await.map_err(refused)?.into_reply()))
}

#[handler]
async fn refresh(auth: Data<&AuthKit>, Json(token): Json<RefreshToken>) -> poem::Result<Json<TokenReply>> {
    match auth.sessions().refresh(&token, &RequestContext::default()).await.map_err(refused)? {
        Refreshed::Renewed(next) => Ok(Json(next.into_reply())),
        _ => Err(problem(StatusCode::UNAUTHORIZED, "auth.refresh_token_reused", None)),
    }
}

#[handler]
async fn log_out(auth: Data<&AuthKit>, Json(token): Json<RefreshToken>) -> poem::Result<StatusCode> {
    auth.sessions().log_out(&token, &RequestContext::default()).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

#[handler]
fn hello(Caller(principal): Caller) -> Json<Value> {
    Json(json!({ "hello": principal.user_id() }))
}

#[handler]
fn write_invoice(Caller(principal): Caller) -> Json<Value> {
    Json(json!({ "written_by": principal.user_id() }))
}

// The guard: a handler that takes a `Caller` runs only for somebody who is logged in.

struct Caller(Principal);

impl<'a> FromRequest<'a> for Caller {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let auth = request
            .data::<AuthKit>()
            .ok_or_else(|| problem(StatusCode::INTERNAL_SERVER_ERROR, "service.internal_error", None))?;
        let token = request.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        Ok(Self(auth.authenticate(token.unwrap_or_default()).map_err(refused)?))
    }
}

// The guard of a permission, in front of a route: whoever may not gets no further. It is a look into a hash table, and a role that was
// taken a second ago is taken, whatever her token says.

fn require<E: Endpoint + 'static>(needed: &'static str, route: E) -> impl Endpoint<Output = E::Output> {
    route.around(move |route, request| async move {
        let Caller(principal) = Caller::from_request_without_body(&request).await?;
        principal.require(needed).map_err(refused)?;
        route.call(request).await
    })
}

// One place for every error: the library says the status and the stable code, and which permission would do.

fn refused(error: impl Into<Error>) -> poem::Error {
    let error = error.into();
    let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    problem(status, error.code(), error.scope_challenge())
}

fn problem(status: StatusCode, code: &'static str, challenge: Option<String>) -> poem::Error {
    let response = Json(json!({ "code": code })).with_status(status);
    poem::Error::from_response(match challenge {
        Some(parameters) => response.with_header(header::WWW_AUTHENTICATE, format!("Bearer {parameters}")).into_response(),
        None => response.into_response(),
    })
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
    let app = Route::new()
        .at("/register", post(register))
        .at("/login", post(log_in))
        .at("/refresh", post(refresh))
        .at("/logout", post(log_out))
        .at("/hello", get(hello))
        .at("/invoices", require("invoice:write", post(write_invoice)))
        .data(auth);
    let acceptor = TcpListener::bind(address).into_acceptor().await?;
    for address in acceptor.local_addr().iter().filter_map(|bound| bound.as_socket_addr()) {
        println!("listening on http://{address}");
    }
    Ok(Server::new_with_acceptor(acceptor).run(app).await?)
}
