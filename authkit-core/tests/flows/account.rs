//! The caller's own account: profile, password, end.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::MemoryStore;
use authkit_core::flows::{ChangePasswordError, CloseAccountError, LoginError, ProfileError};
use authkit_core::model::{AuditAction, Outcome, Patch};
use authkit_core::testkit::{Fault, FaultyStore, Gate, Method};
use authkit_core::{FullName, Locale, Login, PasswordChange, ProfileUpdate};

use crate::support::{PASSWORD, World, email, is_authenticated, log_in, password, principal, register, request};

const NEW_PASSWORD: &str = "another fine passphrase";

fn change(current: &str, new: &str) -> PasswordChange {
    PasswordChange { current: password(current), new: password(new) }
}

#[tokio::test]
async fn a_profile_changes_only_where_it_is_asked_to() {
    let world = World::new();
    let auth = world.node().await;
    let caller = principal(&auth, &register(&auth).await);
    let name = FullName::parse("Jane Doe").expect("a name");
    let update =
        ProfileUpdate { full_name: Patch::Set(name.clone()), locale: Patch::Set(Locale::parse("de").expect("a locale")) };
    auth.accounts().update_profile(&caller, update, &request()).await.expect("changes");
    world.tick();
    let update = ProfileUpdate { locale: Patch::Clear, ..ProfileUpdate::default() };
    let user = auth.accounts().update_profile(&caller, update, &request()).await.expect("changes");
    assert_eq!((user.full_name, user.locale), (Some(name), None));
    let nothing = world.events().await.len();
    auth.accounts().update_profile(&caller, ProfileUpdate::default(), &request()).await.expect("nothing to do");
    assert_eq!(world.events().await.len(), nothing, "what changes nothing is no event");
    assert_eq!(world.events().await[0].details["fields"], "locale");
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let world = World::new();
    let auth = world.node().await;
    let here = register(&auth).await;
    let (phone, laptop) = (log_in(&auth).await, log_in(&auth).await);
    let ended = auth.accounts().change_password(&principal(&auth, &here), change(PASSWORD, NEW_PASSWORD), &request()).await;
    assert_eq!(ended.expect("changes").sessions_ended, 2);
    assert!(is_authenticated(&auth, &here) && !is_authenticated(&auth, &phone) && !is_authenticated(&auth, &laptop));
    let old = auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await;
    assert!(matches!(old, Err(LoginError::InvalidCredentials)));
    auth.sessions().log_in(Login::new(email(), password(NEW_PASSWORD)), &request()).await.expect("the new one works");
}

#[tokio::test]
async fn a_password_is_changed_only_by_who_knows_it_and_only_to_a_good_one() {
    let world = World::new();
    let auth = world.node().await;
    let caller = principal(&auth, &register(&auth).await);
    world.tick();
    let wrong = auth.accounts().change_password(&caller, change("WrongPass123", NEW_PASSWORD), &request()).await;
    assert!(matches!(wrong, Err(ChangePasswordError::WrongPassword)));
    assert_eq!(world.actions().await[0], (AuditAction::PasswordChanged, Outcome::Failure));
    let weak = auth.accounts().change_password(&caller, change(PASSWORD, "user@example.com"), &request()).await;
    assert!(matches!(weak, Err(ChangePasswordError::WeakPassword(_))));
    log_in(&auth).await;
}

#[tokio::test]
async fn a_login_with_the_old_password_cannot_land_after_the_change() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let world = World::over(faulty.clone());
    let auth = world.node().await;
    let caller = principal(&auth, &register(&auth).await);

    // The attacker's login has verified the old password and stands right before its commit.
    let gate = Gate::new();
    faulty.inject(Method::Commit, 1, Fault::Wait(gate.clone()));
    let attacker = auth.clone();
    let attack =
        tokio::spawn(async move { attacker.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await });
    gate.reached().await;
    auth.accounts().change_password(&caller, change(PASSWORD, NEW_PASSWORD), &request()).await.expect("changes");
    gate.open();

    let outcome = attack.await.expect("ran");
    assert!(matches!(outcome, Err(LoginError::InvalidCredentials)), "{outcome:?}");
    let left = auth.sessions().list(&caller, authkit_core::PageRequest::default()).await.expect("lists").items;
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn two_changes_of_one_password_at_once_are_one_change() {
    let world = World::new();
    let auth = world.node().await;
    let caller = principal(&auth, &register(&auth).await);
    let racers: Vec<_> = ["first passphrase here", "second passphrase here"]
        .map(|new| {
            let (auth, caller) = (auth.clone(), caller.clone());
            tokio::spawn(async move { auth.accounts().change_password(&caller, change(PASSWORD, new), &request()).await.is_ok() })
        })
        .into_iter()
        .collect();
    let mut changed = 0;
    for racer in racers {
        changed += usize::from(racer.await.expect("a racer"));
    }
    assert_eq!(changed, 1);
}

#[tokio::test]
async fn a_closed_account_is_gone_and_its_address_is_free() {
    let world = World::new();
    let auth = world.node().await;
    let (here, there) = (register(&auth).await, log_in(&auth).await);
    let caller = principal(&auth, &here);
    auth.accounts().close(&caller, &request()).await.expect("closes");
    assert!(!is_authenticated(&auth, &here) && !is_authenticated(&auth, &there));
    assert!(matches!(auth.accounts().profile(&caller).await, Err(ProfileError::Gone)));
    assert!(matches!(auth.accounts().close(&caller, &request()).await, Err(CloseAccountError::Gone)));
    let login = auth.sessions().log_in(Login::new(email(), password(PASSWORD)), &request()).await;
    assert!(matches!(login, Err(LoginError::InvalidCredentials)));
    let anew = register(&auth).await;
    assert_ne!(anew.user.id, here.user.id);
    let closed = world.events().await.into_iter().find(|event| event.action == AuditAction::AccountClosed);
    assert_eq!(closed.and_then(|event| event.subject), Some(here.user.id));
}

#[tokio::test]
async fn closing_demands_a_recent_proof_of_identity() {
    let world = World::new();
    let auth = world.node().await;
    let registered = register(&auth).await;
    let caller = principal(&auth, &registered);
    world.clock.advance(Duration::from_mins(5) + Duration::from_secs(1));
    let refused = auth.accounts().close(&caller, &request()).await;
    assert!(matches!(refused, Err(CloseAccountError::ReauthenticationRequired)));
    let (token, _) = auth.sessions().reauthenticate(&caller, password(PASSWORD), &request()).await.expect("right");
    let fresh = auth.authenticate(token.expose()).expect("valid");
    auth.accounts().close(&fresh, &request()).await.expect("closes");
}

#[tokio::test]
async fn a_session_that_was_ended_cannot_close_the_account_at_a_node_that_has_not_heard_of_it() {
    let world = World::new();
    let (auth, lonely) = (world.node().await, world.lonely_node().await);
    let registered = register(&auth).await;
    let thief = principal(&lonely, &registered);
    auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("logs out");
    assert!(matches!(lonely.accounts().close(&thief, &request()).await, Err(CloseAccountError::Gone)));
    log_in(&auth).await;
}
