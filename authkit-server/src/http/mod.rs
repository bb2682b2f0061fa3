//! The HTTP shell: everything between a socket and a handler.
//!
//! poem's own server, body extractors and `RealIp` are not used: they bound neither time nor size, and believe what a client
//! says about its address. The shell accepts connections itself, drives hyper, hands every request to a poem endpoint and makes
//! a problem document (RFC 9457) of every error.
//!
//! ```no_run
//! use authkit_core::model::RequestContext;
//! use authkit_server::http::{HttpShell, Limits, RouteTable, StrictJson, TrustedProxies};
//! use authkit_server::problem::Problem;
//! use authkit_server::telemetry::Metrics;
//! use poem::Route;
//! use poem::web::Data;
//! use poem_openapi::payload::Json;
//! use poem_openapi::{Object, OpenApi, OpenApiService};
//!
//! #[derive(Object, serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Greeting {
//!     name: String,
//! }
//!
//! struct Api;
//!
//! #[OpenApi]
//! impl Api {
//!     #[oai(path = "/greet", method = "post")]
//!     async fn greet(&self, context: Data<&RequestContext>, body: StrictJson<Greeting>) -> Result<Json<String>, Problem> {
//!         let _who = &context.client.ip;
//!         if body.name.is_empty() {
//!             return Err(Problem::not_found());
//!         }
//!         Ok(Json(format!("hello {}", body.name)))
//!     }
//! }
//!
//! # async fn run() -> std::io::Result<()> {
//! authkit_server::http::raise_file_limit();
//! let api = OpenApiService::new(Api, "demo", "1");
//! let routes = Route::new().nest("/api/v1", api);
//! let shell = HttpShell::new(Limits::default())
//!     .trusted_proxies(TrustedProxies::parse(["10.0.0.0/8"]).expect("a network"))
//!     .metrics(Metrics::new())
//!     .routes(RouteTable::new().openapi::<Api>("/api/v1"));
//! let readiness = shell.readiness(); // for GET /health/ready
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//! let _drained = shell.serve(listener, routes, async { let _ = tokio::signal::ctrl_c().await; }).await;
//! # let _ = readiness;
//! # Ok(())
//! # }
//! ```

mod admission;
mod bare_refusal;
mod bearer;
mod body;
mod browser_cookie;
mod client_address;
mod connection;
mod device_cookie;
mod guarded_io;
mod limits;
mod listener;
mod middleware;
mod rate_limit_headers;
mod route_table;
mod shell;
mod strict_json;

pub use admission::raise_file_limit;
pub use bearer::bearer_token;
pub use body::BodyError;
pub(crate) use browser_cookie::BrowserCookie;
pub use client_address::{NetworkError, TrustedProxies, client_address};
pub(crate) use device_cookie::{DeviceCookie, DeviceCookies};
pub use limits::Limits;
pub use listener::{Drained, Readiness};
pub(crate) use middleware::count_requests::CountRequests;
pub use middleware::security_headers::content_security_policy;
pub use route_table::RouteTable;
pub use shell::HttpShell;
pub use strict_json::{OptionalJson, StrictJson};
