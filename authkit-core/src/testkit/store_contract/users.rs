//! Promises about accounts.

use std::time::Duration;

use crate::model::{ChangeSet, CredentialChange, Patch, User, UserChange, UserStatus};
use crate::ports::store::Conflict;
use crate::primitives::{Email, FullName, Locale, PageRequest, Timestamp};

use super::super::fixtures::email;
use super::Stores;
use super::trial::{Trial, begin};
use super::view::{spelled_credentials, spelled_user};

pub async fn an_account_is_read_back_with_every_field(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let long_local = format!("{}@{}.example", "L".repeat(64), ["d".repeat(60), "e".repeat(60), "f".repeat(50)].join("."));
    let users = [
        trial.fixtures.user(),
        User { email_verified_at: None, full_name: None, locale: None, status: UserStatus::Suspended, ..trial.fixtures.user() },
        User {
            email: email(&long_local),
            email_verified_at: Some(Timestamp::from_unix_micros(1)),
            full_name: Some(FullName::from_stored("\u{1F469}\u{200D}\u{1F680}".repeat(66))),
            auth_epoch: u32::MAX,
            // 9999-12-31T23:59:59.999999Z, the last instant that every database can write.
            created_at: Timestamp::from_unix_micros(253_402_300_799_999_999),
            updated_at: Timestamp::from_unix_micros(1_735_689_600_123_457),
            ..trial.fixtures.user()
        },
        User {
            email: email("Jörg.Ünal@Bücher.Example"),
            full_name: Some(FullName::from_stored("'; DROP TABLE users; --".to_owned())),
            ..trial.fixtures.user()
        },
    ];
    for user in users {
        let user = trial.keep_user(user).await;
        let spelled = Some((user.clone(), user.email.spelling().to_owned()));
        let read = trial.store.user_by_id(user.id).await.expect("an account is read");
        assert_eq!(spelled_user(read), spelled);
        let by_id = trial.store.credentials_by_id(user.id).await.expect("credentials are read");
        let by_email = trial.store.credentials_by_email(&user.email).await.expect("credentials are read");
        for credentials in [by_id, by_email] {
            let credentials = credentials.expect("the account is there");
            assert_eq!(credentials.password, None, "a new account has no password");
            assert_eq!(spelled_user(Some(credentials.user)), spelled);
        }
    }
}

pub async fn an_unknown_account_is_absent(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (known, unknown) = (trial.user().await, trial.fixtures.user());
    assert_eq!(trial.store.user_by_id(unknown.id).await.expect("reads"), None);
    assert_eq!(trial.store.credentials_by_id(unknown.id).await.expect("reads"), None);
    assert_eq!(trial.store.credentials_by_email(&unknown.email).await.expect("reads"), None);
    // Neither a prefix nor a pattern is an address.
    for near in ["%@example.com", "_@example.com", &known.email.normal()[1..]] {
        assert_eq!(trial.store.credentials_by_email(&email(near)).await.expect("reads"), None, "{near}");
    }
}

pub async fn an_address_finds_its_account_in_every_spelling(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(User { email: email("Zoë.Ünal@Bücher.Example"), ..trial.fixtures.user() }).await;
    for spelling in ["zoë.ünal@bücher.example", "ZOË.ÜNAL@XN--BCHER-KVA.EXAMPLE", " Zoe\u{308}.U\u{308}nal@bu\u{308}cher.example"]
    {
        let read = trial.store.credentials_by_email(&email(spelling)).await.expect("credentials are read");
        let (read, kept) = spelled_credentials(read).expect("the account is found");
        assert_eq!((read.user.id, kept.as_str()), (user.id, "Zoë.Ünal@bücher.example"), "the spelling stays the owner's");
    }
}

pub async fn an_address_that_is_taken_is_refused_in_every_spelling(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    trial.keep_user(User { email: email("Zoë@Example.com"), ..trial.fixtures.user() }).await;
    for spelling in ["Zoë@Example.com", "zoë@example.com", "ZOË@EXAMPLE.COM", "zoe\u{308}@example.com"] {
        let rival = User { email: email(spelling), ..trial.fixtures.user() };
        trial.refuse_one(UserChange::Insert(rival), Conflict::EmailTaken).await;
    }
    let suspended = User { status: UserStatus::Suspended, ..trial.fixtures.user() };
    trial.keep_user(suspended.clone()).await;
    trial.refuse_one(UserChange::Insert(User { email: suspended.email, ..trial.fixtures.user() }), Conflict::EmailTaken).await;
    trial.keep_user(User { email: email("zoe@example.com"), ..trial.fixtures.user() }).await;
}

pub async fn an_account_id_is_taken_for_ever(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for taken in [trial.user().await, trial.closed_user().await] {
        let rival = User { id: taken.id, ..trial.fixtures.user() };
        trial.refuse_one(UserChange::Insert(rival), Conflict::DuplicateId).await;
    }
}

pub async fn a_profile_update_changes_the_named_fields_alone(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (mut user, other) = (trial.user().await, trial.user().await);
    let (name, locale) = (FullName::from_stored("X Æ A-12".to_owned()), Locale::from_stored("de-CH".to_owned()));
    let updates = [
        (Patch::Set(name.clone()), Patch::Keep, Some(name.clone()), user.locale.clone()),
        (Patch::Keep, Patch::Set(locale.clone()), Some(name.clone()), Some(locale.clone())),
        (Patch::Keep, Patch::Keep, Some(name), Some(locale.clone())),
        (Patch::Clear, Patch::Keep, None, Some(locale)),
        (Patch::Clear, Patch::Clear, None, None),
    ];
    for (minute, (full_name, locale, full_name_after, locale_after)) in (1..).zip(updates) {
        let at = trial.now() + Duration::from_mins(minute);
        trial.apply(UserChange::UpdateProfile { id: user.id, full_name, locale, at }).await;
        let version = user.version + 1;
        user = User { full_name: full_name_after, locale: locale_after, version, updated_at: at, ..user };
        let spelled = Some((user.clone(), user.email.spelling().to_owned()));
        assert_eq!(spelled_user(trial.store.user_by_id(user.id).await.expect("reads")), spelled);
    }
    assert_eq!(trial.store.user_by_id(other.id).await.expect("reads"), Some(other), "another account is as it was");
}

pub async fn a_profile_update_needs_an_active_account(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    for user in inactive_users(&trial).await {
        let full_name = Patch::Set(FullName::from_stored("Mallory".to_owned()));
        let update = UserChange::UpdateProfile { id: user.id, full_name, locale: Patch::Clear, at: trial.now() };
        trial.refuse_one(update, Conflict::UserChanged).await;
        let nothing = UserChange::UpdateProfile { id: user.id, full_name: Patch::Keep, locale: Patch::Keep, at: trial.now() };
        trial.refuse_one(nothing, Conflict::UserChanged).await;
    }
}

pub async fn the_epoch_rises_by_one_from_the_one_that_was_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(User { auth_epoch: 7, ..trial.fixtures.user() }).await;
    let at = trial.now() + Duration::from_micros(1);
    for from in [0, 6, 8] {
        trial.refuse_one(UserChange::RaiseAuthEpoch { id: user.id, from, at }, Conflict::UserChanged).await;
    }
    trial.apply(UserChange::RaiseAuthEpoch { id: user.id, from: 7, at }).await;
    let raised = User { auth_epoch: 8, version: 1, updated_at: at, ..user.clone() };
    assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), Some(raised));
    trial.refuse_one(UserChange::RaiseAuthEpoch { id: user.id, from: 7, at }, Conflict::UserChanged).await;
    for user in inactive_users(&trial).await {
        let raise = UserChange::RaiseAuthEpoch { id: user.id, from: user.auth_epoch, at };
        trial.refuse_one(raise, Conflict::UserChanged).await;
    }
}

pub async fn a_closed_account_is_in_no_read(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, bystander) = (trial.user().await, trial.user().await);
    let (session, spared) = (trial.session(&user).await, trial.session(&bystander).await);
    let hash = trial.fixtures.password_hash();
    trial.apply(CredentialChange::InsertPassword { user_id: user.id, hash, at: trial.now() }).await;

    let committed = trial.apply(UserChange::Close { id: user.id, at: trial.now() }).await;
    assert!(committed.revoked.is_empty(), "closing revokes nothing by itself");
    assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), None);
    assert_eq!(trial.store.credentials_by_id(user.id).await.expect("reads"), None);
    assert_eq!(trial.store.credentials_by_email(&user.email).await.expect("reads"), None);
    assert_eq!(trial.read_session(&session).await, None);
    let live = trial.store.live_sessions(user.id, trial.now(), PageRequest::default()).await.expect("reads");
    assert!(live.items.is_empty() && live.next.is_none());
    trial.refuse_rotation(&trial.fixtures.rotation(&session)).await;

    assert_eq!(trial.store.user_by_id(bystander.id).await.expect("reads"), Some(bystander));
    assert!(trial.read_session(&spared).await.is_some());
}

pub async fn the_address_of_a_closed_account_is_free_again(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let address: Email = email("again@example.com");
    let mut earlier = Vec::new();
    for _ in 0..3 {
        let user = trial.keep_user(User { email: address.clone(), ..trial.fixtures.user() }).await;
        let read = trial.store.credentials_by_email(&address).await.expect("reads").expect("the account is there");
        assert_eq!((read.user.id, read.password), (user.id, None), "nothing of the earlier account is inherited");
        earlier.push(trial.session(&user).await);
        let hash = trial.fixtures.password_hash();
        let password = CredentialChange::InsertPassword { user_id: user.id, hash, at: trial.now() };
        trial.commit(ChangeSet::new().and(password).and(UserChange::Close { id: user.id, at: trial.now() })).await;
    }
    for session in &earlier {
        assert_eq!(trial.read_session(session).await, None);
    }
}

pub async fn closing_needs_an_account_that_is_open(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    trial.apply(UserChange::Close { id: suspended.id, at: trial.now() }).await;
    for gone in [suspended, trial.closed_user().await, trial.fixtures.user()] {
        trial.refuse_one(UserChange::Close { id: gone.id, at: trial.now() }, Conflict::UserChanged).await;
    }
    let user = trial.user().await;
    trial.apply(begin(&user, &trial.fixtures.session(user.id))).await;
}

/// An account that never was, a suspended one and a closed one.
async fn inactive_users(trial: &Trial) -> [User; 3] {
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    [trial.fixtures.user(), suspended, trial.closed_user().await]
}

pub async fn an_address_is_verified_only_while_it_is_the_accounts(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(User { email_verified_at: None, ..trial.fixtures.user() }).await;
    let verify = |user: &User, email: &Email, at| UserChange::VerifyEmail { id: user.id, email: email.clone(), at };
    let (first, second) = (trial.now() + Duration::from_secs(1), trial.now() + Duration::from_secs(2));
    trial.refuse_one(verify(&user, &trial.fixtures.user().email, first), Conflict::UserChanged).await;
    for (version, at) in [(1, first), (2, second)] {
        trial.apply(verify(&user, &user.email, at)).await;
        let verified = User { email_verified_at: Some(first), version, updated_at: at, ..user.clone() };
        assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), Some(verified), "the first proof stays");
    }
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    for user in [trial.fixtures.user(), trial.closed_user().await, suspended] {
        trial.refuse_one(verify(&user, &user.email, first), Conflict::UserChanged).await;
    }
}

pub async fn an_address_is_changed_only_from_the_one_that_was_read_to_one_that_is_free(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(User { email_verified_at: None, ..trial.fixtures.user() }).await;
    let (other, at) = (trial.user().await, trial.now() + Duration::from_secs(1));
    let change =
        |user: &User, from: &Email, to: &Email| UserChange::ChangeEmail { id: user.id, from: from.clone(), to: to.clone(), at };
    let free = email("New.Zoë@Example.com");
    trial.refuse_one(change(&user, &other.email, &free), Conflict::UserChanged).await;
    trial.refuse_one(change(&user, &user.email, &other.email), Conflict::EmailTaken).await;
    trial.refuse_one(change(&user, &free, &other.email), Conflict::EmailTaken).await;
    trial.apply(change(&user, &user.email, &free)).await;
    let changed = User { email: free.clone(), email_verified_at: Some(at), version: 1, updated_at: at, ..user.clone() };
    let read = trial.store.credentials_by_email(&free).await.expect("reads").expect("it has the address");
    assert_eq!((read.user.email.spelling(), &read.user), (free.spelling(), &changed));
    assert_eq!(trial.store.credentials_by_email(&user.email).await.expect("reads"), None, "the old one is free");
    // To another spelling of its own, which nobody else can have.
    let shouted = email("NEW.ZOË@example.com");
    trial.apply(change(&user, &free, &shouted)).await;
    let read = trial.store.credentials_by_email(&free).await.expect("reads").expect("it has the address");
    assert_eq!(read.user.email.spelling(), shouted.spelling());
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    for user in [trial.fixtures.user(), trial.closed_user().await, suspended] {
        trial.refuse_one(change(&user, &user.email, &email("free@example.com")), Conflict::UserChanged).await;
    }
}
