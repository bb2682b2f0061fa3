//! The one door behind every first factor: it alone decides what follows when somebody has shown who she is.

use crate::flows::engine::{Engine, Internal};
use crate::flows::session_issue::NewSession;
use crate::model::{AuthMethod, RequestContext, User};
use crate::primitives::{DeviceName, Timestamp};

/// Decides what follows a first factor that `user` has passed by `method`: a session.
///
/// INVARIANT: registration, login and every other way in come through here, so that what is demanded behind the first
/// factor is demanded of all of them.
pub(crate) fn complete_first_factor(
    engine: &Engine,
    user: &User,
    method: AuthMethod,
    device_name: Option<DeviceName>,
    context: &RequestContext,
    at: Timestamp,
) -> Result<NewSession, Internal> {
    NewSession::plan(engine, user, vec![method], device_name, &context.client, at)
}
