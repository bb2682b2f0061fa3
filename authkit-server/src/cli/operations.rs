//! What the command line needs from the assembled server.

use std::error::Error;
use std::io::{BufRead, Write};

use authkit_core::flows::AccountUpdate;
use authkit_core::model::{OutboxState, UserFilter};
use authkit_core::{Email, FullName, OutboxMessageId, PageLimit, Password, RoleName, SessionId, UserId};

use super::args::{ImportArgs, UsersFormat};
use super::audit::AuditOperation;
use super::doctor::Check;
use super::roles::RolesCommand;
use crate::settings::Settings;

/// Why a command failed; shown with its causes, and the process exits with 1.
pub type OperationError = Box<dyn Error + Send + Sync>;

/// An account to create, checked as far as that goes without a store.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewUser {
    /// The address.
    pub email: Email,
    /// The name.
    pub full_name: Option<FullName>,
    /// The password; `None` for an account whose owner chooses one.
    pub password: Option<Password>,
    /// The roles.
    pub roles: Vec<RoleName>,
    /// Whether she is mailed a link by which she chooses the password that the account has not.
    pub invite: bool,
}

impl NewUser {
    pub(super) const fn new(email: Email, full_name: Option<FullName>, password: Option<Password>, roles: Vec<RoleName>) -> Self {
        Self { email, full_name, password, roles, invite: false }
    }

    pub(super) fn invited(self, invite: bool) -> Self {
        Self { invite, ..self }
    }
}

/// How an import ended that could be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// Every line was taken, or was there.
    Whole,
    /// Some lines were refused.
    InPart,
    /// The file cannot be one: nothing was done. The reason was said.
    Unusable,
}

/// An account, as the operator names it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NamedUser {
    /// By its id.
    Id(UserId),
    /// By its address.
    Email(Email),
}

/// What to do with accounts, checked as far as that goes without a store.
#[derive(Debug)]
#[non_exhaustive]
pub enum UsersTask {
    /// List those that the filter lets through, at most so many.
    List(UserFilter, u32),
    /// Show one.
    Show(NamedUser),
    /// Change one.
    Update(NamedUser, AccountUpdate),
    /// Mail the owner of one an invitation.
    Invite(NamedUser),
    /// Mail the owner of one a link that sets a new password.
    ResetPassword(NamedUser),
    /// Suspend one.
    Suspend(NamedUser),
    /// Restore one.
    Restore(NamedUser),
    /// Close one.
    Close(NamedUser),
    /// List the sessions of one.
    Sessions(NamedUser),
    /// End every session of one, or the one.
    RevokeSessions(NamedUser, Option<SessionId>),
}

/// What to do with messages, checked as far as that goes without a store.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutboxTask {
    /// List those in a state, at most so many.
    List(OutboxState, PageLimit),
    /// Try one again.
    Retry(OutboxMessageId),
    /// Remove one.
    Discard(OutboxMessageId),
}

/// The commands that need a store, keys or a listener. Each builds the runtime that it needs.
pub trait Operations {
    /// Serves until it is told to stop.
    fn serve(&self, settings: Settings) -> Result<(), OperationError>;

    /// Brings the database to this version, and writes what it did. With `check` it changes nothing and fails when
    /// something is pending.
    fn migrate(&self, settings: &Settings, check: bool, out: &mut dyn Write) -> Result<(), OperationError>;

    /// The OpenAPI document, as JSON.
    fn openapi(&self) -> Result<String, OperationError>;

    /// Creates an account.
    fn create_user(&self, settings: &Settings, user: NewUser) -> Result<UserId, OperationError>;

    /// Turns every second factor of the account with an address off. Whether there was one.
    fn reset_mfa(&self, settings: &Settings, email: &Email) -> Result<bool, OperationError>;

    /// Writes how an account stands with those who guess at its password, and with `unlock` forgets what they tried.
    fn lock_status(&self, settings: &Settings, email: &Email, unlock: bool, out: &mut dyn Write) -> Result<(), OperationError>;

    /// Does something with accounts that exist, and writes what became of them.
    fn users(&self, settings: &Settings, task: UsersTask, format: UsersFormat, out: &mut dyn Write)
    -> Result<(), OperationError>;
    /// Does something with messages, and writes what it found or did.
    fn outbox(
        &self,
        settings: &Settings,
        task: OutboxTask,
        format: UsersFormat,
        out: &mut dyn Write,
    ) -> Result<(), OperationError>;

    /// Runs a command on roles, and writes what it found or did.
    fn roles(&self, settings: &Settings, command: &RolesCommand, out: &mut dyn Write) -> Result<(), OperationError>;

    /// Writes the signing keys, one a line.
    fn list_keys(&self, settings: &Settings, out: &mut dyn Write) -> Result<(), OperationError>;

    /// Makes a new signing key, in force at once with `now`, and writes which.
    fn rotate_keys(&self, settings: &Settings, now: bool, out: &mut dyn Write) -> Result<(), OperationError>;

    /// Does something with the audit log, and writes what it found; an error when it is not what was sealed.
    fn audit(&self, settings: &Settings, operation: AuditOperation, out: &mut dyn Write) -> Result<(), OperationError>;

    /// Takes over the accounts of a file.
    fn import_users(
        &self,
        settings: &Settings,
        args: &ImportArgs,
        stdin: &mut dyn BufRead,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<Imported, OperationError>;

    /// Hashes the hashes of other systems once more, and writes how many.
    fn wrap_hashes(
        &self,
        settings: &Settings,
        dry_run: bool,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<(), OperationError>;

    /// Forgets a secret of password hashes.
    fn forget_secret(&self, settings: &Settings, name: &str, out: &mut dyn Write) -> Result<(), OperationError>;

    /// The doctor's checks of the store, the keys and the clock.
    fn checks(&self, settings: &Settings) -> Vec<Check>;
}
