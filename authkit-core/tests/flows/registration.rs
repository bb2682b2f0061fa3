//! Registrations where nobody registers by herself, and where the answer may not say who has an account.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::MemoryStore;
use authkit_core::flows::{AdminError, LoginError, NewAccount, RegisterError};
use authkit_core::model::{
    AuditAction, AuditEvent, ChangeSet, MailContent, MessageKind, Notice, OutboxState, Outcome, UserChange,
};
use authkit_core::model::{OutboxMessage, UserFilter, UserPageRequest};
use authkit_core::testkit::{Fault, FaultyStore, Gate, Mailbox, Method};
use authkit_core::{AuthKit, BuildError, Config, Email, Login, PageRequest, Registration};

use crate::support::{EMAIL, PASSWORD, World, config, email, log_in, password, register, request};

const OTHER: &str = "plumage-orbit-4417-other";
const FRESH: &str = "fresh@example.com";

fn address(text: &str) -> Email {
    Email::parse(text).expect("an address")
}

fn quiet() -> Config {
    let mut config = config();
    config.registration.reveal_existing = false;
    config
}

async fn node(world: &World, mailbox: &Mailbox, config: Config) -> AuthKit {
    let unjoined = world.unjoined(config).mailer(Arc::new(mailbox.clone()));
    unjoined.revocation_bus(world.bus.clone()).build_unattended().await.expect("builds")
}

/// A node that keeps quiet, over a store in which one account is.
async fn begin() -> (World, Mailbox, AuthKit) {
    let (world, mailbox) = (World::new(), Mailbox::new());
    let open = node(&world, &mailbox, config()).await;
    register(&open).await;
    deliver(&open).await;
    drop(mailbox.take());
    let auth = node(&world, &mailbox, quiet()).await;
    (world, mailbox, auth)
}

async fn deliver(auth: &AuthKit) {
    auth.outbox().deliver_due().await.expect("works");
}

async fn ask(auth: &AuthKit, email: &str, pass: &str) -> Result<(), RegisterError> {
    auth.accounts().request_registration(Registration::new(address(email), password(pass)), &request()).await
}

async fn try_login(auth: &AuthKit, email: &str, pass: &str) -> Result<(), LoginError> {
    auth.sessions().log_in(Login::new(address(email), password(pass)), &request()).await.map(drop)
}

async fn pending(auth: &AuthKit) -> Vec<OutboxMessage> {
    auth.outbox().list(OutboxState::Pending, PageRequest::default()).await.expect("reads").items
}

async fn accounts(world: &World) -> usize {
    let (filter, page) = (UserFilter::default(), UserPageRequest::default());
    world.store.list_users(&filter, &page).await.expect("reads").items.len()
}

#[tokio::test]
async fn where_registration_is_closed_nobody_registers_and_administrators_go_on() {
    let (world, mailbox) = (World::new(), Mailbox::new());
    let mut closed = config();
    closed.registration.open = false;
    let auth = node(&world, &mailbox, closed.clone()).await;
    let registration = || Registration::new(email(), password(PASSWORD));
    let refused = auth.accounts().register(registration(), &request()).await.expect_err("is closed");
    assert!(matches!(refused, RegisterError::Closed) && refused.code() == "account.registration_closed");
    assert!(matches!(auth.accounts().plan_register(registration(), &request()).await, Err(RegisterError::Closed)));
    assert!(matches!(ask(&auth, EMAIL, PASSWORD).await, Err(RegisterError::Closed)));
    closed.registration.reveal_existing = false;
    let quiet_too = node(&world, &mailbox, closed).await;
    assert!(matches!(ask(&quiet_too, EMAIL, PASSWORD).await, Err(RegisterError::Closed)));
    // A link makes no account either.
    auth.links().request_magic_link(&email(), None, &request()).await.expect("answers");
    deliver(&auth).await;
    assert!(mailbox.take().is_empty() && accounts(&world).await == 0 && pending(&auth).await.is_empty());
    let operator = auth.administration(authkit_core::flows::Administrator::Operator);
    let account = NewAccount { email: email(), full_name: None, locale: None };
    operator.create(account.clone(), &request()).await.expect("makes it");
    assert!(matches!(operator.create(account, &request()).await, Err(AdminError::EmailTaken)));
    auth.accounts().create(Registration::new(address(FRESH), password(PASSWORD)), &request()).await.expect("makes it");
}

#[tokio::test]
async fn a_registration_that_waits_is_void_when_registration_is_closed() {
    let (world, mailbox, auth) = begin().await;
    ask(&auth, FRESH, PASSWORD).await.expect("is taken");
    let mut closed = quiet();
    closed.registration.open = false;
    deliver(&node(&world, &mailbox, closed).await).await;
    assert!(mailbox.take().is_empty() && pending(&auth).await.is_empty());
    assert_eq!(accounts(&world).await, 1);
}

#[tokio::test]
async fn what_would_tell_is_refused_and_without_a_mailer_nothing_starts() {
    let (world, _, auth) = begin().await;
    let registration = || Registration::new(email(), password(PASSWORD));
    let refused = auth.accounts().register(registration(), &request()).await.expect_err("would tell");
    assert!(matches!(refused, RegisterError::ByMailOnly), "{refused:?}");
    assert!(matches!(auth.accounts().plan_register(registration(), &request()).await, Err(RegisterError::ByMailOnly)));
    let built = world.unjoined(quiet()).build().await;
    assert!(matches!(built, Err(BuildError::Config(error)) if error.setting == "registration.reveal_existing"));
}

/// What of an event does not depend on whom it is about.
fn shape(event: &AuditEvent) -> (AuditAction, Outcome, Vec<String>) {
    (event.action, event.outcome, event.details.keys().cloned().collect())
}

#[tokio::test]
async fn a_registration_is_answered_and_written_down_the_same_whether_the_address_has_an_account() {
    let mut traces = Vec::new();
    for asked in [EMAIL, "user@example.org"] {
        let mailbox = Mailbox::new();
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let world = World::over(store.clone());
        let open = node(&world, &mailbox, config()).await;
        register(&open).await;
        deliver(&open).await;
        let auth = node(&world, &mailbox, quiet()).await;
        let before = (store.calls(Method::Commit), store.total_calls());
        world.tick();
        let from = world.clock_now();
        ask(&auth, asked, PASSWORD).await.expect("is taken");
        let calls = (store.calls(Method::Commit) - before.0, store.total_calls() - before.1);
        let events: Vec<_> = world.events().await.iter().filter(|event| event.at >= from).map(shape).collect();
        let messages: Vec<_> = pending(&auth).await;
        let payload = messages[0].payload.as_ref().map(|sealed| sealed.as_bytes().len());
        let messages: Vec<_> = messages.iter().map(|m| (m.kind, m.subject.clone(), m.user_id, m.attempts)).collect();
        assert_eq!(messages, [(MessageKind::Request, "registration".to_owned(), None, 0)]);
        traces.push((calls, events, messages, payload));
    }
    assert_eq!(traces[0], traces[1]);
    assert_eq!(traces[0].0, (1, 1), "nothing is looked up, and one change set is committed");
}

#[tokio::test]
async fn the_new_owner_proves_her_address_and_only_then_her_password_works() {
    let (world, mailbox, auth) = begin().await;
    ask(&auth, FRESH, PASSWORD).await.expect("is taken");
    assert_eq!(accounts(&world).await, 1, "nothing was looked at yet");
    deliver(&auth).await;
    let mails = mailbox.take();
    assert_eq!((mails.len(), mails[0].to.normal(), mails[0].content.name()), (1, FRESH, "verify_email"));
    // SECURITY: otherwise a login would tell what the registration kept quiet.
    assert!(matches!(try_login(&auth, FRESH, PASSWORD).await, Err(LoginError::InvalidCredentials)));
    let link = mails[0].content.token().expect("a token");
    let verified = auth.links().verify_email(link, &request()).await.expect("is good");
    assert!(verified.email_verified_at.is_some());
    try_login(&auth, FRESH, PASSWORD).await.expect("logs in");
    assert!(auth.links().verify_email(link, &request()).await.is_err());
    let events = world.events().await;
    let reasons: Vec<_> = events.iter().filter_map(|event| event.details.get("reason").map(String::as_str)).collect();
    assert_eq!(reasons, ["unknown_link", "unproved_address"], "the link, when it came a second time");
    let made = events.iter().filter(|event| event.action == AuditAction::AccountRegistered && event.subject == Some(verified.id));
    assert_eq!(made.count(), 1);
}

#[tokio::test]
async fn another_link_proves_the_address_as_well_and_a_reset_is_as_good() {
    let (world, mailbox, auth) = begin().await;
    ask(&auth, FRESH, PASSWORD).await.expect("is taken");
    deliver(&auth).await;
    drop(mailbox.take());
    auth.links().request_verification(&address(FRESH), &request()).await.expect("answers");
    deliver(&auth).await;
    let link = mailbox.only_token("verify_email");
    auth.links().verify_email(&link, &request()).await.expect("is good");
    try_login(&auth, FRESH, PASSWORD).await.expect("logs in");

    ask(&auth, "third@example.com", PASSWORD).await.expect("is taken");
    deliver(&auth).await;
    drop(mailbox.take());
    auth.links().request_password_reset(&address("third@example.com"), &request()).await.expect("answers");
    deliver(&auth).await;
    let link = mailbox.only_token("reset_password");
    auth.links().reset_password(&link, password(OTHER), &request()).await.expect("is good");
    assert!(matches!(try_login(&auth, "third@example.com", PASSWORD).await, Err(LoginError::InvalidCredentials)));
    try_login(&auth, "third@example.com", OTHER).await.expect("logs in");
    drop(world);
}

#[tokio::test]
async fn an_owner_is_told_and_nothing_of_her_account_changes() {
    let (world, mailbox, auth) = begin().await;
    let before = world.store.credentials_by_email(&email()).await.expect("reads");
    ask(&auth, "User@EXAMPLE.com", OTHER).await.expect("is taken");
    deliver(&auth).await;
    let mails = mailbox.take();
    assert_eq!(mails.len(), 1);
    assert!(matches!(mails[0].content, MailContent::Notice(Notice::RegistrationAttempted)) && mails[0].content.token().is_none());
    assert_eq!(mails[0].to.spelling(), EMAIL, "to the address of the account, never to the one that was written");
    assert_eq!(world.store.credentials_by_email(&email()).await.expect("reads"), before);
    assert!(matches!(try_login(&auth, EMAIL, OTHER).await, Err(LoginError::InvalidCredentials)));
    log_in(&auth).await;
    let tried = world.events().await.into_iter().find(|event| event.action == AuditAction::AccountRegistered);
    assert_eq!(tried.expect("is told of").details["reason"], "email_taken");

    // Her login from a new device is told her as well.
    deliver(&auth).await;
    drop(mailbox.take());

    // Whoever is suspended is told nothing.
    let user = before.expect("is there").user;
    let suspend = UserChange::Suspend { id: user.id, from: user.version, at: world.clock_now() };
    world.store.commit(&ChangeSet::new().and(suspend)).await.expect("suspends");
    ask(&auth, EMAIL, OTHER).await.expect("is taken");
    deliver(&auth).await;
    assert!(mailbox.take().is_empty());
}

#[tokio::test]
async fn a_weak_password_is_refused_for_every_address() {
    let (world, _, auth) = begin().await;
    for asked in [EMAIL, FRESH] {
        assert!(matches!(ask(&auth, asked, "password1").await, Err(RegisterError::WeakPassword(_))), "{asked}");
    }
    assert!(pending(&auth).await.is_empty());
    assert_eq!(accounts(&world).await, 1);
}

#[tokio::test]
async fn an_owner_is_not_flooded_and_nobody_is_told() {
    let (world, mailbox, _) = begin().await;
    let mut limited = quiet();
    limited.limits.enabled = true;
    let auth = node(&world, &mailbox, limited).await;
    for asked in [EMAIL, FRESH] {
        for _ in 0..12 {
            ask(&auth, asked, PASSWORD).await.expect("is taken");
        }
        deliver(&auth).await;
        let mails = mailbox.take();
        assert_eq!(mails.len(), 5, "{asked}");
        assert!(mails.iter().all(|mail| mail.to.normal() == asked));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_registrations_at_once_one_makes_the_account_and_the_other_is_told_its_owner() {
    for round in 0..20 {
        let (world, mailbox, auth) = begin().await;
        let other = node(&world, &mailbox, quiet()).await;
        let (one, two) = tokio::join!(ask(&auth, FRESH, PASSWORD), ask(&other, FRESH, OTHER));
        one.and(two).expect("both are taken");
        for _ in 0..3 {
            tokio::join!(deliver(&auth), deliver(&other));
        }
        let mut names: Vec<_> = mailbox.take().iter().map(|mail| mail.content.name()).collect();
        names.sort_unstable();
        assert_eq!(names, ["registration_attempted", "verify_email"], "round {round}");
        assert_eq!(accounts(&world).await, 2);
        assert!(pending(&auth).await.is_empty(), "nothing waits for a lease to end");
    }
}

#[tokio::test]
async fn a_worker_whose_answer_was_lost_mails_nobody_that_she_tried_herself() {
    let (store, mailbox) = (Arc::new(FaultyStore::new(MemoryStore::new())), Mailbox::new());
    let world = World::over(store.clone());
    let auth = node(&world, &mailbox, quiet()).await;
    ask(&auth, FRESH, PASSWORD).await.expect("is taken");
    // The claim goes through, and so does the commit of the account, whose reply is lost.
    store.inject(Method::Commit, 2, Fault::LostReply);
    auth.outbox().deliver_due().await.expect_err("the reply is lost");
    world.clock.advance(Duration::from_mins(5));
    deliver(&auth).await;
    let names: Vec<_> = mailbox.take().iter().map(|mail| mail.content.name()).collect();
    assert_eq!(names, ["verify_email"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_that_is_overtaken_between_the_look_and_the_commit_is_looked_at_again_at_once() {
    let (store, mailbox) = (Arc::new(FaultyStore::new(MemoryStore::new())), Mailbox::new());
    let world = World::over(store.clone());
    let auth = node(&world, &mailbox, quiet()).await;
    ask(&auth, FRESH, PASSWORD).await.expect("is taken");
    // Behind the claim: the commit of the account.
    let gate = Gate::new();
    store.inject(Method::Commit, 2, Fault::Wait(gate.clone()));
    let worker = tokio::spawn({
        let auth = auth.clone();
        async move { deliver(&auth).await }
    });
    gate.reached().await;
    auth.accounts().create(Registration::new(address(FRESH), password(OTHER)), &request()).await.expect("is faster");
    gate.open();
    worker.await.expect("no panic");
    let names: Vec<_> = mailbox.take().iter().map(|mail| mail.content.name()).collect();
    assert_eq!(names, ["registration_attempted"]);
    try_login(&auth, FRESH, OTHER).await.expect("it is hers");
}
