//! The door in front of every check of a password: how many wrong ones came before, and whether one more is evaluated.
//!
//! The first few are evaluated at once, and a failure is counted with its audit event. From then on each has to wait, and is
//! *reserved* before it is evaluated: it is counted in a guarded write that one of any number of rivals gets through, on
//! whatever node. So a guess may be counted and not evaluated, when the process dies in between, and is never evaluated without
//! being counted.

use std::time::Duration;

use crate::flows::authenticate::Principal;
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::throttle::{HeldUp, Throttled};
use crate::model::{
    Actor, AuditAction, AuditEvent, ChangeSet, GuessChange, GuessSubject, Guesses, Outcome, RequestContext, RevocationReason,
    SessionChange,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Timestamp, UserId};

/// How far ahead of our clock the last guess may seem. Beyond that the clock that dated it was wrong, and nobody has to wait until
/// it is right: one guess is let through, and dates the count anew.
const AHEAD: Duration = Duration::from_mins(1);

/// Why a guess is not evaluated.
pub(crate) enum NotAdmitted {
    /// It has to wait.
    Throttled(Throttled),
    /// Nobody could tell.
    Internal(Internal),
}

/// A guess that may be evaluated, and what has to be written when its outcome is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guess {
    /// `None` where nothing is counted.
    subject: Option<GuessSubject>,
    /// How many wrong ones came before it.
    before: u32,
    /// It is counted already.
    is_reserved: bool,
    /// At how many wrong ones this ends.
    at_most: u32,
    /// Whether wrong ones put off the next.
    has_delays: bool,
}

impl Guess {
    /// Lets a guess through, or says how long it has to wait. `reserved` remembers what this request has reserved, so that it
    /// does not wait for itself when it has to start over.
    pub(crate) async fn admit(
        engine: &Engine,
        subject: GuessSubject,
        counted: Option<Guesses>,
        at_most: u32,
        reserved: &mut Option<Guesses>,
        context: &RequestContext,
    ) -> Result<Self, NotAdmitted> {
        let guessing = &engine.config.limits.guessing;
        let before = counted.map_or(0, |counted| counted.failures);
        let guess = Self { subject: Some(subject), before, is_reserved: false, at_most, has_delays: true };
        if !engine.config.limits.enabled {
            return Ok(Self { subject: None, ..guess });
        }
        let held_up = |kind, wait| NotAdmitted::Throttled(engine.throttle.hold_up(kind, wait, context));
        let Some(counted) = counted else { return Ok(guess) };
        if *reserved == Some(counted) {
            return Ok(Self { before: before.saturating_sub(1), is_reserved: true, ..guess });
        }
        if before >= at_most {
            return Err(held_up(HeldUp::Stopped, guessing.max_delay));
        }
        let delay = guessing.delay(before);
        if delay.is_zero() {
            return Ok(guess);
        }
        let now = engine.now();
        let wait = wait(counted.last_at, delay, now);
        if !wait.is_zero() {
            return Err(held_up(HeldUp::Delayed, wait));
        }
        match engine.commit(&ChangeSet::new().and(GuessChange::Reserve { subject, from: counted, at: now })).await {
            Ok(_) => {
                *reserved = Some(Guesses { failures: before.saturating_add(1), last_at: now });
                Ok(Self { is_reserved: true, ..guess })
            }
            // Somebody else's guess is being evaluated, or the owner was just let in.
            Err(CommitError::Conflict(Conflict::GuessesChanged)) => {
                Err(held_up(HeldUp::Delayed, guessing.delay(before.saturating_add(1))))
            }
            Err(error) => Err(NotAdmitted::Internal(error.into())),
        }
    }

    /// A guess by a known device, which waits for nobody.
    pub(crate) fn by_device(engine: &Engine, subject: GuessSubject, counted: Option<Guesses>) -> Self {
        let limits = &engine.config.limits;
        Self {
            subject: limits.enabled.then_some(subject),
            before: counted.map_or(0, |counted| counted.failures),
            is_reserved: false,
            at_most: limits.guessing.per_device,
            has_delays: false,
        }
    }

    /// How many wrong ones came before it.
    pub(crate) const fn before(&self) -> u32 {
        self.before
    }

    /// Whether this was the last one, if it was wrong.
    pub(crate) const fn is_last(&self) -> bool {
        self.subject.is_some() && self.before.saturating_add(1) >= self.at_most
    }

    /// It was wrong: adds what counts it.
    pub(crate) fn failed(&self, changes: ChangeSet, at: Timestamp) -> ChangeSet {
        match self.subject {
            Some(subject) if !self.is_reserved => changes.and(GuessChange::Count { subject, at }),
            _ => changes,
        }
    }

    /// It was wrong, within a session: commits that, and ends the session where it was the last one. Whether it has ended.
    pub(crate) async fn fail_within(
        &self,
        engine: &Engine,
        principal: &Principal,
        refusal: AuditEvent,
        at: Timestamp,
        context: &RequestContext,
    ) -> Result<bool, Internal> {
        let changes = self.failed(ChangeSet::new(), at).and(refusal);
        let changes = match self.consequence(engine, at, "session", Some(principal.user_id()), context) {
            Some(event) => changes.and(event.by(actor(principal))),
            None => changes,
        };
        if !self.is_last() {
            engine.commit(&changes).await?;
            return Ok(false);
        }
        // SECURITY: whoever holds a stolen access token loses it with this, and the owner logs in again.
        let reason = RevocationReason::GuessedWithin;
        let revoke = SessionChange::Revoke { id: principal.session_id(), reason, at };
        match engine.commit(&changes.clone().and(revoke)).await {
            Ok(_) => {}
            // It has ended in this moment; what was tried is kept all the same.
            Err(CommitError::Conflict(Conflict::SessionEnded)) => drop(engine.commit(&changes).await?),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// It was right: adds what forgets the wrong ones before it, where there were any.
    pub(crate) fn succeeded(&self, changes: ChangeSet) -> ChangeSet {
        match self.subject {
            Some(subject) if self.before > 0 || self.is_reserved => changes.and(GuessChange::Forget { subject }),
            _ => changes,
        }
    }

    /// What its failure has brought about beside itself: a longer delay, or the end. Rivals that fail at the same time may all
    /// tell of the same step, or of none before the next.
    pub(crate) fn consequence(
        &self,
        engine: &Engine,
        at: Timestamp,
        of: &'static str,
        user_id: Option<UserId>,
        context: &RequestContext,
    ) -> Option<AuditEvent> {
        self.subject?;
        let failures = self.before.saturating_add(1);
        let delay = engine.config.limits.guessing.delay(failures);
        let event = |action| {
            let event = engine.event(at, action, Outcome::Success, context).by(Actor::System);
            let event = event.with("of", of).with("failures", failures.to_string());
            user_id.map_or(event.clone(), |user_id| event.on(user_id))
        };
        if self.is_last() {
            Some(event(AuditAction::GuessingStopped))
        } else if self.has_delays && !delay.is_zero() {
            Some(event(AuditAction::GuessingDelayed).with("delay_seconds", delay.as_secs().to_string()))
        } else {
            None
        }
    }
}

/// How long a guess has to wait.
fn wait(last_at: Timestamp, delay: Duration, now: Timestamp) -> Duration {
    // SECURITY: the clocks of two nodes may differ by what a node is ready with; then the wait is longer by as much, never shorter.
    let ahead = last_at.since(now);
    if ahead > AHEAD { Duration::ZERO } else { delay.saturating_add(ahead).saturating_sub(now.since(last_at)) }
}

/// Turns what keeps a guess from being evaluated into a flow's own error.
macro_rules! not_admitted_into {
    ($error:ident) => {
        impl From<$crate::flows::guessing::NotAdmitted> for $error {
            fn from(not_admitted: $crate::flows::guessing::NotAdmitted) -> Self {
                use $crate::flows::guessing::NotAdmitted;
                match not_admitted {
                    NotAdmitted::Throttled(throttled) => throttled.into(),
                    NotAdmitted::Internal(error) => error.into(),
                }
            }
        }
    };
}
pub(crate) use not_admitted_into;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_shortens_no_wait_and_shuts_nobody_out() {
        let (now, delay) = (Timestamp::from_unix_seconds(1_700_000_000), Duration::from_secs(8));
        let wait = |last_at| wait(last_at, delay, now);
        assert_eq!(wait(now), delay);
        assert_eq!(wait(now - Duration::from_secs(3)), Duration::from_secs(5));
        assert_eq!(wait(now - delay), Duration::ZERO);
        assert_eq!(wait(now - Duration::from_hours(9_000)), Duration::ZERO);
        assert_eq!(wait(now + Duration::from_secs(30)), Duration::from_secs(38), "another node's clock is ahead");
        assert_eq!(wait(now + Duration::from_hours(9_000)), Duration::ZERO, "ours was, or its");
    }
}
