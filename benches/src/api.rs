//! The calls of the HTTP contract that a load is made of.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Connection, Reply, TransportError};

/// How much of an unexpected body is shown.
const EXCERPT_CHARS: usize = 200;

/// What became of one request.
#[derive(Debug)]
pub enum Outcome<T> {
    /// It was done.
    Done(T),
    /// The server refused it to protect itself (503), and said when to come back.
    Shed {
        /// When to come back.
        retry_after: Duration,
    },
    /// An answer that this request must not get. A 429, and a 503 without `Retry-After`, are among them.
    Unexpected {
        /// Its status.
        status: u16,
        /// The beginning of its body.
        excerpt: String,
    },
    /// No answer.
    Lost(TransportError),
}

impl<T> Outcome<T> {
    /// What was done, followed by a step that may still find fault with it.
    pub fn and_then<U>(self, step: impl FnOnce(T) -> Outcome<U>) -> Outcome<U> {
        match self {
            Self::Done(value) => step(value),
            Self::Shed { retry_after } => Outcome::Shed { retry_after },
            Self::Unexpected { status, excerpt } => Outcome::Unexpected { status, excerpt },
            Self::Lost(error) => Outcome::Lost(error),
        }
    }

    /// What was done, made into something else.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Outcome<U> {
        self.and_then(|value| Outcome::Done(convert(value)))
    }
}

/// The tokens of a reply.
#[derive(Clone, Deserialize)]
pub struct Tokens {
    /// The bearer token.
    pub access_token: String,
    /// What the next refresh presents.
    pub refresh_token: String,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// Makes an account, and logs it in.
pub async fn register(connection: &mut Connection, email: &str, password: &str) -> Outcome<Tokens> {
    let body = json!({ "email": email, "password": password });
    tokens(connection.send(post("/api/v1/auth/register", &body)).await, StatusCode::CREATED)
}

/// Logs in by password.
pub async fn login(connection: &mut Connection, email: &str, password: &str) -> Outcome<Tokens> {
    let body = json!({ "email": email, "password": password });
    tokens(connection.send(post("/api/v1/auth/login", &body)).await, StatusCode::OK)
}

/// Exchanges a refresh token for the next pair.
pub async fn refresh(connection: &mut Connection, refresh_token: &str) -> Outcome<Tokens> {
    let body = json!({ "refresh_token": refresh_token });
    tokens(connection.send(post("/api/v1/auth/refresh", &body)).await, StatusCode::OK)
}

/// Reads the profile that a bearer token stands for.
pub async fn me(connection: &mut Connection, access_token: &str) -> Outcome<()> {
    let request = Request::get("/api/v1/users/me").header(AUTHORIZATION, format!("Bearer {access_token}"));
    let Ok(request) = request.body(Full::default()) else {
        return Outcome::Unexpected { status: 200, excerpt: "the access token does not fit into a header".to_owned() };
    };
    judge(connection.send(request).await, StatusCode::OK).map(|_| ())
}

fn post(path: &'static str, body: &Value) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a constant path makes a request")
}

fn tokens(reply: Result<Reply, TransportError>, expected: StatusCode) -> Outcome<Tokens> {
    judge(reply, expected).and_then(|reply| match serde_json::from_slice(&reply.body) {
        Ok(tokens) => Outcome::Done(tokens),
        // The right status without tokens breaks the contract as much as a wrong status does. The body is not shown: it may
        // hold half of the tokens.
        Err(error) => Outcome::Unexpected { status: reply.status.as_u16(), excerpt: format!("no token reply: {error}") },
    })
}

fn judge(reply: Result<Reply, TransportError>, expected: StatusCode) -> Outcome<Reply> {
    match reply {
        Ok(reply) if reply.status == expected => Outcome::Done(reply),
        Ok(Reply { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: Some(retry_after), .. }) => {
            Outcome::Shed { retry_after }
        }
        Ok(reply) => Outcome::Unexpected {
            status: reply.status.as_u16(),
            excerpt: String::from_utf8_lossy(&reply.body).chars().take(EXCERPT_CHARS).collect(),
        },
        Err(error) => Outcome::Lost(error),
    }
}
