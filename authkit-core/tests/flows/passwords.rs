//! Hashes of other systems, their import and their wrapping; peppers; breached passwords.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use authkit_core::builder::BuildError;
use authkit_core::config::{BreachListFailure, Peppers};
use authkit_core::embedded::MemoryStore;
use authkit_core::flows::{
    AccountImport, ChangePasswordError, ImportMode, ImportOutcome, ImportRefusal, Internal, LoginError, PasswordSecretError,
    RegisterError,
};
use authkit_core::model::{AuditAction, CredentialChange, KeyId, Outcome, UserStatus};
use authkit_core::password::WeaknessReason;
use authkit_core::ports::{BreachDigest, BreachList, BreachListError};
use authkit_core::testkit::{Fault, FaultyStore, Gate, Method};
use authkit_core::{AuthKit, Config, Email, FullName, Login, PasswordChange, PasswordHash, Registration, SecretBytes, UserId};

use crate::support::{EMAIL, PASSWORD, World, config, email, log_in, password, principal, register, request};

/// `U*U` (Openwall crypt_blowfish, wrapper.c).
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_phc(text.to_owned())
}

fn row(address: &str, password_hash: Option<&str>) -> AccountImport {
    let mut row = AccountImport::new(Email::parse(address).expect("an address"));
    row.password_hash = password_hash.map(hash);
    row
}

async fn import(auth: &AuthKit, rows: Vec<AccountImport>) -> Vec<ImportOutcome> {
    auth.accounts().import(rows, ImportMode::Apply, &request()).await.expect("imports")
}

async fn stored(world: &World, id: UserId) -> String {
    let read = world.store.credentials_by_id(id).await.expect("reads").expect("is there");
    read.password.map(|hash| hash.expose().to_owned()).unwrap_or_default()
}

fn created(outcome: &ImportOutcome) -> UserId {
    match outcome {
        ImportOutcome::Created(id) => *id,
        other => panic!("not created: {other:?}"),
    }
}

async fn try_login(auth: &AuthKit, text: &str) -> Result<UserId, LoginError> {
    auth.sessions().log_in(Login::new(email(), password(text)), &request()).await.map(|logged_in| logged_in.user.id)
}

#[tokio::test]
async fn an_imported_hash_logs_in_and_is_replaced_by_ours() {
    let world = World::new();
    let auth = world.node().await;
    let id = created(&import(&auth, vec![row(EMAIL, Some(BCRYPT))]).await[0]);
    assert!(matches!(try_login(&auth, "U*V").await, Err(LoginError::InvalidCredentials)));
    assert_eq!(stored(&world, id).await, BCRYPT, "a wrong password replaces nothing");
    assert_eq!(try_login(&auth, "U*U").await.expect("logs in"), id);
    let ours = stored(&world, id).await;
    assert!(ours.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{ours}");
    assert_eq!(try_login(&auth, "U*U").await.expect("logs in"), id);
    assert_eq!(stored(&world, id).await, ours);
}

#[tokio::test]
async fn an_import_takes_what_it_can_tells_the_rest_and_changes_nothing_the_second_time() {
    let world = World::new();
    let auth = world.node().await;
    let there = register(&auth).await.user.id;
    let mut other = row("b@example.com", Some(BCRYPT));
    other.status = UserStatus::Suspended;
    other.full_name = FullName::parse("Bea").ok();
    other.created_at = Some(authkit_core::Timestamp::from_unix_micros(1_500_000_000_000_000));
    let mut tomorrow = row("f@example.com", None);
    tomorrow.created_at = Some(authkit_core::Clock::now(&world.clock) + std::time::Duration::from_hours(24));
    let mut same_but_named = row(EMAIL, None);
    same_but_named.full_name = FullName::parse("Somebody Else").ok();
    let rows = vec![
        row("a@example.com", Some(BCRYPT)),
        other,
        row("A@Example.com", None),
        row("c@example.com", Some("hunter2")),
        row("d@example.com", Some("$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")),
        same_but_named,
        row("e@example.com", None),
        tomorrow,
    ];
    let dry = auth.accounts().import(rows.clone(), ImportMode::DryRun, &request()).await.expect("judges");
    assert_eq!(world.actions().await, [(AuditAction::AccountRegistered, Outcome::Success)], "a dry run changes nothing");
    let outcomes = import(&auth, rows.clone()).await;
    let kinds = |outcomes: &[ImportOutcome]| outcomes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(kinds(&dry), kinds(&outcomes), "a dry run says what happens");
    let (a, b, e) = (created(&outcomes[0]), created(&outcomes[1]), created(&outcomes[6]));
    assert_eq!(outcomes[2], ImportOutcome::Refused(ImportRefusal::DuplicateEmail));
    assert!(matches!(outcomes[3], ImportOutcome::Refused(ImportRefusal::Hash(_))));
    assert!(!outcomes[3].to_string().contains("hunter2"));
    assert!(outcomes[4].to_string().contains("cost is above 15"), "{}", outcomes[4]);
    assert_eq!(outcomes[5], ImportOutcome::Different(there));
    assert_eq!(outcomes[7], ImportOutcome::Refused(ImportRefusal::InTheFuture { field: "created_at" }));

    let read = world.store.user_by_id(b).await.expect("reads").expect("is there");
    assert_eq!((read.status, read.created_at.unix_micros()), (UserStatus::Suspended, 1_500_000_000_000_000));
    let events = world.events().await;
    let imported: Vec<_> = events.iter().filter(|event| event.action == AuditAction::AccountImported).collect();
    let mut subjects: Vec<_> = imported.iter().filter_map(|event| event.subject).collect();
    subjects.sort();
    let mut expected = vec![a, b, e];
    expected.sort();
    assert_eq!(subjects, expected, "one event for each account, and no other");
    assert!(!format!("{events:?}").contains("CCCCC"), "no hash is in the log");

    let again = import(&auth, rows).await;
    assert_eq!(again[0], ImportOutcome::Unchanged(a));
    assert_eq!(again[1], ImportOutcome::Unchanged(b));
    assert_eq!(again[6], ImportOutcome::Unchanged(e));
    assert_eq!(world.events().await.len(), events.len(), "the second time changes nothing");
}

#[tokio::test]
async fn two_imports_of_one_file_at_once_make_every_account_once() {
    let world = World::new();
    let rows: Vec<_> = (0..60).map(|n| row(&format!("user{n}@example.com"), Some(BCRYPT))).collect();
    let mut runs = Vec::new();
    for run in 0..4 {
        let (auth, mut rows) = (world.node().await, rows.clone());
        rows.rotate_left(run * 15);
        runs.push(tokio::spawn(async move { import(&auth, rows).await }));
    }
    let mut made = 0;
    for run in runs {
        for outcome in run.await.expect("a run") {
            made += usize::from(matches!(outcome, ImportOutcome::Created(_)));
            assert!(matches!(outcome, ImportOutcome::Created(_) | ImportOutcome::Unchanged(_)), "{outcome:?}");
        }
    }
    assert_eq!(made, 60);
}

#[tokio::test]
async fn a_lost_reply_of_an_import_is_found_done_by_the_next_one() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let world = World::over(faulty.clone());
    let auth = world.node().await;
    faulty.inject(Method::Commit, 1, Fault::LostReply);
    let rows = vec![row("a@example.com", Some(BCRYPT)), row("b@example.com", None)];
    let lost = auth.accounts().import(rows.clone(), ImportMode::Apply, &request()).await;
    assert!(lost.is_err_and(|error| error.is_unavailable()));
    let again = import(&auth, rows).await;
    assert!(again.iter().all(|outcome| matches!(outcome, ImportOutcome::Unchanged(_))), "{again:?}");
}

#[tokio::test]
async fn wrapped_hashes_log_in_and_are_replaced_by_plain_ones() {
    let world = World::new();
    let auth = world.node().await;
    let id = created(&import(&auth, vec![row(EMAIL, Some(BCRYPT))]).await[0]);
    let counted = auth.accounts().wrap_hashes(None, true, &request()).await.expect("counts");
    assert_eq!((counted.examined, counted.wrapped), (1, 1));
    assert_eq!(stored(&world, id).await, BCRYPT, "a dry run changes nothing");
    let wrapped = auth.accounts().wrap_hashes(None, false, &request()).await.expect("wraps");
    assert_eq!((wrapped.wrapped, wrapped.overtaken, wrapped.next), (1, 0, None));
    let outer = stored(&world, id).await;
    assert!(outer.starts_with("$authkit-wrap$") && outer.contains("$argon2id$"), "{outer}");
    assert!(!outer.contains("E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), "the inner digest is gone: {outer}");
    let again = auth.accounts().wrap_hashes(None, false, &request()).await.expect("wraps");
    assert_eq!((again.examined, again.wrapped), (1, 0), "nothing is wrapped twice");
    assert!(matches!(try_login(&auth, "U*V").await, Err(LoginError::InvalidCredentials)));
    try_login(&auth, "U*U").await.expect("logs in");
    assert!(stored(&world, id).await.starts_with("$argon2id$"));
    assert!(world.actions().await.contains(&(AuditAction::PasswordHashWrapped, Outcome::Success)));
}

#[tokio::test]
async fn a_login_during_the_wrapping_wins() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let world = World::over(faulty.clone());
    let auth = world.node().await;
    let id = created(&import(&auth, vec![row(EMAIL, Some(BCRYPT))]).await[0]);
    // The job reads and hashes, and its commit waits for the login.
    let gate = Gate::new();
    faulty.inject(Method::Commit, 1, Fault::Wait(gate.clone()));
    let job = auth.clone();
    let wrapping = tokio::spawn(async move { job.accounts().wrap_hashes(None, false, &request()).await });
    gate.reached().await;
    try_login(&auth, "U*U").await.expect("logs in");
    let ours = stored(&world, id).await;
    gate.open();
    let wrapped = wrapping.await.expect("the job").expect("wraps");
    assert_eq!((wrapped.wrapped, wrapped.overtaken), (0, 1));
    assert_eq!(stored(&world, id).await, ours, "what the login has put there stays");
}

fn with_peppers(peppers: &[(&str, u8)]) -> Config {
    let mut config = config();
    let keys = peppers.iter().map(|(id, first)| ((*id).to_owned(), SecretBytes::new((*first..first + 32).collect())));
    config.passwords.peppers = Peppers::new(keys).expect("peppers");
    config
}

async fn refused(world: &World, config: Config) -> PasswordSecretError {
    match world.unjoined(config).build().await {
        Err(BuildError::Internal(Internal::PasswordSecret(error))) => error,
        other => panic!("not refused for its secrets: {:?}", other.map(|_| ())),
    }
}

#[tokio::test]
async fn a_pepper_comes_at_login_is_rotated_there_and_forgotten_when_nothing_needs_it() {
    let world = World::new();
    let id = register(&world.node().await).await.user.id;
    assert!(!stored(&world, id).await.contains("keyid"));

    let first = world.node_with(with_peppers(&[("one", 1)])).await;
    log_in(&first).await;
    let peppered = stored(&world, id).await;
    assert!(peppered.contains("keyid=b25l"), "{peppered}");
    log_in(&first).await;
    assert_eq!(stored(&world, id).await, peppered);

    let second = world.node_with(with_peppers(&[("two", 2), ("one", 1)])).await;
    let name = KeyId::parse("pepper-one").expect("a name");
    let needed = second.keys().forget_password_secret(&name).await;
    assert!(matches!(needed, Err(Internal::PasswordSecret(PasswordSecretError::Needed { hashes: 1, .. }))), "{needed:?}");
    log_in(&second).await;
    assert!(stored(&world, id).await.contains("keyid=dHdv"));
    let in_use = second.keys().forget_password_secret(&KeyId::parse("pepper-two").expect("a name")).await;
    assert!(matches!(in_use, Err(Internal::PasswordSecret(PasswordSecretError::InUse { .. }))));
    second.keys().forget_password_secret(&name).await.expect("forgets");
    log_in(&world.node_with(with_peppers(&[("two", 2)])).await).await;
}

#[tokio::test]
async fn a_wrong_or_missing_pepper_stops_the_start_and_is_never_a_wrong_password() {
    let world = World::new();
    let auth = world.node_with(with_peppers(&[("one", 1)])).await;
    register(&auth).await;
    let wrong = PasswordSecretError::Wrong { name: "pepper-one".to_owned() };
    assert_eq!(refused(&world, with_peppers(&[("one", 9)])).await, wrong);
    let missing = PasswordSecretError::Missing { name: "pepper-one".to_owned() };
    assert_eq!(refused(&world, config()).await, missing);
    assert_eq!(refused(&world, with_peppers(&[("two", 2)])).await, missing);
    // A node that runs, and a hash whose pepper it does not hold: of another installation, say.
    let before = world.actions().await.len();
    let read = world.store.credentials_by_email(&email()).await.expect("reads").expect("is there");
    let foreign =
        hash("$argon2id$v=19$m=8,t=1,p=1,keyid=b3RoZXI$c29tZXNhbHRzb21lc2FsdA$4m3CYC6mvGl2/NbyGm5CmFL0nJHpvhqOlLYMUPzNDwI");
    let change = CredentialChange::ReplacePassword {
        user_id: read.user.id,
        from: read.password.expect("a password"),
        to: foreign,
        at: read.user.created_at,
    };
    world.store.commit(&authkit_core::model::ChangeSet::new().and(change)).await.expect("applies");
    let answer = try_login(&auth, PASSWORD).await;
    let Err(LoginError::Internal(error)) = answer else { panic!("{answer:?}") };
    assert!(matches!(error, Internal::MissingPasswordSecret(_)) && error.is_unavailable(), "{error:?}");
    assert_eq!(world.actions().await.len(), before, "nothing is counted against the user");
}

/// A list that knows one password, or does not answer.
#[derive(Debug)]
struct OneBreach {
    known: Option<&'static str>,
    asked: AtomicUsize,
}

#[async_trait]
impl BreachList for OneBreach {
    async fn times_seen(&self, digest: &BreachDigest) -> Result<u64, BreachListError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let known = self.known.ok_or_else(|| BreachListError::new("away"))?;
        Ok(if digest.hex() == BreachDigest::of(&password(known)).hex() { 1_234 } else { 0 })
    }
}

async fn node_with_list(world: &World, known: Option<&'static str>, failure: BreachListFailure) -> (AuthKit, Arc<OneBreach>) {
    let list = Arc::new(OneBreach { known, asked: AtomicUsize::new(0) });
    let mut config = config();
    config.passwords.breach_list_failure = failure;
    (world.unjoined(config).breach_list(list.clone()).build().await.expect("builds"), list)
}

#[tokio::test]
async fn a_breached_password_can_be_neither_registered_nor_changed_to() {
    const BREACHED: &str = "violet-anchor-7-mosaic";
    let world = World::new();
    let (auth, _) = node_with_list(&world, Some(BREACHED), BreachListFailure::Open).await;
    let refused = auth.accounts().register(Registration::new(email(), password(BREACHED)), &request()).await;
    let Err(RegisterError::WeakPassword(weakness)) = refused else { panic!("{refused:?}") };
    assert_eq!(weakness.reasons(), [WeaknessReason::Breached { times: 1_234 }]);
    assert_eq!(weakness.reasons()[0].code(), "breached");
    let owner = register(&auth).await;
    let change = PasswordChange { current: password(PASSWORD), new: password(BREACHED) };
    let refused = auth.accounts().change_password(&principal(&auth, &owner), change, &request()).await;
    assert!(matches!(refused, Err(ChangePasswordError::WeakPassword(_))), "{refused:?}");
}

#[tokio::test]
async fn without_an_answer_the_local_rules_hold_or_everything_stops_as_configured() {
    let world = World::new();
    let (open, list) = node_with_list(&world, None, BreachListFailure::Open).await;
    let weak = open.accounts().register(Registration::new(email(), password("password1")), &request()).await;
    assert!(matches!(weak, Err(RegisterError::WeakPassword(_))), "the rules are never weaker than without a list");
    register(&open).await;
    assert_eq!(list.asked.load(Ordering::Relaxed), 2);
    let (closed, _) = node_with_list(&world, None, BreachListFailure::Closed).await;
    let other = Email::parse("other@example.com").expect("an address");
    let refused = closed.accounts().register(Registration::new(other, password(PASSWORD)), &request()).await;
    let Err(RegisterError::Internal(error)) = refused else { panic!("{refused:?}") };
    assert!(matches!(error, Internal::BreachList(_)) && error.is_unavailable());
    log_in(&closed).await;
}

#[tokio::test]
async fn roles_that_an_import_brings_are_given_and_one_that_there_is_not_is_refused() {
    let world = World::new();
    let auth = world.node().await;
    let account = |name: &str, roles: &[&str]| {
        let mut account = AccountImport::new(Email::parse(&format!("{name}@example.com")).expect("an address"));
        account.roles = roles.iter().map(|role| role.parse().expect("a name")).collect();
        account
    };
    let rows = || vec![account("ada", &["admin", "user", "admin"]), account("eve", &["nobody-knows"]), account("bob", &[])];
    let outcomes = import(&auth, rows()).await;
    let refused = ImportRefusal::UnknownRole { role: "nobody-knows".parse().expect("a name") };
    assert_eq!(outcomes[1], ImportOutcome::Refused(refused.clone()));
    assert_eq!(refused.to_string(), "roles: there is no role `nobody-knows`");
    let ada = created(&outcomes[0]);
    let roles = async |id| {
        let user = world.store.user_by_id(id).await.expect("reads").expect("is there");
        user.access.assignments.iter().map(|assignment| assignment.role.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(roles(ada).await, ["admin", "user"]);
    assert!(roles(created(&outcomes[2])).await.is_empty());
    let assigned = world.events().await.into_iter().filter(|event| event.action == AuditAction::RoleAssigned);
    assert_eq!(assigned.count(), 2);
    // An account that is there keeps what it has.
    let more = import(&auth, vec![account("bob", &["admin"])]).await;
    let ImportOutcome::Unchanged(bob) = more[0] else { panic!("{more:?}") };
    assert!(roles(bob).await.is_empty());
    let dry = auth.accounts().import(vec![account("eva", &["nobody-knows"])], ImportMode::DryRun, &request()).await;
    assert!(matches!(dry.expect("judges")[0], ImportOutcome::Refused(ImportRefusal::UnknownRole { .. })));
}

#[tokio::test]
async fn a_failed_login_computes_as_many_hashes_whether_there_is_an_account_and_whosever_hash_it_has() {
    const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    const SSHA: &str = "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr";
    for (imitated, expected) in [(None, [1, 1, 2, 2]), (Some("bcrypt,5"), [2, 2, 2, 2])] {
        let world = World::new();
        let mut config = config();
        config.passwords.imitated_hash = imitated.map(str::to_owned);
        let auth = world.node_with(config).await;
        register(&auth).await;
        for (name, hash) in [("bcrypt", BCRYPT), ("ssha", SSHA)] {
            let mut account = AccountImport::new(Email::parse(&format!("{name}@example.com")).expect("an address"));
            account.password_hash = Some(PasswordHash::from_phc(hash.to_owned()));
            created(&import(&auth, vec![account]).await[0]);
        }
        let mut hashed = Vec::new();
        for address in [EMAIL, "nobody@example.com", "bcrypt@example.com", "ssha@example.com"] {
            let before = auth.hashing().hashed;
            let login = Login::new(Email::parse(address).expect("an address"), password("WrongPass123"));
            let answer = auth.sessions().log_in(login, &request()).await;
            assert!(matches!(answer, Err(LoginError::InvalidCredentials)), "{answer:?}");
            hashed.push(auth.hashing().hashed - before);
        }
        assert_eq!(hashed, expected, "{imitated:?}");
    }
    let mut config = config();
    config.passwords.imitated_hash = Some("md5".to_owned());
    assert!(World::new().unjoined(config).build().await.is_err());
}

#[tokio::test]
async fn a_breached_password_is_no_new_one_by_a_reset_either() {
    const BREACHED: &str = "violet-anchor-7-mosaic";
    let (world, mailbox) = (World::new(), authkit_core::testkit::Mailbox::new());
    let list = Arc::new(OneBreach { known: Some(BREACHED), asked: AtomicUsize::new(0) });
    let builder = world.unjoined(config()).breach_list(list).mailer(Arc::new(mailbox.clone()));
    let auth = builder.build_unattended().await.expect("builds");
    register(&auth).await;
    auth.links().request_password_reset(&email(), &request()).await.expect("answers");
    auth.outbox().deliver_due().await.expect("works");
    let link = mailbox.only_token("reset_password");
    let refused = auth.links().reset_password(&link, password(BREACHED), &request()).await;
    assert!(matches!(refused, Err(authkit_core::flows::LinkError::WeakPassword(_))), "{refused:?}");
    auth.links().reset_password(&link, password("plumage-orbit-4417"), &request()).await.expect("the link is still good");
}
