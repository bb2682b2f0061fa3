//! The face of sessions.

use std::time::Duration;

use crate::flows::engine::Engine;
use crate::flows::{
    self, Internal, LoggedIn, Login, LoginError, LogoutError, Principal, ReauthenticateError, RefreshError, Refreshed,
    SessionError,
};
use crate::model::{RequestContext, Session};
use crate::primitives::{AccessToken, Page, PageRequest, Password, RefreshToken, SessionId};

/// Sessions: log in, refresh, log out, list, end.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    pub(super) engine: &'a Engine,
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
