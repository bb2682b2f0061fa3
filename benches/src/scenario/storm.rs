//! A storm of logins: far more than the machine can hash, by clients that do not listen to `Retry-After`.

use std::sync::Arc;
use std::time::Duration;

use super::login::Login;
use crate::closed_loop::{Measured, Plan, run as closed_loop};
use crate::context::{Context, ScenarioError};

/// How many logins are under way at once, each for an account of its own.
pub(super) const CONCURRENT_LOGINS: usize = 256;
/// How long a client waits that was refused: 256 clients offer some thousand logins a second, most of which are shed.
const PAUSE: Duration = Duration::from_millis(250);

/// A storm that is ready to break.
pub(super) struct Storm(Vec<Login>);

impl Storm {
    /// Makes the accounts, so that the storm itself is logins alone.
    pub(super) async fn gather(context: &Arc<Context>) -> Result<Self, ScenarioError> {
        let accounts = context.accounts(CONCURRENT_LOGINS).await?;
        let address = context.address().await?;
        Ok(Self(accounts.into_iter().map(|account| Login::new(account, address)).collect()))
    }

    /// Breaks: one second of warm-up, then `window`.
    pub(super) async fn rage(self, window: Duration) -> Measured {
        closed_loop(Plan::new(window).insisting(PAUSE), self.0).await
    }
}
