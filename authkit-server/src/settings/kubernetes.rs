//! The variables that Kubernetes puts into every container.

/// Whether a variable is one that Kubernetes sets for each Service of the namespace, and so no setting of anybody.
///
/// A Service called `redis` makes `REDIS_PORT=tcp://10.0.0.11:6379`, and one called `authkit` makes `AUTHKIT_PORT` and
/// `AUTHKIT_SERVICE_HOST`. Reading them as settings would keep the server from starting beside its own Service.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let is_endpoint = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    if name.ends_with("_PORT") && is_endpoint {
        return true;
    }
    // `<SERVICE>_PORT_<number>_<PROTOCOL>` and the same with `_PROTO`, `_PORT` or `_ADDR` behind it.
    let stem = ["_PROTO", "_PORT", "_ADDR"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let Some(stem) = ["_TCP", "_UDP", "_SCTP"].iter().find_map(|end| stem.strip_suffix(end)) else { return false };
    stem.rsplit_once("_PORT_").is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_of_a_service_are_told_from_settings() {
        let endpoint = "tcp://10.0.0.11:6379";
        for (name, value) in [
            ("REDIS_PORT", endpoint),
            ("AUTHKIT_PORT", endpoint),
            ("AUTHKIT_SERVICE_HOST", "10.0.0.11"),
            ("AUTHKIT_SERVER_SERVICE_PORT", "8000"),
            ("AUTHKIT_SERVICE_PORT_HTTP", "8000"),
            ("AUTHKIT_PORT_8000_TCP", endpoint),
            ("AUTHKIT_PORT_8000_TCP_PORT", "8000"),
            ("AUTHKIT_PORT_8000_TCP_ADDR", "10.0.0.11"),
            ("AUTHKIT_PORT_8000_TCP_PROTO", "tcp"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        for (name, value) in [("REDIS_PORT", "6379"), ("AUTHKIT_PORT", "8000"), ("AUTHKIT_LISTEN", endpoint), ("AUTHKIT_TCP", "")]
        {
            assert!(!is_service_link(name, value), "{name}");
        }
    }
}
