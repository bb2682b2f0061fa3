//! Every second factor of an account is turned off on its owner's behalf, when she has lost them all.

use crate::flows::administration::{AdminError, end_all, guarded, subject};
use crate::flows::authorize::Administrator;
use crate::flows::engine::{Engine, Internal};
use crate::flows::notify::notice;
use crate::model::{
    AuditAction, FactorChange, FactorSet, Notice, OneTimePurpose, OneTimeTokenChange, Outcome, PasskeyChange, RequestContext,
    RevocationReason, UserChange,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::UserId;

/// How often it starts over when the account or the caller's power changes under it.
const ATTEMPTS: usize = 4;

/// Turns every second factor off and ends every session: whoever has taken the factors away may be in one of them. Whether there was a
/// factor; where there was none, nothing changes.
pub(crate) async fn reset(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    context: &RequestContext,
) -> Result<bool, AdminError> {
    let (action, mut overtaken) = (AuditAction::FactorsReset, Conflict::UserChanged);
    for _ in 0..ATTEMPTS {
        let authority = by.authority(engine, "users:write").await?;
        let user = subject(engine, &authority, id, action, context).await?;
        if user.second_factors.is_empty() {
            return Ok(false);
        }
        let at = engine.now();
        let event = engine.event(at, action, Outcome::Success, context).by(authority.actor()).on(id);
        let changes = guarded(&authority)
            .and(UserChange::SetSecondFactors { id, from: user.auth_epoch, to: FactorSet::NONE, at })
            .and(FactorChange::Forget { user_id: id })
            .and(PasskeyChange::ForgetAllOf { user_id: id })
            .and(OneTimeTokenChange::RevokeAllOf { user_id: id, purpose: Some(OneTimePurpose::MfaChallenge) })
            .and(end_all(id, RevocationReason::RevokedByAdmin, at))
            .and(event);
        let changes = notice(engine, changes, &user, Notice::FactorsReset, context, at).await?;
        match engine.commit(&changes).await {
            Ok(_) => return Ok(true),
            Err(CommitError::Conflict(conflict @ (Conflict::UserChanged | Conflict::AuthorityChanged))) => overtaken = conflict,
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}
