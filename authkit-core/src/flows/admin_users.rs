//! What administrators do with accounts: find, make, change, suspend, restore, unlock and close them.

use crate::flows::administration::{AdminError, end_all, guarded, record_refusal, subject};
use crate::flows::authorize::{Administrator, Authority};
use crate::flows::engine::{Engine, Internal};
use crate::flows::one_time::{self, NewLink};
use crate::flows::outbox::{self, Cause};
use crate::model::{
    AuditAction, AuditEvent, Change, ChangeSet, GuessChange, GuessSubject, Outcome, Patch, RequestContext, RevocationReason,
    RoleChange, SessionChange, User, UserChange, UserFilter, UserPage, UserPageRequest, UserStatus,
};
use crate::model::{MailContent, OneTimePurpose, OneTimeTokenChange};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Email, FullName, Locale, Timestamp, UserId};

/// What has to be held to read accounts.
pub(crate) const USERS_READ: &str = "users:read";
/// What has to be held to make and change accounts.
pub(crate) const USERS_WRITE: &str = "users:write";

/// What tells one state of an account from another: its own version, and that of its roles. The `ETag` of its representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountVersion {
    /// Of the account.
    pub account: u32,
    /// Of its roles.
    pub access: u32,
}

impl AccountVersion {
    /// The version of an account as it was read.
    #[must_use]
    pub const fn of(user: &User) -> Self {
        Self { account: user.version, access: user.access.version }
    }
}

/// As what the caller has read an account that she changes: `If-Match` (RFC 9110 §13.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Expected {
    /// As anything.
    #[default]
    Anything,
    /// As one of these.
    OneOf(Vec<AccountVersion>),
}

impl Expected {
    fn holds(&self, user: &User) -> bool {
        match self {
            Self::Anything => true,
            Self::OneOf(versions) => versions.contains(&AccountVersion::of(user)),
        }
    }
}

/// An account that an administrator makes. It has no password: its owner chooses one.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Where mail goes, and what identifies the account at login.
    pub email: Email,
    /// What the owner calls herself.
    pub full_name: Option<FullName>,
    /// The language that she prefers.
    pub locale: Option<Locale>,
}

/// What an administrator changes of an account: fields that are not named stay.
#[derive(Debug, Clone, Default)]
pub struct AccountUpdate {
    /// The new address; `None` where it stays.
    pub email: Option<Email>,
    /// What becomes of the name.
    pub full_name: Patch<FullName>,
    /// What becomes of the language.
    pub locale: Patch<Locale>,
}

/// How often a change starts over when the account changes under it.
const ATTEMPTS: usize = 5;

/// The accounts that a filter lets through.
pub(crate) async fn list(
    engine: &Engine,
    by: Administrator<'_>,
    filter: &UserFilter,
    page: &UserPageRequest,
) -> Result<UserPage, AdminError> {
    by.authority(engine, USERS_READ).await?;
    Ok(engine.store.list_users(filter, page).await.map_err(Internal::from)?)
}

/// One account.
pub(crate) async fn show(engine: &Engine, by: Administrator<'_>, id: UserId) -> Result<User, AdminError> {
    by.authority(engine, USERS_READ).await?;
    engine.store.user_by_id(id).await.map_err(Internal::from)?.ok_or(AdminError::NotFound)
}

/// The account with an address.
pub(crate) async fn find(engine: &Engine, by: Administrator<'_>, email: &Email) -> Result<User, AdminError> {
    by.authority(engine, USERS_READ).await?;
    let found = engine.store.credentials_by_email(email).await.map_err(Internal::from)?;
    found.map(|credentials| credentials.user).ok_or(AdminError::NotFound)
}

/// Makes an account without a password, and where it is said mails an invitation to choose one.
pub(crate) async fn create(
    engine: &Engine,
    by: Administrator<'_>,
    account: NewAccount,
    is_invited: bool,
    context: &RequestContext,
) -> Result<User, AdminError> {
    if is_invited && engine.mailer.is_none() {
        return Err(AdminError::NoMail);
    }
    let mut overtaken = Conflict::AuthorityChanged;
    for _ in 0..ATTEMPTS {
        let authority = by.authority(engine, USERS_WRITE).await?;
        let at = engine.now();
        let user = User {
            id: UserId::generate(at, &*engine.entropy),
            email: account.email.clone(),
            email_verified_at: None,
            full_name: account.full_name.clone(),
            locale: account.locale.clone(),
            second_factors: crate::model::FactorSet::NONE,
            status: UserStatus::Active,
            auth_epoch: 0,
            version: 0,
            access: crate::model::Access::default(),
            created_at: at,
            updated_at: at,
        };
        let event = engine.event(at, AuditAction::AccountCreated, Outcome::Success, context);
        let event = event.by(authority.actor()).on(user.id);
        let changes = guarded(&authority).and(UserChange::Insert(user.clone())).and(event);
        let changes = if is_invited { invited(engine, changes, &authority, &user, context, at).await? } else { changes };
        match engine.commit(&changes).await {
            Ok(_) => return Ok(user),
            Err(CommitError::Conflict(Conflict::EmailTaken)) => return Err(AdminError::EmailTaken),
            Err(CommitError::Conflict(conflict @ Conflict::AuthorityChanged)) => overtaken = conflict,
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}

/// Changes the named fields of an account.
///
/// A new address is not verified, and ends every session: whoever reads mail there proves it anew. The audit log keeps the address that
/// was left, because an account that changed hands is found by it.
pub(crate) async fn update(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    expected: &Expected,
    update: &AccountUpdate,
    context: &RequestContext,
) -> Result<User, AdminError> {
    let decide = |user: &User, at: Timestamp, event: AuditEvent| {
        let email = update.email.clone().filter(|email| email.spelling() != user.email.spelling());
        let moves = email.as_ref().is_some_and(|email| *email != user.email);
        let changed = [
            ("email", email.is_some()),
            ("full_name", touches(&update.full_name, user.full_name.as_ref())),
            ("locale", touches(&update.locale, user.locale.as_ref())),
        ];
        let fields: Vec<&str> = changed.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect();
        if fields.is_empty() {
            return None;
        }
        let event = event.with("fields", fields.join(" "));
        let to = email.as_ref().unwrap_or(&user.email);
        let event = event
            .changed("email", Some(user.email.spelling()), Some(to.spelling()))
            .patched("full_name", user.full_name.as_ref(), &update.full_name, FullName::as_str)
            .patched("locale", user.locale.as_ref(), &update.locale, Locale::as_str);
        let update = UserChange::Update {
            id,
            from: user.version,
            email,
            full_name: update.full_name.clone(),
            locale: update.locale.clone(),
            at,
        };
        let set = ChangeSet::new().and(update);
        // What an administrator has decided, no link that was mailed before takes back.
        let void = OneTimeTokenChange::RevokeAllOf { user_id: id, purpose: None };
        let set = if moves { set.and(end_all(id, RevocationReason::EmailChanged, at)).and(void) } else { set };
        Some(set.and(event))
    };
    let done = change(engine, by, id, expected, AuditAction::AccountChanged, context, decide).await?;
    done.account(engine, id).await
}

/// Shuts an account: every session of it ends, and nothing of it works until it is restored. Done already, it changes nothing.
pub(crate) async fn suspend(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    expected: &Expected,
    context: &RequestContext,
) -> Result<User, AdminError> {
    let decide = |user: &User, at: Timestamp, event: AuditEvent| {
        (user.status == UserStatus::Active).then(|| {
            ChangeSet::new()
                .and(UserChange::Suspend { id, from: user.version, at })
                .and(end_all(id, RevocationReason::AccountSuspended, at))
                .and(SessionChange::EndImpersonations { by: id, at })
                .and(event)
        })
    };
    let done = change(engine, by, id, expected, AuditAction::AccountSuspended, context, decide).await?;
    done.account(engine, id).await
}

/// Opens a suspended account again. Done already, it changes nothing.
pub(crate) async fn restore(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    expected: &Expected,
    context: &RequestContext,
) -> Result<User, AdminError> {
    let decide = |user: &User, at: Timestamp, event: AuditEvent| {
        (user.status == UserStatus::Suspended)
            .then(|| ChangeSet::new().and(UserChange::Restore { id, from: user.version, at }).and(event))
    };
    let done = change(engine, by, id, expected, AuditAction::AccountRestored, context, decide).await?;
    done.account(engine, id).await
}

/// Forgets the wrong passwords that strangers have tried at an account, so that its owner is let in again from a device that is not
/// known. Where there are none, it changes nothing.
pub(crate) async fn unlock(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    context: &RequestContext,
) -> Result<User, AdminError> {
    let (action, mut overtaken) = (AuditAction::AccountUnlocked, Conflict::AuthorityChanged);
    for _ in 0..ATTEMPTS {
        let authority = by.authority(engine, USERS_WRITE).await?;
        let user = subject(engine, &authority, id, action, context).await?;
        let strangers = GuessSubject::strangers(&user.email);
        let Some(guesses) = engine.store.guesses(strangers).await.map_err(Internal::from)? else { return Ok(user) };
        let event = engine.event(engine.now(), action, Outcome::Success, context).by(authority.actor()).on(id);
        let event = event.with("email", user.email.normal()).with("failures", guesses.failures.to_string());
        match engine.commit(&guarded(&authority).and(GuessChange::Forget { subject: strangers }).and(event)).await {
            Ok(_) => return Ok(user),
            Err(CommitError::Conflict(conflict @ Conflict::AuthorityChanged)) => overtaken = conflict,
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}

/// Closes an account for good, as its owner could.
pub(crate) async fn close(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    expected: &Expected,
    context: &RequestContext,
) -> Result<(), AdminError> {
    let decide = |user: &User, at: Timestamp, event: AuditEvent| {
        let changes = ChangeSet::new()
            .and(UserChange::Expect { id, version: user.version })
            .and(UserChange::Close { id, at })
            .and(end_all(id, RevocationReason::AccountClosed, at))
            .and(SessionChange::EndImpersonations { by: id, at });
        Some(changes.and(event))
    };
    change(engine, by, id, expected, AuditAction::AccountClosed, context, decide).await?;
    Ok(())
}

/// Adds an invitation to what is committed. Those that were mailed before are void.
async fn invited(
    engine: &Engine,
    changes: ChangeSet,
    authority: &Authority,
    user: &User,
    context: &RequestContext,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    let purpose = OneTimePurpose::Invitation;
    let event = engine.event(at, AuditAction::AccountInvited, Outcome::Success, context).by(authority.actor()).on(user.id);
    let changes = changes.and(OneTimeTokenChange::RevokeAllOf { user_id: user.id, purpose: Some(purpose) }).and(event);
    one_time::issue(engine, changes, user, purpose, None, &Cause::of(context, at), at).await
}

/// Mails another invitation to an account that has no password yet.
pub(crate) async fn invite(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    context: &RequestContext,
) -> Result<(), AdminError> {
    mail(engine, by, id, AuditAction::AccountInvited, context).await
}

/// Mails a link by which the owner of an account sets a new password. The old one stays in force until she has.
///
/// SECURITY: the administrator neither chooses nor sees a password (ASVS 6.4.6).
pub(crate) async fn send_password_reset(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    context: &RequestContext,
) -> Result<(), AdminError> {
    mail(engine, by, id, AuditAction::PasswordResetSent, context).await
}

/// Mails a link to an account that the caller has power over and that may be used: an invitation, or one that sets a new password.
async fn mail(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    action: AuditAction,
    context: &RequestContext,
) -> Result<(), AdminError> {
    if engine.mailer.is_none() {
        return Err(AdminError::NoMail);
    }
    let mut overtaken = Conflict::UserChanged;
    for _ in 0..ATTEMPTS {
        let authority = by.authority(engine, USERS_WRITE).await?;
        let user = subject(engine, &authority, id, action, context).await?;
        if user.status != UserStatus::Active {
            return Err(AdminError::Suspended);
        }
        let at = engine.now();
        let changes = guarded(&authority).and(UserChange::Expect { id, version: user.version });
        let changes = if action == AuditAction::AccountInvited {
            let found = engine.store.credentials_by_id(id).await.map_err(Internal::from)?.ok_or(AdminError::NotFound)?;
            if found.password.is_some() {
                return Err(AdminError::InvitationAccepted);
            }
            invited(engine, changes, &authority, &user, context, at).await?
        } else {
            let (purpose, good_for) = (OneTimePurpose::ResetPassword, engine.config.mail.admin_password_reset_lifetime);
            let event = engine.event(at, action, Outcome::Success, context).by(authority.actor()).on(id);
            let is_named = user.email_verified_at.is_some();
            let link = NewLink { is_named, ..NewLink::to(&user.email, purpose, good_for) };
            let content = |token| MailContent::AdminPasswordReset { token };
            one_time::mail(engine, changes.and(event), &user, link, content, &Cause::of(context, at), at).await?
        };
        match engine.commit(&changes).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict(conflict @ (Conflict::UserChanged | Conflict::AuthorityChanged))) => overtaken = conflict,
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}

/// What became of a change.
enum Done {
    /// There was nothing to change.
    AsItWas(Box<User>),
    /// It was committed.
    Committed,
}

impl Done {
    /// The account as it is now.
    async fn account(self, engine: &Engine, id: UserId) -> Result<User, AdminError> {
        match self {
            Self::AsItWas(user) => Ok(*user),
            Self::Committed => engine.store.user_by_id(id).await.map_err(Internal::from)?.ok_or(AdminError::NotFound),
        }
    }
}

/// Reads an account, judges whether the caller has power over it and whether it is as she read it, and commits what is decided on it.
/// An account that changes in between is judged anew, unless the caller insists on what she read.
async fn change(
    engine: &Engine,
    by: Administrator<'_>,
    id: UserId,
    expected: &Expected,
    action: AuditAction,
    context: &RequestContext,
    decide: impl Fn(&User, Timestamp, AuditEvent) -> Option<ChangeSet>,
) -> Result<Done, AdminError> {
    let takes_power = matches!(action, AuditAction::AccountSuspended | AuditAction::AccountClosed);
    let mut overtaken = Conflict::UserChanged;
    for _ in 0..ATTEMPTS {
        let authority = by.authority(engine, USERS_WRITE).await?;
        let user = subject(engine, &authority, id, action, context).await?;
        if !expected.holds(&user) {
            return Err(AdminError::Changed);
        }
        let at = engine.now();
        let event = engine.event(at, action, Outcome::Success, context).by(authority.actor()).on(id);
        let Some(decided) = decide(&user, at, event.clone()) else { return Ok(Done::AsItWas(Box::new(user))) };
        // The holders of everything first: rivals who take it from one another wait there, and nowhere in each other's way.
        let spare = takes_power.then(|| Change::from(RoleChange::SpareLastHolder { user_id: id }));
        let changes = spare.into_iter().chain(authority.guard()).chain(decided.changes().iter().cloned()).collect();
        let changes = tell_the_left_address(engine, changes, &user, context, at).await?;
        match engine.commit(&changes).await {
            Ok(_) => return Ok(Done::Committed),
            Err(CommitError::Conflict(Conflict::EmailTaken)) => return Err(AdminError::EmailTaken),
            Err(CommitError::Conflict(Conflict::LastSuperuser)) => {
                record_refusal(engine, event, "last_superuser").await?;
                return Err(AdminError::LastSuperuser);
            }
            Err(CommitError::Conflict(conflict @ (Conflict::UserChanged | Conflict::AuthorityChanged))) => overtaken = conflict,
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}

/// Tells the address that an account leaves.
async fn tell_the_left_address(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    context: &RequestContext,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    let moves = |change: &Change| match change {
        Change::User(UserChange::Update { email: Some(email), .. }) => *email != user.email,
        _ => false,
    };
    if !changes.changes().iter().any(moves) {
        return Ok(changes);
    }
    // Without where it was done from, which is the administrator's business.
    let cause = Cause::of(&RequestContext { language: context.language.clone(), ..RequestContext::default() }, at);
    outbox::enqueue_mail(engine, changes, user, MailContent::EmailChanged { token: None }, &cause, None).await
}

fn touches<T: PartialEq>(patch: &Patch<T>, field: Option<&T>) -> bool {
    match patch {
        Patch::Keep => false,
        Patch::Set(value) => field != Some(value),
        Patch::Clear => field.is_some(),
    }
}
