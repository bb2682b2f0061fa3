//! The caller's own profile.

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::planned::Planned;
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

impl From<CommitError> for ProfileError {
    fn from(error: CommitError) -> Self {
        Self::Internal(error.into())
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
    if update == ProfileUpdate::default() {
        return active(engine.store.user_by_id(principal.user_id()).await);
    }
    // For the audit log: what a field was before.
    let before = active(engine.store.user_by_id(principal.user_id()).await)?;
    match plan(engine, principal, update, Some(&before), context).commit().await {
        // Why it is not active any more, the read below tells.
        // And not from the cache: whoever has changed something is shown what became of it.
        Ok(()) | Err(CommitError::Conflict(Conflict::UserChanged)) => active(engine.store.user_by_id(principal.user_id()).await),
        Err(error) => Err(error.into()),
    }
}

/// Decides what [`update_profile`] commits: nothing where every field stays. What a field was before is not read.
pub(crate) fn plan_update_profile<'a>(
    engine: &'a Engine,
    principal: &Principal,
    update: ProfileUpdate,
    context: &RequestContext,
) -> Planned<'a, ()> {
    plan(engine, principal, update, None, context)
}

fn plan<'a>(
    engine: &'a Engine,
    principal: &Principal,
    update: ProfileUpdate,
    before: Option<&User>,
    context: &RequestContext,
) -> Planned<'a, ()> {
    let at = engine.now();
    let id = principal.user_id();
    let fields: Vec<&str> = [("full_name", update.full_name.is_keep()), ("locale", update.locale.is_keep())]
        .into_iter()
        .filter_map(|(name, kept)| (!kept).then_some(name))
        .collect();
    let changes = if fields.is_empty() {
        ChangeSet::new()
    } else {
        let event = engine.event(at, AuditAction::ProfileChanged, Outcome::Success, context);
        let event = event.by(actor(principal)).on(id).with("fields", fields.join(" "));
        let (name, locale) = (before.and_then(|user| user.full_name.as_ref()), before.and_then(|user| user.locale.as_ref()));
        let event = event.patched("full_name", name, &update.full_name, FullName::as_str);
        let event = event.patched("locale", locale, &update.locale, Locale::as_str);
        let change = UserChange::UpdateProfile { id, full_name: update.full_name, locale: update.locale, at };
        ChangeSet::new().and(change).and(event)
    };
    Planned::new(engine, id, changes, |_| ())
}
