//! A change of the address: in force when the new one is proved, taken back from the old one, whatever a thief does in between.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::flows::{ChangeEmailError, LinkError};
use authkit_core::model::AuditAction;
use authkit_core::testkit::Mailbox;
use authkit_core::{AuthKit, Email, LoggedIn, Login, OneTimeTokenText, PasswordChange, Registration};

use crate::support::{PASSWORD, World, email, is_authenticated, password, principal, register, request};

const OTHER: &str = "AnotherPass456";

struct Scene {
    world: World,
    mailbox: Mailbox,
    auth: AuthKit,
    jane: LoggedIn,
}

impl Scene {
    /// An account with a proved address.
    async fn new() -> Self {
        let scene = Self::unproved().await;
        scene.auth.links().verify_email(&scene.only("verify_email").await, &request()).await.expect("is good");
        scene
    }

    async fn unproved() -> Self {
        let (world, mailbox) = (World::new(), Mailbox::new());
        let builder = world.unjoined(world.config.clone()).mailer(Arc::new(mailbox.clone()));
        let auth = builder.build_unattended().await.expect("builds");
        let jane = register(&auth).await;
        Self { world, mailbox, auth, jane }
    }

    async fn ask(&self, to: &str) -> Result<(), ChangeEmailError> {
        self.auth.accounts().request_email_change(&principal(&self.auth, &self.jane), &address(to), &request()).await
    }

    /// Names and recipients of the mails that have come, and the links among them.
    async fn mails(&self) -> (Vec<(String, String)>, Vec<OneTimeTokenText>) {
        self.auth.outbox().deliver_due().await.expect("the outbox is worked off");
        let mut mails = self.mailbox.take();
        mails.sort_by_key(|mail| mail.content.name());
        let links = mails.iter().filter_map(|mail| mail.content.token().cloned()).collect();
        (mails.iter().map(|mail| (mail.content.name().to_owned(), mail.to.to_string())).collect(), links)
    }

    async fn only(&self, name: &str) -> OneTimeTokenText {
        self.auth.outbox().deliver_due().await.expect("the outbox is worked off");
        self.mailbox.only_token(name)
    }

    /// Moves the account, and returns the link that takes it back.
    async fn moved(&self, to: &str) -> OneTimeTokenText {
        self.ask(to).await.expect("is taken on");
        let link = self.only("change_email").await;
        self.auth.links().confirm_email_change(&link, &request()).await.expect("moves");
        self.only("email_changed").await
    }

    async fn logs_in(&self, email: &str, text: &str) -> bool {
        self.auth.sessions().log_in(Login::new(address(email), password(text)), &request()).await.is_ok()
    }

    async fn address_of_jane(&self) -> String {
        let user = self.world.store.user_by_id(self.jane.user.id).await.expect("reads").expect("is there");
        user.email.to_string()
    }
}

fn address(text: &str) -> Email {
    Email::parse(text).expect("an address")
}

fn mail(name: &str, to: &str) -> (String, String) {
    (name.to_owned(), to.to_owned())
}

#[tokio::test]
async fn an_account_moves_when_the_new_address_is_proved_and_the_old_one_is_told() {
    let scene = Scene::new().await;
    scene.ask("new@example.com").await.expect("is taken on");
    let (mails, links) = scene.mails().await;
    assert_eq!(mails, [mail("change_email", "new@example.com"), mail("email_change_requested", "user@example.com")]);
    assert_eq!(scene.address_of_jane().await, "user@example.com", "nothing has changed yet");
    let moved = scene.auth.links().confirm_email_change(&links[0], &request()).await.expect("moves");
    assert_eq!((moved.email.to_string().as_str(), moved.email_verified_at.is_some()), ("new@example.com", true));
    let again = scene.auth.links().confirm_email_change(&links[0], &request()).await;
    assert!(matches!(again, Err(LinkError::Invalid)));
    assert_eq!(scene.mails().await.0, [mail("email_changed", "user@example.com")]);
    assert!(is_authenticated(&scene.auth, &scene.jane), "her session stays");
    assert!(scene.logs_in("new@example.com", PASSWORD).await && !scene.logs_in("user@example.com", PASSWORD).await);
    let events = scene.world.events().await;
    for action in [AuditAction::EmailChangeRequested, AuditAction::EmailChanged] {
        let event = events.iter().find(|event| event.action == action).expect("is audited");
        assert_eq!((event.subject, event.details["email_to"].as_str()), (Some(scene.jane.user.id), "new@example.com"));
    }
}

#[tokio::test]
async fn a_change_needs_a_recent_proof_of_identity_and_another_address() {
    let scene = Scene::new().await;
    assert!(matches!(scene.ask("USER@example.com").await, Err(ChangeEmailError::SameAddress)));
    let recent = scene.auth.config().sessions.recent_authentication;
    scene.world.clock.advance(recent + Duration::from_secs(2));
    assert!(matches!(scene.ask("new@example.com").await, Err(ChangeEmailError::ReauthenticationRequired)));
    assert!(scene.mails().await.0.is_empty());
    scene
        .auth
        .sessions()
        .reauthenticate(&principal(&scene.auth, &scene.jane), password(PASSWORD), &request())
        .await
        .expect("proves");
}

#[tokio::test]
async fn whoever_was_logged_out_on_another_node_changes_nothing() {
    let scene = Scene::new().await;
    let thief = principal(&scene.auth, &scene.jane);
    scene.auth.sessions().log_out_all(&thief, &request()).await.expect("logs out");
    let asked = scene.auth.accounts().request_email_change(&thief, &address("thief@example.com"), &request()).await;
    assert!(matches!(asked, Err(ChangeEmailError::Gone)), "{asked:?}");
}

#[tokio::test]
async fn a_later_request_takes_the_place_of_an_earlier_one() {
    let scene = Scene::new().await;
    scene.ask("first@example.com").await.expect("is taken on");
    let first = scene.only("change_email").await;
    scene.ask("second@example.com").await.expect("is taken on");
    let second = scene.only("change_email").await;
    assert!(matches!(scene.auth.links().confirm_email_change(&first, &request()).await, Err(LinkError::Invalid)));
    scene.auth.links().confirm_email_change(&second, &request()).await.expect("moves");
    assert_eq!(scene.address_of_jane().await, "second@example.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_requests_at_once_one_link_is_good_and_for_the_address_that_it_was_mailed_to() {
    for _ in 0..10 {
        let scene = Scene::new().await;
        let addresses: Vec<String> = (0..8).map(|n| format!("new{n}@example.com")).collect();
        let tasks: Vec<_> = addresses
            .iter()
            .map(|to| {
                let (auth, who, to) = (scene.auth.clone(), principal(&scene.auth, &scene.jane), address(to));
                tokio::spawn(async move { auth.accounts().request_email_change(&who, &to, &request()).await })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic").expect("is taken on");
        }
        scene.auth.outbox().deliver_due().await.expect("delivers");
        let links =
            scene.mailbox.take().into_iter().filter_map(|mail| Some((mail.content.token()?.clone(), mail.to.to_string())));
        let mut moved = Vec::new();
        for (link, to) in links {
            if let Ok(user) = scene.auth.links().confirm_email_change(&link, &request()).await {
                assert_eq!(user.email.to_string(), to);
                moved.push(to);
            }
        }
        assert_eq!(moved.len(), 1, "{moved:?}");
    }
}

#[tokio::test]
async fn a_taken_address_is_told_to_nobody_but_whoever_reads_mail_there() {
    let scene = Scene::new().await;
    let other = Registration::new(address("taken@example.com"), password(PASSWORD));
    scene.auth.accounts().register(other, &request()).await.expect("registers");
    drop(scene.mails().await);
    scene.ask("taken@example.com").await.expect("is answered like any other");
    let link = scene.only("change_email").await;
    for _ in 0..2 {
        let outcome = scene.auth.links().confirm_email_change(&link, &request()).await;
        assert!(matches!(outcome, Err(LinkError::EmailTaken)), "{outcome:?}");
    }
    assert_eq!(scene.address_of_jane().await, "user@example.com");
}

#[tokio::test]
async fn links_to_the_old_address_are_void_after_the_change_all_at_once_and_twice() {
    let scene = Scene::new().await;
    let links = scene.auth.links();
    links.request_password_reset(&email(), &request()).await.expect("answers");
    let reset = scene.only("reset_password").await;
    links.request_magic_link(&email(), None, &request()).await.expect("answers");
    let magic = scene.only("magic_link").await;
    drop(scene.moved("new@example.com").await);
    for _ in 0..2 {
        let context = request();
        let (one, two, three) = tokio::join!(
            links.reset_password(&reset, password(OTHER), &context),
            links.reset_password(&reset, password(OTHER), &context),
            links.log_in(&magic, None, None, &context),
        );
        assert!(matches!((one, two, three), (Err(LinkError::Invalid), Err(LinkError::Invalid), Err(LinkError::Invalid))));
    }
    assert!(scene.logs_in("new@example.com", PASSWORD).await);
}

#[tokio::test]
async fn a_change_of_the_password_stops_a_change_of_the_address() {
    let scene = Scene::new().await;
    scene.ask("thief@example.com").await.expect("is taken on");
    let link = scene.only("change_email").await;
    let change = PasswordChange { current: password(PASSWORD), new: password(OTHER) };
    scene.auth.accounts().change_password(&principal(&scene.auth, &scene.jane), change, &request()).await.expect("changes");
    assert!(matches!(scene.auth.links().confirm_email_change(&link, &request()).await, Err(LinkError::Invalid)));
}

#[tokio::test]
async fn the_owner_takes_back_what_a_thief_has_moved_twice_and_locked() {
    let scene = Scene::new().await;
    let undo = scene.moved("thief@example.com").await;
    let change = PasswordChange { current: password(PASSWORD), new: password(OTHER) };
    scene.auth.accounts().change_password(&principal(&scene.auth, &scene.jane), change, &request()).await.expect("changes");
    let undo_of_thief = scene.moved("thief2@example.com").await;
    scene.ask("thief3@example.com").await.expect("is taken on");
    let pending = scene.only("change_email").await;

    scene.world.clock.advance(Duration::from_hours(24 * 6));
    scene.auth.links().undo_email_change(&undo, &request()).await.expect("is taken back");
    assert_eq!(scene.address_of_jane().await, "user@example.com");
    assert!(scene.auth.sessions().refresh(&scene.jane.tokens.refresh_token, &request()).await.is_err());
    for text in [PASSWORD, OTHER] {
        assert!(!scene.logs_in("user@example.com", text).await, "whoever knew a password has none");
    }
    for void in [&undo, &undo_of_thief] {
        assert!(matches!(scene.auth.links().undo_email_change(void, &request()).await, Err(LinkError::Invalid)));
    }
    assert!(matches!(scene.auth.links().confirm_email_change(&pending, &request()).await, Err(LinkError::Invalid)));
    let reset = scene.only("reset_password").await;
    scene.auth.links().reset_password(&reset, password("OwnersPass789"), &request()).await.expect("is good");
    assert!(scene.logs_in("user@example.com", "OwnersPass789").await);
}

#[tokio::test]
async fn a_thief_does_not_keep_an_account_by_registering_with_the_address_that_it_has_left() {
    let scene = Scene::new().await;
    let undo = scene.moved("thief@example.com").await;
    let squatter =
        scene.auth.accounts().register(Registration::new(email(), password(OTHER)), &request()).await.expect("registers");
    scene.auth.links().undo_email_change(&undo, &request()).await.expect("is taken back");
    assert_eq!(scene.address_of_jane().await, "user@example.com");
    assert!(!is_authenticated(&scene.auth, &squatter) && !scene.logs_in("user@example.com", OTHER).await);
}

#[tokio::test]
async fn whoever_has_proved_an_address_keeps_it() {
    let scene = Scene::new().await;
    let undo = scene.moved("new@example.com").await;
    scene.auth.accounts().register(Registration::new(email(), password(OTHER)), &request()).await.expect("registers");
    let proof = scene.only("verify_email").await;
    scene.auth.links().verify_email(&proof, &request()).await.expect("is good");
    let outcome = scene.auth.links().undo_email_change(&undo, &request()).await;
    assert!(matches!(outcome, Err(LinkError::EmailTaken)), "{outcome:?}");
    assert_eq!(scene.address_of_jane().await, "new@example.com");
}

#[tokio::test]
async fn an_address_that_nobody_has_proved_gets_no_link_that_takes_the_account() {
    let scene = Scene::unproved().await;
    drop(scene.mails().await);
    scene.ask("right@example.com").await.expect("is taken on");
    let (_, links) = scene.mails().await;
    scene.auth.links().confirm_email_change(&links[0], &request()).await.expect("moves");
    let (mails, links) = scene.mails().await;
    assert_eq!((mails, links.len()), (vec![mail("email_changed", "user@example.com")], 0));
}

#[tokio::test]
async fn a_change_is_taken_back_within_a_week_or_not_at_all() {
    let scene = Scene::new().await;
    let undo = scene.moved("new@example.com").await;
    scene.world.clock.advance(Duration::from_hours(24 * 7));
    assert!(matches!(scene.auth.links().undo_email_change(&undo, &request()).await, Err(LinkError::Invalid)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_take_a_change_back_one_succeeds() {
    let scene = Scene::new().await;
    let undo = scene.moved("new@example.com").await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (auth, undo) = (scene.auth.clone(), undo.clone());
            tokio::spawn(async move { auth.links().undo_email_change(&undo, &request()).await.is_ok() })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.expect("no panic"));
    }
    assert_eq!(winners, 1);
    assert_eq!(scene.mails().await.0.iter().filter(|(name, _)| name == "reset_password").count(), 1);
}
