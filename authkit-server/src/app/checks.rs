//! The doctor's look at the store, Redis, the keys and the clock. It changes nothing.

use std::time::Duration;

use authkit_core::embedded::LocalKeyCustody;
use authkit_core::{OsEntropy, SystemClock};

use super::commands::runtime;
use super::durable::Durable;
use super::hot_state::HotState;
use crate::cli::doctor::{Check, Outcome};
use crate::settings::Settings;

/// Whether the clock is plausible: this build was made after that.
const BUILT_AFTER: i64 = 1_760_000_000;

pub(super) fn of_the_store(settings: &Settings) -> Vec<Check> {
    let mut checks = vec![clock()];
    checks.extend(redis(settings));
    if Durable::is_missing(settings) {
        checks.push(Check::new("database", Outcome::Ok, format!("{} is made at the first start", settings.database)));
        return checks;
    }
    let looked = runtime().map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            let store = tokio::time::timeout(Duration::from_secs(10), Durable::open(settings)).await;
            let store = store.map_err(|_| "it does not open within 10 s".to_owned())?.map_err(|error| error.to_string())?;
            let found = vec![database(settings, &store).await, keys(settings, &store).await];
            store.close().await;
            Ok(found)
        })
    });
    checks.extend(looked.unwrap_or_else(|error| vec![Check::new("database", Outcome::Fail, error)]));
    checks
}

fn clock() -> Check {
    use authkit_core::Clock;
    let now = SystemClock.now();
    if now.unix_seconds() < BUILT_AFTER {
        return Check::new("clock", Outcome::Fail, format!("says {now}, which is before this program was written: set it"));
    }
    Check::new("clock", Outcome::Ok, now.to_string())
}

/// Connects as a start would. A Redis that is away does not stop a start, so it is no failure here.
fn redis(settings: &Settings) -> Option<Check> {
    const NAME: &str = "redis";
    let redis = settings.redis.as_ref()?;
    let named = if redis.is_cluster() { format!("the cluster at {}", redis.address()) } else { redis.address().to_owned() };
    let looked = runtime().and_then(|runtime| {
        // Inside the runtime, where the background tasks of the connections live.
        runtime.block_on(async { Ok(HotState::connect(settings).await?.is_some_and(|redis| redis.is_working())) })
    });
    Some(match looked {
        Err(error) => Check::new(NAME, Outcome::Fail, error.to_string()),
        Ok(true) => Check::new(NAME, Outcome::Ok, format!("{named} answers")),
        Ok(false) => {
            let detail = "does not work: a logout takes a second to reach other nodes, and each node counts for itself";
            Check::new(NAME, Outcome::Warn, format!("{named} {detail}"))
        }
    })
}

async fn database(settings: &Settings, store: &Durable) -> Check {
    const NAME: &str = "database";
    let shown = &settings.database;
    match (store.check().await, store.store().ping().await) {
        (Err(error), _) => Check::new(NAME, Outcome::Fail, format!("{shown}: {error}")),
        (_, Err(error)) => Check::new(NAME, Outcome::Fail, format!("{shown} does not answer: {error}")),
        (Ok(status), Ok(())) if status.is_current() => {
            Check::new(NAME, Outcome::Ok, format!("{shown} is at schema version {}", status.version))
        }
        (Ok(status), Ok(())) => {
            let detail = format!("{shown} is migrated at the next start: {}", status.pending.join(", "));
            Check::new(NAME, Outcome::Warn, detail)
        }
    }
}

/// Opens every sealed key, as a start would.
async fn keys(settings: &Settings, store: &Durable) -> Check {
    const NAME: &str = "keys";
    let stored = match store.store().server_keys().await {
        Ok(stored) if stored.is_empty() => return Check::new(NAME, Outcome::Ok, "none yet, they are made at the first start"),
        Ok(stored) => stored,
        Err(error) => return Check::new(NAME, Outcome::Fail, format!("cannot be read: {error}")),
    };
    let masters = match &settings.master_keys {
        Some(keys) => Some(keys.clone()),
        None => crate::data_dir::DataDir::open(&settings.data_dir).ok().and_then(|dir| dir.key_file().load().ok().flatten()),
    };
    let Some(custody) = masters.and_then(|keys| LocalKeyCustody::new(keys, std::sync::Arc::new(OsEntropy)).ok()) else {
        return Check::new(
            NAME,
            Outcome::Fail,
            "there are sealed keys and no master key to open them: restore master.key from a backup",
        );
    };
    for key in &stored {
        if let Err(error) = authkit_core::flows::keys::try_open(&custody, key).await {
            return Check::new(NAME, Outcome::Fail, format!("{}: {error}", key.id));
        }
    }
    Check::new(NAME, Outcome::Ok, format!("all {} open under the master key", stored.len()))
}
