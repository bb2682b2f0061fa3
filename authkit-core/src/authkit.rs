//! The façade: one cheap handle, and behind it the use cases by what they are about.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::builder::{Builder, WantsStore};
use crate::config::Config;
use crate::flows::engine::Engine;
use crate::flows::{
    self, AccountImport, Administrator, AuditPurge, AuditPurgeError, AuthenticateError, AuthorizeError, ChangePasswordError,
    CloseAccountError, Explanation, Health, ImportMode, ImportOutcome, Internal, KeyStatus, LockStatus, LoggedIn, Login,
    LoginError, LogoutError, NewRole, PasswordChange, PasswordChanged, PermissionHolder, Planned, Principal, ProfileError,
    ProfileUpdate, RateLimitStats, ReauthenticateError, RefreshError, Refreshed, RegisterError, Registration, RoleError,
    RoleGrant, RoleImpact, RoleUpdate, RotateKeyError, Run, Sealed, SecurityEvent, SessionError, TooManyRequests, Verification,
    VerifyOptions, WrappedPage,
};
use crate::flows::{AccountExport, AccountUpdate, AdminError, Expected, ExportError, Impersonation, NewAccount};
use crate::flows::{LinkError, OutboxError};
use crate::model::{AuditEvent, AuditFilter, AuditSeal, KeyId, KeyPurpose, RequestContext, Role, Session, User};
use crate::model::{OneTimePurpose, OutboxMessage, OutboxState};
use crate::model::{UserFilter, UserPage, UserPageRequest};
use crate::password::PoolStats;
use crate::primitives::{
    AccessToken, Cursor, Email, Page, PageLimit, PageRequest, Password, Permission, RefreshToken, RequestId, RoleName, Scope,
    SessionId, UserId,
};
use crate::primitives::{DeviceName, ImpersonationReason, OneTimeTokenText, OutboxMessageId};

/// Authentication for one application: cheap to clone, safe to share, without type parameters.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use authkit_core::{AuthKit, Config, Email, Password, Registration, RequestContext};
///
/// let auth = AuthKit::builder(Config::new("https://app.example")).in_memory().build().await?;
/// let request = RequestContext::default(); // the client's address and user agent, for the audit log
///
/// let account = Registration::new(Email::parse("jane@example.com")?, Password::parse("SecurePass123")?);
/// let jane = auth.accounts().register(account, &request).await?;
///
/// let principal = auth.authenticate(jane.tokens.access_token.expose())?; // no I/O
/// assert_eq!(principal.user_id(), jane.user.id);
///
/// auth.sessions().log_out(&jane.tokens.refresh_token, &request).await?;
/// assert!(auth.authenticate(jane.tokens.access_token.expose()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct AuthKit {
    engine: Arc<Engine>,
}

impl AuthKit {
    /// Starts to put one together.
    pub fn builder(config: Config) -> Builder<WantsStore> {
        Builder::new(config)
    }

    pub(crate) const fn from_engine(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Verifies an access token and that its session was not ended. No I/O: under a microsecond for a token seen before,
    /// one signature check for another.
    pub fn authenticate(&self, access_token: &str) -> Result<Principal, AuthenticateError> {
        flows::authenticate::authenticate(&self.engine, access_token)
    }

    /// Accounts: register, read, change, close.
    #[must_use]
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts { engine: &self.engine }
    }

    /// Sessions: log in, refresh, log out, list, end.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { engine: &self.engine }
    }

    /// The accounts of others, as an administrator has power over them: a user by what her roles let her do, or the operator.
    #[must_use]
    pub fn administration<'a>(&'a self, by: impl Into<Administrator<'a>>) -> Administration<'a> {
        Administration { engine: &self.engine, by: by.into() }
    }

    /// The keys that sign tokens.
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        Keys { engine: &self.engine }
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> Audit<'_> {
        Audit { engine: &self.engine }
    }

    /// Roles: read, make, change, delete, give, take.
    #[must_use]
    pub fn roles(&self) -> Roles<'_> {
        Roles { engine: &self.engine }
    }

    /// Links that are mailed: prove an address, set a new password, log in.
    #[must_use]
    pub fn links(&self) -> Links<'_> {
        Links { engine: &self.engine }
    }

    /// What waits to be sent.
    #[must_use]
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox { engine: &self.engine }
    }

    /// How well this node works right now; asks the store.
    pub async fn health(&self) -> Health {
        flows::maintenance::health(&self.engine).await
    }

    /// Does once what the background task does: reads revocations, all of them when the bus has reported a gap, and with
    /// `wide` what is done once a minute as well. For a simulation, whose nodes are built without that task.
    #[cfg(feature = "testkit")]
    pub async fn maintain(&self, wide: bool) -> Result<(), Internal> {
        flows::maintenance::turn(&self.engine, wide).await
    }

    /// How busy the hashing threads are.
    #[must_use]
    pub fn hashing(&self) -> PoolStats {
        self.engine.pool.stats()
    }

    /// Counts a request against what one address may ask of this node, whatever it asks for. A host calls it once for each request
    /// or operation, before it does anything else about it; the flows that check a secret count besides, by themselves.
    ///
    /// # Errors
    /// When the address has asked for too much; the host answers that it may come back after the time that is told.
    pub async fn count_request(&self, context: &RequestContext) -> Result<(), TooManyRequests> {
        Ok(self.engine.throttle.request(context).await?)
    }

    /// How many requests were refused by a rate limit.
    #[must_use]
    pub fn rate_limits(&self) -> RateLimitStats {
        self.engine.throttle.stats()
    }

    /// How many revoked sessions this node remembers.
    #[must_use]
    pub fn revoked_sessions(&self) -> usize {
        self.engine.revoked.sessions.len()
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.engine.config
    }
}

/// Accounts: register, read, change, close.
#[derive(Debug, Clone, Copy)]
pub struct Accounts<'a> {
    engine: &'a Engine,
}

impl<'a> Accounts<'a> {
    /// Makes an account and logs its owner in. Whoever asks learns whether the address has an account; where the settings want that
    /// kept quiet, it is refused, and [`request_registration`](Self::request_registration) is the way.
    pub async fn register(&self, registration: Registration, context: &RequestContext) -> Result<LoggedIn, RegisterError> {
        flows::register::register(self.engine, registration, context).await
    }

    /// Takes a registration whose answer says nothing about whether the address has an account, and neither does the time that it takes:
    /// nothing is looked up before it is written down, and a mail says the rest. Nobody is logged in, and the password is good once the
    /// link of that mail was opened. What [`RegistrationConfig::reveal_existing`](crate::config::RegistrationConfig::reveal_existing)
    /// turned off asks for; it may be called in any case. It needs a mailer.
    pub async fn request_registration(&self, registration: Registration, context: &RequestContext) -> Result<(), RegisterError> {
        flows::register::request(self.engine, registration, context).await
    }

    /// Makes an account on behalf of its owner; nobody is logged in. For operators.
    pub async fn create(&self, registration: Registration, context: &RequestContext) -> Result<User, RegisterError> {
        flows::register::create(self.engine, registration, context).await
    }

    /// Makes an account that has these roles from the start, everywhere and for good; nobody is logged in. For operators: it asks for no
    /// permission.
    pub async fn create_with_roles(
        &self,
        registration: Registration,
        roles: &[RoleName],
        context: &RequestContext,
    ) -> Result<User, RegisterError> {
        flows::register::create_with_roles(self.engine, registration, roles, context).await
    }

    /// Whose an address is. For operators: a request must never learn it.
    pub async fn id_by_email(&self, email: &Email) -> Result<Option<UserId>, Internal> {
        Ok(self.engine.store.credentials_by_email(email).await?.map(|found| found.user.id))
    }

    /// Takes over accounts of another system with the password hashes that it made, in one change set with an audit event for each. The
    /// outcomes come in the order of the accounts. It never overwrites: an address that is there stays as it is, so that an
    /// import that failed or was killed is simply done again. A hundred or so at a time keeps transactions short.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use authkit_core::flows::{AccountImport, ImportMode, ImportOutcome};
    /// use authkit_core::{AuthKit, Config, Email, Login, Password, PasswordHash, RequestContext};
    ///
    /// let auth = AuthKit::builder(Config::new("https://app.example")).in_memory().build().await?;
    /// let request = RequestContext::default();
    /// let email = Email::parse("jane@example.com")?;
    /// let mut jane = AccountImport::new(email.clone());
    /// jane.password_hash = Some(PasswordHash::from_phc("$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i".into()));
    ///
    /// let outcomes = auth.accounts().import(vec![jane], ImportMode::Apply, &request).await?;
    /// assert!(matches!(outcomes[..], [ImportOutcome::Created(_)]));
    /// // Her first login replaces the bcrypt hash by one of argon2id.
    /// auth.sessions().log_in(Login::new(email, Password::parse("abc")?), &request).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub async fn import(
        &self,
        accounts: Vec<AccountImport>,
        mode: ImportMode,
        context: &RequestContext,
    ) -> Result<Vec<ImportOutcome>, Internal> {
        flows::import::import(self.engine, accounts, mode, context).await
    }

    /// Hashes the next page of hashes that other systems made once more, for accounts whose owners do not log in: 200 hashes are
    /// looked at. Start with `None`, and go on with what the page before says is next. A login in between wins.
    pub async fn wrap_hashes(
        &self,
        after: Option<Cursor>,
        dry_run: bool,
        context: &RequestContext,
    ) -> Result<WrappedPage, Internal> {
        flows::wrap_hashes::wrap_page(self.engine, after, dry_run, context).await
    }

    /// Decides [`register`](Self::register), to be committed in a transaction of the caller's own.
    pub async fn plan_register(
        &self,
        registration: Registration,
        context: &RequestContext,
    ) -> Result<Planned<'a, LoggedIn>, RegisterError> {
        flows::register::plan_register(self.engine, registration, context).await
    }

    /// Decides [`create`](Self::create), to be committed in a transaction of the caller's own.
    pub async fn plan_create(
        &self,
        registration: Registration,
        context: &RequestContext,
    ) -> Result<Planned<'a, User>, RegisterError> {
        flows::register::plan_create(self.engine, registration, context).await
    }

    /// Decides [`update_profile`](Self::update_profile), to be committed in a transaction of the caller's own.
    pub fn plan_update_profile(&self, principal: &Principal, update: ProfileUpdate, context: &RequestContext) -> Planned<'a, ()> {
        flows::profile::plan_update_profile(self.engine, principal, update, context)
    }

    /// Decides [`change_password`](Self::change_password), to be committed in a transaction of the caller's own. A conflict when
    /// it is applied says that the account changed in between: plan again.
    pub async fn plan_change_password(
        &self,
        principal: &Principal,
        change: &PasswordChange,
        context: &RequestContext,
    ) -> Result<Planned<'a, PasswordChanged>, ChangePasswordError> {
        flows::change_password::plan_change_password(self.engine, principal, change, context).await
    }

    /// Decides [`close`](Self::close), to be committed in a transaction of the caller's own.
    pub fn plan_close(&self, principal: &Principal, context: &RequestContext) -> Result<Planned<'a, ()>, CloseAccountError> {
        flows::close_account::plan_close_account(self.engine, principal, context)
    }

    /// Reads the caller's account.
    pub async fn profile(&self, principal: &Principal) -> Result<User, ProfileError> {
        flows::profile::profile(self.engine, principal).await
    }

    /// Changes the named fields of the caller's profile.
    pub async fn update_profile(
        &self,
        principal: &Principal,
        update: ProfileUpdate,
        context: &RequestContext,
    ) -> Result<User, ProfileError> {
        flows::profile::update_profile(self.engine, principal, update, context).await
    }

    /// Replaces the caller's password and ends her other sessions. Devices that were known before are strangers from then on.
    pub async fn change_password(
        &self,
        principal: &Principal,
        change: PasswordChange,
        context: &RequestContext,
    ) -> Result<PasswordChanged, ChangePasswordError> {
        flows::change_password::change_password(self.engine, principal, change, context).await
    }

    /// How an address stands with those who guess at its password from unknown devices. For operators.
    pub async fn lock_status(&self, email: &Email) -> Result<LockStatus, Internal> {
        flows::unlock::status(self.engine, email).await
    }

    /// Forgets the wrong passwords that were tried at an address; returns how it stood. For operators.
    pub async fn unlock(&self, email: &Email, context: &RequestContext) -> Result<LockStatus, Internal> {
        flows::unlock::by_operator(self.engine, email, context).await
    }

    /// Everything that is held about the caller.
    pub async fn export(&self, principal: &Principal, context: &RequestContext) -> Result<AccountExport, ExportError> {
        flows::export_account::export(self.engine, principal, context).await
    }

    /// Begins a session in which the caller acts as somebody else. Needs `users:impersonate`, a recent proof of who she is, and a reason.
    pub async fn impersonate(
        &self,
        principal: &Principal,
        id: UserId,
        reason: &ImpersonationReason,
        context: &RequestContext,
    ) -> Result<Impersonation, AdminError> {
        flows::impersonate::impersonate(self.engine, principal, id, reason, context).await
    }

    /// Closes the caller's account for good. She must have proved recently who she is.
    pub async fn close(&self, principal: &Principal, context: &RequestContext) -> Result<(), CloseAccountError> {
        flows::close_account::close_account(self.engine, principal, context).await
    }
}

/// The accounts of others. Every method asks the store what the administrator may, and nothing is done to an account that holds a
/// permission which she does not hold.
#[derive(Debug, Clone, Copy)]
pub struct Administration<'a> {
    engine: &'a Engine,
    by: Administrator<'a>,
}

impl Administration<'_> {
    /// The accounts that a filter lets through. Needs `users:read`.
    pub async fn list(&self, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, AdminError> {
        flows::admin_users::list(self.engine, self.by, filter, page).await
    }

    /// One account. Needs `users:read`.
    pub async fn show(&self, id: UserId) -> Result<User, AdminError> {
        flows::admin_users::show(self.engine, self.by, id).await
    }

    /// The account with an address. Needs `users:read`.
    pub async fn find(&self, email: &Email) -> Result<User, AdminError> {
        flows::admin_users::find(self.engine, self.by, email).await
    }

    /// Makes an account without a password: its owner chooses one. Needs `users:write`.
    pub async fn create(&self, account: NewAccount, context: &RequestContext) -> Result<User, AdminError> {
        flows::admin_users::create(self.engine, self.by, account, context).await
    }

    /// Changes the named fields of an account, if it is as `expected`, where that is said. A new address is not verified, and ends every
    /// session. Needs `users:write`.
    pub async fn update(
        &self,
        id: UserId,
        expected: &Expected,
        update: &AccountUpdate,
        context: &RequestContext,
    ) -> Result<User, AdminError> {
        flows::admin_users::update(self.engine, self.by, id, expected, update, context).await
    }

    /// Shuts an account and ends its sessions; done already, it changes nothing. Needs `users:write`.
    pub async fn suspend(&self, id: UserId, expected: &Expected, context: &RequestContext) -> Result<User, AdminError> {
        flows::admin_users::suspend(self.engine, self.by, id, expected, context).await
    }

    /// Opens a suspended account again; done already, it changes nothing. Needs `users:write`.
    pub async fn restore(&self, id: UserId, expected: &Expected, context: &RequestContext) -> Result<User, AdminError> {
        flows::admin_users::restore(self.engine, self.by, id, expected, context).await
    }

    /// Forgets the wrong passwords that strangers have tried at an account; where there are none, it changes nothing. Needs `users:write`.
    pub async fn unlock(&self, id: UserId, context: &RequestContext) -> Result<User, AdminError> {
        flows::admin_users::unlock(self.engine, self.by, id, context).await
    }

    /// Closes an account for good. Needs `users:write`.
    pub async fn close(&self, id: UserId, expected: &Expected, context: &RequestContext) -> Result<(), AdminError> {
        flows::admin_users::close(self.engine, self.by, id, expected, context).await
    }

    /// The sessions of an account that are alive, the youngest first. Needs `sessions:read`.
    pub async fn sessions(&self, id: UserId, page: PageRequest, context: &RequestContext) -> Result<Page<Session>, AdminError> {
        flows::admin_sessions::list(self.engine, self.by, id, page, context).await
    }

    /// Ends every session of an account; returns how many. Needs `sessions:write`.
    pub async fn revoke_sessions(&self, id: UserId, context: &RequestContext) -> Result<usize, AdminError> {
        flows::admin_sessions::revoke_all(self.engine, self.by, id, context).await
    }

    /// Ends one session of an account. Needs `sessions:write`.
    pub async fn revoke_session(&self, id: UserId, session_id: SessionId, context: &RequestContext) -> Result<(), AdminError> {
        flows::admin_sessions::revoke(self.engine, self.by, id, session_id, context).await
    }
}

/// Sessions: log in, refresh, log out, list, end.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    engine: &'a Engine,
}

impl Sessions<'_> {
    /// Logs in by password.
    pub async fn log_in(&self, login: Login, context: &RequestContext) -> Result<LoggedIn, LoginError> {
        flows::login::log_in(self.engine, login, context).await
    }

    /// Uses up a refresh token and issues the next pair.
    pub async fn refresh(&self, token: &RefreshToken, context: &RequestContext) -> Result<Refreshed, RefreshError> {
        flows::refresh::refresh(self.engine, token, context).await
    }

    /// Ends the session of a refresh token; succeeds as well when it has ended already.
    pub async fn log_out(&self, token: &RefreshToken, context: &RequestContext) -> Result<(), LogoutError> {
        flows::logout::log_out(self.engine, token, context).await
    }

    /// Ends every session of the caller, this one included; returns how many.
    pub async fn log_out_all(&self, principal: &Principal, context: &RequestContext) -> Result<usize, Internal> {
        flows::logout::log_out_all(self.engine, principal, context).await
    }

    /// Checks the caller's password again, and issues an access token with a fresh `auth_time`.
    pub async fn reauthenticate(
        &self,
        principal: &Principal,
        password: Password,
        context: &RequestContext,
    ) -> Result<(AccessToken, Duration), ReauthenticateError> {
        flows::reauthenticate::reauthenticate(self.engine, principal, password, context).await
    }

    /// The caller's sessions that are alive, the youngest first.
    pub async fn list(&self, principal: &Principal, page: PageRequest) -> Result<Page<Session>, Internal> {
        flows::sessions::list(self.engine, principal, page).await
    }

    /// Ends one of the caller's sessions.
    pub async fn revoke(&self, principal: &Principal, id: SessionId, context: &RequestContext) -> Result<(), SessionError> {
        flows::sessions::revoke(self.engine, principal, id, context).await
    }
}

/// The keys that sign tokens.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    engine: &'a Engine,
}

impl Keys<'_> {
    /// The public keys as a JWK set (RFC 7517 §5), as JSON: next, current and retired ones that still verify.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.engine.keyring.load().jwks(self.engine.now(), &self.engine.config.tokens)
    }

    /// Every stored key, without what is secret about it.
    pub async fn list(&self) -> Result<Vec<KeyStatus>, Internal> {
        flows::keys::list(self.engine).await
    }

    /// Makes the next key of a purpose: used after the lead time, or from now on where `immediately` says so.
    pub async fn rotate(&self, purpose: KeyPurpose, immediately: bool) -> Result<(), RotateKeyError> {
        flows::keys::rotate(self.engine, purpose, immediately).await
    }

    /// Forgets that a secret of password hashes was ever used, so that it can be taken out of the settings: `pepper-…` or `signer-…`
    /// and its identifier. Goes through all password hashes.
    ///
    /// # Errors
    /// [`PasswordSecretError`](crate::flows::PasswordSecretError) while hashes need it, or new ones are made with it.
    pub async fn forget_password_secret(&self, id: &KeyId) -> Result<(), Internal> {
        flows::password_secrets::forget(self.engine, id).await
    }
}

/// Roles: read, make, change, delete, give, take. What each asks for, and why it refuses, is in [`flows::admin_roles`].
#[derive(Debug, Clone, Copy)]
pub struct Roles<'a> {
    engine: &'a Engine,
}

impl Roles<'_> {
    /// Every role, in the order of their names. Needs `roles:read`.
    pub async fn list(&self, by: Administrator<'_>) -> Result<Vec<Role>, RoleError> {
        flows::admin_roles::list(self.engine, by).await
    }

    /// One role. Needs `roles:read`.
    pub async fn read(&self, by: Administrator<'_>, name: &RoleName) -> Result<Role, RoleError> {
        flows::admin_roles::read(self.engine, by, name).await
    }

    /// The permissions that some role names, and those that AuthKit itself asks for. Needs `roles:read`.
    pub async fn permissions(&self, by: Administrator<'_>) -> Result<BTreeSet<Permission>, RoleError> {
        flows::admin_roles::permissions(self.engine, by).await
    }

    /// Makes a role. Needs `roles:write`, and all that the role gives.
    pub async fn create(
        &self,
        by: Administrator<'_>,
        new: &NewRole,
        run: Run,
        context: &RequestContext,
    ) -> Result<(Role, RoleImpact), RoleError> {
        flows::admin_roles::create(self.engine, by, new, run, context).await
    }

    /// Changes a role. Needs `roles:write`, and all that the role gives before and after.
    pub async fn update(
        &self,
        by: Administrator<'_>,
        name: &RoleName,
        update: &RoleUpdate,
        run: Run,
        context: &RequestContext,
    ) -> Result<(Role, RoleImpact), RoleError> {
        flows::admin_roles::update(self.engine, by, name, update, run, context).await
    }

    /// Deletes a role that nobody has, if it is still of version `if_version`. Needs `roles:write`, and all that the role gives.
    pub async fn delete(
        &self,
        by: Administrator<'_>,
        name: &RoleName,
        if_version: Option<u32>,
        run: Run,
        context: &RequestContext,
    ) -> Result<(), RoleError> {
        flows::admin_roles::delete(self.engine, by, name, if_version, run, context).await
    }

    /// Gives somebody a role. Needs `roles:assign` in the scope, and all that the role gives, there and for as long.
    pub async fn assign(
        &self,
        by: Administrator<'_>,
        grant: &RoleGrant,
        run: Run,
        context: &RequestContext,
    ) -> Result<(User, RoleImpact), RoleError> {
        flows::admin_roles::assign(self.engine, by, grant, run, context).await
    }

    /// Takes a role from somebody. Needs `roles:assign` in the scope, and all that the role gives there unless it is the caller's own.
    pub async fn unassign(
        &self,
        by: Administrator<'_>,
        user_id: UserId,
        role: &RoleName,
        scope: Option<&Scope>,
        run: Run,
        context: &RequestContext,
    ) -> Result<(User, RoleImpact), RoleError> {
        flows::admin_roles::unassign(self.engine, by, user_id, role, scope, run, context).await
    }

    /// Who holds a permission, and by which roles, the greatest id first. Needs `roles:read`.
    pub async fn who_can(
        &self,
        by: Administrator<'_>,
        needed: &Permission,
        page: PageRequest,
    ) -> Result<Page<PermissionHolder>, AuthorizeError> {
        flows::role_impact::who_can(self.engine, by, needed, page).await
    }
}

/// The audit log.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a> {
    engine: &'a Engine,
}

impl Audit<'_> {
    /// The events that a filter asks for.
    pub async fn events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, Internal> {
        Ok(self.engine.store.audit_events(filter, page).await?)
    }

    /// The events that a filter asks for, for somebody who may read the log: with the permission `audit:read`.
    pub async fn events_for(
        &self,
        principal: &Principal,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditEvent>, AuthorizeError> {
        flows::audit_log::events_for(self.engine, principal, filter, page).await
    }

    /// What happened in a request and why, for somebody who may read the log: with the permission `audit:read`.
    pub async fn explain_for(&self, principal: &Principal, request_id: RequestId) -> Result<Explanation, AuthorizeError> {
        flows::audit_log::explain_for(self.engine, principal, request_id).await
    }

    /// What happened in a request and why, in plain words: why a login or a refresh was refused.
    pub async fn explain(&self, request_id: RequestId) -> Result<Explanation, Internal> {
        flows::audit_log::explain(self.engine, request_id).await
    }

    /// What happened to the caller's account, as she may know it, the youngest first.
    pub async fn security_events(&self, principal: &Principal, page: PageRequest) -> Result<Page<SecurityEvent>, Internal> {
        flows::audit_log::security_events(self.engine, principal, page).await
    }

    /// Seals what is old enough to be sealed, now: the background task of every node does it every ten seconds.
    pub async fn seal(&self) -> Result<Sealed, Internal> {
        flows::audit_seal::seal(self.engine, flows::audit_seal::Round::Asked).await
    }

    /// Verifies that nothing in the log was altered, removed, added or put elsewhere since it was sealed.
    pub async fn verify(&self, options: &VerifyOptions) -> Result<Verification, Internal> {
        flows::audit_verify::verify(self.engine, options).await
    }

    /// The end of the chain of seals, with its signature: to be kept elsewhere, for a later [`verify`](Self::verify).
    pub async fn head(&self) -> Result<Option<AuditSeal>, Internal> {
        Ok(self.engine.store.last_audit_seal().await?)
    }

    /// The seals behind a number, in order.
    pub async fn seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, Internal> {
        Ok(self.engine.store.audit_seals(after, limit).await?)
    }

    /// The public keys that verify the seals, oldest first: the names and the keys as JWKs (RFC 7517), as JSON.
    #[must_use]
    pub fn public_keys(&self) -> Vec<(KeyId, String)> {
        let keyring = self.engine.keyring.load();
        keyring.seal_keys().iter().map(|key| (key.id().clone(), key.public_jwk().to_owned())).collect()
    }

    /// Forgets the events of whole seals that are all older than `older_than`, which is at least a day; in a dry run it only says
    /// which. The seals stay, and the chain stays verifiable. Nothing does this by itself.
    pub async fn purge(&self, older_than: Duration, dry_run: bool) -> Result<AuditPurge, AuditPurgeError> {
        flows::audit_purge::purge(self.engine, older_than, dry_run).await
    }
}

/// Links that are mailed: prove an address, set a new password, log in. Whoever asks for one is answered the same in content and in
/// time, whether the address has an account or not.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    engine: &'a Engine,
}

impl Links<'_> {
    /// Has a link mailed that proves the address of an account, where that is still to be proved.
    pub async fn request_verification(&self, email: &Email, context: &RequestContext) -> Result<(), LinkError> {
        flows::one_time::request(self.engine, OneTimePurpose::VerifyEmail, email, None, context).await
    }

    /// Takes the proof of an address; returns the account. Nobody is logged in.
    pub async fn verify_email(&self, token: &OneTimeTokenText, context: &RequestContext) -> Result<User, LinkError> {
        flows::verify_email::verify(self.engine, token, context).await
    }

    /// Has a link mailed that sets a new password.
    pub async fn request_password_reset(&self, email: &Email, context: &RequestContext) -> Result<(), LinkError> {
        flows::one_time::request(self.engine, OneTimePurpose::ResetPassword, email, None, context).await
    }

    /// Sets a new password by a mailed link, ends every session of the account and voids every other link; returns how many sessions
    /// ended.
    pub async fn reset_password(
        &self,
        token: &OneTimeTokenText,
        new: Password,
        context: &RequestContext,
    ) -> Result<usize, LinkError> {
        flows::reset_password::reset(self.engine, token, new, context).await
    }

    /// Has a link mailed that logs in. `browser` is a secret that the browser keeps, in a cookie: then the link is good only there.
    pub async fn request_magic_link(
        &self,
        email: &Email,
        browser: Option<&str>,
        context: &RequestContext,
    ) -> Result<(), LinkError> {
        flows::one_time::request(self.engine, OneTimePurpose::MagicLink, email, browser, context).await
    }

    /// Logs in by a mailed link.
    pub async fn log_in(
        &self,
        token: &OneTimeTokenText,
        browser: Option<&str>,
        device_name: Option<DeviceName>,
        context: &RequestContext,
    ) -> Result<LoggedIn, LinkError> {
        flows::magic_link::redeem(self.engine, token, browser, device_name, context).await
    }
}

/// What waits to be sent, and what could not be.
#[derive(Debug, Clone, Copy)]
pub struct Outbox<'a> {
    engine: &'a Engine,
}

impl Outbox<'_> {
    /// The messages in a state, the youngest first. What they say is sealed.
    pub async fn list(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, Internal> {
        flows::outbox::list(self.engine, state, page).await
    }

    /// Has a message that was given up tried again, while what it says is still true.
    pub async fn retry(&self, id: OutboxMessageId) -> Result<(), OutboxError> {
        flows::outbox::retry(self.engine, id).await
    }

    /// Removes a message.
    pub async fn discard(&self, id: OutboxMessageId) -> Result<(), OutboxError> {
        flows::outbox::discard(self.engine, id).await
    }

    /// Works off everything that is due now, and says how many messages that were. Every node does so in the background; this is for
    /// whoever does not want to wait for that.
    pub async fn deliver_due(&self) -> Result<usize, Internal> {
        flows::outbox::work(self.engine).await
    }
}
