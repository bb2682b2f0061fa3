//! The face of accounts.

use crate::flows::engine::Engine;
use crate::flows::{
    self, AccountExport, AccountImport, AdminError, ChangeEmailError, ChangePasswordError, CloseAccountError, ExportError,
    Impersonation, ImportMode, ImportOutcome, Internal, LockStatus, LoggedIn, PasswordChange, PasswordChanged, Planned,
    Principal, ProfileError, ProfileUpdate, RegisterError, Registration, WrappedPage,
};
use crate::model::{RequestContext, User};
use crate::primitives::{Cursor, Email, ImpersonationReason, RoleName, UserId};

/// Accounts: register, read, change, close.
#[derive(Debug, Clone, Copy)]
pub struct Accounts<'a> {
    pub(super) engine: &'a Engine,
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

    /// Has a link mailed to another address: opened, it moves the caller's account there. The old address is told, now and then, and
    /// the second time with a link that takes it back. Needs a recent proof of identity.
    pub async fn request_email_change(
        &self,
        principal: &Principal,
        to: &Email,
        context: &RequestContext,
    ) -> Result<(), ChangeEmailError> {
        flows::change_email::request(self.engine, principal, to, context).await
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
