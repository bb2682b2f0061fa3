//! The question whether a new password is known from breaches: before it is hashed, and outside of any transaction.

use std::sync::Arc;
use std::time::Duration;

use crate::config::BreachListFailure;
use crate::password::Weakness;
use crate::ports::{BreachDigest, BreachList, BreachListError};
use crate::primitives::Password;

/// How long an answer is waited for, whatever the list promises.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the list, if there is one.
#[derive(Debug)]
pub(crate) struct BreachGate {
    list: Option<Arc<dyn BreachList>>,
    failure: BreachListFailure,
}

/// Why a new password was not accepted here.
#[derive(Debug)]
pub(crate) enum Breach {
    /// It was seen in breaches.
    Seen(Weakness),
    /// The list did not answer, and the settings want no password accepted then.
    Unknown(BreachListError),
}

impl BreachGate {
    pub(crate) fn new(list: Option<Arc<dyn BreachList>>, failure: BreachListFailure) -> Self {
        Self { list, failure }
    }

    /// Asks whether a new password is known from breaches.
    pub(crate) async fn check(&self, password: &Password) -> Result<(), Breach> {
        let Some(list) = &self.list else { return Ok(()) };
        let digest = BreachDigest::of(password);
        let answer = tokio::time::timeout(PATIENCE, list.times_seen(&digest)).await;
        match (answer.unwrap_or_else(|elapsed| Err(BreachListError::new(elapsed))), self.failure) {
            (Ok(0), _) => Ok(()),
            (Ok(times), _) => Err(Breach::Seen(Weakness::breached(times))),
            (Err(error), BreachListFailure::Open) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "a password was accepted without being looked up among the breached ones");
                Ok(())
            }
            (Err(error), BreachListFailure::Closed) => Err(Breach::Unknown(error)),
        }
    }
}

/// Turns a refusal into a flow's own error, which has `Weak…` and `Internal` already.
macro_rules! breach_into {
    ($error:ident) => {
        impl From<$crate::flows::breach::Breach> for $error {
            fn from(breach: $crate::flows::breach::Breach) -> Self {
                match breach {
                    $crate::flows::breach::Breach::Seen(weakness) => weakness.into(),
                    $crate::flows::breach::Breach::Unknown(error) => $crate::flows::Internal::BreachList(error).into(),
                }
            }
        }
    };
}
pub(crate) use breach_into;
