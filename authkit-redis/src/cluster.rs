//! Which node of a cluster is asked for which key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use redis::{RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::address::Address;
use crate::connection::{config, open, within_limit};
use crate::error::RefusalReason;
use crate::lane::{Lane, Place};
use crate::options::RedisOptions;
use crate::slots::{SlotRange, is_complete, read_slots};

/// How often the nodes of a cluster are asked who has which slots, when nothing calls for it.
const ROUNDS_BETWEEN_LOOKS: u32 = 10;
/// How often it is looked whether something calls for it.
const ROUND: Duration = Duration::from_secs(1);

/// The nodes of a cluster, and which of them has which slots.
#[derive(Default)]
pub(crate) struct Cluster {
    /// INVARIANT: no lock is held across an await.
    map: Mutex<Arc<Map>>,
    /// Told when the map seems to be wrong.
    is_doubted: Notify,
}

/// What the nodes said when they were last asked.
#[derive(Default)]
pub(crate) struct Map {
    ranges: Vec<SlotRange>,
    lanes: HashMap<Address, Arc<Lane>>,
}

impl Cluster {
    pub(crate) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Connects to a cluster, and starts the task that keeps the map until nobody uses it any more.
    pub(crate) async fn open(options: &Arc<RedisOptions>) -> (Arc<Self>, RedisResult<()>) {
        let cluster = Arc::<Self>::default();
        let looked = cluster.look(options).await;
        tokio::spawn(keep(Arc::downgrade(&cluster), Arc::clone(options)));
        (cluster, looked)
    }

    /// Has the map looked at soon: it seems to be wrong.
    pub(crate) fn doubt(&self) {
        self.is_doubted.notify_one();
    }

    /// Asks a node who has which slots, and connects to nodes that are new.
    async fn look(&self, options: &Arc<RedisOptions>) -> RedisResult<()> {
        let old = self.map();
        // Those that work first; the seeds last, for a cluster that has moved on without us.
        let (good, bad): (Vec<_>, Vec<_>) = old.lanes.iter().partition(|(_, lane)| lane.is_usable());
        let known = good.into_iter().chain(bad).map(|(address, _)| address);
        let mut last = RedisError::from(std::io::Error::from(std::io::ErrorKind::NotFound));
        for address in known.chain(options.addresses()) {
            match within_limit(ask_for_slots(options, address)).await {
                Ok(ranges) => return self.take_in(ranges, options).await,
                Err(error) if RefusalReason::of(&error).is_some() => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Puts another map in place. The lanes to nodes that stay are kept; those to new nodes are opened at once, and what one
    /// of them refuses is told.
    async fn take_in(&self, ranges: Vec<SlotRange>, options: &Arc<RedisOptions>) -> RedisResult<()> {
        let old = self.map();
        let mut masters: HashMap<&Address, Vec<&SlotRange>> = HashMap::new();
        for range in &ranges {
            masters.entry(&range.master).or_default().push(range);
        }
        let mut lanes: HashMap<Address, Arc<Lane>> = HashMap::new();
        let mut opening = JoinSet::new();
        for (address, has) in masters {
            let address = address.clone();
            if let Some(lane) = old.lanes.get(&address).filter(|lane| lane.is_for(&has)) {
                lanes.insert(address, Arc::clone(lane));
            } else {
                let (options, place) = (Arc::clone(options), Place::Node(address.clone(), has[0].probe_key()));
                opening.spawn(async move { (address, Lane::open(&options, place).await) });
            }
        }
        let mut result = Ok(());
        while let Some(opened) = opening.join_next().await {
            let Ok((address, (lane, opened))) = opened else { continue };
            result = result.and(opened);
            lanes.insert(address, lane);
        }
        *self.map.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Map { ranges, lanes });
        result
    }
}

impl Map {
    pub(crate) fn lane_of(&self, slot: u16) -> Option<Arc<Lane>> {
        let index = self.ranges.partition_point(|range| range.last < slot);
        let range = self.ranges.get(index).filter(|range| range.first <= slot)?;
        self.lanes.get(&range.master).cloned()
    }

    pub(crate) fn lane_at(&self, address: &Address) -> Option<Arc<Lane>> {
        self.lanes.get(address).cloned()
    }

    pub(crate) fn is_usable(&self) -> bool {
        is_complete(&self.ranges) && self.lanes.values().all(|lane| lane.is_usable())
    }
}

/// Keeps the map of a cluster until nobody uses it any more.
async fn keep(cluster: Weak<Cluster>, options: Arc<RedisOptions>) {
    let mut rounds = 0;
    loop {
        sleep(ROUND).await;
        let Some(cluster) = cluster.upgrade() else { return };
        rounds += 1;
        let is_doubted = timeout(Duration::ZERO, cluster.is_doubted.notified()).await.is_ok();
        if is_doubted || rounds >= ROUNDS_BETWEEN_LOOKS || !cluster.map().is_usable() {
            rounds = 0;
            // The lanes say what does not work; the old map is still the best guess.
            drop(cluster.look(&options).await);
        }
    }
}

/// Who has which slots, as one node says.
async fn ask_for_slots(options: &RedisOptions, address: &Address) -> RedisResult<Vec<SlotRange>> {
    let mut connection = open(options, address, &config()).await?;
    let answer = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
    read_slots(&answer, address).ok_or_else(|| (redis::ErrorKind::Parse, "what CLUSTER SLOTS says cannot be read").into())
}
