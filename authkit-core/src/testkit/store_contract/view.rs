//! Everything that can be seen of a store through its reads, so that "nothing changed" can be said and checked.

use std::collections::BTreeSet;
use std::fmt::Debug;

use crate::model::StoredPassword;
use crate::model::{
    AccessChange, AuditChange, AuditEvent, AuditFilter, AuditLeaf, AuditSeal, AuditStream, Change, ChangeSet, Credentials,
    Revocation, ServerKey, Session, SessionChange, SessionWithUser, StoredRoles, User, UserChange, UserFilter, UserPageRequest,
    UserQuery, UserStatus,
};
use crate::model::{CredentialId, Passkey, PasskeyChange, PasskeyWithUser};
use crate::model::{FactorChange, Factors};
use crate::model::{GuessChange, GuessSubject, Guesses};
use crate::model::{OneTimePurpose, OneTimeTokenChange, OneTimeTokenWithUser, OutboxMessage, OutboxState};
use crate::ports::store::{AccessMark, RevocationMark, Store};
use crate::primitives::OneTimeTokenId;
use crate::primitives::{Email, Page, PageLimit, PageRequest, RoleName, SessionId, Timestamp, UserId};

/// What a test has named so far, and so what it can ask for.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    users: BTreeSet<UserId>,
    emails: Vec<Email>,
    sessions: BTreeSet<SessionId>,
    instants: BTreeSet<Timestamp>,
    streams: BTreeSet<String>,
    guessed: Vec<GuessSubject>,
    tokens: BTreeSet<OneTimeTokenId>,
    credentials: BTreeSet<CredentialId>,
}

impl Known {
    /// Remembers what a change set names.
    pub(super) fn note(&mut self, changes: &ChangeSet) {
        for change in changes.changes() {
            match change {
                Change::User(UserChange::Insert(user)) => {
                    self.users.insert(user.id);
                    if !self.emails.contains(&user.email) {
                        self.emails.push(user.email.clone());
                    }
                }
                Change::Session(SessionChange::Insert { session, .. }) => {
                    self.users.insert(session.user_id);
                    self.sessions.insert(session.id);
                }
                Change::Factor(FactorChange::Put(factors)) => drop(self.users.insert(factors.user_id)),
                Change::Audit(AuditChange::ClaimStream { name, .. } | AuditChange::AdvanceStream { name, .. }) => {
                    self.streams.insert(name.clone());
                }
                Change::Guess(change) => {
                    let (GuessChange::Count { subject, .. }
                    | GuessChange::Reserve { subject, .. }
                    | GuessChange::Forget { subject }) = change
                    else {
                        continue;
                    };
                    if !self.guessed.contains(subject) {
                        self.guessed.push(*subject);
                    }
                }
                Change::User(UserChange::ChangeEmail { to, .. }) if !self.emails.contains(to) => self.emails.push(to.clone()),
                Change::OneTimeToken(OneTimeTokenChange::Insert(token)) => drop(self.tokens.insert(token.id)),
                Change::Passkey(PasskeyChange::Insert { passkey, .. }) => {
                    self.users.insert(passkey.user_id);
                    self.credentials.insert(passkey.credential_id.clone());
                }
                _ => {}
            }
        }
    }

    /// Remembers an instant at which live sessions are asked for.
    pub(super) fn note_instant(&mut self, at: Timestamp) {
        self.instants.insert(at);
    }
}

/// An account with the spelling of its address, which the equality of addresses leaves out.
pub(super) type Spelled<T> = Option<(T, String)>;

pub(super) fn spelled_user(user: Option<User>) -> Spelled<User> {
    user.map(|user| {
        let spelling = user.email.spelling().to_owned();
        (user, spelling)
    })
}

pub(super) fn spelled_credentials(credentials: Option<Credentials>) -> Spelled<Credentials> {
    credentials.map(|credentials| {
        let spelling = credentials.user.email.spelling().to_owned();
        (credentials, spelling)
    })
}

pub(super) fn spelled_session(session: Option<SessionWithUser>) -> Spelled<SessionWithUser> {
    session.map(|session| {
        let spelling = session.user.email.spelling().to_owned();
        (session, spelling)
    })
}

/// The answers of every read.
pub(super) struct View {
    users: Vec<Spelled<User>>,
    credentials: Vec<Spelled<Credentials>>,
    by_email: Vec<Spelled<Credentials>>,
    sessions: Vec<Spelled<SessionWithUser>>,
    live: Vec<Vec<Session>>,
    revocations: Vec<Revocation>,
    passwords: Vec<StoredPassword>,
    keys: Vec<ServerKey>,
    events: Vec<AuditEvent>,
    events_by_subject: Vec<Vec<AuditEvent>>,
    roles: Option<StoredRoles>,
    access: Vec<AccessChange>,
    by_role: Vec<Vec<User>>,
    seals: Vec<AuditSeal>,
    leaves: Vec<Option<Vec<AuditLeaf>>>,
    streams: Vec<Option<AuditStream>>,
    listed: Vec<Vec<User>>,
    guesses: Vec<Option<Guesses>>,
    factors: Vec<Option<Factors>>,
    tokens: Vec<Option<OneTimeTokenWithUser>>,
    outbox: Vec<Vec<OutboxMessage>>,
    passkeys: Vec<Vec<Passkey>>,
    by_credential: Vec<Option<PasskeyWithUser>>,
}

impl View {
    /// Asks for everything that is known.
    pub(super) async fn of(store: &dyn Store, known: &Known) -> Self {
        let mut view = Self {
            users: Vec::new(),
            credentials: Vec::new(),
            by_email: Vec::new(),
            sessions: Vec::new(),
            live: Vec::new(),
            // Pages of one, so that each mark stands between two of the same instant.
            revocations: revocations(store, limit(1)).await,
            passwords: passwords(store, limit(2)).await,
            keys: store.server_keys().await.expect("keys are read"),
            events: events(store, None, limit(2)).await,
            events_by_subject: Vec::new(),
            roles: store.roles(None).await.expect("roles are read"),
            access: access_changes(store, limit(1)).await,
            by_role: Vec::new(),
            seals: seals(store).await,
            leaves: Vec::new(),
            streams: Vec::new(),
            listed: Vec::new(),
            guesses: Vec::new(),
            factors: Vec::new(),
            tokens: Vec::new(),
            outbox: Vec::new(),
            passkeys: Vec::new(),
            by_credential: Vec::new(),
        };
        for role in view.roles.iter().flat_map(|roles| &roles.roles) {
            view.by_role.push(users_with_role(store, &role.name, limit(2)).await);
        }
        for number in 0..=view.seals.len() as u64 {
            view.leaves.push(store.audit_leaves(number).await.expect("leaves are read"));
        }
        for name in &known.streams {
            view.streams.push(store.audit_stream(name).await.expect("a stream is read"));
        }
        for filter in filters() {
            view.listed.push(list_users(store, &filter, limit(2)).await);
        }
        for &subject in &known.guessed {
            view.guesses.push(store.guesses(subject).await.expect("guesses are read"));
        }
        for &id in &known.users {
            view.passkeys.push(store.passkeys(id).await.expect("passkeys are read"));
            view.factors.push(store.factors(id).await.expect("factors are read"));
            view.users.push(spelled_user(store.user_by_id(id).await.expect("an account is read")));
            view.credentials.push(spelled_credentials(store.credentials_by_id(id).await.expect("credentials are read")));
            view.events_by_subject.push(events(store, Some(id), limit(2)).await);
            for &at in &known.instants {
                view.live.push(live_sessions(store, id, at, limit(2)).await);
            }
        }
        for email in &known.emails {
            view.by_email.push(spelled_credentials(store.credentials_by_email(email).await.expect("credentials are read")));
        }
        for &id in &known.sessions {
            view.sessions.push(spelled_session(store.session_by_id(id).await.expect("a session is read")));
        }
        for &id in &known.tokens {
            for &purpose in OneTimePurpose::ALL {
                view.tokens.push(store.one_time_token(id, purpose).await.expect("a token is read"));
            }
        }
        for id in &known.credentials {
            view.by_credential.push(store.passkey_by_credential(id).await.expect("a passkey is read"));
        }
        for state in OutboxState::ALL {
            view.outbox.push(messages(store, state, limit(2)).await);
        }
        view
    }

    /// The first read that answers differently, with both answers; `None` when all are the same.
    pub(super) fn difference(&self, expected: &Self) -> Option<String> {
        fn differ<T: PartialEq + Debug>(read: &str, seen: &T, expected: &T) -> Option<String> {
            (seen != expected).then(|| format!("{read} gives {seen:#?}\ninstead of {expected:#?}"))
        }
        fn differ_in<T: PartialEq + Debug>(read: &str, seen: &[T], expected: &[T]) -> Option<String> {
            let different = seen.iter().zip(expected).find_map(|(seen, expected)| differ(read, seen, expected));
            different.or_else(|| differ(read, &seen.len(), &expected.len()))
        }
        differ_in("user_by_id", &self.users, &expected.users)
            .or_else(|| differ_in("credentials_by_id", &self.credentials, &expected.credentials))
            .or_else(|| differ_in("credentials_by_email", &self.by_email, &expected.by_email))
            .or_else(|| differ_in("session_by_id", &self.sessions, &expected.sessions))
            .or_else(|| differ_in("live_sessions", &self.live, &expected.live))
            .or_else(|| differ_in("list_users", &self.listed, &expected.listed))
            .or_else(|| differ("revocations_after", &self.revocations, &expected.revocations))
            .or_else(|| differ("password_hashes", &self.passwords, &expected.passwords))
            .or_else(|| differ("server_keys", &self.keys, &expected.keys))
            .or_else(|| differ("roles", &self.roles, &expected.roles))
            .or_else(|| differ("access_after", &self.access, &expected.access))
            .or_else(|| differ_in("users_with_role", &self.by_role, &expected.by_role))
            .or_else(|| differ("audit_events", &self.events, &expected.events))
            .or_else(|| differ_in("audit_events of one account", &self.events_by_subject, &expected.events_by_subject))
            .or_else(|| differ("audit_seals", &self.seals, &expected.seals))
            .or_else(|| differ_in("audit_leaves", &self.leaves, &expected.leaves))
            .or_else(|| differ_in("audit_stream", &self.streams, &expected.streams))
            .or_else(|| differ_in("guesses", &self.guesses, &expected.guesses))
            .or_else(|| differ_in("factors", &self.factors, &expected.factors))
            .or_else(|| differ_in("one_time_token", &self.tokens, &expected.tokens))
            .or_else(|| differ_in("outbox_messages", &self.outbox, &expected.outbox))
            .or_else(|| differ_in("passkeys", &self.passkeys, &expected.passkeys))
            .or_else(|| differ_in("passkey_by_credential", &self.by_credential, &expected.by_credential))
    }
}

/// A page limit that a test wrote down.
pub(super) fn limit(items: u16) -> PageLimit {
    PageLimit::new(items).expect("a limit between 1 and 200")
}

/// All password hashes, page by page.
pub(super) async fn passwords(store: &dyn Store, limit: PageLimit) -> Vec<StoredPassword> {
    let (mut all, mut page) = (Vec::new(), PageRequest { limit, cursor: None });
    loop {
        let read = store.password_hashes(page).await.expect("hashes are read");
        if turn(&mut all, read, &mut page) {
            return all;
        }
    }
}

/// All live sessions of a user, page by page.
pub(super) async fn live_sessions(store: &dyn Store, user: UserId, at: Timestamp, limit: PageLimit) -> Vec<Session> {
    let (mut all, mut page) = (Vec::new(), PageRequest { limit, cursor: None });
    loop {
        let read = store.live_sessions(user, at, page).await.expect("live sessions are read");
        if turn(&mut all, read, &mut page) {
            return all;
        }
    }
}

/// What accounts are listed by, to see of them what there is to see.
fn filters() -> Vec<UserFilter> {
    let query = |text: &str| UserQuery::parse(text).ok();
    let with = |query, status| UserFilter { query, status, role: None };
    vec![
        with(None, None),
        with(None, Some(UserStatus::Active)),
        with(None, Some(UserStatus::Suspended)),
        with(query("zoe"), None),
        with(query("@example"), Some(UserStatus::Active)),
        with(query("name"), None),
        with(query("name zoe"), None),
        UserFilter { role: Some(RoleName::ADMIN.parse().expect("a name")), ..with(query("zoe"), None) },
        UserFilter { role: Some(RoleName::ADMIN.parse().expect("a name")), ..with(None, Some(UserStatus::Active)) },
    ]
}

/// All accounts that a filter lets through, page by page.
pub(super) async fn list_users(store: &dyn Store, filter: &UserFilter, limit: PageLimit) -> Vec<User> {
    let (mut all, mut page, mut turns) = (Vec::new(), UserPageRequest { limit, cursor: None }, 0);
    loop {
        let read = store.list_users(filter, &page).await.expect("accounts are listed");
        assert!(read.items.len() <= usize::from(limit.value()), "a page of {} items", read.items.len());
        turns += 1;
        assert!(turns < 10_000, "the list has no end");
        all.extend(read.items);
        match read.next {
            Some(cursor) => page.cursor = Some(cursor),
            None => return all,
        }
    }
}

/// All events, of one account or of everybody, page by page.
pub(super) async fn events(store: &dyn Store, subject: Option<UserId>, limit: PageLimit) -> Vec<AuditEvent> {
    let filter = subject.map_or_else(AuditFilter::new, |subject| AuditFilter::new().subject(subject));
    filtered(store, &filter, limit).await
}

/// All events that a filter asks for, page by page.
pub(super) async fn filtered(store: &dyn Store, filter: &AuditFilter, limit: PageLimit) -> Vec<AuditEvent> {
    let (mut all, mut page) = (Vec::new(), PageRequest { limit, cursor: None });
    loop {
        let read = store.audit_events(filter, page).await.expect("events are read");
        if turn(&mut all, read, &mut page) {
            return all;
        }
    }
}

/// Every account that has a role, page by page.
pub(super) async fn users_with_role(store: &dyn Store, role: &RoleName, limit: PageLimit) -> Vec<User> {
    let (mut all, mut page) = (Vec::new(), PageRequest { limit, cursor: None });
    loop {
        let read = store.users_with_role(role, page).await.expect("accounts are read");
        if turn(&mut all, read, &mut page) {
            return all;
        }
    }
}

/// Every change of access, page by page.
pub(super) async fn access_changes(store: &dyn Store, limit: PageLimit) -> Vec<AccessChange> {
    let (mut all, mut mark) = (Vec::new(), AccessMark { at: Timestamp::UNIX_EPOCH, user_id: None });
    loop {
        let read = store.access_after(mark, limit).await.expect("changes are read").changes;
        assert!(read.len() <= usize::from(limit.value()), "more changes than were asked for");
        assert!(all.len() < 10_000, "the list has no end");
        match read.last() {
            Some(last) => mark = AccessMark { at: last.at, user_id: Some(last.user_id) },
            None => return all,
        }
        all.extend(read);
    }
}

/// All seals, one by one. The last of them is the one that is said to be the last.
pub(super) async fn seals(store: &dyn Store) -> Vec<AuditSeal> {
    let mut all: Vec<AuditSeal> = Vec::new();
    loop {
        let after = all.last().map_or(0, |seal| seal.number);
        let read = store.audit_seals(after, limit(1)).await.expect("seals are read");
        assert!(read.len() <= 1, "more seals than were asked for");
        if read.is_empty() {
            assert_eq!(store.last_audit_seal().await.expect("a seal is read").as_ref(), all.last(), "the last seal");
            return all;
        }
        all.extend(read);
    }
}

/// All messages in a state, page by page.
pub(super) async fn messages(store: &dyn Store, state: OutboxState, limit: PageLimit) -> Vec<OutboxMessage> {
    let (mut all, mut page) = (Vec::new(), PageRequest { limit, cursor: None });
    loop {
        let read = store.outbox_messages(state, page).await.expect("messages are read");
        if turn(&mut all, read, &mut page) {
            return all;
        }
    }
}

/// Takes the items of a page and asks for the next; `true` at the end.
fn turn<T>(all: &mut Vec<T>, read: Page<T>, page: &mut PageRequest) -> bool {
    let size = usize::from(page.limit.value());
    assert!(read.items.len() <= size, "a page of {} items where {size} were asked for", read.items.len());
    assert!(read.next.is_none() || read.items.len() == size, "a page that is not full has no next one");
    assert!(all.len() < 10_000, "the list has no end");
    all.extend(read.items);
    page.cursor = read.next;
    page.cursor.is_none()
}

/// All revocations, page by page.
pub(super) async fn revocations(store: &dyn Store, limit: PageLimit) -> Vec<Revocation> {
    let (mut all, mut mark) = (Vec::new(), RevocationMark { at: Timestamp::UNIX_EPOCH, session_id: None });
    loop {
        let read = store.revocations_after(mark, limit).await.expect("revocations are read");
        assert!(read.len() <= usize::from(limit.value()), "more revocations than were asked for");
        assert!(all.len() < 10_000, "the list has no end");
        all.extend_from_slice(&read);
        match read.last() {
            Some(last) => mark = RevocationMark { at: last.at, session_id: Some(last.session_id) },
            None => return all,
        }
    }
}
