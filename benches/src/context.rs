//! What every scenario works with: the server, and accounts on it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use authkit_core::primitives::{Entropy as _, OsEntropy};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::account::{Account, PASSWORD};
use crate::api::{self, Outcome};
use crate::client::Connection;
use crate::hash_baseline::cores;
use crate::options::Options;
use crate::server::{Memory, Server, ServerError, ServerSpec};
use crate::services::Services;
use crate::stopwatch::now;

/// How long it may take to register the accounts of one scenario.
const PREPARATION_LIMIT: Duration = Duration::from_mins(3);

/// Why a scenario could not be run to its end. What requests came to is no error but part of its report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The accounts that it needs could not be made.
    #[error("preparing: {0}")]
    Preparation(String),
    /// The server did not start again.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server did not end on SIGTERM, or ended with a failure.
    #[error("the server did not shut down well when it was asked to")]
    Shutdown,
    /// The baseline hash does not take these parameters.
    #[error("baseline hash: {0}")]
    Hash(#[from] argon2::Error),
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The server that is measured.
#[derive(Debug)]
enum Measuree {
    /// One that we started, and can start again.
    Ours { spec: Arc<ServerSpec>, server: Mutex<Option<Server>> },
    /// One that runs.
    Theirs { address: SocketAddr, pid: Option<u32> },
}

/// What every scenario works with.
#[derive(Debug)]
pub struct Context {
    options: Options,
    measuree: Measuree,
    /// What its database and its hot state live in, as long as they are ours.
    _services: Services,
    /// Tells the accounts of this run from those of a run before on the same server.
    run: String,
    next_email: AtomicU64,
    accounts: Mutex<Vec<Arc<Account>>>,
}

impl Context {
    /// The server that `options` names, started where they say so.
    pub async fn new(options: Options) -> Result<Self, ScenarioError> {
        let mut run = [0; 4];
        OsEntropy.fill(&mut run);
        let services = Services::start(&options).await;
        let measuree = match (&options.spawn, options.url) {
            (Some(binary), _) => {
                // A setting that is named on the command line has the last word.
                let settings = services.settings().iter().cloned().chain(options.settings()).collect();
                let spec = Arc::new(ServerSpec::new(binary.clone(), settings)?);
                let server = start(Arc::clone(&spec)).await?;
                Measuree::Ours { spec, server: Mutex::new(Some(server)) }
            }
            (None, Some(url)) => Measuree::Theirs { address: url.address(), pid: options.server_pid },
            (None, None) => return Err(ScenarioError::Preparation("neither --spawn nor --url".to_owned())),
        };
        Ok(Self {
            options,
            measuree,
            _services: services,
            run: format!("{:08x}", u32::from_be_bytes(run)),
            next_email: AtomicU64::new(0),
            accounts: Mutex::default(),
        })
    }

    /// The command line.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Where the server listens now; a restart moves it.
    pub async fn address(&self) -> Result<SocketAddr, ScenarioError> {
        match &self.measuree {
            Measuree::Ours { spec, server } => Ok(running(spec, server).await?.1),
            Measuree::Theirs { address, .. } => Ok(*address),
        }
    }

    /// The server's process, where it is known.
    pub async fn pid(&self) -> Result<Option<u32>, ScenarioError> {
        match &self.measuree {
            Measuree::Ours { spec, server } => {
                let (guard, _) = running(spec, server).await?;
                Ok(guard.as_ref().map(Server::pid))
            }
            Measuree::Theirs { pid, .. } => Ok(*pid),
        }
    }

    /// The server's memory, where its process is known.
    pub async fn memory(&self) -> Result<Option<Memory>, ScenarioError> {
        Ok(self.pid().await?.map(Memory::of).transpose()?)
    }

    /// Stops the server and starts it again on the same data: how long it took until it was live, and until it was ready.
    /// `None` for a server that is not ours.
    pub async fn restart(&self) -> Result<Option<(Duration, Duration)>, ScenarioError> {
        let Measuree::Ours { spec, server } = &self.measuree else { return Ok(None) };
        let mut server = server.lock().await;
        if let Some(old) = server.take() {
            stop(old).await?;
        }
        let new = server.insert(start(Arc::clone(spec)).await?);
        Ok(Some((new.live_after(), new.ready_after())))
    }

    /// Stops a server that is ours.
    pub async fn shut_down(&self) -> Result<(), ScenarioError> {
        if let Measuree::Ours { server, .. } = &self.measuree
            && let Some(server) = server.lock().await.take()
        {
            stop(server).await?;
        }
        Ok(())
    }

    /// An address that no account has yet.
    pub fn fresh_email(&self) -> String {
        format!("load-{}-{}@load.example", self.run, self.next_email.fetch_add(1, Ordering::Relaxed))
    }

    /// `count` accounts, made as needed and used again by later scenarios.
    pub async fn accounts(self: &Arc<Self>, count: usize) -> Result<Vec<Arc<Account>>, ScenarioError> {
        let mut accounts = self.accounts.lock().await;
        let missing = count.saturating_sub(accounts.len());
        let address = self.address().await?;
        // Two in flight for each core keep the hashing threads busy without being shed.
        let workers = (cores() * 2).min(missing).max(1);
        let mut tasks: JoinSet<_> = (0..workers)
            .map(|worker| {
                let context = Arc::clone(self);
                let share = missing / workers + usize::from(worker < missing % workers);
                async move {
                    let mut connection = Connection::new(address);
                    let mut made = Vec::with_capacity(share);
                    while made.len() < share {
                        made.push(Arc::new(context.register(&mut connection).await?));
                    }
                    Ok::<_, ScenarioError>(made)
                }
            })
            .collect();
        while let Some(made) = tasks.join_next().await {
            accounts.extend(made.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?);
        }
        Ok(accounts.iter().take(count).cloned().collect())
    }

    /// The access tokens of `count` accounts, each just refreshed, so that none expires within a scenario.
    pub async fn access_tokens(self: &Arc<Self>, count: usize) -> Result<Vec<String>, ScenarioError> {
        let accounts = self.accounts(count).await?;
        let mut connection = Connection::new(self.address().await?);
        let mut access_tokens = Vec::with_capacity(accounts.len());
        for account in accounts {
            let patience = Patience::new();
            let fresh = loop {
                let outcome = api::refresh(&mut connection, &account.tokens().refresh_token).await;
                if let Some(fresh) = patience.wait(outcome).await? {
                    break fresh;
                }
            };
            access_tokens.push(fresh.access_token.clone());
            account.keep(fresh);
        }
        Ok(access_tokens)
    }

    async fn register(&self, connection: &mut Connection) -> Result<Account, ScenarioError> {
        let email = self.fresh_email();
        let patience = Patience::new();
        loop {
            let outcome = api::register(connection, &email, PASSWORD).await;
            if let Some(tokens) = patience.wait(outcome).await? {
                return Ok(Account::new(email, tokens));
            }
        }
    }
}

/// How long preparing goes on asking a server that sheds.
struct Patience(Instant);

impl Patience {
    fn new() -> Self {
        Self(now() + PREPARATION_LIMIT)
    }

    /// What was done; `None` when the request was shed and, after the wait that the server asked for, may be repeated.
    async fn wait<T>(&self, outcome: Outcome<T>) -> Result<Option<T>, ScenarioError> {
        match outcome {
            Outcome::Done(value) => Ok(Some(value)),
            Outcome::Shed { retry_after } if now() + retry_after < self.0 => {
                sleep(retry_after).await;
                Ok(None)
            }
            Outcome::Shed { .. } => Err(ScenarioError::Preparation(format!("shed for {PREPARATION_LIMIT:?}"))),
            Outcome::Unexpected { status, excerpt } => Err(ScenarioError::Preparation(format!("{status}: {excerpt}"))),
            Outcome::Lost(error) => Err(ScenarioError::Preparation(error.to_string())),
        }
    }
}

/// The running server and its address, started again where a scenario that failed left none.
async fn running<'a>(
    spec: &Arc<ServerSpec>,
    server: &'a Mutex<Option<Server>>,
) -> Result<(MutexGuard<'a, Option<Server>>, SocketAddr), ScenarioError> {
    let mut guard = server.lock().await;
    let address = match guard.as_ref() {
        Some(server) => server.address(),
        None => guard.insert(start(Arc::clone(spec)).await?).address(),
    };
    Ok((guard, address))
}

async fn start(spec: Arc<ServerSpec>) -> Result<Server, ScenarioError> {
    Ok(blocking(move || spec.start()).await?)
}

async fn stop(server: Server) -> Result<(), ScenarioError> {
    if blocking(move || server.stop()).await? { Ok(()) } else { Err(ScenarioError::Shutdown) }
}

/// Runs what blocks beside the runtime's own threads.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}
