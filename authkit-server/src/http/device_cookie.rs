//! The cookie that makes a device known at its next login (OWASP, Slow Down Online Guessing Attacks with Device Cookies).

use std::time::Duration;

use authkit_core::DeviceToken;
use poem::http::HeaderMap;
use poem::http::header::COOKIE;
use poem::{FromRequest, Request, RequestBody, Result};

/// The name where clients come by https: a browser takes it from nobody but this host, on a safe connection.
const NAME: &str = "__Host-authkit_device";
/// The name where they come by http, on one's own machine: a browser refuses the other one there.
const PLAIN_NAME: &str = "authkit_device";

/// How the cookie is set here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeviceCookies {
    is_https: bool,
    lifetime: Duration,
}

impl DeviceCookies {
    /// For a service that is reached by https, or not, and knows a device for so long.
    pub(crate) const fn new(is_https: bool, lifetime: Duration) -> Self {
        Self { is_https, lifetime }
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
        let secure = if self.is_https { "; Secure" } else { "" };
        let (name, max_age) = (self.name(), self.lifetime.as_secs());
        // SECURITY: scripts have no use for it; and whoever is sent here by a link logs in on the same device as ever.
        format!("{name}={}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}", token.expose())
    }

    /// The token that a client sent; `None` for none, and for more than one of the name.
    fn read(self, headers: &HeaderMap) -> Option<DeviceToken> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.name()).map(|(_, value)| value);
        let (Some(only), None) = (values.next(), values.next()) else { return None };
        Some(DeviceToken::new(only.to_owned()))
    }
}

/// The device token of a request's cookie, and how to set the next one.
pub(crate) struct DeviceCookie {
    pub(crate) token: Option<DeviceToken>,
    pub(crate) cookies: DeviceCookies,
}

impl<'a> FromRequest<'a> for DeviceCookie {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        // Where nothing is said of it, it is set as on one's own machine.
        let plain = DeviceCookies::new(false, Duration::ZERO);
        let cookies = request.data::<DeviceCookies>().copied().unwrap_or(plain);
        Ok(Self { token: cookies.read(request.headers()), cookies })
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
