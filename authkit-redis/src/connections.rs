//! The connections that the rate limiter and the cache share.

use std::fmt;
use std::sync::Arc;

use authkit_core::Entropy;
use redis::{Pipeline, RedisError, RedisResult, Value};
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::address::Address;
use crate::cluster::Cluster;
use crate::connection::OPEN_LIMIT;
use crate::error::{CommandError, ConnectError, RefusalReason};
use crate::lane::{Lane, Place};
use crate::options::RedisOptions;
use crate::script::Script;
use crate::slots::slot_of;

/// The connections to Redis that a rate limiter and a cache share: one to each server, and one background task for each that
/// keeps it. Cheap to clone; the connections are closed after the last clone is dropped.
///
/// **When Redis is away**, hangs, is full or refuses: one request waits [`operation_limit`](RedisOptions::operation_limit) for
/// it, the later ones not at all, until it has taken a write again, which is tried each second. In a cluster that is so for each
/// node by itself. It comes back without a restart.
#[derive(Clone)]
pub struct RedisConnections {
    shared: Arc<Shared>,
}

struct Shared {
    options: Arc<RedisOptions>,
    lanes: Lanes,
}

enum Lanes {
    /// One server has every key.
    One(Arc<Lane>),
    /// Each key is at the node that has its slot.
    Cluster(Arc<Cluster>),
}

/// One run of a script: its keys, which in a cluster share a slot, and its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) keys: Vec<String>,
    pub(crate) args: Vec<Vec<u8>>,
}

impl RedisConnections {
    /// Connects to Redis, and shows that it lets us run scripts and write. When it is away, or does not answer within a second,
    /// the connections start degraded, with a warning in the log, and keep trying.
    ///
    /// # Errors
    /// What will not pass by waiting: a name that does not resolve, credentials, rights, a certificate, a server of another
    /// kind than the URL says. That is for the operator to change.
    ///
    /// # Panics
    /// Outside a tokio runtime, where the background tasks cannot run.
    pub async fn connect(options: RedisOptions) -> Result<Self, ConnectError> {
        prepare(&options).await?;
        let options = Arc::new(options);
        let lanes = if options.is_cluster() {
            let (cluster, opened) = Cluster::open(&options).await;
            settle(&options, opened)?;
            Lanes::Cluster(cluster)
        } else {
            let (lane, opened) = Lane::open(&options, Place::Master).await;
            settle(&options, opened)?;
            Lanes::One(lane)
        };
        Ok(Self { shared: Arc::new(Shared { options, lanes }) })
    }

    /// Whether every server is asked: none of them failed of late, and in a cluster every slot has a node.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match &self.shared.lanes {
            Lanes::One(lane) => lane.is_usable(),
            Lanes::Cluster(cluster) => cluster.map().is_usable(),
        }
    }

    /// Whether keys may be at different servers, and a script touches those of one slot.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.shared.lanes, Lanes::Cluster(_))
    }

    pub(crate) fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.shared.options.entropy)
    }

    /// Runs a script once.
    pub(crate) async fn call(&self, script: &Script, call: Call) -> Result<Value, CommandError> {
        let mut answers = self.call_each(script, vec![call]).await;
        answers.pop().unwrap_or(Err(CommandError::Unreachable))
    }

    /// Runs a script several times, in one round trip to each server; the answers are in the order of the calls.
    pub(crate) async fn call_each(&self, script: &Script, calls: Vec<Call>) -> Vec<Result<Value, CommandError>> {
        let mut answers: Vec<_> = calls.iter().map(|_| Err(CommandError::Unreachable)).collect();
        let mut groups: Vec<(Arc<Lane>, Vec<usize>)> = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let Some(lane) = self.lane_of(call) else { continue };
            match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &lane)) {
                Some((_, members)) => members.push(index),
                None => groups.push((lane, vec![index])),
            }
        }
        let runs = run_groups(&groups, |index| evalsha(script, &calls[index])).await;
        for ((lane, members), run) in groups.iter().zip(runs) {
            match run {
                Ok(values) => {
                    for (index, value) in members.iter().zip(values) {
                        answers[*index] = match value {
                            Value::ServerError(error) => self.second_try(lane, script, &calls[*index], error.into()).await,
                            value => Ok(value),
                        };
                    }
                }
                Err(error) => {
                    self.doubt_map();
                    let mut error = Some(error);
                    for index in members {
                        answers[*index] = Err(error.take().unwrap_or(CommandError::Unreachable));
                    }
                }
            }
        }
        answers
    }

    /// What a server does not know, or does not have any more, is sent once more: whole, and to where it belongs.
    async fn second_try(
        &self,
        asked: &Arc<Lane>,
        script: &Script,
        call: &Call,
        error: RedisError,
    ) -> Result<Value, CommandError> {
        let mut pipe = redis::pipe();
        let lane = match error.code() {
            Some("NOSCRIPT") => Some(Arc::clone(asked)),
            Some(kind @ ("MOVED" | "ASK")) => {
                self.doubt_map();
                if kind == "ASK" {
                    pipe.cmd("ASKING");
                }
                error.redirect_node().and_then(|(address, _)| self.lane_at(address))
            }
            _ => None,
        };
        let Some(lane) = lane else { return Err(failure(asked, error)) };
        pipe.add_command(eval("EVAL", script.text(), call));
        match lane.run(&pipe).await?.pop() {
            Some(Value::ServerError(error)) => Err(failure(&lane, error.into())),
            value => value.ok_or(CommandError::Unreachable),
        }
    }

    fn lane_of(&self, call: &Call) -> Option<Arc<Lane>> {
        match &self.shared.lanes {
            Lanes::One(lane) => Some(Arc::clone(lane)),
            Lanes::Cluster(cluster) => cluster.map().lane_of(slot_of(call.keys.first()?)),
        }
    }

    fn lane_at(&self, address: &str) -> Option<Arc<Lane>> {
        let Lanes::Cluster(cluster) = &self.shared.lanes else { return None };
        let (host, port) = address.rsplit_once(':')?;
        let address = Address::new(host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?);
        cluster.map().lane_at(&address)
    }

    fn doubt_map(&self) {
        if let Lanes::Cluster(cluster) = &self.shared.lanes {
            cluster.doubt();
        }
    }
}

impl fmt::Debug for RedisConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnections").field("redis", &self.shared.options).field("is_usable", &self.is_usable()).finish()
    }
}

/// Runs each group's commands on its lane, all at the same time.
async fn run_groups(
    groups: &[(Arc<Lane>, Vec<usize>)],
    command: impl Fn(usize) -> redis::Cmd + Sync,
) -> Vec<Result<Vec<Value>, CommandError>> {
    let pipe = |members: &[usize]| {
        let mut pipe = Pipeline::with_capacity(members.len());
        for index in members {
            pipe.add_command(command(*index));
        }
        pipe
    };
    if let [(lane, members)] = groups {
        return vec![lane.run(&pipe(members)).await];
    }
    let mut running = JoinSet::new();
    for (index, (lane, members)) in groups.iter().enumerate() {
        let (lane, pipe) = (Arc::clone(lane), pipe(members));
        running.spawn(async move { (index, lane.run(&pipe).await) });
    }
    let mut runs: Vec<_> = groups.iter().map(|_| Err(CommandError::Unreachable)).collect();
    while let Some(run) = running.join_next().await {
        if let Ok((index, run)) = run {
            runs[index] = run;
        }
    }
    runs
}

/// What a server said that answers and does not do what it should. Full memory, a replica, a cluster that is down, rights that
/// were taken away: that is about all commands, and the breaker opens. A key that holds something else, or is on its way to a
/// node that we do not know yet, is its own command's.
fn failure(lane: &Lane, error: RedisError) -> CommandError {
    if !matches!(error.code(), Some("ERR" | "WRONGTYPE" | "MOVED" | "ASK" | "TRYAGAIN")) {
        lane.doubt();
    }
    CommandError::Failed(Box::new(error))
}

fn evalsha(script: &Script, call: &Call) -> redis::Cmd {
    eval("EVALSHA", script.digest(), call)
}

fn eval(name: &str, code: &str, call: &Call) -> redis::Cmd {
    let mut command = redis::cmd(name);
    command.arg(code).arg(call.keys.len()).arg(&call.keys).arg(&call.args);
    command
}

/// What has to be right before anything is tried: a provider of cryptography, and names that resolve.
pub(crate) async fn prepare(options: &RedisOptions) -> Result<(), ConnectError> {
    if options.is_tls() {
        provide_cryptography();
    }
    let mut unknown = None;
    for address in options.addresses() {
        match timeout(OPEN_LIMIT, lookup_host((address.host(), address.port()))).await {
            // A resolver that hangs says nothing about the name.
            Err(_) | Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => unknown = Some(error),
        }
    }
    let Some(source) = unknown else { return Ok(()) };
    Err(ConnectError::UnknownHost { address: options.to_string(), source })
}

/// A refusal is an error, an absence a warning.
pub(crate) fn settle(options: &RedisOptions, opened: RedisResult<()>) -> Result<(), ConnectError> {
    let Err(source) = opened else { return Ok(()) };
    let address = options.to_string();
    if let Some(reason) = RefusalReason::of(&source) {
        return Err(ConnectError::Refused { address, reason, source: Box::new(source) });
    }
    tracing::warn!(redis = %address, error = %source, "Redis is not reachable: this node goes on without it and keeps trying");
    Ok(())
}

/// The Redis client takes the process's provider of cryptography for TLS, and panics where there is none and rustls was built
/// with several or without one. A provider that the host installed stays.
fn provide_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster; then there is one.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    }
}
