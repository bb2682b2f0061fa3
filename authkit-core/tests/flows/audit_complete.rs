//! The audit log is complete: every action is written by some flow, every change comes with the event that tells of it, and a refusal
//! says exactly why.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::MemoryStore;
use authkit_core::flows::{
    AccountImport, AccountUpdate, Administrator, Expected, ImportMode, NewAccount, NewRole, PasswordChange, ProofMethod,
    RoleGrant, RoleUpdate, Run, SecondFactor,
};
use authkit_core::mfa::totp;
use authkit_core::model::{
    Actor, AuditAction, AuditChange, AuditEvent, AuditFilter, Change, ChangeSet, Client, FactorKind, KeyPurpose, OutboxState,
    Outcome, Patch, Quota, RequestContext, UserChange,
};
use authkit_core::ports::AuditReads as _;
use authkit_core::testkit::{FaultyStore, Mailbox, audit_rule, totp_secret};
use authkit_core::{
    AuthKit, Config, Email, FactorCode, FullName, LoggedIn, Login, OneTimeTokenText, PageLimit, PageRequest, PasswordHash,
    Principal, ProfileUpdate, RefreshToken, Registration, RequestId, SecretBytes, UserId,
};

use crate::support::{PASSWORD, World, config, password, principal, refresh};

const OTHER: &str = "AnotherPass456";
const BCRYPT: &str = "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";

/// A request of its own, from somewhere.
fn request(id: &str) -> RequestContext {
    let client = Client { ip: Some([192, 0, 2, 7].into()), user_agent: None };
    RequestContext { client, request_id: Some(named(id)), ..RequestContext::default() }
}

fn named(id: &str) -> RequestId {
    format!("request-{id}").parse().expect("an id")
}

fn at(address: &str) -> Email {
    Email::parse(address).expect("an address")
}

struct Ground {
    world: World,
    store: Arc<FaultyStore<MemoryStore>>,
    mailbox: Mailbox,
    auth: AuthKit,
}

impl Ground {
    async fn new(config: Config) -> Self {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        store.keep_commits();
        let mut world = World::over(store.clone());
        world.config = config;
        let mailbox = Mailbox::new();
        let auth = Self::node(&world, &mailbox, world.config.clone()).await;
        Self { world, store, mailbox, auth }
    }

    async fn node(world: &World, mailbox: &Mailbox, config: Config) -> AuthKit {
        world.unjoined(config).mailer(Arc::new(mailbox.clone())).build_unattended().await.expect("builds")
    }

    async fn user(&self, address: &str) -> (LoggedIn, Principal) {
        let registration = Registration::new(at(address), password(PASSWORD));
        let made = self.auth.accounts().register(registration, &request("registers")).await.expect("registers");
        let caller = principal(&self.auth, &made);
        self.auth.outbox().deliver_due().await.expect("delivers");
        (made, caller)
    }

    async fn link(&self, name: &str) -> OneTimeTokenText {
        self.auth.outbox().deliver_due().await.expect("delivers");
        let mails = self.mailbox.take();
        let found = mails.iter().rev().find(|mail| mail.content.name() == name);
        found.and_then(|mail| mail.content.token()).unwrap_or_else(|| panic!("no {name} in {mails:?}")).clone()
    }

    async fn mailed_code(&self) -> FactorCode {
        self.auth.outbox().deliver_due().await.expect("delivers");
        let mails = self.mailbox.take();
        mails.iter().rev().find_map(|mail| mail.content.code()).expect("a code by mail").clone()
    }

    async fn log(&self) -> Vec<AuditEvent> {
        let filter = AuditFilter::new().oldest_first();
        let (mut events, mut page) = (Vec::new(), PageRequest { limit: PageLimit::new(200).expect("in range"), cursor: None });
        loop {
            let read = self.store.audit_events(&filter, page).await.expect("reads");
            events.extend(read.items);
            page.cursor = read.next;
            if page.cursor.is_none() {
                return events;
            }
        }
    }

    async fn why(&self, id: &str) -> String {
        let explained = self.auth.audit().explain(named(id)).await.expect("explains");
        explained.events.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ")
    }
}

/// Enrols an app; returns its secret and the recovery codes.
async fn enrol(ground: &Ground, caller: &Principal) -> (SecretBytes, Vec<String>) {
    let told = ground.auth.mfa().start_totp(caller, &request("mfa-start")).await.expect("a secret");
    let secret = totp_secret(&told.secret);
    let codes = ground.auth.mfa().confirm_totp(caller, &code(ground, &secret), &request("mfa-confirm")).await.expect("confirms");
    ground.world.clock.advance(Duration::from_secs(30));
    (secret, codes.iter().map(authkit_core::mfa::RecoveryCode::expose).collect())
}

fn code(ground: &Ground, secret: &SecretBytes) -> FactorCode {
    FactorCode::new(totp::code_at(secret, ground.world.clock_now()).expect("a code"))
}

fn wrong_code() -> SecondFactor {
    SecondFactor { factor: ProofMethod::Totp, code: FactorCode::new("not123".to_owned()) }
}

async fn half_login(auth: &AuthKit, address: &str, id: &str) -> authkit_core::MfaToken {
    let login = Login::new(at(address), password(PASSWORD));
    match auth.sessions().log_in(login, &request(id)).await {
        Err(authkit_core::flows::LoginError::SecondFactorRequired(required)) => required.token,
        other => panic!("no second factor is asked for: {other:?}"),
    }
}

async fn fail(auth: &AuthKit, address: &str, text: &str, id: &str) {
    let login = Login::new(at(address), password(text));
    drop(auth.sessions().log_in(login, &request(id)).await);
}

/// Does everything that the library can do and that is recorded.
async fn everything(ground: &Ground) {
    own_account(ground).await;
    by_mail(ground).await;
    sessions(ground).await;
    links(ground).await;
    moves(ground).await;
    factors(ground).await;
    administration(ground).await;
    roles(ground).await;
    operator(ground).await;
    guesses(ground).await;
}

async fn own_account(ground: &Ground) {
    let auth = &ground.auth;
    let (_, me) = ground.user("own@example.com").await;
    let name = ProfileUpdate { full_name: Patch::Set(FullName::parse("Zoë").expect("a name")), ..ProfileUpdate::default() };
    auth.accounts().update_profile(&me, name, &request("profile-1")).await.expect("updates");
    auth.accounts().export(&me, &request("export-1")).await.expect("exports");
    let wrong = PasswordChange { current: password("not this one"), new: password(OTHER) };
    auth.accounts().change_password(&me, wrong, &request("change-wrong")).await.expect_err("wrong");
    let right = PasswordChange { current: password(PASSWORD), new: password(OTHER) };
    auth.accounts().change_password(&me, right, &request("change-right")).await.expect("changes");
    auth.sessions().reauthenticate(&me, password("not this one"), &request("reauth-wrong")).await.expect_err("wrong");
    auth.sessions().reauthenticate(&me, password(OTHER), &request("reauth-right")).await.expect("proves");
    auth.accounts().close(&me, &request("closes-own")).await.expect("closes");
}

/// Where registration does not say whether there is such an account.
async fn by_mail(ground: &Ground) {
    let mut discreet = ground.world.config.clone();
    discreet.registration.reveal_existing = false;
    let auth = Ground::node(&ground.world, &ground.mailbox, discreet).await;
    let registration = Registration::new(at("discreet@example.com"), password(PASSWORD));
    auth.accounts().request_registration(registration, &request("registers-2")).await.expect("answers");
    auth.outbox().deliver_due().await.expect("delivers");
}

async fn sessions(ground: &Ground) {
    let auth = &ground.auth;
    let (first, me) = ground.user("sessions@example.com").await;
    let log_in = async || {
        let login = Login::new(at("sessions@example.com"), password(PASSWORD));
        auth.sessions().log_in(login, &request("logs-in-1")).await.expect("logs in")
    };
    let second = log_in().await;
    auth.sessions().revoke(&me, second.session_id, &request("revokes-1")).await.expect("revokes");
    auth.sessions().refresh(&second.tokens.refresh_token, &request("refused-1")).await.expect_err("revoked");
    let third = log_in().await;
    auth.sessions().log_out(&third.tokens.refresh_token, &request("logs-out-1")).await.expect("logs out");
    let newer = refresh(auth, &refresh(auth, &first.tokens.refresh_token).await.tokens.refresh_token).await;
    ground.world.clock.advance(Duration::from_mins(1));
    drop(auth.sessions().refresh(&first.tokens.refresh_token, &request("reused-1")).await.expect("is answered"));
    drop(auth.sessions().refresh(&newer.tokens.refresh_token, &request("reused-2")).await.expect_err("it ended with that"));
    let last = log_in().await;
    auth.sessions().log_out_all(&principal(auth, &last), &request("logs-out-all")).await.expect("ends all");
}

async fn links(ground: &Ground) {
    let auth = &ground.auth;
    ground.user("links@example.com").await;
    let email = at("links@example.com");
    auth.links().verify_email(&ground.link("verify_email").await, &request("verifies-1")).await.expect("proves");
    auth.links().request_password_reset(&email, &request("forgot-1")).await.expect("answers");
    let link = ground.link("reset_password").await;
    auth.links().reset_password(&link, password(OTHER), &request("resets-1")).await.expect("resets");
    auth.links().reset_password(&link, password(PASSWORD), &request("resets-2")).await.expect_err("used");
    auth.links().request_magic_link(&email, None, &request("magic-1")).await.expect("answers");
    auth.links().log_in(&ground.link("magic_link").await, None, None, &request("magic-2")).await.expect("logs in");
    // Where the address was not proved before, what somebody else may have set up is gone.
    for (address, name) in [("squat1@example.com", "magic_link"), ("squat2@example.com", "reset_password")] {
        ground.user(address).await;
        if name == "magic_link" {
            auth.links().request_magic_link(&at(address), None, &request("magic-3")).await.expect("answers");
            auth.links().log_in(&ground.link(name).await, None, None, &request("magic-4")).await.expect("logs in");
        } else {
            auth.links().request_password_reset(&at(address), &request("forgot-2")).await.expect("answers");
            auth.links().reset_password(&ground.link(name).await, password(OTHER), &request("resets-3")).await.expect("resets");
        }
    }
}

/// What moves by mail: addresses, invitations, and what an administrator has sent.
async fn moves(ground: &Ground) {
    let auth = &ground.auth;
    let (_, me) = ground.user("leaves@example.com").await;
    auth.links().verify_email(&ground.link("verify_email").await, &request("verifies-2")).await.expect("proves");
    auth.accounts().request_email_change(&me, &at("arrives@example.com"), &request("moves-1")).await.expect("answers");
    auth.links().confirm_email_change(&ground.link("change_email").await, &request("moves-2")).await.expect("moves");
    auth.links().undo_email_change(&ground.link("email_changed").await, &request("moves-3")).await.expect("moves back");
    let by = auth.administration(Administrator::Operator);
    let new = NewAccount { email: at("invited@example.com"), full_name: None, locale: None };
    let invited = by.create_and_invite(new, &request("invites-1")).await.expect("invites").id;
    auth.links()
        .accept_invitation(&ground.link("invitation").await, password(OTHER), &request("accepts-1"))
        .await
        .expect("accepts");
    by.send_password_reset(invited, &request("sends-1")).await.expect("sends");
    // A message that nobody takes.
    ground.mailbox.fail(Some(true));
    auth.outbox().deliver_due().await.expect("is given up");
    let dead = by.messages(OutboxState::Dead, PageRequest::default()).await.expect("reads").items;
    let id = dead.first().expect("one that was given up").id;
    by.retry_message(id, &request("retries-1")).await.expect("is tried again");
    by.discard_message(id, &request("discards-1")).await.expect("is removed");
    ground.mailbox.fail(None);
}

async fn factors(ground: &Ground) {
    let auth = &ground.auth;
    let (_, me) = ground.user("factors@example.com").await;
    let (secret, codes) = enrol(ground, &me).await;
    let me = {
        let token = half_login(auth, "factors@example.com", "half-1").await;
        auth.mfa().verify(&token, &wrong_code(), &request("half-wrong")).await.expect_err("wrong");
        let proof = SecondFactor { factor: ProofMethod::Totp, code: code(ground, &secret) };
        let whole = auth.mfa().verify(&token, &proof, &request("half-right")).await.expect("logs in");
        principal(auth, &whole)
    };
    auth.mfa().replace_recovery_codes(&me, &request("codes-1")).await.expect("replaces");
    drop(codes);
    auth.mfa().remove_totp(&me, &request("removes-1")).await.expect("removes");
    let (_, me) = ground.user("factors2@example.com").await;
    let (_, codes) = enrol(ground, &me).await;
    let token = half_login(auth, "factors2@example.com", "half-2").await;
    let proof = SecondFactor { factor: ProofMethod::RecoveryCode, code: FactorCode::new(codes[0].clone()) };
    auth.mfa().verify(&token, &proof, &request("half-paper")).await.expect("logs in");
    assert!(auth.mfa().reset(me.user_id(), &request("operator-reset")).await.expect("resets"));
    sent_codes(ground).await;
}

/// Codes by mail, on a device that is trusted from then on, and then no more.
async fn sent_codes(ground: &Ground) {
    let auth = &ground.auth;
    let (_, me) = ground.user("codes@example.com").await;
    auth.links().verify_email(&ground.link("verify_email").await, &request("verifies-3")).await.expect("proves");
    auth.mfa().start_email(&me, &request("mail-start")).await.expect("a code");
    auth.mfa().confirm(&me, FactorKind::Email, &ground.mailed_code().await, &request("mail-confirm")).await.expect("is on");
    ground.world.clock.advance(Duration::from_secs(31));
    let token = half_login(auth, "codes@example.com", "half-3").await;
    auth.mfa().send_code(&token, FactorKind::Email, &request("code-sent-1")).await.expect("is sent");
    let proof = SecondFactor { factor: ProofMethod::Email, code: ground.mailed_code().await };
    let trusting = auth.mfa().verify_and_trust(&token, &proof, &request("trusts-1")).await.expect("logs in");
    auth.mfa().forget_device(&principal(auth, &trusting), None, &request("forgets-1")).await.expect("is forgotten");
}

async fn administration(ground: &Ground) {
    let auth = &ground.auth;
    let by = auth.administration(Administrator::Operator);
    let context = request("operator-1");
    let new = NewAccount { email: at("made@example.com"), full_name: None, locale: None };
    let made = by.create(new, &context).await.expect("makes").id;
    let to = AccountUpdate { email: Some(at("moved@example.com")), ..AccountUpdate::default() };
    by.update(made, &Expected::Anything, &to, &context).await.expect("updates");
    by.suspend(made, &Expected::Anything, &context).await.expect("suspends");
    by.restore(made, &Expected::Anything, &context).await.expect("restores");
    let (victim, _) = ground.user("victim@example.com").await;
    by.revoke_session(victim.user.id, victim.session_id, &context).await.expect("revokes");
    by.revoke_sessions(victim.user.id, &context).await.expect("revokes");
    by.close(made, &Expected::Anything, &context).await.expect("closes");
    let (admin, _) = ground.user("admin@example.com").await;
    assign(auth, admin.user.id, "admin").await;
    let admin = refresh(auth, &admin.tokens.refresh_token).await;
    let why = authkit_core::ImpersonationReason::parse("ticket 4711").expect("a reason");
    let admin = principal(auth, &admin);
    auth.accounts().impersonate(&admin, victim.user.id, &why, &request("acts-as-1")).await.expect("begins");
    auth.audit().begin_export(&admin, AuditFilter::new(), &request("takes-out-1")).await.expect("begins");
}

async fn assign(auth: &AuthKit, user_id: UserId, role: &str) {
    let grant = RoleGrant { user_id, role: role.parse().expect("a name"), scope: None, expires_at: None };
    auth.roles().assign(Administrator::Operator, &grant, Run::Real, &request("assigns-1")).await.expect("assigns");
}

async fn roles(ground: &Ground) {
    let (auth, by, context) = (&ground.auth, Administrator::Operator, request("roles-1"));
    let name: authkit_core::RoleName = "writer".parse().expect("a name");
    let permissions = BTreeSet::from(["invoice:write".parse().expect("a permission")]);
    let new = NewRole { name: name.clone(), description: None, permissions, inherits: BTreeSet::new(), mfa_required: false };
    auth.roles().create(by, &new, Run::Real, &context).await.expect("makes");
    let (user, _) = ground.user("writer@example.com").await;
    assign(auth, user.user.id, "writer").await;
    let update = RoleUpdate { permissions: Some(BTreeSet::new()), ..RoleUpdate::default() };
    auth.roles().update(by, &name, &update, Run::Real, &context).await.expect("updates");
    auth.roles().unassign(by, user.user.id, &name, None, Run::Real, &context).await.expect("takes");
    auth.roles().delete(by, &name, &authkit_core::flows::ExpectedRole::default(), Run::Real, &context).await.expect("deletes");
}

async fn operator(ground: &Ground) {
    let (auth, context) = (&ground.auth, request("operator-2"));
    let mut row = AccountImport::new(at("imported@example.com"));
    row.password_hash = Some(PasswordHash::from_phc(BCRYPT.to_owned()));
    auth.accounts().import(vec![row], ImportMode::Apply, &context).await.expect("imports");
    auth.accounts().wrap_hashes(None, false, &context).await.expect("wraps");
    let made = Registration::new(at("operator-made@example.com"), password(PASSWORD));
    auth.accounts().create_with_roles(made, &["user".parse().expect("a name")], &context).await.expect("makes");
    auth.keys().rotate(KeyPurpose::AccessToken, true).await.expect("rotates");
    ground.world.clock.advance(Duration::from_hours(48));
    auth.audit().seal().await.expect("seals");
    ground.world.clock.advance(Duration::from_hours(24 * 400));
    auth.audit().seal().await.expect("seals");
    auth.audit().purge(Duration::from_hours(24 * 399), false).await.expect("purges");
    // Keys that nothing can need any more are forgotten once a minute.
    auth.maintain(true).await.expect("keeps house");
}

async fn guesses(ground: &Ground) {
    let mut strict = ground.world.config.clone();
    strict.limits.enabled = true;
    strict.limits.guessing.free = 1;
    strict.limits.guessing.at_most = 3;
    strict.limits.login_per_address_and_account = Quota::new(6, Duration::from_hours(1)).expect("a quota");
    let auth = Ground::node(&ground.world, &ground.mailbox, strict).await;
    for _ in 0..10 {
        fail(&auth, "nobody@example.com", "not the password", "guess-123").await;
        ground.world.clock.advance(Duration::from_mins(20));
    }
    for _ in 0..10 {
        fail(&auth, "nobody@example.com", "not the password", "guess-124").await;
    }
    auth.accounts().unlock(&at("nobody@example.com"), &request("unlock-1")).await.expect("unlocks");
    let mut slow = ground.world.config.clone();
    slow.hashing.threads = 1;
    slow.hashing.max_wait = Duration::from_millis(1);
    slow.passwords.params = authkit_core::config::Argon2Params { memory_kib: 19_456, iterations: 2, parallelism: 1 };
    let auth = Ground::node(&ground.world, &ground.mailbox, slow).await;
    let crowd = (0..30).map(|_| {
        let auth = auth.clone();
        tokio::spawn(async move { fail(&auth, "crowd@example.com", "not the password", "crowd-123").await })
    });
    for one in crowd.collect::<Vec<_>>() {
        one.await.expect("no panic");
    }
}

/// What needs an authenticator: the tests of passkeys hold their events.
const OF_PASSKEYS: &[AuditAction] =
    &[AuditAction::PasskeyAdded, AuditAction::PasskeyRenamed, AuditAction::PasskeyRemoved, AuditAction::PasskeyCloneSuspected];

/// What only a system does by itself, and nobody asks for in a request.
const WITHOUT_REQUEST: &[AuditAction] = &[AuditAction::KeyCreated, AuditAction::KeyDeleted, AuditAction::AuditPurged];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_action_is_written_and_every_change_is_told_of() {
    let ground = Ground::new(config()).await;
    let mut log = Vec::new();
    everything(&ground).await;
    // A purge has taken some of them: what was committed is what counts.
    let commits = ground.store.commits();
    for changes in &commits {
        for change in changes.changes() {
            if let Change::Audit(AuditChange::Append(event)) = change {
                log.push((**event).clone());
            }
        }
    }
    let written: BTreeSet<AuditAction> = log.iter().map(|event| event.action).collect();
    let missing: Vec<_> =
        AuditAction::ALL.iter().filter(|action| !written.contains(action) && !OF_PASSKEYS.contains(action)).collect();
    assert!(missing.is_empty(), "declared, and written by nothing that is done here: {missing:?}");

    let untold: Vec<String> = commits.iter().flat_map(audit_rule::untold).map(|change| format!("{change:?}")).collect();
    assert!(untold.is_empty(), "changes that no event tells of:\n{}", untold.join("\n"));
    // The rule is no empty one.
    let shut = UserChange::Suspend { id: log[0].subject.unwrap_or(UserId::from_uuid(uuid::Uuid::nil())), from: 0, at: log[0].at };
    assert_eq!(audit_rule::untold(&ChangeSet::new().and(shut.clone())).len(), 1);
    assert_eq!(audit_rule::untold(&ChangeSet::new().and(log[0].clone()).and(shut)).len(), 1);

    let mut incomplete = Vec::new();
    for event in &log {
        let is_asked_for = !WITHOUT_REQUEST.contains(&event.action);
        if is_asked_for && (event.request_id.is_none() || event.client.ip.is_none()) {
            incomplete.push(format!("{event:?} does not say in which request, and from where"));
        }
        // Only what was refused, or asked for before anybody knew who it is, has no name.
        let is_anonymous = matches!(event.actor, Actor::Anonymous);
        let may_be = event.outcome == Outcome::Failure
            || matches!(
                event.action,
                AuditAction::LinkRequested
                    | AuditAction::RegistrationRequested
                    | AuditAction::RefreshTokenReused
                    | AuditAction::GuessingDelayed
                    | AuditAction::GuessingStopped
                    | AuditAction::SecondFactorDemanded
            );
        if is_anonymous && !may_be {
            incomplete.push(format!("{event:?} does not say who"));
        }
        // Of whom it is not known, or not looked up, whether there is such an account.
        let is_about_an_address = matches!(event.action, AuditAction::AccountUnlocked | AuditAction::RegistrationRequested);
        let is_about_somebody = event.action.as_str().starts_with("account.") || event.action.as_str().starts_with("mfa.");
        if is_about_somebody && !is_about_an_address && event.outcome == Outcome::Success && event.subject.is_none() {
            incomplete.push(format!("{event:?} does not say to whom"));
        }
        if event.action == AuditAction::Login && event.outcome == Outcome::Failure && !event.details.contains_key("reason") {
            incomplete.push(format!("{event:?} does not say why"));
        }
    }
    assert!(incomplete.is_empty(), "{}", incomplete.join("\n"));
    // What was before and what is now, of what may be seen.
    let moved = log.iter().find(|event| event.details.contains_key("changed.email.from")).expect("an address that changed");
    assert_eq!(moved.details["changed.email.to"], "moved@example.com");
    // No secret is in any of it.
    let all = format!("{log:?}");
    for secret in [PASSWORD, OTHER, "not the password", "not this one", "$argon2", "$2a$", "ak_rt_", "ak_ot_", "ak_mfa_", "eyJ"] {
        assert!(!all.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, a reason after the other")]
async fn every_refused_login_and_refresh_is_explained() {
    let ground = Ground::new(config()).await;
    let auth = &ground.auth;
    let clock = &ground.world.clock;
    let mut told: Vec<(&str, &str)> = Vec::new();

    fail(auth, "nobody@example.com", "not the password", "unknown-account").await;
    told.push(("unknown-account", "no account has this address"));
    let (_, jane) = ground.user("jane@example.com").await;
    fail(auth, "jane@example.com", "not the password", "wrong-password").await;
    told.push(("wrong-password", "the account is there, and the password was another one"));
    let by = auth.administration(Administrator::Operator);
    let new = NewAccount { email: at("bare@example.com"), full_name: None, locale: None };
    by.create(new, &request("makes-bare")).await.expect("makes");
    fail(auth, "bare@example.com", "not the password", "no-password").await;
    told.push(("no-password", "the account is there and has no password"));
    let (shut, _) = ground.user("shut@example.com").await;
    auth.links().request_magic_link(&at("shut@example.com"), None, &request("magic-shut")).await.expect("answers");
    let shut_link = ground.link("magic_link").await;
    by.suspend(shut.user.id, &Expected::Anything, &request("suspends-1")).await.expect("suspends");
    fail(auth, "shut@example.com", PASSWORD, "suspended-1").await;
    told.push(("suspended-1", "the password was right, and the account is suspended"));
    auth.sessions().refresh(&shut.tokens.refresh_token, &request("suspended-2")).await.expect_err("refused");
    told.push(("suspended-2", "(account suspended)"));

    // Links that log in.
    let open = async |link: &OneTimeTokenText, browser: Option<&str>, id: &str| {
        auth.links().log_in(link, browser, None, &request(id)).await.expect_err("refused");
    };
    open(&shut_link, None, "link-suspended").await;
    told.push(("link-suspended", "the link was right, and the account is suspended"));
    let email = at("jane@example.com");
    auth.links().request_magic_link(&email, Some("my browser"), &request("magic-5")).await.expect("answers");
    let bound = ground.link("magic_link").await;
    open(&bound, None, "link-elsewhere").await;
    told.push(("link-elsewhere", "it was asked for in another browser"));
    open(&OneTimeTokenText::new("ak_ot_made-up".to_owned()), None, "link-nonsense").await;
    told.push(("link-nonsense", "nothing that this service could have issued"));
    let mut forged = bound.expose().to_owned();
    let last = forged.pop().expect("a character");
    forged.push(if last == 'A' { 'Q' } else { 'A' });
    open(&OneTimeTokenText::new(forged), None, "link-forged").await;
    told.push(("link-forged", "with another secret: it was made up"));
    auth.links().log_in(&bound, Some("my browser"), None, &request("magic-6")).await.expect("logs in");
    open(&bound, Some("my browser"), "link-used").await;
    told.push(("link-used", "no such link is there"));
    auth.links().request_magic_link(&email, None, &request("magic-7")).await.expect("answers");
    let old = ground.link("magic_link").await;
    clock.advance(Duration::from_hours(24));
    open(&old, None, "link-expired").await;
    told.push(("link-expired", "the link was right, and too old"));
    auth.links().request_magic_link(&email, None, &request("magic-8")).await.expect("answers");
    let stale = ground.link("magic_link").await;
    auth.links().request_password_reset(&email, &request("forgot-9")).await.expect("answers");
    auth.links()
        .reset_password(&ground.link("reset_password").await, password(PASSWORD), &request("resets-9"))
        .await
        .expect("resets");
    open(&stale, None, "link-stale").await;
    told.push(("link-stale", "the password, the second factors or the state of the account have changed"));
    drop(jane);

    // The second half.
    let (_, mia) = ground.user("mia@example.com").await;
    let (secret, codes) = enrol(&ground, &mia).await;
    let proof = |code: String| SecondFactor { factor: ProofMethod::RecoveryCode, code: FactorCode::new(code) };
    let token = half_login(auth, "mia@example.com", "half-done").await;
    told.push(("half-done", "the first factor was right, and a second one was asked for"));
    auth.mfa().verify(&token, &wrong_code(), &request("code-wrong")).await.expect_err("wrong");
    told.push(("code-wrong", "the code of the second factor was wrong, or used before"));
    let again = SecondFactor { factor: ProofMethod::Totp, code: code(&ground, &secret) };
    auth.mfa().verify(&token, &again, &request("code-right")).await.expect("logs in");
    auth.mfa().verify(&token, &again, &request("code-twice")).await.expect_err("used");
    told.push(("code-twice", "no such login is half done"));
    let made_up = authkit_core::MfaToken::new("ak_mfa_made-up".to_owned());
    auth.mfa().verify(&made_up, &again, &request("code-nonsense")).await.expect_err("made up");
    told.push(("code-nonsense", "nothing that this service could have issued"));
    let token = half_login(auth, "mia@example.com", "half-late-1").await;
    clock.advance(Duration::from_hours(2));
    auth.mfa().verify(&token, &proof(codes[0].clone()), &request("half-late-2")).await.expect_err("too late");
    told.push(("half-late-2", "the second one came too late"));
    let token = half_login(auth, "mia@example.com", "half-shut-1").await;
    by.suspend(mia.user_id(), &Expected::Anything, &request("suspends-2")).await.expect("suspends");
    auth.mfa().verify(&token, &proof(codes[1].clone()), &request("half-shut-2")).await.expect_err("suspended");
    told.push(("half-shut-2", "the first factor was right, and the account is suspended"));

    // Refreshes.
    let (kim, _) = ground.user("kim@example.com").await;
    auth.sessions().refresh(&RefreshToken::new("ak_rt_x".to_owned()), &request("refresh-nonsense")).await.expect_err("refused");
    told.push(("refresh-nonsense", "the token was not issued by this service"));
    let newer = refresh(auth, &refresh(auth, &kim.tokens.refresh_token).await.tokens.refresh_token).await;
    clock.advance(Duration::from_mins(1));
    drop(auth.sessions().refresh(&kim.tokens.refresh_token, &request("refresh-reused")).await.expect("is answered"));
    told.push(("refresh-reused", "its token had been used before (generation 0, while the session is at 2)"));
    auth.sessions().refresh(&newer.tokens.refresh_token, &request("refresh-ended")).await.expect_err("ended");
    told.push(("refresh-ended", "(refresh token reused)"));
    let (lee, _) = ground.user("lee@example.com").await;
    clock.advance(Duration::from_hours(24 * 8));
    auth.sessions().refresh(&lee.tokens.refresh_token, &request("refresh-idle")).await.expect_err("idle");
    told.push(("refresh-idle", "had not been used for too long"));
    let login = Login::new(at("lee@example.com"), password(PASSWORD));
    let mut lee = auth.sessions().log_in(login, &request("logs-in-lee")).await.expect("logs in");
    for _ in 0..6 {
        clock.advance(Duration::from_hours(24 * 5));
        if let Ok(authkit_core::Refreshed::Renewed(next)) =
            auth.sessions().refresh(&lee.tokens.refresh_token, &request("refresh-lee")).await
        {
            lee = next;
        }
    }
    auth.sessions().refresh(&lee.tokens.refresh_token, &request("refresh-end")).await.expect_err("at its end");
    told.push(("refresh-end", "had come to its end at"));

    // Turned away before anything was looked up.
    let mut strict = ground.world.config.clone();
    strict.limits.enabled = true;
    strict.limits.login_per_address_and_account = Quota::new(1, Duration::from_hours(1)).expect("a quota");
    let limited = Ground::node(&ground.world, &ground.mailbox, strict).await;
    fail(&limited, "jane@example.com", "not the password", "limit-first").await;
    fail(&limited, "jane@example.com", "not the password", "limit-second").await;
    told.push(("limit-second", "turned away by the rate limit login_address_account"));

    let mut strict = ground.world.config.clone();
    strict.limits.enabled = true;
    strict.limits.guessing.free = 1;
    let guarded = Ground::node(&ground.world, &ground.mailbox, strict).await;
    fail(&guarded, "kim@example.com", "not the password", "guess-first").await;
    fail(&guarded, "kim@example.com", "not the password", "guess-second").await;
    told.push(("guess-first", "after 1 wrong in a row the next one is evaluated after 1 s"));
    told.push(("guess-second", "the password was not evaluated: wrong ones in a row came before it"));
    let mut discreet = ground.world.config.clone();
    discreet.registration.reveal_existing = false;
    let discreet = Ground::node(&ground.world, &ground.mailbox, discreet).await;
    let registration = Registration::new(at("new@example.com"), password(PASSWORD));
    discreet.accounts().request_registration(registration, &request("registers-3")).await.expect("answers");
    discreet.outbox().deliver_due().await.expect("delivers");
    fail(&discreet, "new@example.com", PASSWORD, "unproved").await;
    told.push(("unproved", "nobody has proved yet to read mail at the address"));

    let mut wrong = Vec::new();
    for (id, expected) in &told {
        let why = ground.why(id).await;
        if !why.contains(expected) {
            wrong.push(format!("{id}: {why:?} does not say {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // No two reasons read the same, and none is left in its short form.
    for event in ground.log().await.iter().filter(|event| event.outcome == Outcome::Failure) {
        let (text, reason) = (authkit_core::audit::reason::explain(event), event.details.get("reason"));
        let is_bare = reason.is_some_and(|reason| text.ends_with(&format!(": {}", reason.replace('_', " "))));
        assert!(!is_bare || event.action == AuditAction::Impersonation, "{text} only repeats its reason: {event:?}");
    }
}
