//! The caller's own profile.

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal, actor};
use crate::model::{AuditAction, ChangeSet, Outcome, Patch, RequestContext, User, UserChange, UserStatus};
use crate::ports::{CommitError, Conflict, StoreError};
use crate::primitives::{FullName, Locale};

/// What becomes of the profile: fields that are not named stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileUpdate {
    /// What becomes of the name.
    pub full_name: Patch<FullName>,
    /// What becomes of the language.
    pub locale: Patch<Locale>,
}

/// Why the profile was neither read nor changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The account was closed since the token was issued.
    #[error("the account is closed")]
    Gone,
    /// The account is suspended.
    #[error("the account is suspended")]
    Suspended,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl ProfileError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Gone => "auth.session_ended",
            Self::Suspended => "account.suspended",
            Self::Internal(error) => error.code(),
        }
    }
}

/// Reads the caller's account, from the cache where there is one.
pub(crate) async fn profile(engine: &Engine, principal: &Principal) -> Result<User, ProfileError> {
    active(engine.accounts.account(&*engine.store, principal.user_id()).await)
}

fn active(found: Result<Option<User>, StoreError>) -> Result<User, ProfileError> {
    let found = found.map_err(Internal::from)?;
    let user = found.ok_or(ProfileError::Gone)?;
    if user.status == UserStatus::Active { Ok(user) } else { Err(ProfileError::Suspended) }
}

/// Changes the named fields of the caller's profile, and returns the account as it is then.
pub(crate) async fn update_profile(
    engine: &Engine,
    principal: &Principal,
    update: ProfileUpdate,
    context: &RequestContext,
) -> Result<User, ProfileError> {
    let at = engine.now();
    let id = principal.user_id();
    let changed: Vec<&str> = [("full_name", update.full_name.is_keep()), ("locale", update.locale.is_keep())]
        .into_iter()
        .filter_map(|(name, kept)| (!kept).then_some(name))
        .collect();
    if !changed.is_empty() {
        let event = engine.event(at, AuditAction::ProfileChanged, Outcome::Success, context);
        let event = event.by(actor(principal)).on(id).with("fields", changed.join(" "));
        let change = UserChange::UpdateProfile { id, full_name: update.full_name, locale: update.locale, at };
        match engine.commit(&ChangeSet::new().and(change).and(event)).await {
            // Why it is not active any more, the read below tells.
            Ok(_) | Err(CommitError::Conflict(Conflict::UserChanged)) => {}
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    // Not through the cache: whoever has changed something is shown what became of it.
    active(engine.store.user_by_id(id).await)
}
