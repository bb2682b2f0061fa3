//! The face of administration.

use crate::flows::engine::Engine;
use crate::flows::{self, AccountUpdate, AdminError, Administrator, Expected, NewAccount, OutboxError};
use crate::model::{OutboxMessage, OutboxState};
use crate::model::{RequestContext, Session, User, UserFilter, UserPage, UserPageRequest};
use crate::primitives::{Email, OutboxMessageId, Page, PageRequest, SessionId, UserId};

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

    /// Makes an account without a password, and mails nothing. Needs `users:write`.
    pub async fn create(&self, account: NewAccount, context: &RequestContext) -> Result<User, AdminError> {
        flows::admin_users::create(self.engine, self.by, account, false, context).await
    }

    /// Makes an account without a password, and mails its owner a link by which she chooses one. Needs `users:write`.
    pub async fn create_and_invite(&self, account: NewAccount, context: &RequestContext) -> Result<User, AdminError> {
        flows::admin_users::create(self.engine, self.by, account, true, context).await
    }

    /// Mails another invitation to an account that has no password yet; those before are void. Needs `users:write`.
    pub async fn invite(&self, id: UserId, context: &RequestContext) -> Result<(), AdminError> {
        flows::admin_users::invite(self.engine, self.by, id, context).await
    }

    /// Mails a link by which the owner of an account sets a new password; the old one stays in force until she has. Needs `users:write`.
    pub async fn send_password_reset(&self, id: UserId, context: &RequestContext) -> Result<(), AdminError> {
        flows::admin_users::send_password_reset(self.engine, self.by, id, context).await
    }

    /// The messages of the outbox in a state, the youngest first. What they say is sealed. Needs `outbox:read`.
    pub async fn messages(&self, state: OutboxState, page: PageRequest) -> Result<Page<OutboxMessage>, OutboxError> {
        flows::admin_outbox::list(self.engine, self.by, state, page).await
    }

    /// Has a message tried again that was given up, while what it says is still true. Needs `outbox:write`.
    pub async fn retry_message(&self, id: OutboxMessageId, context: &RequestContext) -> Result<(), OutboxError> {
        flows::admin_outbox::retry(self.engine, self.by, id, context).await
    }

    /// Removes a message, whatever its state. Needs `outbox:write`.
    pub async fn discard_message(&self, id: OutboxMessageId, context: &RequestContext) -> Result<(), OutboxError> {
        flows::admin_outbox::discard(self.engine, self.by, id, context).await
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
