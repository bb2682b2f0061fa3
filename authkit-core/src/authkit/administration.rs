//! The face of administration.

use crate::flows::engine::Engine;
use crate::flows::{self, AccountUpdate, AdminError, Administrator, Expected, NewAccount};
use crate::model::{RequestContext, Session, User, UserFilter, UserPage, UserPageRequest};
use crate::primitives::{Email, Page, PageRequest, SessionId, UserId};

/// The accounts of others. Every method asks the store what the administrator may, and nothing is done to an account that holds a
/// permission which she does not hold.
#[derive(Debug, Clone, Copy)]
pub struct Administration<'a> {
    pub(super) engine: &'a Engine,
    pub(super) by: Administrator<'a>,
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

    /// Turns every second factor of an account off and ends its sessions; whether there was one. Needs `users:write`.
    pub async fn reset_mfa(&self, id: UserId, context: &RequestContext) -> Result<bool, AdminError> {
        flows::reset_mfa::reset(self.engine, self.by, id, context).await
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
