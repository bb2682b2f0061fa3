//! Second factors: what they let in, what they keep out, and what becomes of those who try.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::MemoryStore;
use authkit_core::flows::{EnrollError, LoginError, ProofMethod, SecondFactor, SecondFactorError, SecondFactorRequired};
use authkit_core::mfa::totp;
use authkit_core::model::{AssuranceLevel, AuditAction, ChangeSet, FactorChange, FactorKind, Factors, Outcome, Quota};
use authkit_core::ports::FactorReads as _;
use authkit_core::testkit::totp_secret;
use authkit_core::{
    AuthKit, Email, Error, FactorCode, LoggedIn, Login, MfaToken, Principal, Refreshed, Registration, SecretBytes,
};

use crate::support::{EMAIL, PASSWORD, World, config, email, password, principal, refresh, register, request};

/// Somebody with an authenticator app.
struct Phone {
    secret: SecretBytes,
    codes: Vec<String>,
}

impl Phone {
    fn code(&self, world: &World) -> FactorCode {
        FactorCode::new(totp::code_at(&self.secret, world.clock_now()).expect("a code"))
    }

    fn proof(&self, world: &World) -> SecondFactor {
        SecondFactor { factor: ProofMethod::Totp, code: self.code(world) }
    }

    fn recovery(&self, index: usize) -> SecondFactor {
        SecondFactor { factor: ProofMethod::RecoveryCode, code: FactorCode::new(self.codes[index].clone()) }
    }
}

fn wrong() -> SecondFactor {
    SecondFactor { factor: ProofMethod::Totp, code: FactorCode::new("not123".to_owned()) }
}

fn next_step(world: &World) {
    world.clock.advance(Duration::from_secs(30));
}

async fn enrol(world: &World, auth: &AuthKit, caller: &Principal) -> Phone {
    let told = auth.mfa().start_totp(caller, &request()).await.expect("a secret");
    let mut phone = Phone { secret: totp_secret(&told.secret), codes: Vec::new() };
    let codes = auth.mfa().confirm_totp(caller, &phone.code(world), &request()).await.expect("confirms");
    phone.codes = codes.iter().map(authkit_core::mfa::RecoveryCode::expose).collect();
    // The code that confirmed is used up: the app shows the next one.
    next_step(world);
    phone
}

async fn first_half(auth: &AuthKit) -> SecondFactorRequired {
    match auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await {
        Err(LoginError::SecondFactorRequired(required)) => required,
        other => panic!("no second factor is asked for: {other:?}"),
    }
}

async fn verify(auth: &AuthKit, token: &MfaToken, proof: &SecondFactor) -> Result<LoggedIn, &'static str> {
    auth.mfa().verify(token, proof, &request()).await.map_err(|error| error.code())
}

async fn set_up() -> (World, AuthKit, LoggedIn, Phone) {
    let world = World::new();
    let auth = world.node().await;
    let owner = register(&auth).await;
    let phone = enrol(&world, &auth, &principal(&auth, &owner)).await;
    (world, auth, owner, phone)
}

#[tokio::test]
async fn a_password_alone_lets_nobody_in_once_a_factor_is_in_force() {
    let (world, auth, owner, phone) = set_up().await;
    let required = first_half(&auth).await;
    assert_eq!(required.factors.iter().collect::<Vec<_>>(), [FactorKind::Totp]);
    assert_eq!(world.actions().await[0], (AuditAction::SecondFactorDemanded, Outcome::Success));
    let logged_in = verify(&auth, &required.token, &phone.proof(&world)).await.expect("logs in");
    assert_eq!(logged_in.user.id, owner.user.id);
    let caller = principal(&auth, &logged_in);
    assert_eq!(caller.assurance(), AssuranceLevel::Aal2);
    assert!(caller.require_aal2().is_ok());
    assert!(principal(&auth, &owner).require_aal2().is_err(), "the token of before says what was proved before");
    let payload = logged_in.tokens.access_token.expose().split('.').nth(1).expect("a payload").to_owned();
    let claims = String::from_utf8(base64(&payload)).expect("JSON");
    assert!(claims.contains(r#""amr":["pwd","otp","mfa"]"#) && claims.contains(r#""acr":"aal2""#), "{claims}");
    // Refreshing keeps what was proved.
    let renewed = refresh(&auth, &logged_in.tokens.refresh_token).await;
    assert_eq!(principal(&auth, &renewed).assurance(), AssuranceLevel::Aal2);
    // The token is used up, with the right code too.
    next_step(&world);
    assert_eq!(verify(&auth, &required.token, &phone.proof(&world)).await.map(drop), Err("auth.invalid_mfa_token"));
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = alphabet.iter().position(|known| *known == letter).expect("base64url");
        bits = (bits << 6) | u32::try_from(value).expect("six bits");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
        }
    }
    bytes
}

#[tokio::test]
async fn a_factor_that_waits_to_be_confirmed_is_not_in_force() {
    let world = World::new();
    let auth = world.node().await;
    let caller = principal(&auth, &register(&auth).await);
    let told = auth.mfa().start_totp(&caller, &request()).await.expect("a secret");
    assert!(told.otpauth_uri.starts_with("otpauth://totp/auth.example:user%40example.com?secret="));
    auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await.expect("logs in as before");
    let code = |secret: &SecretBytes| FactorCode::new(totp::code_at(secret, world.clock_now()).expect("a code"));
    let confirm = async |code: FactorCode| auth.mfa().confirm_totp(&caller, &code, &request()).await.map_err(|e| e.code());
    assert_eq!(confirm(FactorCode::new("000".to_owned())).await.map(drop), Err("mfa.invalid_code"));
    // Started anew, the first secret is void.
    let again = auth.mfa().start_totp(&caller, &request()).await.expect("another secret");
    assert_ne!(told.secret, again.secret);
    assert_eq!(confirm(code(&totp_secret(&told.secret))).await.map(drop), Err("mfa.invalid_code"));
    // And after an hour, every one.
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(confirm(code(&totp_secret(&again.secret))).await.map(drop), Err("mfa.not_enrolled"));
    let status = auth.mfa().status(&caller).await.expect("a status");
    assert!(status.factors.is_empty() && status.recovery_codes_left == 0);
}

#[tokio::test]
async fn a_code_is_good_once_in_its_step_and_the_one_beside() {
    let (world, auth, _, phone) = set_up().await;
    let (first, second, third) = (first_half(&auth).await, first_half(&auth).await, first_half(&auth).await);
    let (code, before) = (phone.proof(&world), world.clock_now());
    verify(&auth, &first.token, &code).await.expect("logs in");
    assert_eq!(verify(&auth, &second.token, &code).await.map(drop), Err("mfa.invalid_code"), "in the same step");
    next_step(&world);
    assert_eq!(verify(&auth, &second.token, &code).await.map(drop), Err("mfa.invalid_code"), "in the next one");
    let earlier = totp::code_at(&phone.secret, before).map(FactorCode::new).expect("a code");
    verify(&auth, &second.token, &phone.proof(&world)).await.expect("the code of this step is another one");
    let earlier = SecondFactor { factor: ProofMethod::Totp, code: earlier };
    assert_eq!(verify(&auth, &third.token, &earlier).await.map(drop), Err("mfa.invalid_code"), "an older one after it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_with_the_same_code_on_two_nodes_one_gets_in() {
    let (world, auth, _, phone) = set_up().await;
    let nodes = [auth, world.node().await];
    let mut challenges = Vec::new();
    for index in 0..64 {
        challenges.push(first_half(&nodes[index % 2]).await.token);
    }
    let rivals: Vec<_> = challenges
        .into_iter()
        .enumerate()
        .map(|(index, token)| {
            let (node, proof) = (nodes[index % 2].clone(), phone.proof(&world));
            tokio::spawn(async move { node.mfa().verify(&token, &proof, &request()).await.map(drop) })
        })
        .collect();
    let mut let_in = 0;
    for rival in rivals {
        match rival.await.expect("no panic") {
            Ok(()) => let_in += 1,
            Err(SecondFactorError::InvalidCode | SecondFactorError::Throttled { .. } | SecondFactorError::Internal(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(let_in, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_with_the_same_recovery_code_one_gets_in() {
    let (world, auth, owner, phone) = set_up().await;
    let mut challenges = Vec::new();
    for _ in 0..64 {
        challenges.push(first_half(&auth).await.token);
    }
    let rivals: Vec<_> = challenges
        .into_iter()
        .map(|token| {
            let (node, proof) = (auth.clone(), phone.recovery(3));
            tokio::spawn(async move { node.mfa().verify(&token, &proof, &request()).await.is_ok() })
        })
        .collect();
    let mut let_in = 0;
    for rival in rivals {
        let_in += usize::from(rival.await.expect("no panic"));
    }
    assert_eq!(let_in, 1);
    let left = world.store.factors(owner.user.id).await.expect("reads").expect("a row").recovery.expect("a set").digests.len();
    assert_eq!(left, 9);
    let required = first_half(&auth).await;
    assert_eq!(verify(&auth, &required.token, &phone.recovery(3)).await.map(drop), Err("mfa.invalid_code"), "used before");
    world.tick();
    verify(&auth, &required.token, &phone.recovery(4)).await.expect("another one");
    let latest: Vec<_> = world.actions().await.into_iter().take(2).collect();
    assert!(latest.contains(&(AuditAction::RecoveryCodeUsed, Outcome::Success)), "{latest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn codes_of_two_sets_are_never_good_together() {
    for _ in 0..10 {
        let (world, auth, owner, phone) = set_up().await;
        let required = first_half(&auth).await;
        let caller = step_up(&world, &auth, &owner, &phone).await;
        let (replacing, using) = (auth.clone(), auth.clone());
        let old = phone.recovery(0);
        let replaced = tokio::spawn(async move { replacing.mfa().replace_recovery_codes(&caller, &request()).await });
        let used = tokio::spawn(async move { using.mfa().verify(&required.token, &old, &request()).await.is_ok() });
        let fresh = replaced.await.expect("no panic").expect("a fresh set");
        let _ = used.await.expect("no panic");
        for index in 1..10 {
            let required = first_half(&auth).await;
            assert_eq!(verify(&auth, &required.token, &phone.recovery(index)).await.map(drop), Err("mfa.invalid_code"));
        }
        let required = first_half(&auth).await;
        let code = SecondFactor { factor: ProofMethod::RecoveryCode, code: FactorCode::new(fresh[0].expose()) };
        verify(&auth, &required.token, &code).await.expect("a code of the new set");
    }
}

/// The owner's session, with a fresh proof of her factor.
async fn step_up(world: &World, auth: &AuthKit, owner: &LoggedIn, phone: &Phone) -> Principal {
    let caller = principal(auth, owner);
    let (token, _) = auth.mfa().reauthenticate(&caller, &phone.proof(world), &request()).await.expect("proves it");
    auth.authenticate(token.expose()).expect("authenticates")
}

#[tokio::test]
async fn guesses_are_counted_for_the_account_over_all_its_logins() {
    let world = World::new();
    let mut counted = config();
    counted.limits.enabled = true;
    let quota = Quota::new(10_000, Duration::from_millis(1)).expect("a quota");
    (counted.limits.login_per_account, counted.limits.login_per_address) = (quota, quota);
    let auth = world.node_with(counted).await;
    let owner = register(&auth).await;
    let phone = enrol(&world, &auth, &principal(&auth, &owner)).await;
    let (mut evaluated, mut refused) = (0, 0);
    for _ in 0..20 {
        let required = first_half(&auth).await;
        for _ in 0..5 {
            match verify(&auth, &required.token, &wrong()).await {
                Err("mfa.invalid_code") => evaluated += 1,
                Err("rate_limit.exceeded") => refused += 1,
                other => panic!("{:?}", other.map(drop)),
            }
        }
    }
    assert_eq!((evaluated, refused), (5, 95), "within one time step, over twenty logins");
    println!("guesses within a step: 5; probability of a hit: {:.1e}", 5.0 * 3.0 / 1e6);
    // The right code has to wait as well, or guessing would go on beside the owner.
    let required = first_half(&auth).await;
    assert_eq!(verify(&auth, &required.token, &phone.proof(&world)).await.map(drop), Err("rate_limit.exceeded"));
    // A recovery code does not: nobody can keep the owner out.
    verify(&auth, &required.token, &phone.recovery(0)).await.expect("by recovery code");
    // And that forgets the guesses.
    let required = first_half(&auth).await;
    verify(&auth, &required.token, &phone.proof(&world)).await.expect("by app");
}

#[tokio::test]
async fn after_a_hundred_wrong_codes_in_a_row_no_code_is_taken_until_the_owner_recovers() {
    let world = World::new();
    let mut counted = config();
    counted.limits.enabled = true;
    let quota = Quota::new(10_000, Duration::from_millis(1)).expect("a quota");
    (counted.limits.login_per_account, counted.limits.login_per_address) = (quota, quota);
    let auth = world.node_with(counted).await;
    let owner = register(&auth).await;
    let phone = enrol(&world, &auth, &principal(&auth, &owner)).await;
    let (mut evaluated, mut days) = (0, 0);
    while days < 10 {
        let required = first_half(&auth).await;
        match verify(&auth, &required.token, &wrong()).await {
            Err("mfa.invalid_code") => evaluated += 1,
            Err("rate_limit.exceeded") => world.clock.advance(Duration::from_mins(15)),
            other => panic!("{:?}", other.map(drop)),
        }
        days = (world.clock_now().since(owner.user.created_at).as_secs() / 86_400).min(10);
    }
    assert_eq!(evaluated, 100);
    let required = first_half(&auth).await;
    assert_eq!(verify(&auth, &required.token, &phone.proof(&world)).await.map(drop), Err("rate_limit.exceeded"));
    verify(&auth, &required.token, &phone.recovery(0)).await.expect("by recovery code");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_that_come_at_once_are_no_more_than_were_counted() {
    let world = World::new();
    let mut counted = config();
    counted.limits.enabled = true;
    let quota = Quota::new(10_000, Duration::from_millis(1)).expect("a quota");
    (counted.limits.login_per_account, counted.limits.login_per_address) = (quota, quota);
    let auth = world.node_with(counted).await;
    let owner = register(&auth).await;
    enrol(&world, &auth, &principal(&auth, &owner)).await;
    let mut challenges = Vec::new();
    for _ in 0..64 {
        challenges.push(first_half(&auth).await.token);
    }
    let rivals: Vec<_> = challenges
        .into_iter()
        .map(|token| {
            let node = auth.clone();
            tokio::spawn(async move { node.mfa().verify(&token, &wrong(), &request()).await.map_err(|error| error.code()) })
        })
        .collect();
    let mut evaluated = 0;
    for rival in rivals {
        match rival.await.expect("no panic") {
            Err("mfa.invalid_code") => evaluated += 1,
            Err("rate_limit.exceeded") => {}
            other => panic!("{:?}", other.map(drop)),
        }
    }
    assert!(evaluated <= 5, "{evaluated} were evaluated");
}

#[tokio::test]
async fn a_challenge_is_finished_by_its_own_account_in_its_own_time() {
    let (world, auth, _, phone) = set_up().await;
    let other = Email::parse("other@example.com").expect("an address");
    let stranger = auth.accounts().register(Registration::new(other.clone(), password(PASSWORD)), &request()).await;
    let stranger = stranger.expect("registers");
    let strangers_phone = enrol(&world, &auth, &principal(&auth, &stranger)).await;
    let required = first_half(&auth).await;
    let mine = strangers_phone.proof(&world);
    assert_eq!(verify(&auth, &required.token, &mine).await.map(drop), Err("mfa.invalid_code"), "with another's app");
    let mine = strangers_phone.recovery(0);
    assert_eq!(verify(&auth, &required.token, &mine).await.map(drop), Err("mfa.invalid_code"), "with another's paper");
    world.clock.advance(Duration::from_mins(10));
    assert_eq!(verify(&auth, &required.token, &phone.proof(&world)).await.map(drop), Err("auth.invalid_mfa_token"), "too late");
    for token in ["", "ak_mfa_", "ak_mfa_AAAA", &"x".repeat(100_000), &format!("ak_mfa_{}", "A".repeat(64))] {
        let token = MfaToken::new((*token).to_owned());
        assert_eq!(verify(&auth, &token, &phone.proof(&world)).await.map(drop), Err("auth.invalid_mfa_token"));
    }
    // Ten attempts, and no eleventh.
    let required = first_half(&auth).await;
    for _ in 0..10 {
        assert_eq!(verify(&auth, &required.token, &wrong()).await.map(drop), Err("mfa.invalid_code"));
    }
    assert_eq!(verify(&auth, &required.token, &phone.proof(&world)).await.map(drop), Err("auth.invalid_mfa_token"));
}

#[tokio::test]
async fn the_token_between_the_factors_is_good_for_nothing_else() {
    let (_world, auth, _, _) = set_up().await;
    let token = first_half(&auth).await.token;
    assert!(auth.authenticate(token.expose()).is_err());
    let as_refresh = authkit_core::RefreshToken::new(token.expose().to_owned());
    assert!(auth.sessions().refresh(&as_refresh, &request()).await.is_err());
    assert!(auth.sessions().log_out(&as_refresh, &request()).await.is_err());
    assert!(!format!("{token:?}").contains(token.expose()));
}

#[tokio::test]
async fn whatever_changes_the_means_of_access_voids_logins_that_are_half_done() {
    let (world, auth, owner, phone) = set_up().await;
    let required = first_half(&auth).await;
    let caller = step_up(&world, &auth, &owner, &phone).await;
    auth.mfa().remove_totp(&caller, &request()).await.expect("turned off");
    next_step(&world);
    assert_eq!(verify(&auth, &required.token, &phone.proof(&world)).await.map(drop), Err("auth.invalid_mfa_token"));
    auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await.expect("the password is enough again");
    assert_eq!(world.store.factors(owner.user.id).await.expect("reads").and_then(|factors| factors.recovery), None);
}

#[tokio::test]
async fn a_password_takes_no_second_factor_off() {
    let (world, auth, owner, phone) = set_up().await;
    // The session of before, whose last proof is recent and a password.
    let before = principal(&auth, &owner);
    let refused = |result: Result<(), EnrollError>| result.map_err(|error| error.code());
    assert_eq!(refused(auth.mfa().remove_totp(&before, &request()).await), Err("auth.reauthentication_required"));
    let fresh = auth.mfa().replace_recovery_codes(&before, &request()).await.map(drop);
    assert_eq!(refused(fresh), Err("auth.reauthentication_required"));
    let by_password = auth.sessions().reauthenticate(&before, password(PASSWORD), &request()).await;
    assert_eq!(by_password.map(drop).map_err(|error| error.code()), Err("mfa.factor_required"));
    let wrong = auth.mfa().reauthenticate(&before, &wrong(), &request()).await;
    assert_eq!(wrong.map(drop).map_err(|error| error.code()), Err("mfa.invalid_code"));
    // With both factors, but a while ago.
    let caller = step_up(&world, &auth, &owner, &phone).await;
    assert_eq!(caller.assurance(), AssuranceLevel::Aal2);
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(refused(auth.mfa().remove_totp(&caller, &request()).await), Err("auth.reauthentication_required"));
    let caller = step_up(&world, &auth, &owner, &phone).await;
    world.tick();
    assert_eq!(refused(auth.mfa().remove_totp(&caller, &request()).await), Ok(()));
    assert_eq!(world.actions().await[0], (AuditAction::FactorRemoved, Outcome::Success));
    assert_eq!(refused(auth.mfa().remove_totp(&caller, &request()).await), Err("mfa.not_enrolled"));
}

#[tokio::test]
async fn no_factor_is_turned_on_or_off_in_a_session_that_has_ended() {
    let (world, auth, owner, phone) = set_up().await;
    let caller = step_up(&world, &auth, &owner, &phone).await;
    auth.sessions().log_out_all(&caller, &request()).await.expect("logs out");
    // A node that has not heard of it would let the token pass; the guard in the store does not.
    let refused = auth.mfa().remove_totp(&caller, &request()).await.map_err(|error| error.code());
    assert_eq!(refused, Err("auth.session_ended"));
    let refused = auth.mfa().replace_recovery_codes(&caller, &request()).await.map(drop).map_err(|error| error.code());
    assert_eq!(refused, Err("auth.session_ended"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_confirm_there_is_one_factor_and_one_set_of_codes() {
    let world = World::new();
    let auth = world.node().await;
    let owner = register(&auth).await;
    let caller = principal(&auth, &owner);
    let told = auth.mfa().start_totp(&caller, &request()).await.expect("a secret");
    let secret = totp_secret(&told.secret);
    let rivals: Vec<_> = (0..16)
        .map(|_| {
            let (auth, caller) = (auth.clone(), caller.clone());
            let code = FactorCode::new(totp::code_at(&secret, world.clock_now()).expect("a code"));
            tokio::spawn(async move { auth.mfa().confirm_totp(&caller, &code, &request()).await })
        })
        .collect();
    let mut sets = Vec::new();
    for rival in rivals {
        match rival.await.expect("no panic") {
            Ok(codes) => sets.push(codes),
            Err(EnrollError::AlreadyEnrolled) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(sets.len(), 1);
    let distinct: BTreeSet<_> = sets[0].iter().map(authkit_core::mfa::RecoveryCode::expose).collect();
    assert_eq!(distinct.len(), 10);
    let again = auth.mfa().start_totp(&caller, &request()).await.map(drop).map_err(|error| error.code());
    assert!(matches!(again, Err("mfa.already_enrolled" | "auth.reauthentication_required")), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_login_slips_past_a_factor_that_is_just_being_turned_on() {
    for _ in 0..20 {
        let world = World::new();
        let auth = world.node().await;
        let caller = principal(&auth, &register(&auth).await);
        let told = auth.mfa().start_totp(&caller, &request()).await.expect("a secret");
        let code = FactorCode::new(totp::code_at(&totp_secret(&told.secret), world.clock_now()).expect("a code"));
        let (confirming, logging_in) = (auth.clone(), auth.clone());
        let confirmed = tokio::spawn(async move { confirming.mfa().confirm_totp(&caller, &code, &request()).await });
        let raced = tokio::spawn(async move {
            logging_in.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await.map(drop)
        });
        confirmed.await.expect("no panic").expect("turned on");
        match raced.await.expect("no panic") {
            // It came before, or it is asked for the factor.
            Ok(()) | Err(LoginError::SecondFactorRequired(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
        first_half(&auth).await;
    }
}

#[tokio::test]
async fn a_sealed_secret_opens_for_its_own_account_alone() {
    let (world, auth, owner, _) = set_up().await;
    let other = Email::parse("other@example.com").expect("an address");
    let thief = auth.accounts().register(Registration::new(other, password(PASSWORD)), &request()).await.expect("registers");
    let thiefs_phone = enrol(&world, &auth, &principal(&auth, &thief)).await;
    let row = async |id| world.store.factors(id).await.expect("reads").expect("a row");
    let (victims, thiefs) = (row(owner.user.id).await, row(thief.user.id).await);
    // Somebody who can write to the database puts his own secret and codes into the victim's row.
    let swapped = Factors { totp: thiefs.totp, recovery: thiefs.recovery, ..victims };
    world.store.commit(&ChangeSet::new().and(FactorChange::Put(Box::new(swapped)))).await.expect("writes");
    for proof in [thiefs_phone.proof(&world), thiefs_phone.recovery(0)] {
        let required = first_half(&auth).await;
        assert_eq!(verify(&auth, &required.token, &proof).await.map(drop), Err("service.internal_error"));
    }
}

#[tokio::test]
async fn an_operator_turns_every_factor_off() {
    let (world, auth, owner, phone) = set_up().await;
    let required = first_half(&auth).await;
    world.tick();
    assert!(auth.mfa().reset_by_email(&email(), &request()).await.expect("resets"));
    assert_eq!(world.actions().await[0], (AuditAction::FactorsReset, Outcome::Success));
    assert!(!auth.mfa().reset(owner.user.id, &request()).await.expect("there is nothing left"));
    assert_eq!(verify(&auth, &required.token, &phone.proof(&world)).await.map(drop), Err("auth.invalid_mfa_token"));
    auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await.expect("by password");
    assert_eq!(world.store.factors(owner.user.id).await.expect("reads"), None);
}

#[tokio::test]
async fn nothing_of_a_factor_is_stored_in_the_clear() {
    let store = Arc::new(MemoryStore::new());
    let world = World::over(store.clone());
    let auth = world.node().await;
    let owner = register(&auth).await;
    let phone = enrol(&world, &auth, &principal(&auth, &owner)).await;
    let row = store.factors(owner.user.id).await.expect("reads").expect("a row");
    let sealed = row.totp.as_ref().expect("a secret").sealed.as_bytes();
    assert!(!sealed.windows(20).any(|window| window == phone.secret.expose()));
    let shown = format!("{row:?}{:?}", world.events().await);
    assert!(phone.codes.iter().all(|code| !shown.contains(code.as_str())));
    assert!(!shown.contains(EMAIL) || row.user_id == owner.user.id);
    let error: Error = match auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await {
        Err(error) => error.into(),
        Ok(_) => panic!("logged in"),
    };
    assert_eq!((error.code(), error.kind().http_status()), ("auth.mfa_required", 403));
    let token = error.second_factor_required().expect("a demand").token.expose().to_owned();
    assert!(!format!("{error:?}").contains(&token));
    let _ = matches!(
        auth.sessions().refresh(&owner.tokens.refresh_token, &request()).await.expect("her session goes on"),
        Refreshed::Renewed(_)
    );
}
