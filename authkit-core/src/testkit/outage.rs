//! What a hot-state contract needs to know of the service behind a port: how to take it away and bring it back.

use std::future::Future;

use async_trait::async_trait;

/// Takes the service behind a port away and brings it back.
#[async_trait]
pub trait Outage: Send + Sync {
    /// From when this returns on, the service does nothing that it is asked. It may hang or refuse.
    async fn begin(&mut self);

    /// From when this returns on, the service works again, and may have forgotten everything.
    async fn end(&mut self);
}

/// Runs a check of a contract on a runtime of its own, with several threads.
///
/// # Panics
/// When the check does.
#[doc(hidden)]
pub fn block_on(check: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("the machine can run four threads").block_on(check);
}
