//! Links that are mailed: each once, each for its own purpose, none after the account has changed, and nobody learns who has an account.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::flows::LinkError;
use authkit_core::model::{AuditAction, OutboxState, UserChange};
use authkit_core::model::{AuthMethod, ChangeSet};
use authkit_core::testkit::Mailbox;
use authkit_core::{AuthKit, Email, Login, OneTimeTokenText, PageRequest};

use crate::support::{PASSWORD, World, email, is_authenticated, log_in, password, register, request};

const OTHER: &str = "AnotherPass456";

async fn node(world: &World, mailbox: &Mailbox) -> AuthKit {
    world.unjoined(world.config.clone()).mailer(Arc::new(mailbox.clone())).build_unattended().await.expect("builds")
}

async fn begin() -> (World, Mailbox, AuthKit) {
    let (world, mailbox) = (World::new(), Mailbox::new());
    let auth = node(&world, &mailbox).await;
    (world, mailbox, auth)
}

async fn deliver(auth: &AuthKit) {
    deliver_some(auth).await;
}

async fn deliver_some(auth: &AuthKit) -> usize {
    auth.outbox().deliver_due().await.expect("the outbox is worked off")
}

async fn reset_link(auth: &AuthKit, mailbox: &Mailbox) -> OneTimeTokenText {
    auth.links().request_password_reset(&email(), &request()).await.expect("answers");
    deliver(auth).await;
    mailbox.only_token("reset_password")
}

async fn magic_link(auth: &AuthKit, mailbox: &Mailbox, browser: Option<&str>) -> OneTimeTokenText {
    auth.links().request_magic_link(&email(), browser, &request()).await.expect("answers");
    deliver(auth).await;
    mailbox.only_token("magic_link")
}

#[expect(clippy::needless_pass_by_value, reason = "an outcome is handed over where it comes about")]
fn is_invalid<T: std::fmt::Debug>(outcome: Result<T, LinkError>) -> bool {
    matches!(outcome, Err(LinkError::Invalid))
}

#[tokio::test]
async fn a_registration_mails_a_link_that_proves_the_address_once() {
    let (world, mailbox, auth) = begin().await;
    let jane = register(&auth).await;
    assert_eq!(jane.user.email_verified_at, None);
    deliver(&auth).await;
    let link = mailbox.only_token("verify_email");
    assert!(link.expose().starts_with("ak_ot_") && link.expose().len() == 70);
    let verified = auth.links().verify_email(&link, &request()).await.expect("is good");
    assert!(verified.email_verified_at.is_some());
    assert!(is_invalid(auth.links().verify_email(&link, &request()).await));
    assert!(world.events().await.iter().any(|event| event.action == AuditAction::EmailVerified));
    // What is proved is not proved again.
    auth.links().request_verification(&email(), &request()).await.expect("answers");
    deliver(&auth).await;
    assert!(mailbox.take().is_empty());
}

#[tokio::test]
async fn a_reset_ends_every_session_and_voids_every_other_link() {
    let (_, mailbox, auth) = begin().await;
    let (jane, again) = (register(&auth).await, log_in(&auth).await);
    deliver(&auth).await;
    drop(mailbox.take());
    let (first, second) = (reset_link(&auth, &mailbox).await, reset_link(&auth, &mailbox).await);
    let magic = magic_link(&auth, &mailbox, None).await;
    let weak = auth.links().reset_password(&second, password("password"), &request()).await;
    assert!(matches!(weak, Err(LinkError::WeakPassword(_))), "{weak:?}");
    let ended = auth.links().reset_password(&second, password(OTHER), &request()).await.expect("the link is still good");
    assert_eq!(ended, 2);
    assert!(!is_authenticated(&auth, &jane) && !is_authenticated(&auth, &again));
    assert!(is_invalid(auth.links().reset_password(&first, password(PASSWORD), &request()).await));
    assert!(is_invalid(auth.links().reset_password(&second, password(PASSWORD), &request()).await));
    assert!(is_invalid(auth.links().log_in(&magic, None, None, &request()).await));
    assert!(auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await.is_err());
    auth.sessions().log_in(Login::new(email(), password(OTHER)), &request()).await.expect("the new password is in force");
    deliver(&auth).await;
    let told: Vec<&str> = mailbox.take().iter().map(|mail| mail.content.name()).collect();
    assert!(told.contains(&"password_reset"), "and the owner is told: {told:?}");
}

#[tokio::test]
async fn a_link_of_one_purpose_is_good_for_no_other() {
    let (_, mailbox, auth) = begin().await;
    register(&auth).await;
    deliver(&auth).await;
    let verify = mailbox.only_token("verify_email");
    let (reset, magic) = (reset_link(&auth, &mailbox).await, magic_link(&auth, &mailbox, None).await);
    let links = auth.links();
    for wrong in [&reset, &magic] {
        assert!(is_invalid(links.verify_email(wrong, &request()).await));
    }
    for wrong in [&verify, &magic] {
        assert!(is_invalid(links.reset_password(wrong, password(OTHER), &request()).await));
    }
    for wrong in [&verify, &reset] {
        assert!(is_invalid(links.log_in(wrong, None, None, &request()).await));
        assert!(auth.authenticate(wrong.expose()).is_err());
    }
    // None of them was used up by it.
    links.verify_email(&verify, &request()).await.expect("is good");
    links.log_in(&magic, None, None, &request()).await.expect("is good");
    links.reset_password(&reset, password(OTHER), &request()).await.expect("is good");
}

#[tokio::test]
async fn a_link_ends_with_its_time() {
    let (world, mailbox, auth) = begin().await;
    register(&auth).await;
    deliver(&auth).await;
    let verify = mailbox.only_token("verify_email");
    let magic = magic_link(&auth, &mailbox, None).await;
    let reset = reset_link(&auth, &mailbox).await;
    world.clock.advance(Duration::from_mins(10));
    assert!(is_invalid(auth.links().log_in(&magic, None, None, &request()).await));
    world.clock.advance(Duration::from_mins(20));
    assert!(is_invalid(auth.links().reset_password(&reset, password(OTHER), &request()).await));
    world.clock.advance(Duration::from_hours(24) - Duration::from_mins(30));
    assert!(is_invalid(auth.links().verify_email(&verify, &request()).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_hold_a_link_one_succeeds_on_three_nodes() {
    let (world, mailbox, auth) = begin().await;
    register(&auth).await;
    deliver(&auth).await;
    let verify = mailbox.only_token("verify_email");
    let (reset, magic) = (reset_link(&auth, &mailbox).await, magic_link(&auth, &mailbox, None).await);
    let nodes = [auth.clone(), node(&world, &mailbox).await, node(&world, &mailbox).await];
    for (kind, link) in [("verify", verify), ("magic", magic), ("reset", reset)] {
        let tasks: Vec<_> = (0..64)
            .map(|rival| {
                let (auth, link) = (nodes[rival % 3].clone(), link.clone());
                tokio::spawn(async move {
                    let outcome = match kind {
                        "verify" => auth.links().verify_email(&link, &request()).await.map(drop),
                        "magic" => auth.links().log_in(&link, None, None, &request()).await.map(drop),
                        _ => auth.links().reset_password(&link, password(OTHER), &request()).await.map(drop),
                    };
                    match outcome {
                        Ok(()) => true,
                        // The pool turns some away, who have used nothing up.
                        Err(LinkError::Invalid | LinkError::Overloaded { .. }) => false,
                        Err(error) => panic!("{kind}: {error:?}"),
                    }
                })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.expect("no panic"));
        }
        // Whoever signs in by a link of an unverified account moves its epoch: that was proved by the first link here.
        assert_eq!(winners, 1, "{kind}");
    }
}

#[tokio::test]
async fn a_magic_link_is_good_in_the_browser_that_asked_alone() {
    let (_, mailbox, auth) = begin().await;
    register(&auth).await;
    deliver(&auth).await;
    drop(mailbox.take());
    let link = magic_link(&auth, &mailbox, Some("secret of this browser")).await;
    for other in [None, Some("another"), Some("")] {
        let outcome = auth.links().log_in(&link, other, None, &request()).await;
        assert!(matches!(outcome, Err(LinkError::OtherBrowser)), "{outcome:?}");
    }
    auth.links().log_in(&link, Some("secret of this browser"), None, &request()).await.expect("is good");
}

#[tokio::test]
async fn what_was_set_up_before_the_owner_came_is_void() {
    let (_, mailbox, auth) = begin().await;
    // Somebody registers with an address that is not hers.
    let intruder = register(&auth).await;
    deliver(&auth).await;
    drop(mailbox.take());
    let link = magic_link(&auth, &mailbox, None).await;
    let owner = auth.links().log_in(&link, None, None, &request()).await.expect("the owner comes");
    assert!(owner.user.email_verified_at.is_some() && is_authenticated(&auth, &owner));
    assert_eq!(auth.authenticate(owner.tokens.access_token.expose()).expect("hers").claims().methods, [AuthMethod::MailedLink]);
    assert!(!is_authenticated(&auth, &intruder));
    assert!(auth.sessions().refresh(&intruder.tokens.refresh_token, &request()).await.is_err());
    assert!(auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await.is_err(), "her password is gone");
    // The next link leaves alone what the owner has.
    let link = magic_link(&auth, &mailbox, None).await;
    auth.links().log_in(&link, None, None, &request()).await.expect("is good");
    assert!(is_authenticated(&auth, &owner));
}

#[tokio::test]
async fn a_link_is_void_after_a_change_of_password_address_or_status() {
    let (world, mailbox, auth) = begin().await;
    let jane = register(&auth).await;
    deliver(&auth).await;
    let verify = mailbox.only_token("verify_email");
    let (reset, magic) = (reset_link(&auth, &mailbox).await, magic_link(&auth, &mailbox, None).await);
    let (id, at) = (jane.user.id, auth.config().mail.magic_link_lifetime);
    let at = jane.user.created_at + at / 2;
    world.clock.set(at);
    let to = Email::parse("moved@example.com").expect("an address");
    let moved = UserChange::ChangeEmail { id, from: email(), to: to.clone(), at };
    world.store.commit(&ChangeSet::new().and(moved)).await.expect("moves");
    assert!(is_invalid(auth.links().verify_email(&verify, &request()).await));
    assert!(is_invalid(auth.links().reset_password(&reset, password(OTHER), &request()).await));
    assert!(is_invalid(auth.links().log_in(&magic, None, None, &request()).await));
    // Back again: the epoch has moved on with the password.
    let back = UserChange::ChangeEmail { id, from: to, to: email(), at };
    world.store.commit(&ChangeSet::new().and(back)).await.expect("moves");
    let version = world.store.user_by_id(id).await.expect("reads").expect("is there").version;
    let suspend = UserChange::Suspend { id, from: version, at };
    world.store.commit(&ChangeSet::new().and(suspend)).await.expect("suspends");
    let outcome = auth.links().log_in(&magic, None, None, &request()).await;
    assert!(matches!(outcome, Err(LinkError::Suspended)), "{outcome:?}");
    let restore = UserChange::Restore { id, from: version + 1, at };
    world.store.commit(&ChangeSet::new().and(restore)).await.expect("restores");
    assert!(is_invalid(auth.links().log_in(&magic, None, None, &request()).await));
    assert!(is_invalid(auth.links().reset_password(&reset, password(OTHER), &request()).await));
}

#[tokio::test]
async fn whoever_has_no_account_is_answered_the_same_and_mailed_nothing() {
    let (world, mailbox, auth) = begin().await;
    register(&auth).await;
    deliver(&auth).await;
    drop(mailbox.take());
    let nobody = Email::parse("nobody@example.com").expect("an address");
    for address in [&email(), &nobody] {
        auth.links().request_password_reset(address, &request()).await.expect("answers");
        auth.links().request_magic_link(address, None, &request()).await.expect("answers");
        auth.links().request_verification(address, &request()).await.expect("answers");
    }
    let pending = auth.outbox().list(OutboxState::Pending, PageRequest::default()).await.expect("reads").items;
    assert_eq!(pending.len(), 6, "nothing was looked up yet");
    deliver(&auth).await;
    let mails = mailbox.take();
    assert_eq!(mails.len(), 3);
    assert!(mails.iter().all(|mail| mail.to == email()));
    let asked = world.events().await.into_iter().filter(|event| event.action == AuditAction::LinkRequested).count();
    assert_eq!(asked, 6);
}

#[tokio::test]
async fn one_mailbox_is_not_flooded_and_nobody_is_told() {
    let (mut world, mailbox) = (World::new(), Mailbox::new());
    world.config.limits.enabled = true;
    let auth = node(&world, &mailbox).await;
    register(&auth).await;
    deliver(&auth).await;
    drop(mailbox.take());
    for _ in 0..20 {
        auth.links().request_magic_link(&email(), None, &request()).await.expect("answers");
    }
    deliver(&auth).await;
    assert_eq!(mailbox.take().len(), 5);
}

#[tokio::test]
async fn mail_that_cannot_be_sent_waits_and_is_given_up_in_the_end() {
    let (world, mailbox, auth) = begin().await;
    register(&auth).await;
    mailbox.fail(Some(false));
    deliver(&auth).await;
    mailbox.fail(None);
    deliver(&auth).await;
    assert!(mailbox.take().is_empty(), "it is not due yet");
    world.clock.advance(Duration::from_secs(15));
    deliver(&auth).await;
    let link = mailbox.only_token("verify_email");
    auth.links().verify_email(&link, &request()).await.expect("is good");

    mailbox.fail(Some(true));
    auth.links().request_password_reset(&email(), &request()).await.expect("answers");
    deliver(&auth).await;
    let dead = auth.outbox().list(OutboxState::Dead, PageRequest::default()).await.expect("reads").items;
    assert_eq!((dead.len(), dead[0].subject.as_str(), dead[0].last_error.as_deref()), (1, "reset_password", Some("permanent")));
    mailbox.fail(None);
    auth.outbox().retry(dead[0].id).await.expect("is tried again");
    deliver(&auth).await;
    drop(mailbox.only_token("reset_password"));
    assert_eq!(auth.outbox().retry(dead[0].id).await.expect_err("it is delivered").code(), "outbox.not_found");
    let delivered = auth.outbox().list(OutboxState::Delivered, PageRequest::default()).await.expect("reads").items;
    assert!(delivered.iter().all(|message| message.payload.is_none()), "what was delivered is forgotten");

    // A link that is over is dropped, not sent late.
    mailbox.fail(Some(false));
    auth.links().request_magic_link(&email(), None, &request()).await.expect("answers");
    deliver(&auth).await;
    mailbox.fail(None);
    world.clock.advance(Duration::from_mins(10));
    deliver(&auth).await;
    assert!(mailbox.take().is_empty());
    let expired = auth.outbox().list(OutboxState::Expired, PageRequest::default()).await.expect("reads").items;
    assert_eq!(expired.iter().map(|message| message.subject.as_str()).collect::<Vec<_>>(), ["magic_link"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_workers_send_a_mail_once() {
    let (world, mailbox, auth) = begin().await;
    let other = node(&world, &mailbox).await;
    for index in 0..40 {
        let address = Email::parse(&format!("user{index}@example.com")).expect("an address");
        let registration = authkit_core::Registration::new(address, password(PASSWORD));
        auth.accounts().register(registration, &request()).await.expect("registers");
    }
    let (one, two) = tokio::join!(deliver_some(&auth), deliver_some(&other));
    assert_eq!(one + two, 40);
    assert_eq!(mailbox.take().len(), 40);
}

#[tokio::test]
async fn without_a_mailer_nothing_is_written_for_one() {
    let world = World::new();
    let auth = world.node().await;
    register(&auth).await;
    auth.links().request_magic_link(&email(), None, &request()).await.expect("answers");
    let pending = auth.outbox().list(OutboxState::Pending, PageRequest::default()).await.expect("reads").items;
    assert!(pending.is_empty());
}
