//! Whether time tells who has an account: requests of every kind, asked in turn, and the medians of what they took.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::config::Argon2Params;
use authkit_core::embedded::LocalKeyCustody;
use authkit_core::flows::{AccountImport, Administrator, Expected, ImportMode, NewAccount};
use authkit_core::testkit::Mailbox;
use authkit_core::{AuthKit, Config, Email, Login, OsEntropy, Password, PasswordHash, Registration, RequestContext};
use authkit_sqlx::{SqliteOptions, SqliteStore};

use crate::stopwatch::now;

/// What goes wrong goes wrong for good.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const PASSWORD: &str = "plumage-orbit-4417";
const WRONG: &str = "plumage-orbit-4418";
/// bcrypt of cost 12, of no password that anybody knows.
const BCRYPT: &str = "$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
/// SSHA, which costs next to nothing.
const SSHA: &str = "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr";

/// Somebody whom a login may be for. A wrong password is tried at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// There is no account.
    Nobodys,
    /// There is one.
    Owners,
    /// There is one, and it is suspended.
    Suspended,
    /// There is one, and it has no password.
    WithoutPassword,
    /// There is one that came from another system with a dear hash, and was not logged in to since.
    Bcrypt,
    /// The same, with a cheap one.
    Ssha,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A login with a wrong password.
    Login(Whose),
    /// A link for a new password; whether there is an account.
    Forgot(bool),
    /// A link that logs in; whether there is an account.
    MagicLink(bool),
    /// A registration that is answered by mail; whether the address has an account.
    Register(bool),
}

impl Ask {
    /// What it is, in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Login(Whose::Nobodys) => "login, no account",
            Self::Login(Whose::Owners) => "login, wrong password",
            Self::Login(Whose::Suspended) => "login, suspended, wrong password",
            Self::Login(Whose::WithoutPassword) => "login, no password",
            Self::Login(Whose::Bcrypt) => "login, bcrypt of cost 12",
            Self::Login(Whose::Ssha) => "login, salted SHA",
            Self::Forgot(false) => "forgot, no account",
            Self::Forgot(true) => "forgot, an account",
            Self::MagicLink(false) => "magic link, no account",
            Self::MagicLink(true) => "magic link, an account",
            Self::Register(false) => "register, free address",
            Self::Register(true) => "register, taken address",
        }
    }
}

/// Two nodes over one SQLite file that accounts of every kind are in: one that imitates the dear hash, and one that does not.
#[derive(Debug)]
pub struct Site {
    plain: AuthKit,
    imitating: AuthKit,
    _home: tempfile::TempDir,
}

impl Site {
    /// Makes the accounts. New hashes cost `params`.
    pub async fn new(params: Argon2Params) -> Result<Self, Failure> {
        let home = tempfile::Builder::new().prefix("authkit-enumeration-").tempdir()?;
        let store = SqliteStore::open(SqliteOptions::new(home.path().join("authkit.sqlite3"))).await?;
        store.migrate().await?;
        let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::new(OsEntropy)));
        let node = async |imitated: Option<&str>, reveal: bool| {
            let mut config = Config::new("https://auth.example");
            config.passwords.params = params;
            config.passwords.imitated_hash = imitated.map(str::to_owned);
            config.limits.enabled = false;
            config.registration.reveal_existing = reveal;
            let builder = AuthKit::builder(config).store(Arc::new(store.clone())).custody(custody.clone());
            builder.mailer(Arc::new(Mailbox::new())).build().await
        };
        let (open, plain, imitating) = (node(None, true).await?, node(None, false).await?, node(Some("bcrypt,12"), false).await?);
        let context = RequestContext::default();
        for whose in [Whose::Owners, Whose::Suspended] {
            let registration = Registration::new(address(whose)?, Password::parse(PASSWORD)?);
            open.accounts().create(registration, &context).await?;
        }
        let operator = open.administration(Administrator::Operator);
        let account = NewAccount { email: address(Whose::WithoutPassword)?, full_name: None, locale: None };
        operator.create(account, &context).await?;
        let suspended = operator.find(&address(Whose::Suspended)?).await?.id;
        operator.suspend(suspended, &Expected::Anything, &context).await?;
        let imported = |whose, hash: &str| -> Result<AccountImport, Failure> {
            let mut account = AccountImport::new(address(whose)?);
            account.password_hash = Some(PasswordHash::from_phc(hash.to_owned()));
            Ok(account)
        };
        let rows = vec![imported(Whose::Bcrypt, BCRYPT)?, imported(Whose::Ssha, SSHA)?];
        open.accounts().import(rows, ImportMode::Apply, &context).await?;
        Ok(Self { plain, imitating, _home: home })
    }

    /// The node that imitates no hash.
    #[must_use]
    pub const fn plain(&self) -> &AuthKit {
        &self.plain
    }

    /// The node that imitates the dear hash.
    #[must_use]
    pub const fn imitating(&self) -> &AuthKit {
        &self.imitating
    }
}

fn address(whose: Whose) -> Result<Email, Failure> {
    let name = match whose {
        Whose::Nobodys => "nobody",
        Whose::Owners => "owner",
        Whose::Suspended => "suspended",
        Whose::WithoutPassword => "passwordless",
        Whose::Bcrypt => "bcrypt",
        Whose::Ssha => "ssha",
    };
    Ok(Email::parse(&format!("{name}@example.com"))?)
}

/// Asks once, and says how long the answer took.
async fn ask(auth: &AuthKit, what: Ask, round: usize) -> Result<Duration, Failure> {
    let context = RequestContext::default();
    let of = |is_there: bool| if is_there { Whose::Owners } else { Whose::Nobodys };
    let start;
    match what {
        Ask::Login(whose) => {
            let login = Login::new(address(whose)?, Password::parse(WRONG)?);
            start = now();
            if auth.sessions().log_in(login, &context).await.is_ok() {
                return Err("a wrong password was right".into());
            }
        }
        Ask::Forgot(is_there) => {
            let email = address(of(is_there))?;
            start = now();
            auth.links().request_password_reset(&email, &context).await?;
        }
        Ask::MagicLink(is_there) => {
            let email = address(of(is_there))?;
            start = now();
            auth.links().request_magic_link(&email, None, &context).await?;
        }
        Ask::Register(is_taken) => {
            // An address that was free is taken afterwards.
            let email = if is_taken { address(Whose::Owners)? } else { Email::parse(&format!("free{round}@example.com"))? };
            let registration = Registration::new(email, Password::parse(PASSWORD)?);
            start = now();
            auth.accounts().request_registration(registration, &context).await?;
        }
    }
    Ok(start.elapsed())
}

/// The medians of what each took, in their order. They are asked in turn, each round beginning with another, so that what the machine
/// does beside it hits all of them.
pub async fn medians(asked: &[(&AuthKit, Ask)], rounds: usize) -> Result<Vec<Duration>, Failure> {
    let mut took = vec![Vec::with_capacity(rounds); asked.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for turn in 0..asked.len() {
            let at = (turn + round) % asked.len();
            let (auth, what) = asked[at];
            let elapsed = ask(auth, what, round).await?;
            if round > 0 {
                took[at].push(elapsed);
            }
        }
    }
    for series in &mut took {
        series.sort_unstable();
    }
    Ok(took.iter().map(|series| series[series.len() / 2]).collect())
}

/// How far the medians are apart: the largest over the smallest.
#[must_use]
pub fn spread(medians: &[Duration]) -> f64 {
    let (least, most) = (medians.iter().min().copied().unwrap_or_default(), medians.iter().max().copied().unwrap_or_default());
    most.as_secs_f64() / least.as_secs_f64().max(1e-9)
}
