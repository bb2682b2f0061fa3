//! A panic in a handler ends its request, not the process.

use std::any::Any;

use poem::middleware::{CatchPanic, PanicHandler};

use crate::problem::Problem;

/// Answers a panic with a bare 500.
pub(crate) fn catch_panic() -> CatchPanic<impl PanicHandler> {
    CatchPanic::new().with_handler(|_payload: Box<dyn Any + Send>| {
        // SECURITY: the payload can hold a value that a handler worked on, so it is not logged. The panic hook has told where.
        tracing::error!("a handler panicked");
        Problem::internal()
    })
}
