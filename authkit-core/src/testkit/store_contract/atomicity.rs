//! Promises about sets of changes: in order, all or nothing.

use crate::model::{
    Change, ChangeSet, Committed, CredentialChange, KeyChange, KeyPurpose, Patch, RevocationReason, RoleChange, Session,
    SessionChange, User, UserChange,
};
use crate::model::{FactorChange, FactorKind, Factors};
use crate::model::{GuessChange, Guesses};
use crate::model::{OneTimePurpose, OneTimeTokenChange, OutboxChange};
use crate::model::{Passkey, PasskeyChange};
use crate::ports::store::Conflict;
use crate::primitives::PasskeyName;

use super::Stores;
use super::one_time_tokens::consume;
use super::trial::{Trial, begin, revocations_of, revoke, sorted};

pub async fn a_store_answers_a_ping(stores: Stores) {
    stores.fresh().await.ping().await.expect("a store that works says so");
}

pub async fn an_empty_set_does_nothing(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    trial.session(&trial.user().await).await;
    let before = trial.view().await;
    assert_eq!(trial.commit(ChangeSet::new()).await, Committed::default());
    assert_eq!(trial.view().await.difference(&before), None);
}

pub async fn changes_see_the_ones_before_them(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let at = trial.now();
    let user = trial.fixtures.user();
    let raised = User { auth_epoch: 1, ..user.clone() };
    let (first, second) = (trial.fixtures.session(user.id), trial.fixtures.session(user.id));
    let (old, new) = (trial.fixtures.password_hash(), trial.fixtures.password_hash());
    let key = trial.fixtures.key(KeyPurpose::AccessToken, 1);
    let heir = User { email: user.email.clone(), ..trial.fixtures.user() };
    let all = SessionChange::RevokeAll { user_id: user.id, except: None, reason: RevocationReason::LogoutAll, at };
    let committed = trial
        .commit(
            ChangeSet::new()
                .and(UserChange::Insert(user.clone()))
                .and(CredentialChange::InsertPassword { user_id: user.id, hash: old.clone(), at })
                .and(CredentialChange::ReplacePassword { user_id: user.id, from: old, to: new.clone(), at })
                .and(begin(&user, &first))
                .and(UserChange::RaiseAuthEpoch { id: user.id, from: 0, at })
                .and(begin(&raised, &second))
                .and(SessionChange::Reauthenticate { id: second.id, auth_epoch: 1, methods: None, at })
                .and(revoke(&first, at))
                .and(all)
                .and(KeyChange::Insert(key.clone()))
                .and(KeyChange::Delete { id: key.id.clone() })
                .and(KeyChange::Insert(key.clone()))
                .and(UserChange::Close { id: user.id, at })
                .and(UserChange::Insert(heir.clone()))
                .and(trial.fixtures.event(user.id)),
        )
        .await;
    assert_eq!(sorted(committed.revoked), revocations_of([&first, &second], at), "each session once");
    let read = trial.store.credentials_by_email(&user.email).await.expect("reads").expect("the heir is there");
    assert_eq!((read.user.id, read.password), (heir.id, None));
    assert_eq!(trial.store.server_keys().await.expect("reads"), [key]);
}

pub async fn a_failing_change_undoes_the_ones_before_it(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let before: ChangeSet = every_kind(&trial).await.into_iter().collect();
    let gone = trial.fixtures.session(trial.fixtures.user().id);
    let changes = before.clone().and(revoke(&gone, trial.now()));
    trial.refuse(changes, Conflict::SessionEnded).await;
    // It was the last change alone that failed.
    trial.commit(before).await;
}

pub async fn a_failing_change_undoes_each_kind_of_change(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let event = trial.fixtures.event(trial.user().await.id);
    trial.apply(event.clone()).await;
    for change in every_kind(&trial).await {
        trial.refuse(ChangeSet::new().and(change).and(event.clone()), Conflict::DuplicateId).await;
    }
}

pub async fn nothing_behind_a_failing_change_is_applied(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let behind = every_kind(&trial).await;
    let gone = trial.fixtures.session(trial.fixtures.user().id);
    for change in behind {
        trial.refuse(ChangeSet::new().and(revoke(&gone, trial.now())).and(change), Conflict::SessionEnded).await;
    }
}

pub async fn the_first_guard_that_fails_is_named(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (user, at) = (trial.user().await, trial.now());
    let key = trial.fixtures.key(KeyPurpose::AccessToken, 1);
    let event = trial.fixtures.event(user.id);
    trial.commit(ChangeSet::new().and(KeyChange::Insert(key)).and(event.clone())).await;
    let nobody = trial.fixtures.user();
    let stale = User { auth_epoch: 9, ..user.clone() };
    let failing: Vec<(Change, Conflict)> = vec![
        (UserChange::Insert(User { email: user.email.clone(), ..trial.fixtures.user() }).into(), Conflict::EmailTaken),
        (UserChange::Close { id: nobody.id, at }.into(), Conflict::UserChanged),
        (begin(&stale, &trial.fixtures.session(user.id)).into(), Conflict::UserChanged),
        (
            CredentialChange::ReplacePassword {
                user_id: user.id,
                from: trial.fixtures.password_hash(),
                to: trial.fixtures.password_hash(),
                at,
            }
            .into(),
            Conflict::PasswordChanged,
        ),
        (revoke(&trial.fixtures.session(user.id), at).into(), Conflict::SessionEnded),
        (KeyChange::Insert(trial.fixtures.key(KeyPurpose::AccessToken, 1)).into(), Conflict::KeySerialTaken),
        (event.into(), Conflict::DuplicateId),
        (
            GuessChange::Reserve { subject: trial.fixtures.guess_subject(), from: Guesses { failures: 1, last_at: at }, at }
                .into(),
            Conflict::GuessesChanged,
        ),
        (FactorChange::Put(Box::new(Factors { version: 1, ..trial.fixtures.factors(user.id) })).into(), Conflict::FactorsChanged),
        (consume(&trial.fixtures.one_time_token(&user, OneTimePurpose::MagicLink)).into(), Conflict::TokenGone),
        (OutboxChange::Discard { id: trial.fixtures.message(user.id).id }.into(), Conflict::MessageMoved),
    ];
    for (first, named) in &failing {
        for (second, _) in &failing {
            let changes = ChangeSet::new().and(trial.fixtures.event(user.id)).and(first.clone()).and(second.clone());
            trial.refuse(changes, *named).await;
        }
    }
}

pub async fn what_was_refused_can_be_mended_and_committed(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let (at, user) = (trial.now(), trial.fixtures.user());
    let session = trial.fixtures.session(user.id);
    let key = trial.fixtures.key(KeyPurpose::AccessToken, 1);
    let good = ChangeSet::new()
        .and(UserChange::Insert(user.clone()))
        .and(begin(&user, &session))
        .and(KeyChange::Insert(key))
        .and(trial.fixtures.event(user.id));
    let stale = UserChange::RaiseAuthEpoch { id: user.id, from: 1, at };
    for _ in 0..2 {
        trial.refuse(good.clone().and(stale.clone()), Conflict::UserChanged).await;
    }
    trial.commit(good).await;
    assert_eq!(trial.read_session(&session).await.map(|read| (read.session, read.user)), Some((session, user)));
}

/// One change of every kind, each of which can be applied to the store as it is, alone or after the others.
async fn every_kind(trial: &Trial) -> Vec<Change> {
    let at = trial.now();
    let (user, closing) = (trial.user().await, trial.user().await);
    let (bare, hashed, forgetful) = (trial.user().await, trial.user().await, trial.user().await);
    let old = trial.fixtures.password_hash();
    for id in [hashed.id, forgetful.id] {
        trial.apply(CredentialChange::InsertPassword { user_id: id, hash: old.clone(), at }).await;
    }
    let (many, capped) = (trial.user().await, trial.user().await);
    let session = trial.session(&user).await;
    for owner in [&many, &capped, &closing] {
        trial.session(owner).await;
        trial.session(owner).await;
    }
    let again: Session = trial.session(&capped).await;
    let key = trial.fixtures.key(KeyPurpose::AccessToken, 7);
    trial.apply(KeyChange::Insert(key.clone())).await;
    let (reason, new) = (RevocationReason::LogoutAll, trial.fixtures.password_hash());
    let (counted, forgotten) = (trial.fixtures.guess_subject(), trial.fixtures.guess_subject());
    for subject in [counted, forgotten] {
        trial.apply(GuessChange::Count { subject, at }).await;
    }
    let (factored, guarded) = (trial.user().await, trial.user().await);
    trial.apply(FactorChange::Put(Box::new(trial.fixtures.factors(factored.id)))).await;
    let (to, from) = (guarded.second_factors.with(FactorKind::Totp), guarded.auth_epoch);
    vec![
        UserChange::SetSecondFactors { id: guarded.id, from, to, at }.into(),
        UserChange::Insert(trial.fixtures.user()).into(),
        UserChange::UpdateProfile { id: user.id, full_name: Patch::Clear, locale: Patch::Keep, at }.into(),
        UserChange::RaiseAuthEpoch { id: many.id, from: 0, at }.into(),
        UserChange::Close { id: closing.id, at }.into(),
        CredentialChange::InsertPassword { user_id: bare.id, hash: new.clone(), at }.into(),
        CredentialChange::ReplacePassword { user_id: hashed.id, from: old, to: new, at }.into(),
        CredentialChange::DeletePassword { user_id: forgetful.id }.into(),
        begin(&user, &trial.fixtures.session(user.id)).into(),
        SessionChange::Reauthenticate { id: again.id, auth_epoch: 0, methods: None, at: at + std::time::Duration::from_secs(1) }
            .into(),
        revoke(&session, at).into(),
        SessionChange::RevokeAll { user_id: many.id, except: None, reason, at }.into(),
        SessionChange::EnforceCap { user_id: capped.id, keep: 1, at }.into(),
        KeyChange::Insert(trial.fixtures.key(KeyPurpose::RefreshToken, 1)).into(),
        KeyChange::Delete { id: key.id }.into(),
        trial.fixtures.event(user.id).into(),
        UserChange::ReplaceAssignments {
            id: user.id,
            from: 0,
            to: vec![trial.fixtures.assignment("admin")],
            roles_version: 0,
            at,
        }
        .into(),
        UserChange::HoldAccess { id: bare.id, version: 0 }.into(),
        RoleChange::SpareLastHolder { user_id: bare.id }.into(),
        RoleChange::Expect { version: 0 }.into(),
        RoleChange::Insert { role: Box::new(trial.fixtures.role()), from: 0 }.into(),
        GuessChange::Count { subject: trial.fixtures.guess_subject(), at }.into(),
        GuessChange::Reserve { subject: counted, from: Guesses { failures: 1, last_at: at }, at }.into(),
        GuessChange::Forget { subject: forgotten }.into(),
        FactorChange::Put(Box::new(trial.fixtures.factors(user.id))).into(),
        FactorChange::Forget { user_id: factored.id }.into(),
    ]
    .into_iter()
    .chain(every_kind_of_proof(trial).await)
    .chain(every_kind_of_passkey(trial).await)
    .collect()
}

/// The changes of passkeys and their challenges, each of which can be applied alone or after the others.
async fn every_kind_of_passkey(trial: &Trial) -> Vec<Change> {
    let (user, leaving, at) = (trial.user().await, trial.user().await, trial.now());
    let (kept, gone, left) =
        (trial.fixtures.passkey(user.id), trial.fixtures.passkey(user.id), trial.fixtures.passkey(leaving.id));
    let challenge = trial.fixtures.passkey_challenge();
    let insert = |passkey: &Passkey| PasskeyChange::Insert { passkey: Box::new(passkey.clone()), auth_epoch: 0, at_most: 9 };
    let before = ChangeSet::new().and(insert(&kept)).and(insert(&gone)).and(insert(&left));
    trial.commit(before.and(PasskeyChange::Challenge(challenge.clone()))).await;
    let (id, user_id, from, sign_count) = (kept.id, user.id, kept.sign_count, kept.sign_count + 1);
    vec![
        insert(&trial.fixtures.passkey(user.id)).into(),
        PasskeyChange::Use { id, from, sign_count, backed_up: false, at }.into(),
        PasskeyChange::Rename { id, user_id, name: PasskeyName::from_stored("another".to_owned()) }.into(),
        PasskeyChange::Delete { id: gone.id, user_id }.into(),
        PasskeyChange::ForgetAllOf { user_id: leaving.id }.into(),
        PasskeyChange::Challenge(trial.fixtures.passkey_challenge()).into(),
        PasskeyChange::Answer { id: challenge.id, secret: challenge.secret, at }.into(),
    ]
}

/// The changes of addresses, one-time tokens and messages, each of which can be applied alone or after the others.
async fn every_kind_of_proof(trial: &Trial) -> Vec<Change> {
    let at = trial.now();
    let (user, moving, revoking) = (trial.user().await, trial.user().await, trial.user().await);
    let token = |user: &User| trial.fixtures.one_time_token(user, OneTimePurpose::MagicLink);
    let (spent, guessed) = (token(&user), token(&user));
    let message = || trial.fixtures.message(user.id);
    let (delivered, deferred, buried, expired, dead, discarded) =
        (message(), message(), message(), message(), message(), message());
    let mut before = ChangeSet::new();
    for token in [&spent, &guessed, &token(&revoking)] {
        before = before.and(OneTimeTokenChange::Insert(Box::new(token.clone())));
    }
    for message in [&delivered, &deferred, &buried, &expired, &dead, &discarded] {
        before = before.and(OutboxChange::Enqueue(Box::new(message.clone())));
    }
    let claim = OutboxChange::Claim { at, lease_until: at + std::time::Duration::from_hours(1), limit: 99 };
    trial.commit(before.and(claim.clone())).await;
    let (attempt, error) = (1, "refused".to_owned());
    trial.apply(OutboxChange::Bury { id: dead.id, attempt, at, error: error.clone() }).await;
    let waiting = message();
    trial.apply(OutboxChange::Enqueue(Box::new(waiting))).await;
    vec![
        UserChange::VerifyEmail { id: user.id, email: user.email.clone(), at: at + std::time::Duration::from_secs(1) }.into(),
        UserChange::ChangeEmail { id: moving.id, from: moving.email.clone(), to: trial.fixtures.user().email, at }.into(),
        OneTimeTokenChange::Insert(Box::new(token(&user))).into(),
        consume(&spent).into(),
        OneTimeTokenChange::SpendAttempt { id: guessed.id, purpose: guessed.purpose, at }.into(),
        OneTimeTokenChange::RevokeAllOf { user_id: revoking.id, purpose: None }.into(),
        claim.into(),
        OutboxChange::Enqueue(Box::new(message())).into(),
        OutboxChange::Deliver { id: delivered.id, attempt, at }.into(),
        OutboxChange::Defer { id: deferred.id, attempt, due_at: at, error: error.clone() }.into(),
        OutboxChange::Bury { id: buried.id, attempt, at, error }.into(),
        OutboxChange::Expire { id: expired.id, attempt, at }.into(),
        OutboxChange::Retry { id: dead.id, at }.into(),
        OutboxChange::Discard { id: discarded.id }.into(),
    ]
}
