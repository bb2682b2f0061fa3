//! The one door to codes that are sent: drawn, written down and put into the outbox in one commit, and compared when they come back.

use uuid::Uuid;

use crate::flows::engine::{Engine, Internal};
use crate::flows::factor_check::{self, ATTEMPTS, Seal, seal_context};
use crate::flows::outbox::{self, Cause};
use crate::mfa::OneTimeCode;
use crate::model::{
    Actor, AuditAction, ChangeSet, CodeUse, FactorChange, FactorKind, Factors, MailContent, Outcome, RequestContext, SentCode,
    Sms, SmsContent, User,
};
use crate::ports::{CommitError, Conflict, CustodyError};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{FactorCode, PhoneNumber, SecretBytes, Timestamp, UserId};

/// With what a code is asked for, and so with what alone it is good: the challenge of a login, or a session (ASVS 6.6.2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskedWith {
    pub(crate) used_for: CodeUse,
    pub(crate) id: Uuid,
}

/// By which way a code goes.
pub(crate) enum Way {
    /// To the address of the account.
    Mail,
    /// To a telephone.
    Phone(PhoneNumber),
}

impl Way {
    const fn kind(&self) -> FactorKind {
        match self {
            Self::Mail => FactorKind::Email,
            Self::Phone(_) => FactorKind::Sms,
        }
    }

    const fn phone(&self) -> Option<&PhoneNumber> {
        match self {
            Self::Mail => None,
            Self::Phone(phone) => Some(phone),
        }
    }
}

/// Draws a code and has it sent; one that was sent before for the same use is void with that. `false`: nothing is sent, because enough
/// were, or the last one is too young. Where the answer must not tell, it does not.
///
/// `decide` looks at the factors as they are, and may change them in the same write.
pub(crate) async fn send<E: From<Internal>>(
    engine: &Engine,
    user: &User,
    asked_with: AskedWith,
    way: &Way,
    mut decide: impl FnMut(Factors) -> Result<Factors, E> + Send,
    context: &RequestContext,
    at: Timestamp,
) -> Result<bool, E> {
    let settings = &engine.config.mfa;
    let mut is_counted = false;
    for _ in 0..ATTEMPTS {
        let mut factors = decide(factor_check::read(engine, user.id).await?)?;
        let before = factors.sent_codes.iter().find(|code| code.used_for == asked_with.used_for);
        let is_young = |code: &SentCode| code.kind == way.kind() && at.since(code.sent_at) < settings.resend_after;
        // A clock that was ahead when it dated the last code shuts nobody out for longer than that.
        if before.is_some_and(is_young) {
            return Ok(false);
        }
        if !is_counted && !engine.throttle.code(user.id, way.phone(), context).await {
            tell_limited(engine, user, asked_with, way, context, at).await?;
            return Ok(false);
        }
        is_counted = true;
        let code = OneTimeCode::generate(&*engine.entropy);
        let key = SecretBytes::new(random_bytes::<32>(&*engine.entropy).to_vec());
        let digest = code.digest(&bound_to(&key, asked_with));
        let sealed = engine.custody.seal(&key, &seal_context(user.id, Seal::CodeKey(asked_with.used_for))).await;
        factors.sent_codes.retain(|code| code.used_for != asked_with.used_for && at < code.expires_at);
        factors.sent_codes.push(SentCode {
            used_for: asked_with.used_for,
            kind: way.kind(),
            key: sealed.map_err(Internal::from)?,
            digest,
            attempts_left: settings.code_attempts,
            sent_at: at,
            expires_at: at + settings.code_lifetime,
        });
        let changes = ChangeSet::new().and(FactorChange::Put(Box::new(factors)));
        let digits = FactorCode::new(code.expose());
        let changes = match way {
            Way::Mail => {
                let (cause, good_for) = (Cause::of(context, at), Some(settings.code_lifetime));
                outbox::enqueue_mail(engine, changes, user, MailContent::Code(digits), &cause, good_for).await?
            }
            Way::Phone(to) => {
                let locale = user.locale.clone().or_else(|| context.language.clone());
                let sms = Sms::new(to.clone(), locale, SmsContent::Code(digits), settings.code_lifetime);
                outbox::enqueue_sms(engine, changes, user.id, &sms, at).await?
            }
        };
        let event = engine.event(at, AuditAction::FactorCodeSent, Outcome::Success, context).by(Actor::User(user.id, None));
        let event = event.on(user.id).with("factor", way.kind().as_str()).with("for", asked_with.used_for.as_str());
        match engine.commit(&changes.and(event)).await {
            Ok(_) => return Ok(true),
            Err(CommitError::Conflict(Conflict::FactorsChanged)) => {}
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    Err(Internal::Conflict(Conflict::FactorsChanged.into()).into())
}

/// Writes down that a code was not sent: its owner's complaint, or an attack, is found in the log. One line for each request that got
/// this far, which the quota of the request's network and of the account's logins bound.
async fn tell_limited(
    engine: &Engine,
    user: &User,
    asked_with: AskedWith,
    way: &Way,
    context: &RequestContext,
    at: Timestamp,
) -> Result<(), Internal> {
    let event =
        engine.event(at, AuditAction::FactorCodeSent, Outcome::Failure, context).by(Actor::User(user.id, None)).on(user.id);
    let event = event.with("factor", way.kind().as_str()).with("for", asked_with.used_for.as_str()).with("reason", "limited");
    engine.commit(&ChangeSet::new().and(event)).await?;
    Ok(())
}

/// The telephone of an account, if it has one.
pub(crate) async fn phone(engine: &Engine, factors: &Factors) -> Result<Option<PhoneNumber>, Internal> {
    let Some(phone) = &factors.phone else { return Ok(None) };
    let opened = engine.custody.open(&phone.number, &seal_context(factors.user_id, Seal::Phone)).await?;
    let number = String::from_utf8(opened.expose().to_vec()).ok().and_then(PhoneNumber::from_stored);
    number.map(Some).ok_or(Internal::Custody(CustodyError::Forged))
}

/// Pays for one look at the code that was sent for a use. One that nobody may look at any more is forgotten.
pub(crate) fn pay(factors: &mut Factors, used_for: CodeUse) {
    factors.sent_codes.retain(|code| code.used_for != used_for || code.attempts_left > 0);
    for code in &mut factors.sent_codes {
        if code.used_for == used_for {
            code.attempts_left = code.attempts_left.saturating_sub(1);
        }
    }
}

/// Compares what was typed with the code that was sent by this way for this use: the factors without it, or `None` when it is wrong.
pub(crate) async fn redeem(
    engine: &Engine,
    user_id: UserId,
    factors: &Factors,
    kind: FactorKind,
    asked_with: AskedWith,
    typed: &FactorCode,
    at: Timestamp,
) -> Result<Option<Factors>, Internal> {
    let fits = |code: &&SentCode| code.used_for == asked_with.used_for && code.kind == kind && at < code.expires_at;
    let Some(sent) = factors.sent_codes.iter().find(fits) else { return Ok(None) };
    let Some(typed) = OneTimeCode::parse(typed.expose()) else { return Ok(None) };
    let key = engine.custody.open(&sent.key, &seal_context(user_id, Seal::CodeKey(asked_with.used_for))).await?;
    if typed.digest(&bound_to(&key, asked_with)) != sent.digest {
        return Ok(None);
    }
    let mut used = factors.clone();
    used.sent_codes.retain(|code| code.used_for != asked_with.used_for);
    Ok(Some(used))
}

fn bound_to(key: &SecretBytes, asked_with: AskedWith) -> Vec<u8> {
    [key.expose(), asked_with.used_for.as_str().as_bytes(), b"\0", asked_with.id.as_bytes()].concat()
}
