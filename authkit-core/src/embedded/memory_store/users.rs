//! Accounts and their passwords.

use crate::model::{CredentialChange, Credentials, Patch, User, UserChange, UserStatus};
use crate::ports::store::{CommitError, Conflict};
use crate::primitives::{Email, UserId};

use super::table::Table;
use super::{Tables, next};

/// What is kept under an account's id.
pub(super) enum Account {
    /// An account, active or suspended.
    Open(Credentials),
    /// A closed one. Nothing is left of it but that its id is taken.
    Closed,
}

/// The accounts, and which address is whose.
#[derive(Default)]
pub(super) struct Users {
    accounts: Table<UserId, Account>,
    ids: Table<String, UserId>,
}

impl Users {
    /// The account with this id, unless it is closed.
    pub(super) fn open(&self, id: UserId) -> Option<&Credentials> {
        match self.accounts.rows().get(&id)? {
            Account::Open(account) => Some(account),
            Account::Closed => None,
        }
    }

    /// The account with this id, if it may log in.
    pub(super) fn active(&self, id: UserId) -> Option<&User> {
        self.open(id).map(|account| &account.user).filter(|user| user.status == UserStatus::Active)
    }

    /// Whose the address is.
    pub(super) fn id_by_email(&self, email: &Email) -> Option<UserId> {
        self.ids.rows().get(email.normal()).copied()
    }

    pub(super) fn keep(&mut self) {
        self.accounts.keep();
        self.ids.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.accounts.take_back();
        self.ids.take_back();
    }

    fn put(&mut self, account: Credentials) {
        self.accounts.put(account.user.id, Account::Open(account));
    }

    fn put_user(&mut self, user: User) {
        let password = self.open(user.id).and_then(|account| account.password.clone());
        self.put(Credentials { user, password });
    }
}

pub(super) fn apply(tables: &mut Tables, change: &UserChange) -> Result<(), CommitError> {
    let users = &mut tables.users;
    match change {
        UserChange::Insert(user) => {
            if users.id_by_email(&user.email).is_some() {
                return Err(Conflict::EmailTaken.into());
            }
            if users.accounts.rows().contains_key(&user.id) {
                return Err(Conflict::DuplicateId.into());
            }
            users.ids.put(user.email.normal().to_owned(), user.id);
            users.put(Credentials { user: user.clone(), password: None });
        }
        UserChange::UpdateProfile { id, full_name, locale, at } => {
            let mut user = users.active(*id).cloned().ok_or(Conflict::UserChanged)?;
            patch(&mut user.full_name, full_name);
            patch(&mut user.locale, locale);
            user.updated_at = *at;
            users.put_user(user);
        }
        UserChange::RaiseAuthEpoch { id, from, at } => {
            let mut user = users.active(*id).filter(|user| user.auth_epoch == *from).cloned().ok_or(Conflict::UserChanged)?;
            user.auth_epoch = next(user.auth_epoch)?;
            user.updated_at = *at;
            users.put_user(user);
        }
        UserChange::SetSecondFactors { id, from, to, at } => {
            let user = users.open(*id).map(|account| &account.user).filter(|user| user.auth_epoch == *from);
            let mut user = user.cloned().ok_or(Conflict::UserChanged)?;
            user.auth_epoch = next(user.auth_epoch)?;
            user.second_factors = *to;
            user.updated_at = *at;
            users.put_user(user);
        }
        UserChange::Close { id, at: _ } => {
            let email = users.open(*id).map(|account| account.user.email.clone()).ok_or(Conflict::UserChanged)?;
            users.ids.remove(&email.normal().to_owned());
            users.accounts.put(*id, Account::Closed);
            tables.sessions.forget_clients(*id);
            tables.factors.forget(*id);
        }
    }
    Ok(())
}

pub(super) fn apply_credential(tables: &mut Tables, change: &CredentialChange) -> Result<(), CommitError> {
    let users = &mut tables.users;
    match change {
        CredentialChange::InsertPassword { user_id, hash, at: _ } => {
            let mut account = users.open(*user_id).cloned().ok_or(Conflict::UserChanged)?;
            if account.password.is_some() {
                return Err(Conflict::PasswordChanged.into());
            }
            account.password = Some(hash.clone());
            users.put(account);
        }
        CredentialChange::ReplacePassword { user_id, from, to, at: _ } => {
            let account = users.open(*user_id).filter(|account| account.password.as_ref() == Some(from));
            let mut account = account.cloned().ok_or(Conflict::PasswordChanged)?;
            account.password = Some(to.clone());
            users.put(account);
        }
        CredentialChange::DeletePassword { user_id } => {
            if let Some(account) = users.open(*user_id) {
                users.put(Credentials { user: account.user.clone(), password: None });
            }
        }
    }
    Ok(())
}

fn patch<T: Clone>(field: &mut Option<T>, patch: &Patch<T>) {
    match patch {
        Patch::Keep => {}
        Patch::Set(value) => *field = Some(value.clone()),
        Patch::Clear => *field = None,
    }
}
