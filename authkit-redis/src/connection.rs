//! How one connection to Redis is opened.

use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, RedisResult};
use tokio::time::timeout;

use crate::address::Address;
use crate::error::UNKNOWN_SERVICE;
use crate::options::{Deployment, RedisOptions};

/// How long it may take to connect, sign in and be of use, all together. Only a background task and the start wait for it.
pub(crate) const OPEN_LIMIT: Duration = Duration::from_secs(1);
/// How long Redis may take to answer a sign of life before the connection is given up.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What every connection is opened with.
pub(crate) fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(OPEN_LIMIT)).set_response_timeout(Some(ANSWER_LIMIT))
}

/// Opens a connection to the server at an address.
pub(crate) async fn open(
    options: &RedisOptions,
    address: &Address,
    config: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    options.client(address)?.get_multiplexed_async_connection_with_config(config).await
}

/// Gives up after [`OPEN_LIMIT`].
pub(crate) async fn within_limit<T>(opening: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(OPEN_LIMIT, opening).await.unwrap_or_else(|_| Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut))))
}

/// The server that takes writes, where there is one for all of them: the only one, or the master that a sentinel names now.
/// For a cluster it is any of its nodes.
pub(crate) async fn master(options: &RedisOptions) -> RedisResult<Address> {
    let Deployment::Sentinel { sentinels, service } = &options.deployment else { return Ok(options.addresses()[0].clone()) };
    let mut last = RedisError::from(io::Error::from(io::ErrorKind::NotFound));
    for sentinel in sentinels {
        // A sentinel that hangs must leave time for the next.
        match within_limit(ask_sentinel(options, sentinel, service)).await {
            Ok(Some(master)) => return Ok(master),
            Ok(None) => last = unknown_service(),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What a sentinel says that does not watch the service.
fn unknown_service() -> RedisError {
    (redis::ErrorKind::InvalidClientConfig, UNKNOWN_SERVICE).into()
}

async fn ask_sentinel(options: &RedisOptions, sentinel: &Address, service: &str) -> RedisResult<Option<Address>> {
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    let mut answer: RedisResult<Option<(String, u16)>> = Ok(None);
    for signs_in in [false, true] {
        let client = options.sentinel_client(sentinel, signs_in)?;
        answer = match client.get_multiplexed_async_connection_with_config(&config()).await {
            Ok(mut connection) => question.query_async(&mut connection).await,
            Err(error) => Err(error),
        };
        let wants_password = answer.as_ref().is_err_and(|error| error.code() == Some("NOAUTH"));
        if !wants_password {
            break;
        }
    }
    Ok(answer?.map(|(host, port)| Address::new(host, port)))
}
