//! What administrators have mailed: invitations, links that set a new password, messages that are tried again.

use std::sync::Arc;

use authkit_core::flows::{AdminError, Administrator, Expected, LinkError, NewAccount};
use authkit_core::model::{AuditAction, OutboxState, User};
use authkit_core::testkit::Mailbox;
use authkit_core::{Administration, AuthKit, Email, FullName, Login, OneTimeTokenText, PageRequest};

use crate::support::{PASSWORD, World, email, is_authenticated, password, register, request};

const OTHER: &str = "AnotherPass456";

async fn begin() -> (World, Mailbox, AuthKit) {
    let (world, mailbox) = (World::new(), Mailbox::new());
    let builder = world.unjoined(world.config.clone()).mailer(Arc::new(mailbox.clone()));
    let auth = builder.build_unattended().await.expect("builds");
    (world, mailbox, auth)
}

fn operator(auth: &AuthKit) -> Administration<'_> {
    auth.administration(Administrator::Operator)
}

async fn only(auth: &AuthKit, mailbox: &Mailbox, name: &str) -> OneTimeTokenText {
    auth.outbox().deliver_due().await.expect("delivers");
    mailbox.only_token(name)
}

fn account() -> NewAccount {
    NewAccount { email: email(), full_name: FullName::parse("Jane Doe").ok(), locale: None }
}

async fn invited(auth: &AuthKit) -> User {
    operator(auth).create_and_invite(account(), &request()).await.expect("is made")
}

#[tokio::test]
async fn an_invitation_sets_the_first_password_once_and_proves_the_address() {
    let (world, mailbox, auth) = begin().await;
    let jane = invited(&auth).await;
    auth.outbox().deliver_due().await.expect("delivers");
    let mails = mailbox.take();
    let (name, link) = (mails[0].full_name.as_ref(), mails[0].content.token().expect("a link"));
    assert_eq!((mails.len(), mails[0].content.name(), name.map(FullName::as_str)), (1, "invitation", Some("Jane Doe")));
    let weak = auth.links().accept_invitation(link, password("password"), &request()).await;
    assert!(matches!(weak, Err(LinkError::WeakPassword(_))), "{weak:?}");
    auth.links().accept_invitation(link, password(PASSWORD), &request()).await.expect("is good");
    assert!(matches!(auth.links().accept_invitation(link, password(OTHER), &request()).await, Err(LinkError::Invalid)));
    let found = world.store.user_by_id(jane.id).await.expect("reads").expect("is there");
    assert!(found.email_verified_at.is_some());
    auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await.expect("logs in");
    // The first login of an account is on a device that it does not know, and nobody need be told.
    auth.outbox().deliver_due().await.expect("delivers");
    assert!(mailbox.take().is_empty());
    let actions: Vec<AuditAction> = world.events().await.into_iter().map(|event| event.action).collect();
    for action in [AuditAction::AccountCreated, AuditAction::AccountInvited, AuditAction::InvitationAccepted] {
        assert!(actions.contains(&action), "{action:?}");
    }
    assert!(matches!(operator(&auth).invite(jane.id, &request()).await, Err(AdminError::InvitationAccepted)));
}

#[tokio::test]
async fn a_second_invitation_voids_the_first() {
    let (_, mailbox, auth) = begin().await;
    let jane = invited(&auth).await;
    let first = only(&auth, &mailbox, "invitation").await;
    operator(&auth).invite(jane.id, &request()).await.expect("is sent again");
    let second = only(&auth, &mailbox, "invitation").await;
    assert!(matches!(auth.links().accept_invitation(&first, password(PASSWORD), &request()).await, Err(LinkError::Invalid)));
    auth.links().accept_invitation(&second, password(PASSWORD), &request()).await.expect("is good");
}

#[tokio::test]
async fn an_invitation_ends_with_the_account_and_with_its_address() {
    let (world, mailbox, auth) = begin().await;
    let jane = invited(&auth).await;
    let link = only(&auth, &mailbox, "invitation").await;
    let update = authkit_core::flows::AccountUpdate {
        email: Some(Email::parse("right@example.com").expect("an address")),
        ..Default::default()
    };
    operator(&auth).update(jane.id, &Expected::Anything, &update, &request()).await.expect("changes");
    assert!(matches!(auth.links().accept_invitation(&link, password(PASSWORD), &request()).await, Err(LinkError::Invalid)));
    auth.outbox().deliver_due().await.expect("delivers");
    let told: Vec<(String, bool)> =
        mailbox.take().iter().map(|mail| (mail.to.to_string(), mail.content.token().is_some())).collect();
    assert_eq!(told, [("user@example.com".to_owned(), false)], "the address that was left is told, and given no link");
    operator(&auth).invite(jane.id, &request()).await.expect("is sent again");
    let link = only(&auth, &mailbox, "invitation").await;
    operator(&auth).suspend(jane.id, &Expected::Anything, &request()).await.expect("is shut");
    assert!(matches!(auth.links().accept_invitation(&link, password(PASSWORD), &request()).await, Err(LinkError::Suspended)));
    assert!(matches!(operator(&auth).invite(jane.id, &request()).await, Err(AdminError::Suspended)));
    world.tick();
    operator(&auth).close(jane.id, &Expected::Anything, &request()).await.expect("is closed");
    assert!(matches!(auth.links().accept_invitation(&link, password(PASSWORD), &request()).await, Err(LinkError::Invalid)));
}

#[tokio::test]
async fn an_administrator_has_a_password_reset_and_never_sees_it() {
    let (world, mailbox, auth) = begin().await;
    let jane = register(&auth).await;
    drop(only(&auth, &mailbox, "verify_email").await);
    operator(&auth).send_password_reset(jane.user.id, &request()).await.expect("is sent");
    auth.outbox().deliver_due().await.expect("delivers");
    let mails = mailbox.take();
    assert_eq!((mails.len(), mails[0].content.name()), (1, "admin_password_reset"));
    assert!(mails[0].occurred.as_ref().is_some_and(|occurred| occurred.ip.is_none()));
    assert!(is_authenticated(&auth, &jane), "until she opens the link all stays as it is");
    world.clock.advance(std::time::Duration::from_hours(23));
    let link = mails[0].content.token().expect("a link");
    auth.links().reset_password(link, password(OTHER), &request()).await.expect("is good for a day");
    auth.sessions().log_in(Login::new(email(), password(OTHER)), &request()).await.expect("logs in");
    assert!(world.events().await.iter().any(|event| event.action == AuditAction::PasswordResetSent));
}

#[tokio::test]
async fn without_a_mailer_nothing_is_promised() {
    let world = World::new();
    let auth = world.node().await;
    assert!(matches!(operator(&auth).create_and_invite(account(), &request()).await, Err(AdminError::NoMail)));
    let jane = operator(&auth).create(account(), &request()).await.expect("is made");
    assert!(matches!(operator(&auth).invite(jane.id, &request()).await, Err(AdminError::NoMail)));
    assert!(matches!(operator(&auth).send_password_reset(jane.id, &request()).await, Err(AdminError::NoMail)));
}

#[tokio::test]
async fn what_is_done_with_messages_is_audited() {
    let (world, mailbox, auth) = begin().await;
    mailbox.fail(Some(true));
    let jane = invited(&auth).await;
    auth.outbox().deliver_due().await.expect("works");
    mailbox.fail(None);
    let dead = operator(&auth).messages(OutboxState::Dead, PageRequest::default()).await.expect("reads").items;
    assert_eq!((dead.len(), dead[0].user_id), (1, Some(jane.id)));
    operator(&auth).retry_message(dead[0].id, &request()).await.expect("is tried again");
    drop(only(&auth, &mailbox, "invitation").await);
    let again = operator(&auth).retry_message(dead[0].id, &request()).await.expect_err("it is delivered");
    assert_eq!(again.code(), "outbox.not_found");
    operator(&auth).discard_message(dead[0].id, &request()).await.expect("is removed");
    assert!(operator(&auth).discard_message(dead[0].id, &request()).await.is_err());
    let events = world.events().await;
    for action in [AuditAction::MessageRetried, AuditAction::MessageDiscarded] {
        let of: Vec<_> = events.iter().filter(|event| event.action == action).collect();
        assert_eq!((of.len(), of[0].subject, of[0].details["message"].as_str()), (1, Some(jane.id), "invitation"));
    }
}
