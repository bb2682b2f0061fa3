//! Forgetting the wrong passwords of an account, on its owner's behalf.

use crate::flows::engine::{Engine, Internal};
use crate::model::{Actor, AuditAction, ChangeSet, GuessChange, GuessSubject, Guesses, Outcome, RequestContext};
use crate::primitives::Email;

/// How an account stands with those who guess at it from unknown devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lock {
    /// A password is evaluated at once.
    Open,
    /// The next password is evaluated after a while.
    Delayed,
    /// No password is evaluated until the owner has logged in on a known device or by another way, or somebody unlocks it.
    Closed,
}

/// Wrong passwords in a row, from unknown devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStatus {
    /// How many; `None` for none.
    pub guesses: Option<Guesses>,
    /// What comes of them.
    pub lock: Lock,
}

/// How the account with an address stands, whether there is one or not.
pub(crate) async fn status(engine: &Engine, email: &Email) -> Result<LockStatus, Internal> {
    let guesses = engine.store.guesses(GuessSubject::strangers(email)).await?;
    let guessing = &engine.config.limits.guessing;
    let lock = match guesses {
        Some(guesses) if guesses.failures >= guessing.at_most => Lock::Closed,
        Some(guesses) if !guessing.delay(guesses.failures).is_zero() => Lock::Delayed,
        _ => Lock::Open,
    };
    Ok(LockStatus { guesses, lock })
}

/// Forgets the wrong passwords of an address, for its operator. Returns how it stood.
pub(crate) async fn by_operator(engine: &Engine, email: &Email, context: &RequestContext) -> Result<LockStatus, Internal> {
    let before = status(engine, email).await?;
    if let Some(guesses) = before.guesses {
        let subject = engine.store.credentials_by_email(email).await?.map(|found| found.user.id);
        let event = engine.event(engine.now(), AuditAction::AccountUnlocked, Outcome::Success, context).by(Actor::System);
        let event = event.with("email", email.normal()).with("failures", guesses.failures.to_string());
        let event = subject.map_or(event.clone(), |user_id| event.on(user_id));
        let forget = GuessChange::Forget { subject: GuessSubject::strangers(email) };
        engine.commit(&ChangeSet::new().and(forget).and(event)).await?;
    }
    Ok(before)
}
