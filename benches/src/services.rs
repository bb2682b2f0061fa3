//! PostgreSQL and Redis for the started server, where it is to have them.

use std::ffi::OsString;

use authkit_redis::testkit::RedisServer;
use authkit_sqlx::testkit::PgServer;

use crate::options::{Options, Service};

/// The services that were started for this run. They end with it.
#[derive(Debug, Default)]
pub struct Services {
    postgres: Option<PgServer>,
    redis: Option<RedisServer>,
    settings: Vec<(String, OsString)>,
}

impl Services {
    /// Starts what the command line wants private.
    ///
    /// # Panics
    /// When PostgreSQL or Redis is not installed.
    pub async fn start(options: &Options) -> Self {
        let mut services = Self::default();
        let database = match &options.database {
            Some(Service::Private) => Some(services.postgres.insert(PgServer::start().await).url()),
            Some(Service::At(url)) => Some(url.clone()),
            None => None,
        };
        let redis = match &options.redis {
            Some(Service::Private) => Some(services.redis.insert(RedisServer::start().await).url()),
            Some(Service::At(url)) => Some(url.clone()),
            None => None,
        };
        let settings = [("DATABASE_URL", database), ("REDIS_URL", redis)];
        let named = settings.into_iter().filter_map(|(name, url)| Some((name.to_owned(), url?.into())));
        services.settings.extend(named);
        services
    }

    /// What tells the server of them.
    #[must_use]
    pub fn settings(&self) -> &[(String, OsString)] {
        &self.settings
    }
}
