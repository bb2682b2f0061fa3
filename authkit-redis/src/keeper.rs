//! The background task that keeps a bus connected.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::backoff::Backoff;
use crate::bus::Shared;
use crate::link::{self, Arrival, Arrivals, Link};
use crate::outage::Outage;

/// How often Redis is asked for a sign of life, also while it failed: the one attempt per second of an open breaker.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Keeps the bus connected until the last sink is dropped.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut backoff = Backoff::new();
    let mut opened = shared.take_opened();
    let mut outage = Outage::new(
        "no revocations over Redis: other nodes learn of them from the store, within a second",
        "revocations travel over Redis again",
    );
    while shared.sinks_or_end().is_some() {
        let link = match opened.take() {
            Some(link) => Ok(link),
            None => Link::open(&shared.options, &shared.nodes()).await,
        };
        match link {
            Ok(link) => {
                outage.is_over(&shared.options);
                let Link { connection, mut arrivals, nodes } = link;
                shared.set_nodes(nodes);
                shared.set_connection(Some(connection.clone()));
                // Only now: what was published before we were subscribed is in the store, which is read after this.
                shared.report_gap();
                tokio::select! {
                    () = deliver(&shared, &mut arrivals) => {}
                    () = watch(&shared, connection, &mut backoff) => {}
                }
                shared.set_connection(None);
                if shared.sinks_or_end().is_none() {
                    return;
                }
                outage.is_told(&shared.options, &"the connection was lost");
            }
            Err(error) => outage.is_told(&shared.options, &error),
        }
        sleep(backoff.next(&*shared.options.entropy)).await;
    }
}

/// Delivers until the subscription is over.
async fn deliver(shared: &Shared, arrivals: &mut Arrivals) {
    while let Some(arrival) = arrivals.next().await {
        match arrival {
            Arrival::Message(message) => shared.deliver(&message),
            Arrival::Overflow => shared.report_gap(),
        }
    }
}

/// Returns when Redis gives no sign of life, or nobody listens any more.
async fn watch(shared: &Shared, mut connection: MultiplexedConnection, backoff: &mut Backoff) {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if shared.sinks_or_end().is_none() {
            return;
        }
        // After a publish that failed, only one that works shows that the next will.
        let is_suspect = !shared.is_answering();
        let answer = if is_suspect {
            link::prove(&mut connection).await
        } else if shared.options.is_cluster() {
            link::see_cluster(&mut connection).await
        } else {
            link::ping(&mut connection).await
        };
        if answer.is_err() {
            return;
        }
        if is_suspect {
            shared.answers_again();
        }
        // A Redis that takes us and drops us at once must not be asked in a tight loop: only a second of peace counts.
        backoff.reset();
    }
}
