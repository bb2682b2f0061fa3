//! Passkeys: who gets in by one, who does not, and what becomes of those who try.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::flows::{LoginError, PasskeyAdded, PasskeyError, ProofMethod, SecondFactor, SecondFactorRequired};
use authkit_core::model::{
    AssuranceLevel, AuditAction, AuthMethod, ChangeSet, CredentialChange, FactorKind, Outcome, Passkey, Quota, UserChange,
};
use authkit_core::passkey::{AssertionReply, RegistrationReply};
use authkit_core::testkit::{Mailbox, SoftAuthenticator};
use authkit_core::{
    AuthKit, Email, Error, ErrorKind, FactorCode, LoggedIn, Login, PasskeyName, Principal, Registration, RequestContext,
};
use serde_json::{Value, json};

use crate::support::{PASSWORD, World, config, email, log_in, password, principal, register, request};

const ORIGIN: &str = "https://auth.example";

fn options(options: impl serde::Serialize) -> Value {
    serde_json::to_value(options).expect("JSON")
}

fn assertion(reply: &Value) -> AssertionReply {
    AssertionReply::parse(reply).expect("the reply of a browser")
}

async fn add(auth: &AuthKit, caller: &Principal, device: &mut SoftAuthenticator) -> Result<PasskeyAdded, PasskeyError> {
    let asked = auth.passkeys().start_registration(caller, &request()).await?;
    let reply = device.create(&options(asked)).expect("it has none of them");
    let reply = RegistrationReply::parse(&reply).expect("the reply of a browser");
    auth.passkeys().finish_registration(caller, &reply, None, &request()).await
}

async fn login_options(auth: &AuthKit) -> Value {
    options(auth.passkeys().start_login(&request()).await.expect("a challenge"))
}

async fn finish_login(auth: &AuthKit, reply: &Value) -> Result<LoggedIn, &'static str> {
    auth.passkeys().finish_login(&assertion(reply), None, &request()).await.map_err(|error| error.code())
}

async fn log_in_by(auth: &AuthKit, device: &mut SoftAuthenticator) -> Result<LoggedIn, &'static str> {
    let asked = login_options(auth).await;
    finish_login(auth, &device.get(&asked).expect("it has a passkey")).await
}

async fn set_up() -> (World, AuthKit, LoggedIn, SoftAuthenticator, PasskeyAdded) {
    let world = World::new();
    let auth = world.node().await;
    let owner = register(&auth).await;
    let mut device = SoftAuthenticator::at(ORIGIN);
    let added = add(&auth, &principal(&auth, &owner), &mut device).await.expect("adds");
    world.tick();
    (world, auth, owner, device, added)
}

async fn first_half(auth: &AuthKit) -> SecondFactorRequired {
    match auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await {
        Err(LoginError::SecondFactorRequired(required)) => required,
        other => panic!("no second factor is asked for: {other:?}"),
    }
}

fn reasons(events: &[authkit_core::model::AuditEvent], action: AuditAction) -> Vec<String> {
    let failed = events.iter().filter(|event| event.action == action && event.outcome == Outcome::Failure);
    failed.filter_map(|event| event.details.get("reason").cloned()).collect()
}

async fn kept(world: &World, owner: &LoggedIn) -> Vec<Passkey> {
    world.store.passkeys(owner.user.id).await.expect("reads")
}

#[tokio::test]
async fn a_passkey_logs_in_without_a_name_and_proves_two_factors() {
    let (world, auth, owner, mut device, added) = set_up().await;
    assert_eq!(added.passkey.name.as_str(), "Passkey 1");
    assert_eq!(added.passkey.transports.len(), 2, "those that are known");
    let asked = login_options(&auth).await;
    assert_eq!(asked["allowCredentials"], json!([]), "nobody is named");
    assert_eq!((&asked["rpId"], &asked["userVerification"]), (&json!("auth.example"), &json!("required")));
    let reply = device.get(&asked).expect("it has a passkey");
    let handle = reply["response"]["userHandle"].as_str().expect("a handle");
    assert!(!handle.is_empty() && !handle.contains("user"), "{handle} says nothing about anybody");
    let logged_in = finish_login(&auth, &reply).await.expect("logs in");
    assert_eq!(logged_in.user.id, owner.user.id);
    let caller = principal(&auth, &logged_in);
    assert_eq!(
        (caller.assurance(), caller.claims().methods.as_slice()),
        (AssuranceLevel::Aal2, [AuthMethod::Passkey].as_slice())
    );
    let event = &world.events().await[0];
    assert_eq!((event.action, event.outcome), (AuditAction::Login, Outcome::Success));
    assert_eq!(event.details.get("passkey"), Some(&added.passkey.id.to_string()));
    let used = &kept(&world, &owner).await[0];
    assert_eq!((used.sign_count, used.last_used_at), (1, Some(world.clock_now())));
}

#[tokio::test]
async fn what_is_asked_for_keeps_a_device_from_having_two() {
    let (_world, auth, owner, mut device, added) = set_up().await;
    let caller = principal(&auth, &log_in_by(&auth, &mut device).await.expect("logs in"));
    let asked = options(auth.passkeys().start_registration(&caller, &request()).await.expect("a challenge"));
    assert_eq!(asked["excludeCredentials"].as_array().map(Vec::len), Some(1));
    assert_eq!(asked["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(asked["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(asked["attestation"], "none");
    assert_eq!(asked["user"]["name"], json!(owner.user.email.spelling()));
    assert_eq!(device.create(&asked), None, "the device knows that it has one");
    // And one that does not care is refused.
    let mut careless = asked.clone();
    careless["excludeCredentials"] = json!([]);
    let mut clone = SoftAuthenticator::at(ORIGIN);
    clone.create(&careless).expect("creates");
    assert_eq!(auth.passkeys().list(&caller).await.expect("reads"), [Passkey { sign_count: 1, ..used(&auth, &caller).await }]);
    assert_eq!(added.recovery_codes.len(), 10);
}

async fn used(auth: &AuthKit, caller: &Principal) -> Passkey {
    auth.passkeys().list(caller).await.expect("reads").remove(0)
}

#[tokio::test]
async fn a_password_alone_logs_in_no_more_and_a_passkey_is_the_second_factor() {
    let (world, auth, owner, mut device, added) = set_up().await;
    let required = first_half(&auth).await;
    assert_eq!(required.factors.iter().collect::<Vec<_>>(), [FactorKind::Passkey]);
    let asked = auth.passkeys().start_second_factor(&required.token, &request()).await.expect("a challenge");
    let asked = options(asked);
    assert_eq!(asked["allowCredentials"].as_array().map(Vec::len), Some(1), "the account is known by now");
    let reply = assertion(&device.get(&asked).expect("it has one"));
    let logged_in = auth.passkeys().finish_second_factor(&required.token, &reply, &request()).await.expect("logs in");
    let caller = principal(&auth, &logged_in);
    assert_eq!(caller.claims().methods, [AuthMethod::Password, AuthMethod::Passkey]);
    assert_eq!(caller.assurance(), AssuranceLevel::Aal2);
    // Both are used up.
    let again = auth.passkeys().finish_second_factor(&required.token, &reply, &request()).await;
    assert_eq!(again.map(drop).map_err(|error| error.code()), Err("auth.invalid_mfa_token"));
    // A recovery code stands for it, once it is lost.
    let required = first_half(&auth).await;
    let code = FactorCode::new(added.recovery_codes[0].expose());
    let proof = SecondFactor { factor: ProofMethod::RecoveryCode, code };
    auth.mfa().verify(&required.token, &proof, &request()).await.expect("logs in");
    assert_eq!(kept(&world, &owner).await.len(), 1);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_reply_logs_nobody_in() {
    type Spoil = (&'static str, fn(&mut SoftAuthenticator));
    let wrong: &[Spoil] = &[
        ("wrong_origin", |device| device.conduct.origin = "https://evil.example".to_owned()),
        ("wrong_origin", |device| device.conduct.origin = "http://auth.example".to_owned()),
        ("wrong_origin", |device| device.conduct.origin = "https://auth.example:8443".to_owned()),
        ("wrong_origin", |device| device.conduct.origin = "https://auth.example.evil.example".to_owned()),
        ("wrong_origin", |device| device.conduct.origin = "https://sub.auth.example".to_owned()),
        ("wrong_origin", |device| device.conduct.origin = "https://auth.example/".to_owned()),
        ("wrong_origin", |device| device.conduct.origin = "https://user@auth.example".to_owned()),
        ("wrong_origin", |device| device.conduct.origin = "null".to_owned()),
        ("wrong_origin", |device| device.conduct.cross_origin = true),
        ("wrong_rp_id", |device| device.conduct.rp_id = Some("evil.example".to_owned())),
        ("wrong_rp_id", |device| device.conduct.rp_id = Some("example".to_owned())),
        ("wrong_ceremony", |device| device.conduct.kind = Some("webauthn.create".to_owned())),
        ("wrong_ceremony", |device| device.conduct.kind = Some("payment.get".to_owned())),
        ("user_not_present", |device| device.conduct.user_present = false),
        ("user_not_verified", |device| device.conduct.user_verified = false),
        ("wrong_signature", |device| device.conduct.spoils_signature = true),
        ("wrong_user_handle", |device| device.conduct.user_handle = Some(vec![7; 32])),
        ("wrong_user_handle", |device| device.conduct.user_handle = Some(Vec::new())),
        ("wrong_user_handle", |device| device.conduct.shows_user_handle = false),
        ("backup_flags", |device| device.conduct.backup_eligible = true),
        ("backup_flags", |device| device.conduct.backed_up = true),
    ];
    let (world, auth, _owner, mut device, _added) = set_up().await;
    let honest = device.conduct.clone();
    for (reason, spoil) in wrong {
        world.tick();
        device.conduct = honest.clone();
        spoil(&mut device);
        let refused = log_in_by(&auth, &mut device).await.map(drop);
        assert_eq!(refused, Err("auth.invalid_passkey"), "{reason}: {:?}", device.conduct);
        assert_eq!(reasons(&world.events().await, AuditAction::Login)[0], *reason, "{:?}", device.conduct);
    }
    device.conduct = honest;
    log_in_by(&auth, &mut device).await.expect("and without all that she gets in");
}

#[tokio::test]
async fn a_reply_is_good_once_and_in_time() {
    let (world, auth, owner, mut device, _added) = set_up().await;
    device.conduct.counts_by = 0;
    let asked = login_options(&auth).await;
    let reply = device.get(&asked).expect("it has a passkey");
    finish_login(&auth, &reply).await.expect("logs in");
    world.tick();
    assert_eq!(finish_login(&auth, &reply).await.map(drop), Err("auth.invalid_passkey"), "replayed");
    assert_eq!(reasons(&world.events().await, AuditAction::Login)[0], "stale_challenge");
    // A challenge that somebody made up, and one that has expired.
    device.conduct.challenge = Some(asked["challenge"].as_str().expect("a text").replace(['A', 'B', 'C'], "D"));
    let made_up = device.get(&asked).expect("signs");
    assert_eq!(finish_login(&auth, &made_up).await.map(drop), Err("auth.invalid_passkey"), "made up");
    device.conduct.challenge = None;
    for (late, expected) in [(Duration::from_secs(299), Ok(())), (Duration::from_mins(5), Err("auth.invalid_passkey"))] {
        let reply = device.get(&login_options(&auth).await).expect("signs");
        world.clock.advance(late);
        assert_eq!(finish_login(&auth, &reply).await.map(drop), expected, "after {late:?}");
    }
    assert_eq!(kept(&world, &owner).await[0].sign_count, 0, "a passkey that does not count stays at 0");
}

#[tokio::test]
async fn a_challenge_is_good_for_what_it_was_given_for_alone() {
    let (_world, auth, _owner, mut device, _added) = set_up().await;
    device.conduct.counts_by = 0;
    let caller = principal(&auth, &log_in_by(&auth, &mut device).await.expect("logs in"));
    let other_session = principal(&auth, &log_in_by(&auth, &mut device).await.expect("logs in"));
    let passkeys = auth.passkeys();
    let (first, second) = (first_half(&auth).await, first_half(&auth).await);
    let challenges = [
        ("login", login_options(&auth).await["challenge"].clone()),
        ("register", options(passkeys.start_registration(&caller, &request()).await.expect("ok"))["challenge"].clone()),
        ("again", options(passkeys.start_reauthentication(&caller, &request()).await.expect("ok"))["challenge"].clone()),
        ("second", options(passkeys.start_second_factor(&first.token, &request()).await.expect("ok"))["challenge"].clone()),
    ];
    for (kind, challenge) in &challenges {
        let asked = json!({ "challenge": challenge, "rpId": "auth.example", "allowCredentials": [] });
        let reply = assertion(&device.get(&asked).expect("signs"));
        let created = json!({ "challenge": challenge, "rp": { "id": "auth.example" }, "user": { "id": "AAAA" } });
        let created = SoftAuthenticator::at(ORIGIN).create(&created).expect("creates");
        let created = RegistrationReply::parse(&created).expect("a reply");
        // What it is not for first, so that nothing is used up when it comes to that.
        if *kind != "login" {
            let refused = passkeys.finish_login(&reply, None, &request()).await;
            assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("auth.invalid_passkey"), "{kind} as login");
        }
        if *kind != "again" {
            let refused = passkeys.finish_reauthentication(&caller, &reply, &request()).await;
            assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("auth.invalid_passkey"), "{kind} as again");
        }
        let refused = passkeys.finish_reauthentication(&other_session, &reply, &request()).await;
        assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("auth.invalid_passkey"), "{kind} in another session");
        if *kind != "second" {
            let refused = passkeys.finish_second_factor(&first.token, &reply, &request()).await;
            assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("auth.invalid_passkey"), "{kind} as second");
        }
        let refused = passkeys.finish_second_factor(&second.token, &reply, &request()).await;
        assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("auth.invalid_passkey"), "{kind} of another login");
        let refused = passkeys.finish_registration(&other_session, &created, None, &request()).await;
        assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("passkey.stale_challenge"), "{kind} in another session");
        if *kind != "register" {
            let refused = passkeys.finish_registration(&caller, &created, None, &request()).await;
            assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("passkey.stale_challenge"), "{kind} as register");
        }
        match *kind {
            "login" => drop(passkeys.finish_login(&reply, None, &request()).await.expect("logs in")),
            "again" => drop(passkeys.finish_reauthentication(&caller, &reply, &request()).await.expect("again")),
            "second" => drop(passkeys.finish_second_factor(&first.token, &reply, &request()).await.expect("logs in")),
            _ => {}
        }
    }
    assert_eq!(passkeys.list(&caller).await.expect("reads").len(), 1);
}

#[tokio::test]
async fn a_passkey_of_one_is_no_proof_for_another() {
    let (_world, auth, _owner, mut device, _added) = set_up().await;
    let (mallory, text) = (Email::parse("mallory@example.com").expect("an address"), "kestrel-9-orchard");
    let registration = Registration::new(mallory.clone(), password(text));
    let mallory_in = auth.accounts().register(registration, &request()).await.expect("registers");
    let caller = principal(&auth, &mallory_in);
    let mut her_device = SoftAuthenticator::at(ORIGIN);
    add(&auth, &caller, &mut her_device).await.expect("adds");
    // The victim's password is known; the second factor is Mallory's.
    let required = first_half(&auth).await;
    let asked = options(auth.passkeys().start_second_factor(&required.token, &request()).await.expect("a challenge"));
    assert_eq!(her_device.get(&asked), None, "her passkey is not asked for");
    let reply = assertion(&her_device.sign_with(0, &asked));
    let refused = auth.passkeys().finish_second_factor(&required.token, &reply, &request()).await;
    assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("auth.invalid_passkey"));
    // Her passkey says that it is the victim's.
    let victim = device.get(&login_options(&auth).await).expect("signs")["response"]["userHandle"].clone();
    let asked = login_options(&auth).await;
    let mut reply = her_device.get(&asked).expect("signs");
    reply["response"]["userHandle"] = victim;
    assert_eq!(finish_login(&auth, &reply).await.map(drop), Err("auth.invalid_passkey"));
    // The victim's credential id over her signature.
    let mut reply = her_device.get(&login_options(&auth).await).expect("signs");
    let named = device.get(&login_options(&auth).await).expect("signs");
    reply["id"] = named["id"].clone();
    assert!(AssertionReply::parse(&reply).is_err(), "two names");
    reply["rawId"] = named["rawId"].clone();
    reply["response"]["userHandle"] = named["response"]["userHandle"].clone();
    assert_eq!(finish_login(&auth, &reply).await.map(drop), Err("auth.invalid_passkey"));
}

#[tokio::test]
async fn a_passkey_that_is_known_is_nobody_elses() {
    let world = World::new();
    let auth = world.node().await;
    let owner = register(&auth).await;
    let caller = principal(&auth, &owner);
    let mut device = SoftAuthenticator::at(ORIGIN);
    let registration = Registration::new(Email::parse("mallory@example.com").expect("an address"), password("kestrel-9-orchard"));
    let mallory = principal(&auth, &auth.accounts().register(registration, &request()).await.expect("registers"));
    // One key, and two accounts that show it: the bytes of the attestation are public to whoever saw them.
    let asked = options(auth.passkeys().start_registration(&caller, &request()).await.expect("a challenge"));
    let created = device.create(&asked).expect("creates");
    let hers = options(auth.passkeys().start_registration(&mallory, &request()).await.expect("a challenge"));
    let client_data =
        json!({ "type": "webauthn.create", "challenge": hers["challenge"], "origin": ORIGIN, "crossOrigin": false });
    let mut stolen = created.clone();
    stolen["response"]["clientDataJSON"] = json!(base64url(client_data.to_string().as_bytes()));
    let created = RegistrationReply::parse(&created).expect("a reply");
    auth.passkeys().finish_registration(&caller, &created, None, &request()).await.expect("adds");
    let stolen = RegistrationReply::parse(&stolen).expect("a reply");
    let refused = auth.passkeys().finish_registration(&mallory, &stolen, None, &request()).await;
    assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("passkey.already_known"));
    let again = auth.passkeys().finish_registration(&caller, &created, None, &request()).await;
    assert!(again.is_err(), "replayed");
}

fn base64url(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let alphabet: Vec<char> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars().collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0_u8; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for place in 0..=chunk.len() {
            let index = usize::try_from(word >> (18 - 6 * place) & 63).expect("six bits");
            let _ = write!(text, "{}", alphabet[index]);
        }
    }
    text
}

#[tokio::test]
async fn a_counter_that_goes_back_is_refused_and_told() {
    let (world, auth, owner, mut device, added) = set_up().await;
    device.set_counter(8);
    log_in_by(&auth, &mut device).await.expect("logs in");
    assert_eq!(kept(&world, &owner).await[0].sign_count, 9);
    for counter in [8, 3] {
        world.tick();
        device.set_counter(counter);
        let asked = login_options(&auth).await;
        let reply = device.get(&asked).expect("signs");
        assert_eq!(finish_login(&auth, &reply).await.map(drop), Err("auth.invalid_passkey"));
        let events = world.events().await;
        let suspected: Vec<_> = events.iter().filter(|event| event.action == AuditAction::PasskeyCloneSuspected).collect();
        assert_eq!(suspected[0].details.get("passkey"), Some(&added.passkey.id.to_string()));
        assert_eq!(reasons(&events, AuditAction::Login)[0], "counter_went_back");
        // Sent once more it is no news: its challenge is used up.
        finish_login(&auth, &reply).await.map(drop).expect_err("refused");
        let again = world.events().await;
        let again = again.iter().filter(|event| event.action == AuditAction::PasskeyCloneSuspected).count();
        assert_eq!(again, suspected.len());
    }
    assert_eq!(kept(&world, &owner).await[0].sign_count, 9, "and what was counted stays");
    device.set_counter(9);
    log_in_by(&auth, &mut device).await.expect("logs in");
}

#[tokio::test]
async fn whether_it_is_backed_up_is_kept_up_to_date() {
    let world = World::new();
    let auth = world.node().await;
    let owner = register(&auth).await;
    let mut device = SoftAuthenticator::at(ORIGIN);
    device.conduct.backup_eligible = true;
    add(&auth, &principal(&auth, &owner), &mut device).await.expect("adds");
    for backed_up in [true, false, true] {
        device.conduct.backed_up = backed_up;
        log_in_by(&auth, &mut device).await.expect("logs in");
        let passkey = &kept(&world, &owner).await[0];
        assert_eq!((passkey.backup_eligible, passkey.backed_up), (true, backed_up));
    }
    device.conduct.backup_eligible = false;
    device.conduct.backed_up = false;
    assert_eq!(log_in_by(&auth, &mut device).await.map(drop), Err("auth.invalid_passkey"), "that never changes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_reply_sent_sixteen_times_at_once_is_one_session() {
    for counts_by in [0, 1] {
        let (world, auth, owner, mut device, _added) = set_up().await;
        device.conduct.counts_by = counts_by;
        let node = world.node().await;
        let reply = device.get(&login_options(&auth).await).expect("signs");
        let tasks: Vec<_> = (0..16)
            .map(|rival| {
                let (auth, reply) = (if rival % 2 == 0 { auth.clone() } else { node.clone() }, reply.clone());
                tokio::spawn(async move { finish_login(&auth, &reply).await.map(drop) })
            })
            .collect();
        let mut logged_in = 0;
        for task in tasks {
            match task.await.expect("no panic") {
                Ok(()) => logged_in += 1,
                Err(code) => assert_eq!(code, "auth.invalid_passkey"),
            }
        }
        assert_eq!(logged_in, 1);
        let page = authkit_core::PageRequest::default();
        let sessions = world.store.live_sessions(owner.user.id, world.clock_now(), page).await.expect("reads");
        assert_eq!(sessions.items.len(), 2, "the one of the registration, and one");
    }
}

#[tokio::test]
async fn a_new_passkey_is_refused_for_whatever_is_wrong_with_it() {
    type Spoil = fn(&mut SoftAuthenticator);
    let wrong: &[Spoil] = &[
        |device| device.conduct.origin = "https://evil.example".to_owned(),
        |device| device.conduct.cross_origin = true,
        |device| device.conduct.rp_id = Some("evil.example".to_owned()),
        |device| device.conduct.kind = Some("webauthn.get".to_owned()),
        |device| device.conduct.user_present = false,
        |device| device.conduct.user_verified = false,
        |device| device.conduct.backed_up = true,
        |device| device.conduct.format = "tpm".to_owned(),
        |device| device.conduct.format = "android-key".to_owned(),
        |device| device.conduct.format = "fido-u2f".to_owned(),
        |device| device.conduct.format = "packed".to_owned(),
        |device| device.conduct.format = "none ".to_owned(),
    ];
    let world = World::new();
    let auth = world.node().await;
    let owner = register(&auth).await;
    let caller = principal(&auth, &owner);
    for spoil in wrong {
        let mut device = SoftAuthenticator::at(ORIGIN);
        spoil(&mut device);
        let refused = add(&auth, &caller, &mut device).await.map(drop).map_err(|error| error.code());
        assert_eq!(refused, Err("passkey.refused"), "{:?}", device.conduct);
    }
    assert_eq!(kept(&world, &owner).await, []);
    log_in(&auth).await;
}

#[tokio::test]
async fn bytes_that_are_no_reply_are_an_error_and_never_a_panic() {
    let (_world, auth, _owner, mut device, _added) = set_up().await;
    let asked = login_options(&auth).await;
    let reply = device.get(&asked).expect("signs");
    for member in ["id", "rawId", "type", "response"] {
        for value in [Value::Null, json!(""), json!(7), json!({}), json!("====")] {
            let mut broken = reply.clone();
            broken[member] = value;
            assert!(AssertionReply::parse(&broken).is_err(), "{broken}");
        }
    }
    // Every prefix of everything that is bytes.
    for member in ["clientDataJSON", "authenticatorData", "signature", "userHandle"] {
        let whole = reply["response"][member].as_str().expect("a text").to_owned();
        for length in 0..whole.len() {
            let mut broken = reply.clone();
            broken["response"][member] = json!(whole[..length]);
            if let Ok(broken) = AssertionReply::parse(&broken) {
                let refused = auth.passkeys().finish_login(&broken, None, &request()).await;
                assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("auth.invalid_passkey"), "{member} {length}");
            }
        }
    }
    finish_login(&auth, &reply).await.expect("and all that has used nothing up");
    let owner = principal(&auth, &log_in_by(&auth, &mut device).await.expect("logs in"));
    let asked = options(auth.passkeys().start_registration(&owner, &request()).await.expect("a challenge"));
    let created = SoftAuthenticator::at(ORIGIN).create(&asked).expect("creates");
    let whole = created["response"]["attestationObject"].as_str().expect("a text").to_owned();
    for length in 0..whole.len() {
        let mut broken = created.clone();
        broken["response"]["attestationObject"] = json!(whole[..length]);
        if let Ok(broken) = RegistrationReply::parse(&broken) {
            let refused = auth.passkeys().finish_registration(&owner, &broken, None, &request()).await;
            assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("passkey.refused"), "{length}");
        }
    }
    let mut deep = String::from("[");
    deep.extend(std::iter::repeat_n('[', 100_000));
    let mut broken = created;
    broken["response"]["clientDataJSON"] = json!(base64url(deep.as_bytes()));
    assert!(RegistrationReply::parse(&broken).is_err(), "too large");
}

#[tokio::test]
async fn adding_and_removing_want_a_proof_that_is_fresh_and_whole() {
    let (world, auth, owner, mut device, added) = set_up().await;
    // A session of before has shown no second factor. And a password alone is no longer enough to show.
    let before = principal(&auth, &owner);
    let codes = |result: Result<(), PasskeyError>| result.map_err(|error| error.code());
    assert_eq!(codes(auth.passkeys().remove(&before, added.passkey.id, &request()).await), Err("auth.reauthentication_required"));
    let refused = auth.passkeys().start_registration(&before, &request()).await.map(drop);
    assert_eq!(codes(refused), Err("auth.reauthentication_required"));
    let caller = principal(&auth, &log_in_by(&auth, &mut device).await.expect("logs in"));
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(
        codes(auth.passkeys().start_registration(&caller, &request()).await.map(drop)),
        Err("auth.reauthentication_required")
    );
    // The passkey proves it again.
    let asked = options(auth.passkeys().start_reauthentication(&caller, &request()).await.expect("a challenge"));
    let reply = assertion(&device.get(&asked).expect("signs"));
    let (token, _) = auth.passkeys().finish_reauthentication(&caller, &reply, &request()).await.expect("proves it");
    let caller = auth.authenticate(token.expose()).expect("authenticates");
    assert!(caller.require_recent(world.clock_now(), Duration::from_secs(1)).is_ok());
    let again = auth.passkeys().finish_reauthentication(&caller, &reply, &request()).await;
    assert_eq!(again.map(drop).map_err(|error| error.code()), Err("auth.invalid_passkey"), "replayed");
    // Several, with names.
    let mut phone = SoftAuthenticator::at(ORIGIN);
    let second = add(&auth, &caller, &mut phone).await.expect("adds");
    assert_eq!(second.recovery_codes.len(), 0, "the set of before is still good");
    let name = PasskeyName::parse("Das Telefon").expect("a name");
    let renamed = auth.passkeys().rename(&caller, second.passkey.id, name.clone(), &request()).await.expect("renames");
    assert_eq!(renamed.name, name);
    let listed = auth.passkeys().list(&caller).await.expect("reads");
    assert_eq!(listed.iter().map(|passkey| passkey.name.as_str()).collect::<Vec<_>>(), ["Passkey 1", "Das Telefon"]);
    // The factor stays until the last one goes, and then a password alone logs in again.
    auth.passkeys().remove(&caller, added.passkey.id, &request()).await.expect("removes");
    assert_eq!(log_in_by(&auth, &mut device).await.map(drop), Err("auth.invalid_passkey"), "gone");
    first_half(&auth).await;
    auth.passkeys().remove(&caller, second.passkey.id, &request()).await.expect("removes");
    log_in(&auth).await;
    let status = auth.mfa().status(&caller).await.expect("reads");
    assert_eq!((status.factors.is_empty(), status.recovery_codes_left), (true, 0));
    let unknown = auth.passkeys().remove(&caller, second.passkey.id, &request()).await;
    assert_eq!(codes(unknown), Err("passkey.not_found"));
}

#[tokio::test]
async fn the_last_way_in_is_not_taken_away() {
    let (world, auth, owner, mut device, added) = set_up().await;
    let without = CredentialChange::DeletePassword { user_id: owner.user.id };
    world.store.commit(&ChangeSet::new().and(without)).await.expect("commits");
    let caller = principal(&auth, &log_in_by(&auth, &mut device).await.expect("logs in"));
    let refused = auth.passkeys().remove(&caller, added.passkey.id, &request()).await;
    assert_eq!(refused.map_err(|error| error.code()), Err("passkey.last_way_in"));
    log_in_by(&auth, &mut device).await.expect("still");
}

#[tokio::test]
async fn there_is_an_end_to_how_many_there_can_be() {
    let world = World::new();
    let mut config = config();
    config.passkeys.per_account = 2;
    let auth = world.node_with(config).await;
    let caller = principal(&auth, &register(&auth).await);
    let mut caller = caller;
    let mut ready = Vec::new();
    for _ in 0..2 {
        let asked = options(auth.passkeys().start_registration(&caller, &request()).await.expect("a challenge"));
        ready.push(SoftAuthenticator::at(ORIGIN).create(&asked).expect("creates"));
    }
    let mut device = SoftAuthenticator::at(ORIGIN);
    add(&auth, &caller, &mut device).await.expect("adds");
    let asked = options(auth.passkeys().start_reauthentication(&caller, &request()).await.expect("a challenge"));
    let reply = assertion(&device.get(&asked).expect("signs"));
    let (token, _) = auth.passkeys().finish_reauthentication(&caller, &reply, &request()).await.expect("proves it");
    caller = auth.authenticate(token.expose()).expect("authenticates");
    let mut results = Vec::new();
    for reply in ready {
        let reply = RegistrationReply::parse(&reply).expect("a reply");
        let result = auth.passkeys().finish_registration(&caller, &reply, None, &request()).await;
        results.push(result.map(drop).map_err(|error| error.code()));
    }
    assert_eq!(results, [Ok(()), Err("passkey.too_many")], "though their challenges were given out in time");
    let refused = auth.passkeys().start_registration(&caller, &request()).await;
    assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("passkey.too_many"));
}

#[tokio::test]
async fn a_suspended_account_is_told_so_by_its_passkey_alone() {
    let (world, auth, owner, mut device, _added) = set_up().await;
    let user = world.store.user_by_id(owner.user.id).await.expect("reads").expect("there");
    let suspend = UserChange::Suspend { id: user.id, from: user.version, at: world.clock_now() };
    world.store.commit(&ChangeSet::new().and(suspend)).await.expect("commits");
    let asked = login_options(&auth).await;
    let reply = device.get(&asked).expect("signs");
    let mut wrong = reply.clone();
    wrong["response"]["signature"] = json!("AAAA");
    assert_eq!(finish_login(&auth, &wrong).await.map(drop), Err("auth.invalid_passkey"));
    assert_eq!(finish_login(&auth, &reply).await.map(drop), Err("account.suspended"));
    assert_eq!(finish_login(&auth, &reply).await.map(drop), Err("auth.invalid_passkey"), "and once");
}

#[tokio::test]
async fn an_operator_resets_passkeys_as_every_other_factor() {
    let (world, auth, owner, mut device, _added) = set_up().await;
    assert!(auth.mfa().reset(owner.user.id, &request()).await.expect("resets"));
    assert_eq!(kept(&world, &owner).await, []);
    assert_eq!(log_in_by(&auth, &mut device).await.map(drop), Err("auth.invalid_passkey"));
    log_in(&auth).await;
}

#[tokio::test]
async fn asking_and_answering_is_bounded_for_each_address() {
    let world = World::new();
    let mut config = config();
    config.limits.enabled = true;
    config.limits.passkeys_per_address = Quota::new(3, Duration::from_mins(1)).expect("a quota");
    let auth = world.node_with(config).await;
    let mut from_here = RequestContext::default();
    from_here.client.ip = Some([192, 0, 2, 1].into());
    for _ in 0..3 {
        auth.passkeys().start_login(&from_here).await.expect("a challenge");
    }
    let refused = Error::from(auth.passkeys().start_login(&from_here).await.map(drop).expect_err("too many"));
    assert_eq!((refused.code(), refused.kind()), ("rate_limit.exceeded", ErrorKind::Throttled(Duration::from_mins(1))));
}

#[tokio::test]
async fn passkeys_are_bound_to_what_is_configured() {
    let world = World::new();
    let party = |config: authkit_core::Config| {
        let world = &world;
        async move {
            let auth = world.node_with(config).await;
            auth.passkeys().relying_party().map(|party| (party.id().to_owned(), party.origins().to_vec()))
        }
    };
    let with = |issuer: &str, rp_id: Option<&str>, origins: &[&str]| {
        let mut with = config();
        issuer.clone_into(&mut with.tokens.issuer);
        with.passkeys.rp_id = rp_id.map(str::to_owned);
        with.passkeys.origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        with
    };
    let known = |id: &str, origins: &[&str]| Some((id.to_owned(), origins.iter().map(|origin| (*origin).to_owned()).collect()));
    assert_eq!(party(with("https://auth.example/base", None, &[])).await, known("auth.example", &["https://auth.example"]));
    assert_eq!(
        party(with("http://127.0.0.1:8000", None, &[])).await,
        known("localhost", &["http://localhost:8000"]),
        "an address cannot be one, and its name can"
    );
    assert_eq!(party(with("https://192.0.2.1", None, &[])).await, None);
    assert_eq!(party(with("http://auth.example", None, &[])).await, None, "browsers give passkeys to nobody without TLS");
    let parent =
        with("https://login.example.com", Some("example.com"), &["https://app.example.com:8443", "https://example.com/"]);
    let origins = ["https://login.example.com", "https://app.example.com:8443", "https://example.com"];
    assert_eq!(party(parent).await, known("example.com", &origins));
    let app = "android:apk-key-hash:abc";
    assert_eq!(party(with("https://a.example", None, &[app])).await, known("a.example", &["https://a.example", app]));
    for (rp_id, origins) in [
        (Some("EXAMPLE.com"), &[][..]),
        (Some("example.com:443"), &[][..]),
        (Some("192.0.2.1"), &[][..]),
        (Some("com.evil"), &[][..]),
        (None, &["https://evil.example"][..]),
        (None, &["http://login.example.com"][..]),
        (None, &["https://login.example.com/path"][..]),
        (None, &["https://user@login.example.com"][..]),
        (None, &["https://evillogin.example.com"][..]),
        (None, &["ftp://login.example.com"][..]),
        (None, &["*"][..]),
    ] {
        let refused = world.unjoined(with("https://login.example.com", rp_id, origins)).build().await;
        assert!(refused.is_err(), "{rp_id:?} {origins:?}");
    }
}

#[tokio::test]
async fn a_passkey_of_before_the_address_was_proved_is_void_once_it_is() {
    for way in ["verify", "reset", "magic"] {
        let (world, mailbox) = (World::new(), Mailbox::new());
        let config = world.config.clone();
        let auth = world.unjoined(config).mailer(Arc::new(mailbox.clone())).build_unattended().await.expect("builds");
        // Somebody makes an account with the address of somebody else.
        let mallory = register(&auth).await;
        let mut device = SoftAuthenticator::at(ORIGIN);
        add(&auth, &principal(&auth, &mallory), &mut device).await.expect("adds");
        log_in_by(&auth, &mut device).await.expect("logs in");
        auth.outbox().deliver_due().await.expect("delivers");
        let mails = mailbox.take();
        let told: Vec<&str> = mails.iter().map(|mail| mail.content.name()).collect();
        assert!(told.contains(&"factor_added"), "{told:?}");
        // The owner comes.
        match way {
            "verify" => {
                auth.links().request_verification(&email(), &request()).await.expect("answers");
                auth.outbox().deliver_due().await.expect("delivers");
                auth.links().verify_email(&mailbox.only_token("verify_email"), &request()).await.expect("verifies");
            }
            "reset" => {
                auth.links().request_password_reset(&email(), &request()).await.expect("answers");
                auth.outbox().deliver_due().await.expect("delivers");
                let link = mailbox.only_token("reset_password");
                auth.links().reset_password(&link, password("AnotherPass456"), &request()).await.expect("resets");
                let login = Login::new(email(), password("AnotherPass456"));
                auth.sessions().log_in(login, &request()).await.expect("and no second factor keeps her out");
            }
            _ => {
                auth.links().request_magic_link(&email(), None, &request()).await.expect("answers");
                auth.outbox().deliver_due().await.expect("delivers");
                let link = mailbox.only_token("magic_link");
                auth.links().log_in(&link, None, None, &request()).await.expect("logs in");
            }
        }
        assert_eq!(log_in_by(&auth, &mut device).await.map(drop), Err("auth.invalid_passkey"), "after {way}");
        assert_eq!(kept(&world, &mallory).await, [], "after {way}");
    }
}

#[tokio::test]
async fn a_passkey_of_an_address_that_is_proved_stays() {
    let (world, mailbox) = (World::new(), Mailbox::new());
    let config = world.config.clone();
    let auth = world.unjoined(config).mailer(Arc::new(mailbox.clone())).build_unattended().await.expect("builds");
    let owner = register(&auth).await;
    auth.outbox().deliver_due().await.expect("delivers");
    auth.links().verify_email(&mailbox.only_token("verify_email"), &request()).await.expect("verifies");
    let mut device = SoftAuthenticator::at(ORIGIN);
    add(&auth, &principal(&auth, &owner), &mut device).await.expect("adds");
    auth.links().request_password_reset(&email(), &request()).await.expect("answers");
    auth.outbox().deliver_due().await.expect("delivers");
    let link = mailbox.only_token("reset_password");
    auth.links().reset_password(&link, password("AnotherPass456"), &request()).await.expect("resets");
    log_in_by(&auth, &mut device).await.expect("logs in");
    let login = Login::new(email(), password("AnotherPass456"));
    let behind = auth.sessions().log_in(login, &request()).await.map(drop);
    assert!(matches!(behind, Err(LoginError::SecondFactorRequired(_))), "{behind:?}");
    auth.outbox().deliver_due().await.expect("delivers");
    drop(mailbox.take());
    let caller = principal(&auth, &log_in_by(&auth, &mut device).await.expect("logs in"));
    let id = auth.passkeys().list(&caller).await.expect("reads")[0].id;
    auth.passkeys().remove(&caller, id, &request()).await.expect("removes");
    auth.outbox().deliver_due().await.expect("delivers");
    let told: Vec<&str> = mailbox.take().iter().map(|mail| mail.content.name()).collect();
    assert!(told.contains(&"factor_removed"), "{told:?}");
}
