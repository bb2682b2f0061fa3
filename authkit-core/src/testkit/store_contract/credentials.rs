//! Promises about passwords.

use crate::model::{CredentialChange, StoredPassword, User, UserChange, UserStatus};
use crate::ports::store::Conflict;
use crate::primitives::{Cursor, PageRequest, PasswordHash, UserId};

use super::Stores;
use super::trial::Trial;
use super::view::{limit, passwords};

pub async fn a_password_is_read_back(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, bystander) = (trial.user().await, trial.user().await);
    let hash = PasswordHash::from_phc(format!("$argon2id$v=19$m=19456,t=2,p=1${}", "aB+/9".repeat(100)));
    trial.apply(CredentialChange::InsertPassword { user_id: user.id, hash: hash.clone(), at: trial.now() }).await;
    assert_eq!(password(&trial, user.id).await, Some(hash.clone()));
    let by_email = trial.store.credentials_by_email(&user.email).await.expect("reads").expect("the account is there");
    assert_eq!((by_email.password, by_email.user), (Some(hash), user.clone()));
    assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), Some(user), "the account itself is as it was");
    assert_eq!(password(&trial, bystander.id).await, None);
}

pub async fn a_password_is_given_only_to_an_account_without_one(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let insert = |user: &User| CredentialChange::InsertPassword {
        user_id: user.id,
        hash: trial.fixtures.password_hash(),
        at: trial.now(),
    };
    let user = trial.user().await;
    trial.apply(insert(&user)).await;
    trial.refuse_one(insert(&user), Conflict::PasswordChanged).await;
    trial.refuse_one(insert(&trial.fixtures.user()), Conflict::UserChanged).await;
    trial.refuse_one(insert(&trial.closed_user().await), Conflict::UserChanged).await;
    // Closing takes the password too, so what is refused here is the account.
    trial.apply(UserChange::Close { id: user.id, at: trial.now() }).await;
    trial.refuse_one(insert(&user), Conflict::UserChanged).await;
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    trial.apply(insert(&suspended)).await;
    assert!(password(&trial, suspended.id).await.is_some());
}

pub async fn a_password_is_replaced_only_while_it_is_the_verified_one(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let at = trial.now();
    let (user, bystander) = (trial.user().await, trial.user().await);
    let (old, new) = (PasswordHash::from_phc("$argon2id$Old".to_owned()), trial.fixtures.password_hash());
    for id in [user.id, bystander.id] {
        trial.apply(CredentialChange::InsertPassword { user_id: id, hash: old.clone(), at }).await;
    }
    let replace =
        |user_id, from: &PasswordHash| CredentialChange::ReplacePassword { user_id, from: from.clone(), to: new.clone(), at };
    for near in ["$argon2id$old", "$argon2id$Ol", "$argon2id$Old ", "", "%"] {
        trial.refuse_one(replace(user.id, &PasswordHash::from_phc(near.to_owned())), Conflict::PasswordChanged).await;
    }
    trial.apply(replace(user.id, &old)).await;
    assert_eq!(password(&trial, user.id).await, Some(new.clone()));
    assert_eq!(password(&trial, bystander.id).await, Some(old.clone()), "the same hash of another account is as it was");
    assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), Some(user.clone()), "the account itself is as it was");
    trial.refuse_one(replace(user.id, &old), Conflict::PasswordChanged).await;

    let bare = trial.user().await;
    for id in [bare.id, trial.fixtures.user().id, trial.closed_user().await.id] {
        trial.refuse_one(replace(id, &old), Conflict::PasswordChanged).await;
    }
    trial.apply(UserChange::Close { id: bystander.id, at }).await;
    trial.refuse_one(replace(bystander.id, &old), Conflict::PasswordChanged).await;

    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    trial.apply(CredentialChange::InsertPassword { user_id: suspended.id, hash: old.clone(), at }).await;
    trial.apply(replace(suspended.id, &old)).await;
    assert_eq!(password(&trial, suspended.id).await, Some(new));
}

pub async fn a_password_is_deleted_if_there_is_one(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, bystander) = (trial.user().await, trial.user().await);
    for id in [user.id, bystander.id] {
        let hash = trial.fixtures.password_hash();
        trial.apply(CredentialChange::InsertPassword { user_id: id, hash, at: trial.now() }).await;
    }
    for id in [user.id, user.id, trial.fixtures.user().id, trial.closed_user().await.id] {
        trial.apply(CredentialChange::DeletePassword { user_id: id }).await;
    }
    assert_eq!(password(&trial, user.id).await, None);
    assert_eq!(trial.store.user_by_id(user.id).await.expect("reads"), Some(user), "the account itself is as it was");
    assert!(password(&trial, bystander.id).await.is_some());
}

pub async fn password_hashes_come_in_pages_the_least_id_first(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    assert_eq!(passwords(&*trial.store, limit(1)).await, []);
    let (mut expected, mut users) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let (user, hash) = (trial.user().await, trial.fixtures.password_hash());
        trial.apply(CredentialChange::InsertPassword { user_id: user.id, hash: hash.clone(), at: trial.now() }).await;
        expected.push(StoredPassword { user_id: user.id, hash });
        users.push(user.id);
    }
    // Without a password, suspended, closed, and with one that is gone.
    trial.user().await;
    let suspended = trial.keep_user(User { status: UserStatus::Suspended, ..trial.fixtures.user() }).await;
    let hash = trial.fixtures.password_hash();
    trial.apply(CredentialChange::InsertPassword { user_id: suspended.id, hash: hash.clone(), at: trial.now() }).await;
    expected.push(StoredPassword { user_id: suspended.id, hash });
    trial.apply(UserChange::Close { id: users[1], at: trial.now() }).await;
    trial.apply(CredentialChange::DeletePassword { user_id: users[3] }).await;
    expected.retain(|stored| ![users[1], users[3]].contains(&stored.user_id));
    expected.sort_by_key(|stored| stored.user_id);
    for items in [1, 2, 3, 4, 5, 200] {
        assert_eq!(passwords(&*trial.store, limit(items)).await, expected, "in pages of {items}");
    }
    // A cursor need not be the id of anything that is there.
    let page = PageRequest { limit: limit(200), cursor: Some(Cursor::after(users[1].as_uuid())) };
    let read = trial.store.password_hashes(page).await.expect("hashes are read");
    let above: Vec<_> = expected.into_iter().filter(|stored| stored.user_id > users[1]).collect();
    assert_eq!((read.items, read.next), (above, None));
}

async fn password(trial: &Trial, id: UserId) -> Option<PasswordHash> {
    trial.store.credentials_by_id(id).await.expect("credentials are read").expect("the account is there").password
}
