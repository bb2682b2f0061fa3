//! Accounts and their passwords.

use std::ops::Bound;

use crate::model::StoredPassword;
use crate::model::{
    Access, CredentialChange, Credentials, Patch, User, UserChange, UserFilter, UserPage, UserPageRequest, UserStatus,
};
use crate::ports::store::{CommitError, Conflict, StoreError};
use crate::primitives::{Email, Page, PageRequest, Timestamp, UserId};

use super::table::Table;
use super::{Tables, next, roles};

/// What is kept under an account's id.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every account is open: a box for each would cost more than the few closed ones"
)]
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

    /// A page of the password hashes, the least id first.
    pub(super) fn password_page(&self, page: PageRequest) -> Page<StoredPassword> {
        let above = page.cursor.map_or(Bound::Unbounded, |cursor| Bound::Excluded(UserId::from_uuid(cursor.id())));
        let accounts = self.accounts.rows().range((above, Bound::Unbounded));
        let passwords = accounts.filter_map(|(id, account)| match account {
            Account::Open(account) => account.password.clone().map(|hash| StoredPassword { user_id: *id, hash }),
            Account::Closed => None,
        });
        let rows = passwords.take(usize::from(page.limit.value()) + 1).collect();
        Page::from_surplus(rows, page.limit, |row| row.user_id.as_uuid())
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

    /// Keeps an account as a change left it.
    fn put_changed(&mut self, user: User, at: Timestamp) -> Result<(), StoreError> {
        let password = self.open(user.id).and_then(|account| account.password.clone());
        let user = User { version: next(user.version)?, updated_at: at, ..user };
        self.put(Credentials { user, password });
        Ok(())
    }

    /// The account, active or suspended, if it has this version.
    fn unchanged(&self, id: UserId, version: u32) -> Result<&User, Conflict> {
        self.open(id).map(|account| &account.user).filter(|user| user.version == version).ok_or(Conflict::UserChanged)
    }

    /// A page of the accounts that a filter lets through.
    pub(super) fn page(&self, filter: &UserFilter, page: &UserPageRequest) -> UserPage {
        let open = self.accounts.rows().values().filter_map(|account| match account {
            Account::Open(account) => Some(&account.user),
            Account::Closed => None,
        });
        filter.page_of(open.cloned(), page)
    }
}

#[expect(clippy::too_many_lines, reason = "one arm a change")]
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
            users.put(Credentials { user: User { access: Access::default(), ..user.clone() }, password: None });
        }
        UserChange::UpdateProfile { id, full_name, locale, at } => {
            let mut user = users.active(*id).cloned().ok_or(Conflict::UserChanged)?;
            patch(&mut user.full_name, full_name);
            patch(&mut user.locale, locale);
            users.put_changed(user, *at)?;
        }
        UserChange::VerifyEmail { id, email, at } => {
            let mut user = users.active(*id).filter(|user| user.email == *email).cloned().ok_or(Conflict::UserChanged)?;
            user.email_verified_at = user.email_verified_at.or(Some(*at));
            users.put_changed(user, *at)?;
        }
        UserChange::ChangeEmail { id, from, to, at } => {
            if users.id_by_email(to).is_some_and(|owner| owner != *id) {
                return Err(Conflict::EmailTaken.into());
            }
            let mut user = users.active(*id).filter(|user| user.email == *from).cloned().ok_or(Conflict::UserChanged)?;
            users.ids.remove(&from.normal().to_owned());
            users.ids.put(to.normal().to_owned(), user.id);
            user.email = to.clone();
            user.email_verified_at = Some(*at);
            users.put_changed(user, *at)?;
        }
        UserChange::RaiseAuthEpoch { id, from, at } => {
            let mut user = users.active(*id).filter(|user| user.auth_epoch == *from).cloned().ok_or(Conflict::UserChanged)?;
            user.auth_epoch = next(user.auth_epoch)?;
            users.put_changed(user, *at)?;
        }
        UserChange::Update { id, from, email, full_name, locale, at } => {
            if email.as_ref().and_then(|email| users.id_by_email(email)).is_some_and(|owner| owner != *id) {
                return Err(Conflict::EmailTaken.into());
            }
            let mut user = users.unchanged(*id, *from)?.clone();
            if let Some(email) = email {
                users.ids.remove(&user.email.normal().to_owned());
                users.ids.put(email.normal().to_owned(), *id);
                user.email = email.clone();
                user.email_verified_at = None;
                user.auth_epoch = next(user.auth_epoch)?;
            }
            patch(&mut user.full_name, full_name);
            patch(&mut user.locale, locale);
            users.put_changed(user, *at)?;
        }
        UserChange::Suspend { id, from, at } => {
            let user = users.unchanged(*id, *from)?;
            let active = Some(user).filter(|user| user.status == UserStatus::Active).cloned();
            let mut user = active.ok_or(Conflict::UserChanged)?;
            user.status = UserStatus::Suspended;
            user.auth_epoch = next(user.auth_epoch)?;
            users.put_changed(user, *at)?;
        }
        UserChange::Restore { id, from, at } => {
            let user = users.unchanged(*id, *from)?;
            let suspended = Some(user).filter(|user| user.status == UserStatus::Suspended).cloned();
            let user = suspended.ok_or(Conflict::UserChanged)?;
            users.put_changed(User { status: UserStatus::Active, ..user }, *at)?;
        }
        UserChange::Expect { id, version } => {
            users.unchanged(*id, *version)?;
        }
        UserChange::SetSecondFactors { id, from, to, at } => {
            let user = users.open(*id).map(|account| &account.user).filter(|user| user.auth_epoch == *from);
            let mut user = user.cloned().ok_or(Conflict::UserChanged)?;
            user.auth_epoch = next(user.auth_epoch)?;
            user.second_factors = *to;
            users.put_changed(user, *at)?;
        }
        UserChange::ReplaceAssignments { id, from, to, roles_version, at } => {
            roles::expect_version(tables, *roles_version)?;
            let stands = tables.users.open(*id).map(|account| &account.user).filter(|user| user.access.version == *from);
            let user = stands.cloned().ok_or(Conflict::AccessChanged)?;
            let user = roles::replace(tables, user, to, *at)?;
            tables.users.put_changed(user, *at)?;
        }
        UserChange::HoldAccess { id, version } => {
            users.active(*id).filter(|user| user.access.version == *version).ok_or(Conflict::AuthorityChanged)?;
        }
        UserChange::Close { id, at: _ } => {
            let user = users.open(*id).map(|account| account.user.clone()).ok_or(Conflict::UserChanged)?;
            users.ids.remove(&user.email.normal().to_owned());
            users.accounts.put(*id, Account::Closed);
            tables.sessions.forget_clients(*id);
            tables.factors.forget(*id);
            tables.passkeys.forget_all_of(*id);
            tables.roles.forget(&user);
            tables.tokens.revoke_all_of(*id, None);
            tables.outbox.forget_of(*id);
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
