//! What the store takes for its part of an operation, without a hash and without HTTP, anywhere in the tables.
//!
//! Over HTTP a login is mostly its hash, and the sessions that are refreshed were begun a moment ago. Here every visit is to
//! another account or session of the whole table, one call at a time, and each is visited twice. The first visit finds its
//! pages where they are: in a large database on disk or in the cache of the system more often than in PostgreSQL's own, and
//! not yet written since the last checkpoint, so that a change writes a whole page to the log. The second finds them at hand,
//! and what it costs more in the large database is the height of the indexes.

use std::sync::Arc;
use std::time::Duration;

use authkit_core::model::{AuditEvent, ChangeSet, Rotation, RotationOutcome, Session, SessionChange};
use authkit_core::ports::{CommitError, Store as _, StoreError, UserReads as _};
use authkit_core::{AuditEventId, Clock as _, Digest, Email, Entropy as _, OsEntropy, SessionId, SystemClock};
use authkit_sqlx::PgStore;

use super::paired::Paired;
use crate::latency::Latencies;
use crate::report::Report;
use crate::scale::population::{Population, scattered};
use crate::scale::site::Site;
use crate::scale::{Reports, Scale, ScaleError};
use crate::stopwatch::now;

/// How often an operation is done in each database and round: a fraction of a second.
const TIMES: u64 = 500;
const WEEK: Duration = Duration::from_hours(7 * 24);

#[derive(Debug, Clone, Copy)]
enum Operation {
    Login,
    Refresh,
    Profile,
}

impl Operation {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Login, "store_login"), (Self::Refresh, "store_refresh"), (Self::Profile, "store_me")];
}

pub(super) async fn run(scale: Arc<Scale>) -> Result<Reports, ScaleError> {
    let mut seed = [0; 8];
    OsEntropy.fill(&mut seed);
    let draw = Draw { seed: u64::from_le_bytes(seed), drawn: 0 };
    let mut small = Subject { store: scale.small().store().await?, site: scale.small(), draw };
    let mut large = Subject { store: scale.large().store().await?, site: scale.large(), draw };
    let mut figures = [(); 3].map(|()| Figures::default());
    // In the first round the statements are prepared, the connection is opened, and the tops of the indexes come into memory.
    for round in 0..=scale.options().rounds {
        for ((operation, _), figures) in Operation::ALL.into_iter().zip(&mut figures) {
            let (ours, theirs) = if round % 2 == 0 {
                let first = small.time(operation).await?;
                (first, large.time(operation).await?)
            } else {
                let first = large.time(operation).await?;
                (small.time(operation).await?, first)
            };
            if round > 0 {
                figures.first.record(ours.first, theirs.first);
                figures.second.record(ours.second, theirs.second);
            }
        }
    }
    small.store.close().await;
    large.store.close().await;
    Ok(Operation::ALL.into_iter().zip(&figures).map(|((_, name), figures)| (name, report(figures))).collect())
}

/// The medians of an operation.
#[derive(Default)]
struct Figures {
    first: Paired,
    second: Paired,
}

fn report(Figures { first, second }: &Figures) -> Report {
    Report::new()
        .with("small_p50_us", "store, p50, small", second.small(), "µs")
        .with("large_p50_us", "store, p50, large", second.large(), "µs")
        .with("p50_ratio", "store, p50, large / small", second.ratio(), "×")
        .with("small_first_p50_us", "store, p50 of first visits, small", first.small(), "µs")
        .with("large_first_p50_us", "store, p50 of first visits, large", first.large(), "µs")
        .with("first_p50_ratio", "store, p50 of first visits, large / small", first.ratio(), "×")
}

/// Medians, in µs.
struct Timed {
    first: f64,
    second: f64,
}

/// Numbers of rows, none of which follows from the one before.
#[derive(Debug, Clone, Copy)]
struct Draw {
    seed: u64,
    drawn: u64,
}

impl Draw {
    const fn next(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        scattered(self.seed, self.drawn, bound)
    }
}

/// A database under test.
struct Subject<'s> {
    store: PgStore,
    site: &'s Site,
    draw: Draw,
}

impl Subject<'_> {
    async fn time(&mut self, operation: Operation) -> Result<Timed, ScaleError> {
        let mut visits = [Latencies::default(), Latencies::default()];
        for _ in 0..TIMES {
            let took = match operation {
                Operation::Login => {
                    let number = self.draw.next(self.site.people().users);
                    Some([self.login(number).await?, self.login(number).await?])
                }
                Operation::Refresh => {
                    let session = self.site.people().session(self.draw.next(self.site.people().sessions));
                    self.refresh_twice(session).await?
                }
                Operation::Profile => {
                    let number = self.draw.next(self.site.people().users);
                    Some([self.profile(number).await?, self.profile(number).await?])
                }
            };
            for (latencies, took) in visits.iter_mut().zip(took.into_iter().flatten()) {
                latencies.record(took);
            }
        }
        let [first, second] = visits.map(|mut latencies| latencies.percentile(50.0).map_or(f64::NAN, f64::from));
        Ok(Timed { first, second })
    }

    /// The read and the change set of a login.
    async fn login(&self, number: u64) -> Result<Duration, ScaleError> {
        let people = self.site.people();
        let email = Population::email(number);
        let email = Email::from_stored(email.clone(), email);
        let (at, model) = (SystemClock.now(), people.session(0));
        let id = SessionId::generate(at, &OsEntropy);
        let start = now();
        let found = self.store.credentials_by_email(&email).await?.ok_or_else(|| absent("account"))?;
        let session = Session {
            id,
            user_id: found.user.id,
            secret: Digest::of(id.as_uuid().as_bytes()),
            authenticated_at: at,
            created_at: at,
            refreshed_at: at,
            idle_expires_at: at + WEEK,
            expires_at: at + WEEK * 4,
            revoked: None,
            ..model
        };
        let event =
            AuditEvent { id: AuditEventId::generate(at, &OsEntropy), at, subject: Some(found.user.id), ..people.login(0) };
        let insert = SessionChange::Insert { session: Box::new(session), auth_epoch: found.user.auth_epoch };
        let cap = SessionChange::EnforceCap { user_id: found.user.id, keep: 1_000, at };
        self.store.commit(&ChangeSet::new().and(insert).and(cap).and(event)).await.map_err(|error| match error {
            CommitError::Store(error) => error,
            conflict => StoreError::failed(conflict),
        })?;
        Ok(start.elapsed())
    }

    /// Two rotations of a session; `None` for one that was revoked, or came up before.
    async fn refresh_twice(&self, session: Session) -> Result<Option<[Duration; 2]>, ScaleError> {
        let Some((first, session)) = self.refresh(session).await? else { return Ok(None) };
        Ok(self.refresh(session).await?.map(|(second, _)| [first, second]))
    }

    /// The rotation of a session, and how it stands then; `None` when it was refused.
    async fn refresh(&self, session: Session) -> Result<Option<(Duration, Session)>, ScaleError> {
        let at = SystemClock.now();
        let rotation = Rotation {
            session_id: session.id,
            generation: session.generation,
            presented: session.secret,
            successor: Digest::of(session.secret.as_bytes()),
            at,
            idle_expires_at: at + WEEK,
            client: session.created_by,
        };
        let start = now();
        let outcome = self.store.rotate(&rotation).await?;
        let took = start.elapsed();
        Ok(match outcome {
            RotationOutcome::Rotated(rotated) => Some((took, rotated.session)),
            _ => None,
        })
    }

    async fn profile(&self, number: u64) -> Result<Duration, ScaleError> {
        let id = self.site.people().user(number).id;
        let start = now();
        self.store.user_by_id(id).await?.ok_or_else(|| absent("account"))?;
        Ok(start.elapsed())
    }
}

fn absent(what: &str) -> ScaleError {
    ScaleError::Preparation(format!("the database lacks an {what} that it was filled with"))
}
