//! The one place where sessions begin and access tokens are issued.

use std::time::Duration;

use serde::Serialize;

use crate::flows::engine::{Engine, Internal};
use crate::model::{Access, AuthMethod, ChangeSet, Client, Session, SessionChange, User};
use crate::primitives::{AccessToken, DeviceName, DeviceToken, FullName, RefreshToken, SessionId, Timestamp, TrustToken, UserId};
use crate::token::{Issuance, access, device, refresh};

/// What a client gets to act for its user.
#[derive(Debug, Clone)]
pub struct TokenPair {
    /// Goes with every request, as `Authorization: Bearer …`.
    pub access_token: AccessToken,
    /// Buys the next pair, once.
    pub refresh_token: RefreshToken,
    /// How long the access token is valid, in whole seconds.
    pub expires_in: Duration,
}

/// Somebody who is logged in now.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// Who.
    pub user: User,
    /// In which session.
    pub session_id: SessionId,
    /// Her tokens.
    pub tokens: TokenPair,
    /// What makes the device known at its next login, after a login or a registration; `None` after a refresh.
    pub device_token: Option<DeviceToken>,
    /// What the device shows at its next login, so that no second factor is asked for; `None` but where that was asked for behind one.
    pub trust_token: Option<TrustToken>,
}

impl LoggedIn {
    /// The reply to a client, tokens in the clear: the members of RFC 6749 §5.1, and the user.
    #[must_use]
    pub fn into_reply(self) -> TokenReply {
        TokenReply {
            access_token: self.tokens.access_token.expose().to_owned(),
            refresh_token: self.tokens.refresh_token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: self.tokens.expires_in.as_secs(),
            user: UserReply::from(&self.user),
            device_token: self.device_token.map(|token| token.expose().to_owned()),
            trust_token: self.trust_token.map(|token| token.expose().to_owned()),
        }
    }
}

/// What a client is told when it is logged in. Send it with `Cache-Control: no-store`.
#[derive(Serialize)]
pub struct TokenReply {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    /// Whole seconds.
    expires_in: u64,
    user: UserReply,
    /// To be kept longer than the others, and shown at the next login.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
    /// To be kept as long as the device is trusted, and shown at the next login.
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_token: Option<String>,
}

impl std::fmt::Debug for TokenReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenReply").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a client is told about its user.
#[derive(Debug, Serialize)]
pub struct UserReply {
    id: UserId,
    email: String,
    email_verified: bool,
    full_name: Option<FullName>,
    created_at: Timestamp,
}

impl From<&User> for UserReply {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.to_string(),
            email_verified: user.email_verified_at.is_some(),
            full_name: user.full_name.clone(),
            created_at: user.created_at,
        }
    }
}

/// A session that a flow is about to commit, with the tokens to hand out once it is.
pub(crate) struct NewSession {
    session: Session,
    auth_epoch: u32,
    tokens: TokenPair,
    device_token: DeviceToken,
    user: User,
}

impl NewSession {
    /// Plans a session of `user`, who proved herself by `methods` at `at`.
    pub(crate) fn plan(
        engine: &Engine,
        user: &User,
        methods: Vec<AuthMethod>,
        device_name: Option<DeviceName>,
        client: &Client,
        at: Timestamp,
    ) -> Result<Self, Internal> {
        let id = SessionId::generate(at, &*engine.entropy);
        let minted = refresh::mint(&engine.keyring.load(), id, 0, at, &*engine.entropy)?;
        let expires_at = at + engine.config.sessions.absolute_timeout;
        let session = Session {
            id,
            user_id: user.id,
            generation: 0,
            secret: minted.secret,
            methods,
            authenticated_at: at,
            device_name,
            created_by: client.clone(),
            last_used_by: client.clone(),
            created_at: at,
            refreshed_at: at,
            idle_expires_at: expires_at.min(at + engine.config.sessions.idle_timeout),
            expires_at,
            impersonator: None,
            revoked: None,
        };
        // A new account has no roles yet, whatever it says.
        let tokens = pair(engine, &session, &user.access, minted.token, at)?;
        let device_token = device_token(engine, user, user.auth_epoch, at)?;
        Ok(Self { session, auth_epoch: user.auth_epoch, tokens, device_token, user: user.clone() })
    }

    /// Adds the session, and the cap on its user's sessions, to what is committed.
    pub(crate) fn add_to(&self, engine: &Engine, changes: ChangeSet) -> ChangeSet {
        let insert = SessionChange::Insert { session: Box::new(self.session.clone()), auth_epoch: self.auth_epoch };
        let cap = SessionChange::EnforceCap {
            user_id: self.user.id,
            keep: engine.config.sessions.max_per_user,
            at: self.session.created_at,
        };
        changes.and(insert).and(cap)
    }

    pub(crate) const fn id(&self) -> SessionId {
        self.session.id
    }

    /// Hands out the tokens. Call it after the commit: before, they are good for nothing.
    pub(crate) fn logged_in(self) -> LoggedIn {
        let device_token = Some(self.device_token);
        LoggedIn { user: self.user, session_id: self.session.id, tokens: self.tokens, device_token, trust_token: None }
    }
}

/// Makes the device known on which the owner of an account has just shown who she is.
pub(crate) fn device_token(engine: &Engine, user: &User, auth_epoch: u32, at: Timestamp) -> Result<DeviceToken, Internal> {
    Ok(device::mint(&engine.keyring.load(), user.id, &user.email, auth_epoch, at, &*engine.entropy)?)
}

/// Issues an access token for a session, and joins it with its refresh token.
pub(crate) fn pair(
    engine: &Engine,
    session: &Session,
    access: &Access,
    refresh_token: RefreshToken,
    at: Timestamp,
) -> Result<TokenPair, Internal> {
    let (access_token, expires_in) = access_token(engine, session, access, at)?;
    Ok(TokenPair { access_token, refresh_token, expires_in })
}

/// Issues an access token for a session; it never outlives the session.
pub(crate) fn access_token(
    engine: &Engine,
    session: &Session,
    access: &Access,
    at: Timestamp,
) -> Result<(AccessToken, Duration), Internal> {
    let issuance = Issuance {
        user_id: session.user_id,
        session_id: session.id,
        methods: &session.methods,
        authenticated_at: session.authenticated_at,
        session_ends_at: session.expires_at.min(session.idle_expires_at),
        impersonator: session.impersonator,
        access,
    };
    let issued = access::issue(&engine.keyring.load(), &engine.config.tokens, issuance, at, &*engine.entropy)?;
    // Both ends are whole seconds in the token, so the difference is one too.
    Ok((issued.token, issued.expires_at.since(Timestamp::from_unix_seconds(at.unix_seconds()))))
}
