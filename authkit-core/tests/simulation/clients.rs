//! What clients ask for, what they are told, and what they hold.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use authkit_core::builder::{BuildError, Ready};
use authkit_core::flows::{
    ChangePasswordError, CloseAccountError, Internal, LoginError, LogoutError, ReauthenticateError, RefreshError, RegisterError,
    RotateKeyError, SessionError,
};
use authkit_core::model::KeyPurpose;
use authkit_core::{
    AccessToken, AuthKit, Builder, Email, LoggedIn, Login, Password, PasswordChange, Principal, RefreshToken, Refreshed,
    Registration, RequestContext, SessionId, UserId,
};

/// A use case that somebody asks for, or that a node does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Register { account: usize, password: u32 },
    LogIn { account: usize, password: u32 },
    Refresh { device: usize, token: usize },
    LogOut { device: usize, token: usize },
    LogOutAll { device: usize },
    Revoke { device: usize, target: SessionId },
    ChangePassword { device: usize, current: u32, new: u32 },
    Reauthenticate { device: usize, password: u32 },
    Close { device: usize },
    RotateKey,
    Turn { wide: bool },
    Start,
}

impl Op {
    /// Whether a client asks for it; the rest a node does by itself.
    pub(crate) const fn is_request(self) -> bool {
        !matches!(self, Self::RotateKey | Self::Turn { .. } | Self::Start)
    }

    /// Whether it takes a place in the hashing pool.
    pub(crate) const fn hashes(self) -> bool {
        matches!(self, Self::Register { .. } | Self::LogIn { .. } | Self::ChangePassword { .. } | Self::Reauthenticate { .. })
    }

    /// Whether its purpose is to end sessions.
    pub(crate) const fn ends_sessions(self) -> bool {
        matches!(
            self,
            Self::LogOut { .. } | Self::LogOutAll { .. } | Self::Revoke { .. } | Self::ChangePassword { .. } | Self::Close { .. }
        )
    }

    /// One word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::LogIn { .. } => "log in",
            Self::Refresh { .. } => "refresh",
            Self::LogOut { .. } => "log out",
            Self::LogOutAll { .. } => "log out everywhere",
            Self::Revoke { .. } => "revoke",
            Self::ChangePassword { .. } => "change password",
            Self::Reauthenticate { .. } => "reauthenticate",
            Self::Close { .. } => "close",
            Self::RotateKey => "rotate key",
            Self::Turn { wide: false } => "poll",
            Self::Turn { wide: true } => "wide poll",
            Self::Start => "start",
        }
    }

    /// The device that asks.
    pub(crate) const fn device(self) -> Option<usize> {
        match self {
            Self::Refresh { device, .. }
            | Self::LogOut { device, .. }
            | Self::LogOutAll { device }
            | Self::Revoke { device, .. }
            | Self::ChangePassword { device, .. }
            | Self::Reauthenticate { device, .. }
            | Self::Close { device } => Some(device),
            _ => None,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register { account, password } => write!(f, "account {account} registers with password {password}"),
            Self::LogIn { account, password } => write!(f, "account {account} logs in with password {password}"),
            Self::Refresh { device, token } => write!(f, "device {device} refreshes with its token {token}"),
            Self::LogOut { device, token } => write!(f, "device {device} logs out with its token {token}"),
            Self::LogOutAll { device } => write!(f, "device {device} logs out everywhere"),
            Self::Revoke { device, target } => write!(f, "device {device} ends {target}"),
            Self::ChangePassword { device, current, new } => {
                write!(f, "device {device} changes password {current} to {new}")
            }
            Self::Reauthenticate { device, password } => write!(f, "device {device} proves itself with password {password}"),
            Self::Close { device } => write!(f, "device {device} closes its account"),
            Self::RotateKey => f.write_str("the operator rotates the key of refresh tokens"),
            Self::Turn { wide: false } => f.write_str("revocations are read"),
            Self::Turn { wide: true } => f.write_str("revocations are read, what is old is forgotten, keys are read"),
            Self::Start => f.write_str("the node starts"),
        }
    }
}

/// How a use case ended.
pub(crate) enum Outcome {
    /// With tokens.
    In(Box<LoggedIn>),
    /// The token had been used; its session has been ended.
    Reused(SessionId),
    /// It was done, to so many sessions where it ends some.
    Done(usize),
    /// With a fresh access token.
    Fresh(AccessToken),
    /// The node is up.
    Started(AuthKit),
    /// It was refused, with this code.
    Refused(&'static str),
    /// There was no place to hash.
    Shed,
    /// A part below failed.
    Failed(String),
}

/// An outcome, for the trace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Summary {
    In { session: SessionId, token: u64 },
    Reused(SessionId),
    Done(usize),
    Fresh(u64),
    Started,
    Refused(&'static str),
    Shed,
    Failed(String),
}

impl Summary {
    /// One word for it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::In { .. } => "in",
            Self::Reused(_) => "reused",
            Self::Done(_) => "done",
            Self::Fresh(_) => "fresh",
            Self::Started => "started",
            Self::Refused(code) => code,
            Self::Shed => "shed",
            Self::Failed(_) => "failed",
        }
    }
}

impl Outcome {
    pub(crate) fn summary(&self) -> Summary {
        match self {
            Self::In(tokens) => {
                Summary::In { session: tokens.session_id, token: fingerprint(tokens.tokens.refresh_token.expose()) }
            }
            Self::Reused(session) => Summary::Reused(*session),
            Self::Done(count) => Summary::Done(*count),
            Self::Fresh(token) => Summary::Fresh(fingerprint(token.expose())),
            Self::Started(_) => Summary::Started,
            Self::Refused(code) => Summary::Refused(code),
            Self::Shed => Summary::Shed,
            Self::Failed(error) => Summary::Failed(error.clone()),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In { session, token } => write!(f, "in, with {session} and refresh token #{token:016x}"),
            Self::Reused(session) => write!(f, "REUSED, and {session} ended"),
            Self::Done(count) => write!(f, "done ({count})"),
            Self::Fresh(token) => write!(f, "access token #{token:016x}"),
            Self::Started => f.write_str("up"),
            Self::Refused(code) => write!(f, "refused: {code}"),
            Self::Shed => f.write_str("refused: no place to hash"),
            Self::Failed(error) => write!(f, "FAILED: {error}"),
        }
    }
}

fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What somebody holds who has logged in, or who has copied it from somebody who has.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    /// The refresh tokens that it was given, the oldest first.
    pub(crate) chain: Vec<RefreshToken>,
    pub(crate) access: AccessToken,
    /// It was told that its session is over.
    pub(crate) over: bool,
}

impl Device {
    pub(crate) fn new(tokens: &LoggedIn) -> Self {
        Self {
            user: tokens.user.id,
            session: tokens.session_id,
            chain: vec![tokens.tokens.refresh_token.clone()],
            access: tokens.tokens.access_token.clone(),
            over: false,
        }
    }

    /// A thief's copy of it, as it stands.
    pub(crate) fn stolen(&self) -> Self {
        Self { chain: self.chain.clone(), access: self.access.clone(), ..*self }
    }
}

/// The address of an account.
pub(crate) fn email(account: usize) -> Email {
    Email::parse(&format!("user{account}@example.com")).expect("an address")
}

fn password(number: u32) -> Password {
    Password::parse(&format!("{number:08}")).expect("a password")
}

/// What a request is made with: what the device held when it asked.
pub(crate) struct Credentials {
    pub(crate) token: Option<RefreshToken>,
    pub(crate) principal: Option<Principal>,
}

/// Asks a node for a use case.
pub(crate) async fn ask(node: AuthKit, op: Op, with: Credentials) -> Outcome {
    let context = RequestContext::default();
    let (accounts, sessions) = (node.accounts(), node.sessions());
    let principal = || with.principal.as_ref().expect("was authenticated");
    let token = || with.token.as_ref().expect("was given a token");
    match op {
        Op::Register { account, password: number } => {
            tokens(accounts.register(Registration::new(email(account), password(number)), &context).await)
        }
        Op::LogIn { account, password: number } => {
            tokens(sessions.log_in(Login::new(email(account), password(number)), &context).await)
        }
        Op::Refresh { .. } => match sessions.refresh(token(), &context).await {
            Ok(Refreshed::Renewed(tokens)) => Outcome::In(Box::new(tokens)),
            Ok(Refreshed::Reused { session_id, .. }) => Outcome::Reused(session_id),
            Ok(other) => Outcome::Failed(format!("{other:?}")),
            Err(error) => error.into(),
        },
        Op::LogOut { .. } => done(sessions.log_out(token(), &context).await.map(|()| 1)),
        Op::LogOutAll { .. } => done(sessions.log_out_all(principal(), &context).await),
        Op::Revoke { target, .. } => done(sessions.revoke(principal(), target, &context).await.map(|()| 1)),
        Op::ChangePassword { current, new, .. } => {
            let change = PasswordChange { current: password(current), new: password(new) };
            done(accounts.change_password(principal(), change, &context).await.map(|changed| changed.sessions_ended))
        }
        Op::Reauthenticate { password: number, .. } => {
            match sessions.reauthenticate(principal(), password(number), &context).await {
                Ok((token, _)) => Outcome::Fresh(token),
                Err(error) => error.into(),
            }
        }
        Op::Close { .. } => done(accounts.close(principal(), &context).await.map(|()| 1)),
        Op::RotateKey => done(node.keys().rotate(KeyPurpose::RefreshToken, false).await.map(|()| 0)),
        Op::Turn { wide } => done(node.maintain(wide).await.map(|()| 0)),
        Op::Start => Outcome::Failed("a node starts from its builder".to_owned()),
    }
}

/// Starts a node.
pub(crate) async fn start(builder: Builder<Ready>) -> Outcome {
    match builder.build_unattended().await {
        Ok(node) => Outcome::Started(node),
        Err(BuildError::Internal(error)) => error.into(),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn tokens<E: Into<Outcome>>(result: Result<LoggedIn, E>) -> Outcome {
    result.map_or_else(Into::into, |tokens| Outcome::In(Box::new(tokens)))
}

fn done<E: Into<Outcome>>(result: Result<usize, E>) -> Outcome {
    result.map_or_else(Into::into, Outcome::Done)
}

impl From<Internal> for Outcome {
    fn from(error: Internal) -> Self {
        Self::Failed(format!("{error:?}"))
    }
}

macro_rules! outcome_from {
    ($($error:ident $(sheds $overloaded:ident)?),* $(,)?) => {
        $(impl From<$error> for Outcome {
            fn from(error: $error) -> Self {
                match error {
                    $error::Internal(error) => error.into(),
                    $($error::$overloaded { .. } => Self::Shed,)?
                    refused => Self::Refused(refused.code()),
                }
            }
        })*
    };
}

outcome_from!(
    RegisterError sheds Overloaded,
    LoginError sheds Overloaded,
    ChangePasswordError sheds Overloaded,
    ReauthenticateError sheds Overloaded,
    RefreshError,
    LogoutError,
    SessionError,
    CloseAccountError,
);

impl From<RotateKeyError> for Outcome {
    fn from(error: RotateKeyError) -> Self {
        match error {
            RotateKeyError::Internal(error) => error.into(),
            _ => Self::Refused("key.overtaken"),
        }
    }
}
