//! The cookie that makes a device known at its next login (OWASP, Slow Down Online Guessing Attacks with Device Cookies).

use std::time::Duration;

use authkit_core::{DeviceToken, TrustToken};
use poem::http::HeaderMap;
use poem::http::header::COOKIE;
use poem::{FromRequest, Request, RequestBody, Result};

/// The name where clients come by https: a browser takes it from nobody but this host, on a safe connection.
const NAME: &str = "__Host-authkit_device";
/// The name where they come by http, on one's own machine: a browser refuses the other one there.
const PLAIN_NAME: &str = "authkit_device";
/// The same for a device that is trusted to show no second factor.
const TRUST_NAME: &str = "__Host-authkit_trust";
const PLAIN_TRUST_NAME: &str = "authkit_trust";

/// How the cookie is set here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeviceCookies {
    is_https: bool,
    lifetime: Duration,
    trust_lifetime: Duration,
}

impl DeviceCookies {
    /// For a service that is reached by https, or not, and knows a device for so long.
    pub(crate) const fn new(is_https: bool, lifetime: Duration) -> Self {
        Self { is_https, lifetime, trust_lifetime: Duration::ZERO }
    }

    /// And trusts one for so long.
    pub(crate) const fn trusting(self, trust_lifetime: Duration) -> Self {
        Self { trust_lifetime, ..self }
    }

    /// Whether clients come by https.
    pub(crate) const fn is_https(self) -> bool {
        self.is_https
    }

    const fn name(self) -> &'static str {
        if self.is_https { NAME } else { PLAIN_NAME }
    }

    /// The `Set-Cookie` of a token (RFC 6265bis §4.1).
    pub(crate) fn set(self, token: &DeviceToken) -> String {
        self.cookie(self.name(), token.expose(), self.lifetime)
    }

    /// The `Set-Cookie` of the trust in a device.
    pub(crate) fn set_trust(self, token: &TrustToken) -> String {
        self.cookie(self.trust_name(), token.expose(), self.trust_lifetime)
    }

    const fn trust_name(self) -> &'static str {
        if self.is_https { TRUST_NAME } else { PLAIN_TRUST_NAME }
    }

    fn cookie(self, name: &str, value: &str, lifetime: Duration) -> String {
        let (secure, max_age) = (if self.is_https { "; Secure" } else { "" }, lifetime.as_secs());
        // SECURITY: scripts have no use for it; and whoever is sent here by a link logs in on the same device as ever.
        format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
    }

    /// The token that a client sent; `None` for none, and for more than one of the name.
    fn read(self, headers: &HeaderMap) -> Option<DeviceToken> {
        Self::only(headers, self.name()).map(DeviceToken::new)
    }

    /// The trust that a client showed, likewise.
    fn read_trust(self, headers: &HeaderMap) -> Option<TrustToken> {
        Self::only(headers, self.trust_name()).map(TrustToken::new)
    }

    fn only(headers: &HeaderMap, wanted: &str) -> Option<String> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
        let (Some(only), None) = (values.next(), values.next()) else { return None };
        Some(only.to_owned())
    }
}

/// The device token of a request's cookie, and how to set the next one.
pub(crate) struct DeviceCookie {
    pub(crate) token: Option<DeviceToken>,
    /// That its user trusts the device.
    pub(crate) trust: Option<TrustToken>,
    pub(crate) cookies: DeviceCookies,
}

impl<'a> FromRequest<'a> for DeviceCookie {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        // Where nothing is said of it, it is set as on one's own machine.
        let plain = DeviceCookies::new(false, Duration::ZERO);
        let cookies = request.data::<DeviceCookies>().copied().unwrap_or(plain);
        let headers = request.headers();
        Ok(Self { token: cookies.read(headers), trust: cookies.read_trust(headers), cookies })
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    const SAFE: DeviceCookies = DeviceCookies::new(true, Duration::from_hours(24 * 180));
    const PLAIN: DeviceCookies = DeviceCookies::new(false, Duration::from_mins(1));

    fn read(cookies: DeviceCookies, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).expect("a header value"));
        }
        cookies.read(&headers).map(|token| token.expose().to_owned())
    }

    #[test]
    fn it_is_set_for_this_host_alone_and_for_no_script() {
        let token = DeviceToken::new("ak_dt_x".to_owned());
        let expected = "__Host-authkit_device=ak_dt_x; Path=/; Max-Age=15552000; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(SAFE.set(&token), expected);
        assert_eq!(PLAIN.set(&token), "authkit_device=ak_dt_x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn trust_is_a_cookie_of_its_own() {
        let trusting = SAFE.trusting(Duration::from_hours(24 * 30));
        let expected = "__Host-authkit_trust=ak_trust_x; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(trusting.set_trust(&TrustToken::new("ak_trust_x".to_owned())), expected);
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("__Host-authkit_device=d; __Host-authkit_trust=t"));
        assert_eq!(trusting.read_trust(&headers).map(|token| token.expose().to_owned()).as_deref(), Some("t"));
        assert_eq!(trusting.read(&headers).map(|token| token.expose().to_owned()).as_deref(), Some("d"));
    }

    #[test]
    fn it_is_read_where_it_is_there_once_under_its_own_name() {
        assert_eq!(read(SAFE, &["a=b; __Host-authkit_device=t; c"]).as_deref(), Some("t"));
        assert_eq!(read(PLAIN, &["a=b", "authkit_device=t"]).as_deref(), Some("t"));
        // What another host or an unsafe page has planted is none, nor is one of two.
        assert_eq!(read(SAFE, &["authkit_device=t"]), None);
        assert_eq!(read(SAFE, &["__host-authkit_device=t"]), None);
        assert_eq!(read(SAFE, &["__Host-authkit_device=t; __Host-authkit_device=u"]), None);
        for garbage in ["", ";;;", "=", "\u{fffd}", "__Host-authkit_device"] {
            assert_eq!(read(SAFE, &[garbage]), None, "{garbage:?}");
        }
    }
}
