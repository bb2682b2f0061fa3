//! Import of accounts that another system kept, with the password hashes that it made.

use std::collections::HashMap;
use std::fmt;

use crate::flows::access_book::fresh_graph;
use crate::flows::engine::{Engine, Internal};
use crate::model::{
    Access, Actor, Assignment, AuditAction, ChangeSet, CredentialChange, Credentials, Outcome, RequestContext, User, UserChange,
    UserStatus,
};
use crate::password::HashRefusal;
use crate::ports::{CommitError, Conflict};
use crate::primitives::{Email, FullName, Locale, PasswordHash, RoleName, Timestamp, UserId};

/// One account of another system.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AccountImport {
    /// Where mail goes, and what identifies the account at login.
    pub email: Email,
    /// When the owner proved that she reads mail there; `None` while she has not.
    pub email_verified_at: Option<Timestamp>,
    /// What she calls herself.
    pub full_name: Option<FullName>,
    /// The language that she prefers.
    pub locale: Option<Locale>,
    /// Whether the account may be used.
    pub status: UserStatus,
    /// When it was made; `None` for now.
    pub created_at: Option<Timestamp>,
    /// The hash of its password, as the other system wrote it; `None` for an account without one, whose owner sets one by a
    /// reset.
    pub password_hash: Option<PasswordHash>,
    /// The roles that it has from the start, everywhere and for good. They are given to an account that is new, and an account that is
    /// there keeps what it has. Whoever imports is the operator, and may give any.
    pub roles: Vec<RoleName>,
    /// What else the audit log should say of it, under `source`: the file and the line, or what the account was called there.
    pub source: Option<String>,
}

impl AccountImport {
    /// An active account with an address that is not verified, and nothing else said.
    #[must_use]
    pub const fn new(email: Email) -> Self {
        Self {
            email,
            email_verified_at: None,
            full_name: None,
            locale: None,
            status: UserStatus::Active,
            created_at: None,
            password_hash: None,
            roles: Vec::new(),
            source: None,
        }
    }
}

/// What became of one account of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportOutcome {
    /// It is new.
    Created(UserId),
    /// An account with this address and the same profile is there: from an earlier run, most likely. Nothing was changed; its
    /// password, which may have been used or changed since, is not compared.
    Unchanged(UserId),
    /// An account with this address and another profile is there. Nothing was changed: an import never overwrites.
    Different(UserId),
    /// It cannot be imported.
    Refused(ImportRefusal),
}

/// Why an account cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportRefusal {
    /// Its password hash cannot be verified.
    #[error("password_hash: {0}")]
    Hash(#[from] HashRefusal),
    /// An account before it in the same call has the same address.
    #[error("email: the same address stands in a line before")]
    DuplicateEmail,
    /// It is to have a role that there is not.
    #[error("roles: there is no role `{role}`")]
    UnknownRole {
        /// Its name.
        role: RoleName,
    },
    /// It was made, or its address verified, tomorrow.
    #[error("{field}: lies in the future")]
    InTheFuture {
        /// Which.
        field: &'static str,
    },
}

/// Whether an import is done or only judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImportMode {
    /// It is done.
    #[default]
    Apply,
    /// Nothing is changed; the outcomes are those that it would have, with `Created` naming an id that nobody gets.
    DryRun,
}

/// How many lookups are under way at a time.
const LOOKUPS: usize = 8;
/// How often a set is put together anew because somebody took one of its addresses meanwhile.
const ATTEMPTS: usize = 3;

/// Imports accounts in one change set: all that can be imported, with one audit event each. The outcomes come in the order
/// of the accounts.
///
/// It may be repeated after a failure, or a crash: what was committed is found `Unchanged`.
pub(crate) async fn import(
    engine: &Engine,
    accounts: Vec<AccountImport>,
    mode: ImportMode,
    context: &RequestContext,
) -> Result<Vec<ImportOutcome>, Internal> {
    let now = engine.now();
    let mut outcomes: Vec<Option<ImportOutcome>> = vec![None; accounts.len()];
    let mut seen = HashMap::with_capacity(accounts.len());
    for (index, account) in accounts.iter().enumerate() {
        let refusal = judge(engine, account, now).err();
        let refusal = match seen.insert(account.email.normal(), index) {
            Some(_) => Some(ImportRefusal::DuplicateEmail),
            None => refusal,
        };
        outcomes[index] = refusal.map(ImportOutcome::Refused);
    }
    let mut roles_version = judge_roles(engine, &accounts, &mut outcomes).await?;
    if mode == ImportMode::DryRun {
        settle_existing(engine, &accounts, &mut outcomes).await?;
    }
    for _ in 0..ATTEMPTS {
        let open: Vec<usize> = open(&outcomes);
        let users: Vec<User> = open.iter().map(|index| user(engine, &accounts[*index], now)).collect();
        let committed = if mode == ImportMode::DryRun || open.is_empty() {
            Ok(())
        } else {
            let rows = users.iter().zip(open.iter().map(|index| &accounts[*index]));
            let changes =
                rows.fold(ChangeSet::new(), |set, (user, account)| add(engine, set, user, account, roles_version, now, context));
            engine.commit(&changes).await.map(drop)
        };
        match committed {
            Ok(()) => {
                for (index, user) in open.into_iter().zip(users) {
                    outcomes[index] = Some(ImportOutcome::Created(user.id));
                }
                break;
            }
            // Some are there already. Which ones, one read each tells; the rest is one set again.
            Err(CommitError::Conflict(Conflict::EmailTaken)) => settle_existing(engine, &accounts, &mut outcomes).await?,
            Err(CommitError::Conflict(Conflict::RolesChanged)) => {
                roles_version = judge_roles(engine, &accounts, &mut outcomes).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Others import the same accounts at the same time: one by one, each is theirs or ours.
    for index in open(&outcomes) {
        outcomes[index] = Some(import_one(engine, &accounts[index], roles_version, now, context).await?);
    }
    Ok(outcomes.into_iter().flatten().collect())
}

async fn import_one(
    engine: &Engine,
    account: &AccountImport,
    roles_version: u32,
    now: Timestamp,
    context: &RequestContext,
) -> Result<ImportOutcome, Internal> {
    let mut overtaken = Conflict::EmailTaken;
    for _ in 0..ATTEMPTS {
        let user = user(engine, account, now);
        match engine.commit(&add(engine, ChangeSet::new(), &user, account, roles_version, now, context)).await {
            Ok(_) => return Ok(ImportOutcome::Created(user.id)),
            Err(CommitError::Conflict(conflict)) => overtaken = conflict,
            Err(error) => return Err(error.into()),
        }
        // The account that was in the way may have been closed since: then the address is free again.
        if let Some(found) = engine.store.credentials_by_email(&account.email).await? {
            return Ok(compare(account, &found));
        }
    }
    Err(Internal::Conflict(overtaken.into()))
}

/// The places that have no outcome yet.
fn open(outcomes: &[Option<ImportOutcome>]) -> Vec<usize> {
    (0..outcomes.len()).filter(|index| outcomes[*index].is_none()).collect()
}

fn judge(engine: &Engine, account: &AccountImport, now: Timestamp) -> Result<(), ImportRefusal> {
    for (field, at) in [("created_at", account.created_at), ("email_verified_at", account.email_verified_at)] {
        if at.is_some_and(|at| at > now) {
            return Err(ImportRefusal::InTheFuture { field });
        }
    }
    if let Some(hash) = &account.password_hash {
        engine.pool.examine(hash)?;
    }
    Ok(())
}

/// Refuses accounts that are to have a role that there is not, and returns the version of the roles that they were held against.
async fn judge_roles(
    engine: &Engine,
    accounts: &[AccountImport],
    outcomes: &mut [Option<ImportOutcome>],
) -> Result<u32, Internal> {
    if accounts.iter().all(|account| account.roles.is_empty()) {
        return Ok(0);
    }
    let graph = fresh_graph(engine).await?;
    for index in open(outcomes) {
        if let Some(role) = accounts[index].roles.iter().find(|role| graph.role(role).is_none()) {
            outcomes[index] = Some(ImportOutcome::Refused(ImportRefusal::UnknownRole { role: role.clone() }));
        }
    }
    Ok(graph.version().unwrap_or_default())
}

/// Looks up those that have no outcome yet, a few at a time, and gives one to those that are there.
async fn settle_existing(
    engine: &Engine,
    accounts: &[AccountImport],
    outcomes: &mut [Option<ImportOutcome>],
) -> Result<(), Internal> {
    for chunk in open(outcomes).chunks(LOOKUPS) {
        let mut lookups = tokio::task::JoinSet::new();
        for &index in chunk {
            let (store, email) = (std::sync::Arc::clone(&engine.store), accounts[index].email.clone());
            lookups.spawn(async move { (index, store.credentials_by_email(&email).await) });
        }
        while let Some(looked_up) = lookups.join_next().await {
            let (index, found) = looked_up.map_err(crate::ports::StoreError::failed)?;
            outcomes[index] = found?.map(|found| compare(&accounts[index], &found));
        }
    }
    Ok(())
}

/// What it means that an account with the address is there.
fn compare(account: &AccountImport, found: &Credentials) -> ImportOutcome {
    let user = &found.user;
    let same = user.full_name == account.full_name
        && user.locale == account.locale
        && user.status == account.status
        // Owners verify addresses, and set passwords, after an import too; what was there before it is not lost.
        && (account.email_verified_at.is_none() || user.email_verified_at.is_some())
        && (account.password_hash.is_none() || found.password.is_some())
        && account.created_at.is_none_or(|at| at == user.created_at);
    if same { ImportOutcome::Unchanged(user.id) } else { ImportOutcome::Different(user.id) }
}

fn user(engine: &Engine, account: &AccountImport, now: Timestamp) -> User {
    User {
        // The id tells when the row was made, not the account: new rows stay together at the end of every index.
        id: UserId::generate(now, &*engine.entropy),
        email: account.email.clone(),
        email_verified_at: account.email_verified_at,
        full_name: account.full_name.clone(),
        locale: account.locale.clone(),
        status: account.status,
        auth_epoch: 0,
        second_factors: crate::model::FactorSet::NONE,
        access: Access::default(),
        version: 0,
        created_at: account.created_at.unwrap_or(now),
        updated_at: now,
    }
}

/// The account, its password and its audit event.
fn add(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    account: &AccountImport,
    roles_version: u32,
    now: Timestamp,
    context: &RequestContext,
) -> ChangeSet {
    let changes = changes.and(UserChange::Insert(user.clone()));
    let changes = match &account.password_hash {
        Some(hash) => changes.and(CredentialChange::InsertPassword { user_id: user.id, hash: hash.clone(), at: now }),
        None => changes,
    };
    let event = engine.event(now, AuditAction::AccountImported, Outcome::Success, context).by(Actor::System).on(user.id);
    let event = event.with("password", if account.password_hash.is_some() { "hash" } else { "none" });
    let changes = match &account.source {
        Some(source) => changes.and(event.with("source", source.as_str())),
        None => changes.and(event),
    };
    let mut roles: Vec<&RoleName> = account.roles.iter().collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        return changes;
    }
    let given = |role: &&RoleName| Assignment {
        role: (*role).clone(),
        scope: None,
        expires_at: None,
        assigned_by: None,
        assigned_at: now,
    };
    let to = roles.iter().map(given).collect();
    let changes = changes.and(UserChange::ReplaceAssignments { id: user.id, from: 0, to, roles_version, at: now });
    roles.into_iter().fold(changes, |changes, role| {
        let event = engine.event(now, AuditAction::RoleAssigned, Outcome::Success, context).by(Actor::System).on(user.id);
        changes.and(event.with("role", role.as_str()))
    })
}

impl fmt::Display for ImportOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(_) => f.write_str("created"),
            Self::Unchanged(_) => f.write_str("there already"),
            Self::Different(_) => f.write_str("email: an account with this address and another profile is there"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}
