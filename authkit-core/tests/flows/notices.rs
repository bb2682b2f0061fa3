//! What the owner of an account is told: with what happened, or not at all.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::model::{Client, Mail};
use authkit_core::testkit::Mailbox;
use authkit_core::{AuthKit, PasswordChange, Refreshed, RequestContext, UserAgent};

use crate::support::{PASSWORD, World, password, principal, refresh, register, request};

const OTHER: &str = "AnotherPass456";

async fn begin() -> (World, Mailbox, AuthKit) {
    let (world, mailbox) = (World::new(), Mailbox::new());
    let builder = world.unjoined(world.config.clone()).mailer(Arc::new(mailbox.clone()));
    let auth = builder.build_unattended().await.expect("builds");
    (world, mailbox, auth)
}

async fn told(auth: &AuthKit, mailbox: &Mailbox) -> Vec<Mail> {
    auth.outbox().deliver_due().await.expect("the outbox is worked off");
    mailbox.take()
}

fn names(mails: &[Mail]) -> Vec<&'static str> {
    mails.iter().map(|mail| mail.content.name()).collect()
}

/// A request whose sender would like to be quoted.
fn from_somewhere() -> RequestContext {
    let user_agent = UserAgent::from_header("Firefox/132 Windows; your account is locked, call +1 555 0100");
    RequestContext { client: Client { ip: "203.0.113.7".parse().ok(), user_agent }, ..request() }
}

#[tokio::test]
async fn a_change_of_the_password_is_told_and_a_failed_one_is_not() {
    let (_, mailbox, auth) = begin().await;
    let jane = register(&auth).await;
    drop(told(&auth, &mailbox).await);
    let change = |current: &str, new: &str| PasswordChange { current: password(current), new: password(new) };
    let wrong = auth.accounts().change_password(&principal(&auth, &jane), change(OTHER, OTHER), &from_somewhere()).await;
    assert_eq!(wrong.expect_err("is wrong").code(), "password.wrong_current");
    assert!(told(&auth, &mailbox).await.is_empty());
    let right = auth.accounts().change_password(&principal(&auth, &jane), change(PASSWORD, OTHER), &from_somewhere()).await;
    right.expect("is changed");
    let mails = told(&auth, &mailbox).await;
    assert_eq!(names(&mails), ["password_changed"]);
    let occurred = mails[0].occurred.as_ref().expect("says from where");
    assert_eq!((occurred.ip, occurred.device.as_deref()), ("203.0.113.7".parse().ok(), Some("Firefox, Windows")));
}

#[tokio::test]
async fn a_refresh_token_that_comes_back_is_told_once() {
    let (world, mailbox, auth) = begin().await;
    let jane = register(&auth).await;
    drop(told(&auth, &mailbox).await);
    let renewed = refresh(&auth, &jane.tokens.refresh_token).await;
    drop(refresh(&auth, &renewed.tokens.refresh_token).await);
    world.clock.advance(Duration::from_mins(1));
    let reused = auth.sessions().refresh(&jane.tokens.refresh_token, &from_somewhere()).await.expect("is judged");
    assert!(matches!(reused, Refreshed::Reused { .. }));
    // Whoever holds the copy can try again as often as she likes: the session is over.
    for _ in 0..3 {
        assert!(auth.sessions().refresh(&jane.tokens.refresh_token, &from_somewhere()).await.is_err());
    }
    assert_eq!(names(&told(&auth, &mailbox).await), ["refresh_token_reused"]);
}

#[tokio::test]
async fn no_name_is_mailed_to_an_address_that_is_not_proved() {
    let (_, mailbox, auth) = begin().await;
    let mut registration = authkit_core::Registration::new(crate::support::email(), password(PASSWORD));
    registration.full_name = authkit_core::FullName::parse("Call +1 555 0100, your account is locked").ok();
    auth.accounts().register(registration, &request()).await.expect("registers");
    let mails = told(&auth, &mailbox).await;
    assert_eq!((names(&mails), mails[0].full_name.as_ref()), (vec!["verify_email"], None));
    let link = mails[0].content.token().expect("a link").clone();
    auth.links().verify_email(&link, &request()).await.expect("is good");
    auth.links().request_magic_link(&crate::support::email(), None, &request()).await.expect("answers");
    // Behind the request comes the mail.
    assert!(told(&auth, &mailbox).await[0].full_name.is_some(), "from then on it is hers");
}

#[tokio::test]
async fn whoever_keeps_no_token_is_not_told_of_herself_again_and_again() {
    let (_, mailbox, auth) = begin().await;
    register(&auth).await;
    let log_in = async |context: &RequestContext| {
        let login = authkit_core::Login::new(crate::support::email(), password(PASSWORD));
        auth.sessions().log_in(login, context).await.expect("logs in");
        told(&auth, &mailbox).await
    };
    drop(told(&auth, &mailbox).await);
    assert_eq!(names(&log_in(&from_somewhere()).await), ["new_device"]);
    assert!(log_in(&from_somewhere()).await.is_empty(), "the same program at the same address");
    let client = from_somewhere().client;
    let elsewhere = Client { ip: "198.51.100.9".parse().ok(), ..client.clone() };
    let other = Client { user_agent: UserAgent::from_header("curl/8.5"), ..client };
    for client in [elsewhere, other] {
        let context = RequestContext { client, ..request() };
        assert_eq!(names(&log_in(&context).await), ["new_device"], "{context:?}");
        assert!(log_in(&context).await.is_empty(), "{context:?}");
    }
    // Where nobody says from where, nothing is known.
    assert_eq!(names(&log_in(&request()).await), ["new_device"]);
    assert_eq!(names(&log_in(&request()).await), ["new_device"]);
}

#[tokio::test]
async fn a_login_on_a_device_that_the_account_does_not_know_is_told() {
    let (_, mailbox, auth) = begin().await;
    let jane = register(&auth).await;
    drop(told(&auth, &mailbox).await);
    let login = || authkit_core::Login::new(crate::support::email(), password(PASSWORD));
    let known = authkit_core::Login { device_token: jane.device_token.clone(), ..login() };
    auth.sessions().log_in(known, &from_somewhere()).await.expect("logs in");
    let wrong = authkit_core::Login { password: password(OTHER), ..login() };
    assert!(auth.sessions().log_in(wrong, &from_somewhere()).await.is_err());
    assert!(told(&auth, &mailbox).await.is_empty());
    let elsewhere = RequestContext { client: Client { ip: "198.51.100.9".parse().ok(), ..from_somewhere().client }, ..request() };
    let new = auth.sessions().log_in(login(), &elsewhere).await.expect("logs in");
    assert_eq!(names(&told(&auth, &mailbox).await), ["new_device"]);
    // From then on it is known, and when everybody has logged out, the account still is one that was used.
    auth.sessions().log_out_all(&principal(&auth, &jane), &request()).await.expect("logs out");
    let known = authkit_core::Login { device_token: new.device_token, ..login() };
    let again = auth.sessions().log_in(known, &from_somewhere()).await.expect("logs in");
    auth.sessions().log_out_all(&principal(&auth, &again), &request()).await.expect("logs out");
    assert!(told(&auth, &mailbox).await.is_empty());
    auth.sessions().log_in(login(), &from_somewhere()).await.expect("logs in");
    assert_eq!(names(&told(&auth, &mailbox).await), ["new_device"]);
}
