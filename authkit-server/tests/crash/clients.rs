//! The clients, and what each of them knows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::time::sleep;

use crate::support::{Connection, Reply, Server, calls};

/// How long a client pauses that was shed, so that the next moment is another one.
const PAUSE_WHEN_SHED: Duration = Duration::from_millis(20);

/// How many accounts are logged in to in a round: so many that none comes near the cap of 50 sessions, which would end the
/// oldest. The youngest are visited, so each is left alone after some rounds.
const VISITED: usize = 24;

/// Whether the server was not killed yet.
#[derive(Debug)]
pub(super) struct Alive(AtomicBool);

impl Default for Alive {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Alive {
    /// It is about to be killed.
    pub(super) fn end(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        !self.0.load(Ordering::SeqCst)
    }
}

/// What a client learns of its request.
enum Told {
    /// It was done.
    Acknowledged(Reply),
    /// It was refused, and nothing was done.
    Shed,
    /// No reply: it was done, or not.
    Unknown,
}

async fn ask(connection: &mut Connection, alive: &Alive, request: Request<Full<Bytes>>, expected: u16) -> Told {
    let path = request.uri().path().to_owned();
    match connection.send(request).await {
        Ok(reply) if reply.status == expected => Told::Acknowledged(reply),
        Ok(reply) if reply.status == 503 => Told::Shed,
        Ok(reply) => panic!("{path} answered {}: {}", reply.status, String::from_utf8_lossy(&reply.body)),
        Err(_) if alive.is_over() => Told::Unknown,
        Err(error) => panic!("{path}: the server dropped a request while it was alive: {error}"),
    }
}

/// Makes accounts.
#[derive(Debug)]
pub(super) struct Registrar {
    name: usize,
    next: u64,
    /// The addresses of this round whose registration was acknowledged, with the refresh token of the reply.
    pub(super) fresh: Vec<(String, String)>,
    /// The address whose registration was not answered.
    pub(super) unknown: Option<String>,
}

impl Registrar {
    const fn new(name: usize) -> Self {
        Self { name, next: 0, fresh: Vec::new(), unknown: None }
    }

    pub(super) const fn name(&self) -> usize {
        self.name
    }

    pub(super) async fn run(mut self, mut connection: Connection, alive: Arc<Alive>) -> Self {
        loop {
            let email = format!("registrar-{}-{}@crash.example", self.name, self.next);
            self.next += 1;
            match ask(&mut connection, &alive, calls::register(&email), 201).await {
                Told::Acknowledged(reply) => self.fresh.push((email, reply.text("refresh_token"))),
                Told::Shed => sleep(PAUSE_WHEN_SHED).await,
                Told::Unknown => {
                    self.unknown = Some(email);
                    return self;
                }
            }
            if alive.is_over() {
                return self;
            }
        }
    }
}

/// Rotates the refresh token of one session.
#[derive(Debug)]
pub(super) struct Chain {
    name: usize,
    /// The account, which has no other live session.
    pub(super) email: String,
    /// Every refresh token of the session that was acknowledged, the newest last.
    pub(super) tokens: Vec<String>,
    /// Whether a rotation of the newest was asked for and not answered.
    pub(super) in_flight: bool,
    /// How many earlier sessions of the account were revoked, because an old token of theirs came back.
    pub(super) revoked: usize,
    /// How many of the tokens are already in the counts.
    counted: usize,
}

impl Chain {
    const fn new(name: usize, email: String) -> Self {
        Self { name, email, tokens: Vec::new(), in_flight: false, revoked: 0, counted: 0 }
    }

    pub(super) const fn name(&self) -> usize {
        self.name
    }

    /// Begins with the first token of a session.
    fn begin(&mut self, token: String) {
        self.tokens = vec![token];
        self.counted = 1;
    }

    /// Begins again with the first token of another session, because the one before was revoked.
    pub(super) fn begin_anew(&mut self, token: String) {
        self.begin(token);
        self.revoked += 1;
    }

    /// The fewest and the most rotations that the store may hold, given what was acknowledged.
    pub(super) fn rotations_on_disk(&self) -> std::ops::RangeInclusive<i64> {
        let acknowledged = i64::try_from(self.tokens.len()).expect("a few thousand") - 1;
        acknowledged..=acknowledged + i64::from(self.in_flight)
    }

    /// Takes the successor that a retry brought, and counts what happened since the last one.
    pub(super) fn resume(&mut self, successor: String, counts: &mut Counts) {
        counts.rotations += (self.tokens.len() - self.counted) as u64;
        counts.lost_rotations += u64::from(std::mem::take(&mut self.in_flight));
        self.tokens.push(successor);
        self.counted = self.tokens.len();
    }

    /// The newest refresh token.
    pub(super) fn newest(&self) -> &str {
        self.tokens.last().expect("a chain begins with a token")
    }

    pub(super) async fn run(mut self, mut connection: Connection, alive: Arc<Alive>) -> Self {
        loop {
            match ask(&mut connection, &alive, calls::refresh(self.newest()), 200).await {
                Told::Acknowledged(reply) => self.tokens.push(reply.text("refresh_token")),
                Told::Shed => sleep(PAUSE_WHEN_SHED).await,
                Told::Unknown => {
                    self.in_flight = true;
                    return self;
                }
            }
            if alive.is_over() {
                return self;
            }
        }
    }
}

/// Logs in to accounts that exist.
#[derive(Debug)]
pub(super) struct Visitor {
    name: usize,
    next: usize,
    /// The logins of this round that were acknowledged: the account, and the refresh token of the reply.
    pub(super) fresh: Vec<(String, String)>,
}

impl Visitor {
    const fn new(name: usize) -> Self {
        Self { name, next: name, fresh: Vec::new() }
    }

    pub(super) const fn name(&self) -> usize {
        self.name
    }

    pub(super) async fn run(mut self, mut connection: Connection, alive: Arc<Alive>, accounts: Arc<[String]>) -> Self {
        loop {
            let email = &accounts[self.next % accounts.len()];
            self.next += 1;
            match ask(&mut connection, &alive, calls::log_in(email), 200).await {
                Told::Acknowledged(reply) => self.fresh.push((email.clone(), reply.text("refresh_token"))),
                Told::Shed => sleep(PAUSE_WHEN_SHED).await,
                Told::Unknown => return self,
            }
            if alive.is_over() {
                return self;
            }
        }
    }
}

/// What all clients know, over all rounds.
#[derive(Debug)]
pub(super) struct Histories {
    pub(super) registrars: Vec<Registrar>,
    pub(super) chains: Vec<Chain>,
    pub(super) visitors: Vec<Visitor>,
    /// Every address whose registration was acknowledged in a round before, or found done after a crash.
    pub(super) registered: Vec<String>,
    /// Every login of registered accounts that was acknowledged in a round before, by account.
    pub(super) logins: Vec<String>,
    pub(super) counts: Counts,
}

/// How often what happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) registrations: u64,
    pub(super) unknown_done: u64,
    pub(super) unknown_not_done: u64,
    pub(super) rotations: u64,
    pub(super) lost_rotations: u64,
    pub(super) logins: u64,
    pub(super) reuses: u64,
}

impl Histories {
    /// The clients, with an account and a session for each chain.
    pub(super) async fn begin(server: &Server, registrars: usize, chains: usize, visitors: usize) -> Self {
        let mut begun = Self {
            registrars: (0..registrars).map(Registrar::new).collect(),
            chains: Vec::new(),
            visitors: (0..visitors).map(Visitor::new).collect(),
            registered: Vec::new(),
            logins: Vec::new(),
            counts: Counts::default(),
        };
        for name in 0..chains {
            let email = format!("chain-{name}@crash.example");
            let token = server.send(calls::register(&email)).await.expect(201).text("refresh_token");
            let mut chain = Chain::new(name, email);
            chain.begin(token);
            begun.chains.push(chain);
        }
        // Somebody for the visitors to visit in the first round.
        for host in 0..VISITED {
            let email = format!("visited-{host}@crash.example");
            server.send(calls::register(&email)).await.expect(201);
            begun.registered.push(email);
        }
        begun
    }

    /// The accounts that visitors log in to: the youngest.
    pub(super) fn login_emails(&self) -> Vec<String> {
        self.registered.iter().rev().take(VISITED).cloned().collect()
    }

    /// Every account whose registration was acknowledged.
    pub(super) fn acknowledged_accounts(&self) -> impl Iterator<Item = &str> {
        let fresh = self.registrars.iter().flat_map(|registrar| registrar.fresh.iter().map(|(email, _)| email));
        self.registered.iter().chain(fresh).chain(self.chains.iter().map(|chain| &chain.email)).map(String::as_str)
    }

    /// The account of every login that was acknowledged.
    pub(super) fn acknowledged_logins(&self) -> impl Iterator<Item = &str> {
        let fresh = self.visitors.iter().flat_map(|visitor| visitor.fresh.iter().map(|(email, _)| email));
        self.logins.iter().chain(fresh).map(String::as_str)
    }

    /// Fails when the run was too quiet to prove anything.
    pub(super) fn assert_worth_the_while(&self, rounds: u64) {
        let Counts { registrations, unknown_done, unknown_not_done, rotations, lost_rotations, logins, .. } = self.counts;
        assert!(registrations >= rounds && rotations >= rounds && logins >= rounds, "too little was acknowledged: {self}");
        assert!(
            unknown_done + unknown_not_done + lost_rotations >= rounds / 2,
            "too few kills caught a request in flight: {self}"
        );
    }
}

impl fmt::Display for Histories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { registrations, unknown_done, unknown_not_done, rotations, lost_rotations, logins, reuses } = self.counts;
        write!(
            f,
            "acknowledged: {registrations} registrations, {rotations} rotations, {logins} logins; registrations without a reply: \
             {unknown_done} done, {unknown_not_done} not done; rotations without a reply: {lost_rotations}, each retried with \
             success; {reuses} old tokens presented, each refused and its session revoked"
        )
    }
}
