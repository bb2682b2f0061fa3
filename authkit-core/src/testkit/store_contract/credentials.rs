//! Promises about passwords.

use crate::model::{CredentialChange, User, UserChange, UserStatus};
use crate::ports::store::Conflict;
use crate::primitives::{PasswordHash, UserId};

use super::Stores;
use super::trial::Trial;

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

async fn password(trial: &Trial, id: UserId) -> Option<PasswordHash> {
    trial.store.credentials_by_id(id).await.expect("credentials are read").expect("the account is there").password
}
