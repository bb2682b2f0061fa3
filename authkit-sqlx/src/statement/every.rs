//! Every text that a store sends, with arguments: what tests of texts and of plans go through.

use authkit_core::model::{
    AuditChange, AuditFilter, Change, CredentialChange, KeyChange, KeyPurpose, Patch, RevocationReason, RoleChange, Session,
    SessionChange, UserChange, UserFilter, UserPageRequest, UserQuery, UserStatus,
};
use authkit_core::model::{GuessChange, Guesses};
use authkit_core::model::{OneTimePurpose, OneTimeTokenChange, OutboxChange, OutboxState};
use authkit_core::ports::{AccessMark, RevocationMark};
use authkit_core::testkit::Fixtures;
use authkit_core::{Cursor, PageLimit, PageRequest, RoleName};

use super::{Guard, Query, Statement, compile};
use crate::aggregate::factor;
use crate::aggregate::passkey;
use crate::aggregate::{audit, credential, role, server_key, session, user};
use crate::aggregate::{guess, user_search};
use crate::aggregate::{one_time_token, outbox};
use crate::dialect::Dialect;
use crate::work::Work;
use authkit_core::model::PasskeyChange;
use authkit_core::model::{FactorChange, FactorSet, Factors};

/// Every change, with every field that can be absent present.
fn every_change(fixtures: &Fixtures) -> Vec<Change> {
    let (user, now) = (fixtures.user(), fixtures.now());
    let session = fixtures.session(user.id);
    let (id, reason, user_id) = (session.id, RevocationReason::Logout, user.id);
    let key = fixtures.key(KeyPurpose::AccessToken, 1);
    vec![
        UserChange::Insert(user.clone()).into(),
        UserChange::UpdateProfile { id: user.id, full_name: Patch::Clear, locale: Patch::Keep, at: now }.into(),
        UserChange::UpdateProfile { id: user.id, full_name: Patch::Keep, locale: Patch::Clear, at: now }.into(),
        UserChange::RaiseAuthEpoch { id: user.id, from: 0, at: now }.into(),
        UserChange::Update {
            id: user.id,
            from: 0,
            email: Some(user.email.clone()),
            full_name: Patch::Clear,
            locale: Patch::Clear,
            at: now,
        }
        .into(),
        UserChange::Suspend { id: user.id, from: 0, at: now }.into(),
        UserChange::Restore { id: user.id, from: 0, at: now }.into(),
        UserChange::Expect { id: user.id, version: 0 }.into(),
        CredentialChange::InsertPassword { user_id, hash: fixtures.password_hash(), at: now }.into(),
        CredentialChange::ReplacePassword { user_id, from: fixtures.password_hash(), to: fixtures.password_hash(), at: now }
            .into(),
        CredentialChange::DeletePassword { user_id }.into(),
        SessionChange::Insert { session: Box::new(session), auth_epoch: 0 }.into(),
        SessionChange::Revoke { id, reason, at: now }.into(),
        SessionChange::RevokeAll { user_id, except: Some(id), reason, at: now }.into(),
        SessionChange::EndImpersonations { by: user_id, at: now }.into(),
        SessionChange::EnforceCap { user_id, keep: 3, at: now }.into(),
        SessionChange::Reauthenticate { id, auth_epoch: 0, methods: None, at: now }.into(),
        KeyChange::Insert(key.clone()).into(),
        KeyChange::Delete { id: key.id }.into(),
        fixtures.event(user.id).into(),
        SessionChange::Purge { ended_before: now, limit: 10 }.into(),
        AuditChange::PurgeSealed { seal: 1 }.into(),
        UserChange::ReplaceAssignments { id: user.id, from: 0, to: vec![fixtures.assignment("user")], roles_version: 1, at: now }
            .into(),
        UserChange::HoldAccess { id: user.id, version: 1 }.into(),
        RoleChange::Insert { role: Box::new(fixtures.role()), from: 0 }.into(),
        RoleChange::Update { role: Box::new(fixtures.role()), from: 0 }.into(),
        RoleChange::Delete { name: fixtures.role().name, from: 0 }.into(),
        RoleChange::SpareLastHolder { user_id }.into(),
        RoleChange::KeepAHolder.into(),
        RoleChange::Expect { version: 1 }.into(),
        SessionChange::EndImpersonationsOf { user_id, at: now }.into(),
        SessionChange::EndImpersonationsByRole { roles: [fixtures.role().name].into(), at: now }.into(),
        GuessChange::Count { subject: fixtures.guess_subject(), at: now }.into(),
        GuessChange::Reserve { subject: fixtures.guess_subject(), from: Guesses { failures: 1, last_at: now }, at: now }.into(),
        GuessChange::Forget { subject: fixtures.guess_subject() }.into(),
        GuessChange::Purge { last_before: now, below: 10, limit: 10 }.into(),
        FactorChange::Put(Box::new(fixtures.factors(user.id))).into(),
        FactorChange::Put(Box::new(Factors { version: 1, ..fixtures.factors(user.id) })).into(),
        FactorChange::Forget { user_id }.into(),
        UserChange::SetSecondFactors { id: user.id, from: 0, to: FactorSet::NONE, at: now }.into(),
    ]
    .into_iter()
    .chain(token_changes(fixtures))
    .chain(passkey_changes(fixtures))
    .chain(outbox_changes(fixtures))
    .chain([
        UserChange::VerifyEmail { id: user.id, email: user.email.clone(), at: now }.into(),
        UserChange::ChangeEmail { id: user.id, from: user.email.clone(), to: fixtures.user().email, at: now }.into(),
        UserChange::Close { id: user.id, at: now }.into(),
        // The audit log.
        fixtures.seal(None, &[fixtures.event(user.id).id]).into(),
        AuditChange::ClaimStream { name: "file".to_owned(), holder: "node".to_owned(), at: now, until: now }.into(),
        AuditChange::AdvanceStream { name: "file".to_owned(), holder: "node".to_owned(), from: 0, to: 1, until: now }.into(),
    ])
    .collect()
}

fn passkey_changes(fixtures: &Fixtures) -> Vec<Change> {
    let (passkey, challenge) = (fixtures.passkey(fixtures.user().id), fixtures.passkey_challenge());
    let (id, user_id, name, at) = (passkey.id, passkey.user_id, passkey.name.clone(), fixtures.now());
    vec![
        PasskeyChange::Insert { passkey: Box::new(passkey), auth_epoch: 0, at_most: 9 }.into(),
        PasskeyChange::Use { id, from: 0, sign_count: 1, backed_up: true, at }.into(),
        PasskeyChange::Rename { id, user_id, name }.into(),
        PasskeyChange::Delete { id, user_id }.into(),
        PasskeyChange::ForgetAllOf { user_id }.into(),
        PasskeyChange::Challenge(challenge.clone()).into(),
        PasskeyChange::Answer { id: challenge.id, secret: challenge.secret, at }.into(),
        PasskeyChange::PurgeChallenges { expired_before: at, limit: 10 }.into(),
    ]
}

fn token_changes(fixtures: &Fixtures) -> Vec<Change> {
    let (user, at) = (fixtures.user(), fixtures.now());
    let token = fixtures.one_time_token(&user, OneTimePurpose::MagicLink);
    let (id, purpose, secret) = (token.id, token.purpose, token.secret);
    vec![
        OneTimeTokenChange::Insert(Box::new(token)).into(),
        OneTimeTokenChange::Consume { id, purpose, secret, at }.into(),
        OneTimeTokenChange::SpendAttempt { id, purpose, at }.into(),
        OneTimeTokenChange::RevokeAllOf { user_id: user.id, purpose: Some(purpose) }.into(),
        OneTimeTokenChange::Purge { expired_before: at, limit: 10 }.into(),
    ]
}

fn outbox_changes(fixtures: &Fixtures) -> Vec<Change> {
    let (at, error) = (fixtures.now(), "refused".to_owned());
    let message = fixtures.message(fixtures.user().id);
    let (id, attempt) = (message.id, 1);
    vec![
        OutboxChange::Enqueue(Box::new(message)).into(),
        OutboxChange::Claim { at, lease_until: at, limit: 10 }.into(),
        OutboxChange::Deliver { id, attempt, at }.into(),
        OutboxChange::Defer { id, attempt, due_at: at, error: error.clone() }.into(),
        OutboxChange::Bury { id, attempt, at, error }.into(),
        OutboxChange::Expire { id, attempt, at }.into(),
        OutboxChange::Retry { id, at }.into(),
        OutboxChange::Discard { id }.into(),
        OutboxChange::Purge { finished_before: at, limit: 10 }.into(),
    ]
}

/// A filter for each text that reads events, in both orders.
fn audit_filters(fixtures: &Fixtures) -> Vec<AuditFilter> {
    let event = fixtures.event(fixtures.user().id);
    let all = AuditFilter::new();
    let mut filters = vec![all.clone(), all.clone().action(event.action), all.clone().outcome(event.outcome)];
    filters.extend(event.subject.map(|subject| all.clone().subject(subject)));
    filters.extend(event.subject.map(|actor| all.clone().actor(actor)));
    filters.extend(event.request_id.map(|request_id| all.clone().request_id(request_id)));
    let oldest_first = filters.clone().into_iter().map(AuditFilter::oldest_first);
    filters.iter().cloned().chain(oldest_first).collect()
}

/// Every read, and the rotation.
fn every_query(dialect: &Dialect, fixtures: &Fixtures) -> Vec<Query> {
    let user = fixtures.user();
    let session: Session = fixtures.session(user.id);
    let (now, limit) = (fixtures.now(), PageLimit::default());
    let pages = [None, Some(Cursor::after(session.id.as_uuid()))].map(|cursor| PageRequest { limit, cursor });
    let mut queries = vec![
        user::by_id(user.id),
        credential::by_email(&user.email),
        credential::by_user(user.id),
        session::by_id(session.id),
        session::rotation(dialect, &fixtures.rotation(&session)),
        session::revoked_after(RevocationMark { at: now, session_id: None }, limit),
        session::revoked_after(RevocationMark { at: now, session_id: Some(session.id) }, limit),
        server_key::list(),
        role::all(Some(0)),
        role::changed_after(AccessMark { at: now, user_id: None }, limit),
        role::changed_after(AccessMark { at: now, user_id: Some(user.id) }, limit),
        user_search::unindexed(limit),
        guess::by_subject(fixtures.guess_subject()),
        guess::login_by_email(&user.email, fixtures.guess_subject(), None),
        guess::login_by_email(&user.email, fixtures.guess_subject(), Some(fixtures.guess_subject())),
        guess::login_by_user(user.id, fixtures.guess_subject()),
        factor::by_user(user.id),
        passkey::of_user(user.id),
        passkey::by_credential(&fixtures.passkey(user.id).credential_id),
        one_time_token::by_id(fixtures.one_time_token(&user, OneTimePurpose::MagicLink).id, OneTimePurpose::MagicLink),
        outbox::by_id(fixtures.message(user.id).id),
    ];
    for query in [None, UserQuery::parse("jan doe").ok()] {
        for status in [None, Some(UserStatus::Active)] {
            for role in [None, RoleName::ADMIN.parse().ok()] {
                let filter = UserFilter { query: query.clone(), status, role };
                queries.push(user_search::page(dialect, &filter, &UserPageRequest { limit, cursor: None }));
            }
        }
    }
    for page in pages {
        queries.push(role::users(&fixtures.role().name, page));
        queries.push(credential::page(page));
        queries.push(session::live(user.id, now, page));
        queries.extend(audit_filters(fixtures).iter().filter_map(|filter| audit::page(filter, page)));
        queries.push(outbox::page(OutboxState::Dead, page));
    }
    let event = fixtures.event(user.id).id;
    queries.extend([
        audit::count(event, event.next()),
        audit::seals(1, limit),
        audit::last_seal(),
        audit::leaves(1),
        audit::stream("file"),
    ]);
    queries
}

/// The statements of every change, and those that put an account into the search.
pub(crate) fn statements(dialect: &Dialect, fixtures: &Fixtures) -> Vec<Statement> {
    let mut statements = compile(dialect, &every_change(fixtures).into_iter().collect()).expect("every change is known");
    if let Work::Apply(index) = user_search::index_all(dialect, &[fixtures.user()]) {
        statements.extend(index);
    }
    statements
}

/// Every text that a store sends, its arguments with it.
pub(crate) fn every_text(dialect: &Dialect, fixtures: &Fixtures) -> Vec<Query> {
    let mut queries = every_query(dialect, fixtures);
    for statement in statements(dialect, fixtures) {
        if let Guard::OneRowOr { probe, .. } = statement.guard {
            queries.push(probe);
        }
        queries.push(statement.query);
    }
    queries
}
