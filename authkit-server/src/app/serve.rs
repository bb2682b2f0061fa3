//! `serve`: everything is opened, the socket is bound, the banner is said, requests are answered until a signal comes.

use std::sync::Arc;

use authkit_core::ports::AuditSink;
use poem::{EndpointExt, Route};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::assembly::Assembly;
use super::hot_state::HotState;
use super::link_pages::{self, Pages};
use super::metrics::Figures;
use super::{operations_routes, passkey_page};
use crate::api;
use crate::audit_stream::AuditTarget;
use crate::banner::Banner;
use crate::cli::OperationError;
use crate::data_dir::DataDir;
use crate::http::{CountRequests, DeviceCookies, HttpShell, Limits, RouteTable, TrustedProxies, raise_file_limit};
use crate::settings::Settings;
use crate::telemetry::{self, Metrics};

/// Serves until SIGTERM or SIGINT, then finishes what is in flight.
pub(super) async fn serve(settings: Settings) -> Result<(), OperationError> {
    let _log = telemetry::init_log(&settings.log_filter, settings.log_format)?;
    telemetry::log_panics();
    raise_file_limit();
    // Before anything is opened: a signal during the start must not be lost.
    let stop = stop_signal()?;
    // The socket before the store: a port that is taken is said at once, and nothing was touched.
    let listener = TcpListener::bind(settings.listen).await.map_err(|error| taken(&settings, &error))?;
    let bound = listener.local_addr()?;
    // Before the database: what is wrong with Redis is said with nothing changed.
    let hot_state = HotState::connect(&settings).await?;
    let assembly = Assembly::open(&settings, hot_state, audit_sink(&settings)?).await?;
    let metrics = Metrics::new();
    metrics.register_collector(Box::new(Figures { auth: assembly.auth.clone(), store: assembly.store.clone() }));
    let shell = shell(&settings, &metrics);
    let routes = routes(&settings, &assembly, &metrics, &shell);
    Banner::new(&settings, bound).announce();
    let drained = shell.serve(listener, routes, stop).await;
    tracing::info!(?drained, "stopped");
    assembly.close().await;
    Ok(())
}

fn shell(settings: &Settings, metrics: &Metrics) -> HttpShell {
    let limits = Limits {
        max_connections: settings.max_connections,
        max_connections_per_address: settings.max_connections_per_address,
        drain_delay: settings.drain_delay,
        ..Limits::default()
    };
    let table =
        passkey_page::describe(link_pages::describe(operations_routes::describe(RouteTable::new().openapi::<api::Routes>(""))));
    HttpShell::new(limits)
        .trusted_proxies(TrustedProxies::new(settings.trusted_proxies.iter().copied()))
        .metrics(metrics.clone())
        .routes(table)
}

fn routes(settings: &Settings, assembly: &Assembly, metrics: &Metrics, shell: &HttpShell) -> impl poem::Endpoint + use<> {
    let Assembly { auth, letterhead, .. } = assembly;
    let service = api::service(auth, settings.public_url.as_str());
    let routes = operations_routes::add_to(Route::new(), settings, &service, auth, metrics, shell.readiness());
    let pages = Pages::new(auth.clone(), Arc::clone(letterhead.texts()), letterhead.service().to_owned());
    let routes = link_pages::add_to(routes, &pages);
    let routes = passkey_page::add_to(routes);
    let cookies = DeviceCookies::new(settings.public_url.is_https(), settings.device_lifetime);
    let cookies = cookies.trusting(settings.mfa_trust_lifetime);
    let service = service.with(CountRequests::new(auth.clone()));
    routes.nest("/", service).data(auth.clone()).data(cookies)
}

/// Where the audit log is handed on to, if anywhere.
fn audit_sink(settings: &Settings) -> Result<Option<Arc<dyn AuditSink>>, OperationError> {
    let Some(target) = &settings.audit_stream else { return Ok(None) };
    // The file may lie in there.
    DataDir::open(&settings.data_dir)?;
    if matches!(target, AuditTarget::File { .. }) {
        // What rotates files says so by SIGHUP. That it was moved is seen without, and the signal must not end the process.
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                tracing::info!("SIGHUP: the file of the audit log is opened anew when it was moved");
            }
        });
    }
    let authority = match &settings.audit_stream_ca_file {
        Some(path) if !target.is_encrypted() => {
            let shown = path.display();
            return Err(format!(
                "AUTHKIT_AUDIT_STREAM_CA_FILE: is {shown}, and what is sent is not encrypted: name a syslog+tls in AUTHKIT_AUDIT_STREAM"
            )
            .into());
        }
        Some(path) => {
            let read = std::fs::read(path);
            Some(read.map_err(|error| format!("AUTHKIT_AUDIT_STREAM_CA_FILE: {} cannot be read: {error}", path.display()))?)
        }
        None => None,
    };
    Ok(Some(target.open(authority.as_deref())?))
}

/// Resolves when the process is asked to stop.
fn stop_signal() -> Result<impl Future<Output = ()>, OperationError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing what is in flight"),
            _ = interrupt.recv() => tracing::info!("SIGINT: finishing what is in flight"),
        }
    })
}

fn taken(settings: &Settings, error: &std::io::Error) -> OperationError {
    format!("AUTHKIT_LISTEN: cannot listen on {}: {error}", settings.listen).into()
}
