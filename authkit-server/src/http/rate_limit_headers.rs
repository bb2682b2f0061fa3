//! What a client has left of its quotas, as headers of its reply.

use std::time::Duration;

use authkit_core::model::Reading;
use poem::http::{HeaderMap, HeaderName, HeaderValue};

/// How much is allowed at once.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// How much of that is left.
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// In how many seconds all of it is there again.
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Writes what the tightest bucket said (draft-ietf-httpapi-ratelimit-headers-03).
pub(crate) fn write(headers: &mut HeaderMap, reading: &Reading) {
    headers.insert(LIMIT, reading.limit.into());
    headers.insert(REMAINING, reading.remaining.into());
    headers.insert(RESET, HeaderValue::from(whole_seconds(reading.reset_after)));
}

/// Rounded up: a client that comes back when it was told to is not too early.
fn whole_seconds(after: Duration) -> u64 {
    after.as_secs() + u64::from(after.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use authkit_core::model::Quota;

    use super::*;

    #[test]
    fn what_is_left_is_told_in_whole_seconds_rounded_up() {
        let quota = Quota::new(3, Duration::from_millis(1_100)).expect("a quota");
        let mut headers = HeaderMap::new();
        write(&mut headers, &quota.charge(Duration::from_millis(1_100)));
        let values: Vec<_> = [LIMIT, REMAINING, RESET].iter().map(|name| headers[name].to_str().expect("ASCII")).collect();
        assert_eq!(values, ["3", "1", "3"]);
    }
}
