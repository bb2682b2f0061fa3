//! Codes that are sent, devices that are trusted, and factors that are demanded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::config::MfaPolicy;
use authkit_core::flows::{
    Administrator, FactorDemand, LinkError, LoginError, NewRole, ProofMethod, RoleGrant, RoleUpdate, Run, SecondFactor,
    SecondFactorRequired,
};
use authkit_core::mfa::totp;
use authkit_core::model::{AssuranceLevel, AuditAction, FactorKind, FactorSet, Outcome, Quota, Sms, SmsContent, TrustedDevice};
use authkit_core::ports::{SmsError, SmsSender};
use authkit_core::testkit::{Mailbox, totp_secret};
use authkit_core::{
    AuthKit, Config, FactorCode, ImpersonationReason, LoggedIn, Login, MfaToken, OutboxMessageId, PasswordChange, PhoneNumber,
    Principal, Registration, TrustToken,
};

use crate::support::{EMAIL, PASSWORD, World, email, log_in, password, principal, register, request};

const NUMBER: &str = "+4915112345678";

/// A telephone exchange that keeps what it is given.
#[derive(Debug, Clone, Default)]
struct Phones(Arc<Mutex<Vec<Sms>>>);

impl Phones {
    fn take(&self) -> Vec<Sms> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl SmsSender for Phones {
    async fn send(&self, _: OutboxMessageId, sms: &Sms) -> Result<(), SmsError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sms.clone());
        Ok(())
    }
}

struct Town {
    world: World,
    auth: AuthKit,
    mailbox: Mailbox,
    phones: Phones,
}

impl Town {
    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = World::new();
        world.config.mfa.factors = FactorSet::NONE.with(FactorKind::Totp).with(FactorKind::Email).with(FactorKind::Sms);
        change(&mut world.config);
        let (mailbox, phones) = (Mailbox::new(), Phones::default());
        let builder = world.unjoined(world.config.clone()).mailer(Arc::new(mailbox.clone()));
        let auth = builder.sms_sender(Arc::new(phones.clone())).build_unattended().await.expect("builds");
        Self { world, auth, mailbox, phones }
    }

    async fn open() -> Self {
        Self::with(|_| {}).await
    }

    async fn deliver(&self) {
        self.auth.outbox().deliver_due().await.expect("the outbox is worked off");
    }

    /// Somebody whose address is proved.
    async fn owner(&self) -> LoggedIn {
        let owner = register(&self.auth).await;
        self.deliver().await;
        self.auth.links().verify_email(&self.mailbox.only_token("verify_email"), &request()).await.expect("is good");
        owner
    }

    fn caller(&self, logged_in: &LoggedIn) -> Principal {
        principal(&self.auth, logged_in)
    }

    /// The code of the only message that has arrived.
    async fn texted(&self) -> FactorCode {
        self.deliver().await;
        let mut messages = self.phones.take();
        assert_eq!(messages.len(), 1, "text messages");
        let sms = messages.remove(0);
        assert_eq!(sms.to.expose(), NUMBER);
        let SmsContent::Code(code) = sms.content else { panic!("no code") };
        code
    }

    async fn mailed(&self) -> FactorCode {
        self.deliver().await;
        let mails = self.mailbox.take();
        let codes: Vec<&FactorCode> = mails.iter().filter_map(|mail| mail.content.code()).collect();
        assert_eq!(codes.len(), 1, "codes by mail");
        codes[0].clone()
    }

    async fn enrol_sms(&self, caller: &Principal) -> Vec<String> {
        self.auth.mfa().start_sms(caller, number(), &request()).await.expect("a code");
        let code = self.texted().await;
        let codes = self.auth.mfa().confirm(caller, FactorKind::Sms, &code, &request()).await.expect("is on");
        self.later();
        codes.iter().map(authkit_core::mfa::RecoveryCode::expose).collect()
    }

    async fn enrol_email(&self, caller: &Principal) {
        self.auth.mfa().start_email(caller, &request()).await.expect("a code");
        let code = self.mailed().await;
        self.auth.mfa().confirm(caller, FactorKind::Email, &code, &request()).await.expect("is on");
        self.deliver().await;
        drop(self.mailbox.take());
        self.later();
    }

    /// Half a minute later another code may be sent.
    fn later(&self) {
        self.world.clock.advance(Duration::from_secs(31));
    }

    async fn first_half(&self) -> SecondFactorRequired {
        match self.log_in(None).await {
            Err(LoginError::SecondFactorRequired(required)) => required,
            other => panic!("no second factor is asked for: {other:?}"),
        }
    }

    async fn log_in(&self, trust: Option<&TrustToken>) -> Result<LoggedIn, LoginError> {
        let login = Login { trust_token: trust.cloned(), ..Login::new(email(), password(PASSWORD)) };
        self.auth.sessions().log_in(login, &request()).await
    }

    async fn send(&self, token: &MfaToken, kind: FactorKind) {
        self.auth.mfa().send_code(token, kind, &request()).await.expect("the answer is the same");
    }

    async fn verify(&self, token: &MfaToken, factor: ProofMethod, code: &FactorCode) -> Result<LoggedIn, &'static str> {
        let proof = SecondFactor { factor, code: code.clone() };
        self.auth.mfa().verify(token, &proof, &request()).await.map_err(|error| error.code())
    }
}

fn number() -> PhoneNumber {
    PhoneNumber::parse(NUMBER).expect("a number")
}

fn typed(text: &str) -> FactorCode {
    FactorCode::new(text.to_owned())
}

/// Another code than this one.
fn wrong(code: &FactorCode) -> FactorCode {
    typed(if code.expose() == "000000" { "000001" } else { "000000" })
}

#[tokio::test]
async fn a_telephone_is_a_second_factor_that_counts() {
    let town = Town::open().await;
    let owner = town.owner().await;
    let paper = town.enrol_sms(&town.caller(&owner)).await;
    assert_eq!(paper.len(), 10);
    let required = town.first_half().await;
    assert_eq!(required.demand, FactorDemand::Proof);
    assert_eq!(required.factors.iter().collect::<Vec<_>>(), [FactorKind::Sms]);
    town.send(&required.token, FactorKind::Sms).await;
    let code = town.texted().await;
    let logged_in = town.verify(&required.token, ProofMethod::Sms, &code).await.expect("logs in");
    let caller = town.caller(&logged_in);
    assert_eq!(caller.assurance(), AssuranceLevel::Aal2);
    let status = town.auth.mfa().status(&caller).await.expect("a status");
    assert_eq!((status.phone_hint.as_deref(), status.recovery_codes_left), (Some("…78"), 10));
    // The number is nowhere in the clear.
    let kept = town.world.store.factors(owner.user.id).await.expect("reads").expect("a row");
    let sealed = kept.phone.expect("a telephone").number;
    assert!(!sealed.as_bytes().windows(4).any(|part| NUMBER.as_bytes().windows(4).any(|digits| digits == part)));
    town.deliver().await;
    let told: Vec<&str> = town.mailbox.take().iter().map(|mail| mail.content.name()).collect();
    assert!(told.contains(&"factor_added"), "{told:?}");
}

#[tokio::test]
async fn a_code_is_good_once_for_ten_minutes_and_for_what_it_was_asked_with() {
    let town = Town::open().await;
    let owner = town.owner().await;
    town.enrol_sms(&town.caller(&owner)).await;
    let (first, second) = (town.first_half().await, town.first_half().await);
    town.send(&first.token, FactorKind::Sms).await;
    let code = town.texted().await;
    assert_eq!(town.verify(&second.token, ProofMethod::Sms, &code).await.map(drop), Err("mfa.invalid_code"), "another login's");
    assert_eq!(town.verify(&first.token, ProofMethod::Email, &code).await.map(drop), Err("mfa.invalid_code"), "another way");
    town.verify(&first.token, ProofMethod::Sms, &code).await.expect("logs in");
    let third = town.first_half().await;
    assert_eq!(town.verify(&third.token, ProofMethod::Sms, &code).await.map(drop), Err("mfa.invalid_code"), "used");
    town.later();
    town.send(&third.token, FactorKind::Sms).await;
    let old = town.texted().await;
    town.later();
    town.send(&third.token, FactorKind::Sms).await;
    let new = town.texted().await;
    assert_ne!(old.expose(), new.expose(), "drawn anew");
    assert_eq!(town.verify(&third.token, ProofMethod::Sms, &old).await.map(drop), Err("mfa.invalid_code"), "a new one voids it");
    town.verify(&third.token, ProofMethod::Sms, &new).await.expect("logs in");
    // A second before its end, and at its end.
    town.later();
    let fourth = town.first_half().await;
    town.world.clock.advance(Duration::from_secs(1));
    town.send(&fourth.token, FactorKind::Sms).await;
    let late = town.texted().await;
    town.world.clock.advance(Duration::from_secs(598));
    let fifth = town.first_half().await;
    assert_eq!(town.verify(&fifth.token, ProofMethod::Sms, &late).await.map(drop), Err("mfa.invalid_code"));
    town.verify(&fourth.token, ProofMethod::Sms, &late).await.expect("in time");
}

#[tokio::test]
async fn of_a_code_five_guesses_are_looked_at_over_however_many_logins() {
    let town = Town::open().await;
    let owner = town.owner().await;
    town.enrol_sms(&town.caller(&owner)).await;
    let required = town.first_half().await;
    town.send(&required.token, FactorKind::Sms).await;
    let code = town.texted().await;
    for _ in 0..5 {
        assert_eq!(town.verify(&required.token, ProofMethod::Sms, &wrong(&code)).await.map(drop), Err("mfa.invalid_code"));
    }
    let refused = town.verify(&required.token, ProofMethod::Sms, &code).await.map(drop);
    assert_eq!(refused, Err("mfa.invalid_code"), "the sixth is not looked at");
}

#[tokio::test]
async fn the_budget_of_guesses_is_the_accounts_and_not_the_logins() {
    let town = Town::with(|config| {
        config.limits.enabled = true;
        let plenty = Quota::new(1_000, Duration::from_millis(1)).expect("a quota");
        config.limits.login_per_account = plenty;
        config.limits.codes_per_account = plenty;
        config.limits.sms_per_number = plenty;
    })
    .await;
    let owner = town.owner().await;
    town.enrol_sms(&town.caller(&owner)).await;
    let mut looked_at = 0;
    for _ in 0..20 {
        let required = town.first_half().await;
        for guess in 0..5 {
            let code = typed(&format!("{guess:06}"));
            match town.verify(&required.token, ProofMethod::Sms, &code).await.map(drop) {
                Err("mfa.invalid_code") => looked_at += 1,
                Err("rate_limit.exceeded") => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(looked_at <= 5, "{looked_at} guesses over twenty logins");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_with_the_same_code_one_gets_in() {
    let town = Town::open().await;
    let owner = town.owner().await;
    town.enrol_sms(&town.caller(&owner)).await;
    let required = town.first_half().await;
    town.send(&required.token, FactorKind::Sms).await;
    let code = town.texted().await;
    let rivals: Vec<_> = (0..64)
        .map(|_| {
            let (auth, token) = (town.auth.clone(), required.token.clone());
            let proof = SecondFactor { factor: ProofMethod::Sms, code: code.clone() };
            tokio::spawn(async move { auth.mfa().verify(&token, &proof, &request()).await.is_ok() })
        })
        .collect();
    let mut let_in = 0;
    for rival in rivals {
        let_in += usize::from(rival.await.expect("no panic"));
    }
    assert!(let_in <= 1, "{let_in} got in");
}

#[tokio::test]
async fn a_code_of_an_enrolment_logs_nobody_in_and_one_of_a_login_turns_nothing_on() {
    let town = Town::open().await;
    let owner = town.owner().await;
    town.enrol_email(&town.caller(&owner)).await;
    let required = town.first_half().await;
    town.send(&required.token, FactorKind::Email).await;
    let of_login = town.mailed().await;
    let caller = town.caller(&town.verify(&required.token, ProofMethod::Email, &of_login).await.expect("logs in"));
    town.later();
    town.auth.mfa().start_sms(&caller, number(), &request()).await.expect("a code");
    let of_enrolment = town.texted().await;
    let required = town.first_half().await;
    for factor in [ProofMethod::Sms, ProofMethod::Email, ProofMethod::Totp, ProofMethod::RecoveryCode] {
        let refused = town.verify(&required.token, factor, &of_enrolment).await.map(drop);
        assert_eq!(refused, Err("mfa.invalid_code"), "{factor:?}");
    }
    town.send(&required.token, FactorKind::Email).await;
    let of_login = town.mailed().await;
    let refused = town.auth.mfa().confirm(&caller, FactorKind::Sms, &of_login, &request()).await.map(drop);
    assert_eq!(refused.map_err(|error| error.code()), Err("mfa.invalid_code"));
    // Nor in another session of hers.
    let other = town.caller(&town.verify(&required.token, ProofMethod::Email, &of_login).await.expect("logs in"));
    let refused = town.auth.mfa().confirm(&other, FactorKind::Sms, &of_enrolment, &request()).await.map(drop);
    assert_eq!(refused.map_err(|error| error.code()), Err("mfa.invalid_code"));
    town.auth.mfa().confirm(&caller, FactorKind::Sms, &of_enrolment, &request()).await.expect("is on");
}

#[tokio::test]
async fn a_code_by_mail_is_a_hurdle_and_takes_nothing_stronger_off() {
    let town = Town::open().await;
    let owner = town.owner().await;
    let caller = town.caller(&owner);
    town.enrol_email(&caller).await;
    let required = town.first_half().await;
    town.send(&required.token, FactorKind::Email).await;
    let logged_in = town.verify(&required.token, ProofMethod::Email, &town.mailed().await).await.expect("logs in");
    let caller = town.caller(&logged_in);
    assert_eq!(caller.assurance(), AssuranceLevel::Aal1);
    town.later();
    town.enrol_sms(&caller).await;
    // Whoever has the mailbox and the password that it resets.
    let required = town.first_half().await;
    town.send(&required.token, FactorKind::Email).await;
    drop(town.phones.take());
    let thief = town.caller(&town.verify(&required.token, ProofMethod::Email, &town.mailed().await).await.expect("logs in"));
    let refused = town.auth.mfa().remove(&thief, FactorKind::Sms, &request()).await.map_err(|error| error.code());
    assert_eq!(refused, Err("auth.reauthentication_required"));
    let refused = town.auth.mfa().start_totp(&thief, &request()).await.map(drop).map_err(|error| error.code());
    assert_eq!(refused, Err("auth.reauthentication_required"));
}

#[tokio::test]
async fn behind_a_mailed_link_a_mailed_code_says_nothing() {
    let town = Town::open().await;
    let owner = town.owner().await;
    let caller = town.caller(&owner);
    town.enrol_email(&caller).await;
    town.auth.links().request_magic_link(&email(), None, &request()).await.expect("answers");
    town.deliver().await;
    let link = town.mailbox.only_token("magic_link");
    let required = match town.auth.links().log_in(&link, None, None, &request()).await {
        Err(LinkError::SecondFactorRequired(required)) => required,
        other => panic!("the link is no way around the factor: {other:?}"),
    };
    assert!(required.factors.is_empty(), "{:?}", required.factors);
    town.send(&required.token, FactorKind::Email).await;
    town.deliver().await;
    assert!(town.mailbox.take().is_empty(), "no code is sent");
}

#[tokio::test]
async fn nobody_is_flooded_with_codes_and_the_answer_does_not_tell() {
    let town = Town::with(|config| {
        config.limits.enabled = true;
        config.limits.login_per_account = Quota::new(1_000, Duration::from_millis(1)).expect("a quota");
    })
    .await;
    let owner = town.owner().await;
    town.enrol_sms(&town.caller(&owner)).await;
    for _ in 0..100 {
        let required = town.first_half().await;
        town.send(&required.token, FactorKind::Sms).await;
    }
    town.deliver().await;
    assert_eq!(town.phones.take().len(), 1, "one in half a minute");
    // A hundred requests of half a minute each: five at once, the one of the enrolment included, and five an hour.
    for _ in 0..100 {
        town.later();
        let required = town.first_half().await;
        town.send(&required.token, FactorKind::Sms).await;
        town.deliver().await;
    }
    let sent = town.phones.take().len();
    assert!((3..=8).contains(&sent), "{sent} in fifty minutes");
    assert!(town.world.actions().await.contains(&(AuditAction::FactorCodeSent, Outcome::Failure)), "and it is written down");
}

#[tokio::test]
async fn one_telephone_gets_five_messages_whoever_asks() {
    let town = Town::with(|config| {
        config.limits.enabled = true;
        let plenty = Quota::new(1_000, Duration::from_millis(1)).expect("a quota");
        (config.limits.registration_per_address, config.limits.login_per_account) = (plenty, plenty);
    })
    .await;
    for account in 0..20 {
        let address = authkit_core::Email::parse(&format!("pump{account}@example.com")).expect("an address");
        let pump = town.auth.accounts().register(Registration::new(address, password(PASSWORD)), &request()).await;
        let caller = town.caller(&pump.expect("registers"));
        let _ = town.auth.mfa().start_sms(&caller, number(), &request()).await;
    }
    town.deliver().await;
    assert_eq!(town.phones.take().len(), 5);
}

#[tokio::test]
async fn text_messages_go_to_the_countries_that_are_named() {
    let town = Town::with(|config| config.mfa.sms_countries = [43].into()).await;
    let caller = town.caller(&town.owner().await);
    let refused = town.auth.mfa().start_sms(&caller, number(), &request()).await.map_err(|error| error.code());
    assert_eq!(refused, Err("mfa.not_available"));
    let without = Town::with(|config| config.mfa.factors = FactorSet::NONE.with(FactorKind::Totp)).await;
    let caller = without.caller(&without.owner().await);
    let refused = without.auth.mfa().start_email(&caller, &request()).await.map_err(|error| error.code());
    assert_eq!(refused, Err("mfa.not_available"));
}

#[tokio::test]
async fn a_number_is_confirmed_by_its_own_code() {
    let town = Town::open().await;
    let caller = town.caller(&town.owner().await);
    town.auth.mfa().start_sms(&caller, number(), &request()).await.expect("a code");
    let first = town.texted().await;
    let other = PhoneNumber::parse("+4915187654321").expect("a number");
    let soon = town.auth.mfa().start_sms(&caller, other.clone(), &request()).await.map_err(|error| error.code());
    assert_eq!(soon, Err("rate_limit.exceeded"), "half a minute has to pass");
    town.later();
    town.auth.mfa().start_sms(&caller, other, &request()).await.expect("a code");
    let refused = town.auth.mfa().confirm(&caller, FactorKind::Sms, &first, &request()).await.map(drop);
    assert_eq!(refused.map_err(|error| error.code()), Err("mfa.invalid_code"), "the code of the number before");
}

async fn trusting(town: &Town) -> (LoggedIn, TrustToken) {
    let owner = town.owner().await;
    town.enrol_sms(&town.caller(&owner)).await;
    let required = town.first_half().await;
    town.send(&required.token, FactorKind::Sms).await;
    let proof = SecondFactor { factor: ProofMethod::Sms, code: town.texted().await };
    let logged_in = town.auth.mfa().verify_and_trust(&required.token, &proof, &request()).await.expect("logs in");
    let token = logged_in.trust_token.clone().expect("is trusted");
    (logged_in, token)
}

#[tokio::test]
async fn a_trusted_device_shows_no_second_factor_and_gets_no_more_than_one() {
    let town = Town::open().await;
    let (_, trust) = trusting(&town).await;
    let logged_in = town.log_in(Some(&trust)).await.expect("no factor is asked for");
    let caller = town.caller(&logged_in);
    assert_eq!(caller.assurance(), AssuranceLevel::Aal1);
    assert!(caller.require_aal2().is_err(), "it is no step up");
    let refused = town.auth.mfa().remove(&caller, FactorKind::Sms, &request()).await.map_err(|error| error.code());
    assert_eq!(refused, Err("auth.reauthentication_required"));
    town.world.clock.advance(Duration::from_hours(24 * 30));
    assert!(matches!(town.log_in(Some(&trust)).await, Err(LoginError::SecondFactorRequired(_))), "thirty days later");
}

#[tokio::test]
async fn trust_is_of_one_account_and_one_password_and_is_taken_back() {
    let town = Town::open().await;
    let (session, trust) = trusting(&town).await;
    let asks = async |trust: &TrustToken| matches!(town.log_in(Some(trust)).await, Err(LoginError::SecondFactorRequired(_)));
    for text in ["", "ak_trust_", &format!("ak_trust_{}", "A".repeat(64)), &"x".repeat(100_000)] {
        assert!(asks(&TrustToken::new((*text).to_owned())).await, "{text:.20}");
    }
    // A cookie that was stolen, shown for another account with a factor.
    let other = authkit_core::Email::parse("other@example.com").expect("an address");
    let stranger = town.auth.accounts().register(Registration::new(other.clone(), password(PASSWORD)), &request()).await;
    let stranger = town.caller(&stranger.expect("registers"));
    let told = town.auth.mfa().start_totp(&stranger, &request()).await.expect("a secret");
    let code = totp::code_at(&totp_secret(&told.secret), town.world.clock_now()).expect("a code");
    town.auth.mfa().confirm_totp(&stranger, &typed(&code), &request()).await.expect("is on");
    let login = Login { trust_token: Some(trust.clone()), ..Login::new(other, password(PASSWORD)) };
    let refused = town.auth.sessions().log_in(login, &request()).await;
    assert!(matches!(refused, Err(LoginError::SecondFactorRequired(_))), "{refused:?}");
    // And without the password it is nothing.
    let login = Login { trust_token: Some(trust.clone()), ..Login::new(email(), password("AnotherPass456")) };
    assert!(matches!(town.auth.sessions().log_in(login, &request()).await, Err(LoginError::InvalidCredentials)));
    let caller = town.caller(&session);
    let devices: Vec<TrustedDevice> = town.auth.mfa().status(&caller).await.expect("a status").trusted_devices;
    assert_eq!(devices.len(), 1);
    assert!(!asks(&trust).await);
    assert!(town.auth.mfa().forget_device(&caller, Some(devices[0].id), &request()).await.expect("is forgotten"));
    assert!(!town.auth.mfa().forget_device(&caller, Some(devices[0].id), &request()).await.expect("was forgotten"));
    assert!(asks(&trust).await, "it was taken back");
}

#[tokio::test]
async fn a_new_password_ends_every_trust() {
    let town = Town::open().await;
    let (session, trust) = trusting(&town).await;
    town.log_in(Some(&trust)).await.expect("is trusted");
    let change = PasswordChange { current: password(PASSWORD), new: password("AnotherPass456") };
    town.auth.accounts().change_password(&town.caller(&session), change, &request()).await.expect("changes");
    let login = Login { trust_token: Some(trust), ..Login::new(email(), password("AnotherPass456")) };
    let refused = town.auth.sessions().log_in(login, &request()).await;
    assert!(matches!(refused, Err(LoginError::SecondFactorRequired(_))), "{refused:?}");
}

#[tokio::test]
async fn where_a_factor_is_demanded_it_is_turned_on_before_a_session_begins() {
    let town = Town::with(|config| config.mfa.policy = MfaPolicy::Everybody).await;
    town.owner().await;
    let required = town.first_half().await;
    assert_eq!((required.demand, required.code()), (FactorDemand::Enrolment, "auth.mfa_enrolment_required"));
    // The ticket is no challenge, no access token, and no refresh token.
    let refused = town.verify(&required.token, ProofMethod::Totp, &typed("000000")).await.map(drop);
    assert_eq!(refused, Err("auth.invalid_mfa_token"));
    assert!(town.auth.authenticate(required.token.expose()).is_err());
    let told = town.auth.mfa().enrol_totp(&required.token, &request()).await.expect("a secret");
    let code = |at| typed(&totp::code_at(&totp_secret(&told.secret), at).expect("a code"));
    let now = town.world.clock_now();
    let confirm = async |code: &FactorCode| {
        town.auth.mfa().finish_enrolment(&required.token, FactorKind::Totp, code, &request()).await.map_err(|error| error.code())
    };
    assert_eq!(confirm(&typed("not123")).await.map(drop), Err("mfa.invalid_code"));
    let enrolled = confirm(&code(now)).await.expect("is on");
    assert_eq!(enrolled.recovery_codes.len(), 10);
    let caller = town.caller(&enrolled.logged_in.expect("a session"));
    assert_eq!(caller.assurance(), AssuranceLevel::Aal2);
    assert_eq!(confirm(&code(now)).await.map(drop), Err("auth.invalid_mfa_token"), "the ticket is used up");
    // The last one stays.
    let refused = town.auth.mfa().remove_totp(&caller, &request()).await.map_err(|error| error.code());
    assert_eq!(refused, Err("mfa.demanded"));
    assert_eq!(town.first_half().await.demand, FactorDemand::Proof);
}

#[tokio::test]
async fn a_ticket_enrols_the_first_factor_and_never_one_beside_it() {
    let town = Town::with(|config| config.mfa.policy = MfaPolicy::Everybody).await;
    let owner = town.owner().await;
    let ticket = town.first_half().await.token;
    town.enrol_sms(&town.caller(&owner)).await;
    let refused = town.auth.mfa().enrol_totp(&ticket, &request()).await.map(drop).map_err(|error| error.code());
    assert_eq!(refused, Err("auth.invalid_mfa_token"), "somebody who knows the password would enrol his own");
}

#[tokio::test]
async fn a_role_demands_a_factor_of_whoever_inherits_it() {
    let town = Town::open().await;
    let owner = town.owner().await;
    let role = |name: &str, inherits: &[&str]| NewRole {
        name: name.parse().expect("a name"),
        description: None,
        permissions: ["invoice:write".parse().expect("a permission")].into(),
        inherits: inherits.iter().map(|name| name.parse().expect("a name")).collect(),
        mfa_required: false,
    };
    for (name, inherits) in [("auditor", &[][..]), ("chief", &["auditor"])] {
        town.auth.roles().create(Administrator::Operator, &role(name, inherits), Run::Real, &request()).await.expect("makes");
    }
    let grant = RoleGrant { user_id: owner.user.id, role: "chief".parse().expect("a name"), scope: None, expires_at: None };
    town.auth.roles().assign(Administrator::Operator, &grant, Run::Real, &request()).await.expect("assigns");
    log_in(&town.auth).await;
    let auditor = "auditor".parse().expect("a name");
    let demand = async |mfa_required: bool| {
        town.later();
        let update = RoleUpdate { mfa_required: Some(mfa_required), ..RoleUpdate::default() };
        let changed = town.auth.roles().update(Administrator::Operator, &auditor, &update, Run::Real, &request()).await;
        assert_eq!(changed.expect("updates").0.mfa_required, mfa_required);
        town.world.events().await[0].clone()
    };
    let event = demand(true).await;
    assert_eq!(event.details.get("mfa_required_after").map(String::as_str), Some("true"), "{event:?}");
    assert_eq!(town.first_half().await.demand, FactorDemand::Enrolment);
    demand(false).await;
    log_in(&town.auth).await;
}

#[tokio::test]
async fn nobody_who_acts_as_somebody_changes_what_she_proves_herself_by() {
    let town = Town::open().await;
    let owner = town.owner().await;
    let address = authkit_core::Email::parse("admin@example.com").expect("an address");
    let admin =
        town.auth.accounts().register(Registration::new(address, password(PASSWORD)), &request()).await.expect("registers");
    let grant = RoleGrant { user_id: admin.user.id, role: "admin".parse().expect("a name"), scope: None, expires_at: None };
    town.auth.roles().assign(Administrator::Operator, &grant, Run::Real, &request()).await.expect("assigns");
    let reason = ImpersonationReason::parse("a question of hers").expect("a reason");
    let by = town.caller(&admin);
    let acting = town.auth.accounts().impersonate(&by, owner.user.id, &reason, &request()).await.expect("begins");
    let acting = town.auth.authenticate(acting.access_token.expose()).expect("acts");
    let (mfa, code) = (town.auth.mfa(), typed("000000"));
    let outcomes = [
        mfa.start_totp(&acting, &request()).await.map(drop),
        mfa.start_email(&acting, &request()).await,
        mfa.start_sms(&acting, number(), &request()).await,
        mfa.confirm_totp(&acting, &code, &request()).await.map(drop),
        mfa.remove_totp(&acting, &request()).await,
        mfa.replace_recovery_codes(&acting, &request()).await.map(drop),
        mfa.forget_device(&acting, None, &request()).await.map(drop),
    ];
    for outcome in outcomes {
        assert_eq!(outcome.map_err(|error| error.code()), Err("auth.impersonation_forbidden"));
    }
}

#[tokio::test]
async fn a_reset_of_an_address_that_was_never_proved_drops_the_factors_of_before() {
    let town = Town::open().await;
    // Somebody has registered with an address that is not his, and has turned his own factor on.
    let squatter = register(&town.auth).await;
    town.enrol_sms(&town.caller(&squatter)).await;
    town.auth.links().request_password_reset(&email(), &request()).await.expect("answers");
    town.deliver().await;
    let link = town.mailbox.only_token("reset_password");
    town.auth.links().reset_password(&link, password("AnotherPass456"), &request()).await.expect("is good");
    let owner = town.auth.sessions().log_in(Login::new(email(), password("AnotherPass456")), &request()).await;
    assert!(owner.is_ok(), "the owner is let in: {owner:?}");
    assert_eq!(town.world.store.factors(squatter.user.id).await.expect("reads"), None);
}

#[tokio::test]
async fn a_reset_of_a_proved_address_passes_no_factor_by() {
    let town = Town::open().await;
    let owner = town.owner().await;
    town.enrol_sms(&town.caller(&owner)).await;
    town.auth.links().request_password_reset(&email(), &request()).await.expect("answers");
    town.deliver().await;
    let link = town.mailbox.only_token("reset_password");
    town.auth.links().reset_password(&link, password("AnotherPass456"), &request()).await.expect("is good");
    let refused = town.auth.sessions().log_in(Login::new(email(), password("AnotherPass456")), &request()).await;
    assert!(matches!(refused, Err(LoginError::SecondFactorRequired(_))), "{refused:?}");
}

#[tokio::test]
async fn an_administrator_resets_the_factors_and_ends_the_sessions() {
    let town = Town::open().await;
    let (session, trust) = trusting(&town).await;
    let administration = town.auth.administration(Administrator::Operator);
    assert!(administration.reset_mfa(session.user.id, &request()).await.expect("resets"));
    assert!(!administration.reset_mfa(session.user.id, &request()).await.expect("there is none any more"));
    assert!(town.auth.authenticate(session.tokens.access_token.expose()).is_err());
    town.log_in(Some(&trust)).await.expect("the password is enough again");
    town.deliver().await;
    let told: Vec<&str> = town.mailbox.take().iter().map(|mail| mail.content.name()).collect();
    assert!(told.contains(&"factors_reset"), "{told:?}");
    assert!(town.mailbox.take().iter().all(|mail| mail.to.normal() == EMAIL));
}
