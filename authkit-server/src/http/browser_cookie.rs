//! The cookie that binds a link that logs in to the browser that asked for it.

use std::time::Duration;

use authkit_core::{Entropy, OsEntropy};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::HeaderMap;
use poem::http::header::COOKIE;
use poem::{FromRequest, Request, RequestBody, Result};

use super::device_cookie::DeviceCookies;

/// The name where clients come by https: a browser takes it from nobody but this host, on a safe connection.
const NAME: &str = "__Host-authkit_browser";
/// The name where they come by http, on one's own machine.
const PLAIN_NAME: &str = "authkit_browser";
/// How long a browser keeps it: longer than any link that it asked for is good.
const LIFETIME: Duration = Duration::from_hours(1);
/// 256 random bits in base64url.
const CHARS: usize = 43;

/// The secret of the browser that a request comes from, and how to give it one.
pub(crate) struct BrowserCookie {
    /// `None` for none, for more than one of the name, and for what this service has not made.
    pub(crate) secret: Option<String>,
    is_https: bool,
}

impl BrowserCookie {
    /// The secret of the browser, a new one where it has none; and the `Set-Cookie` that keeps it for as long as a link may be good.
    ///
    /// SECURITY: `SameSite=Lax` sends it along when the link is opened out of a mail program's window, and with no form that
    /// another site posts: nobody logs a browser in that has not asked.
    pub(crate) fn keep(&self) -> (String, String) {
        let secret = self.secret.clone().unwrap_or_else(fresh);
        let (name, secure) = if self.is_https { (NAME, "; Secure") } else { (PLAIN_NAME, "") };
        let cookie = format!("{name}={secret}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", LIFETIME.as_secs());
        (secret, cookie)
    }

    fn read(headers: &HeaderMap, is_https: bool) -> Option<String> {
        let wanted = if is_https { NAME } else { PLAIN_NAME };
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
        let (Some(only), None) = (values.next(), values.next()) else { return None };
        let is_ours = only.len() == CHARS && only.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        is_ours.then(|| only.to_owned())
    }
}

fn fresh() -> String {
    let mut bytes = [0; 32];
    OsEntropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

impl<'a> FromRequest<'a> for BrowserCookie {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let is_https = request.data::<DeviceCookies>().is_some_and(|cookies| cookies.is_https());
        Ok(Self { secret: Self::read(request.headers(), is_https), is_https })
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn read(is_https: bool, line: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_str(line).expect("a header value"));
        BrowserCookie::read(&headers, is_https)
    }

    #[test]
    fn a_browser_keeps_its_secret_and_gets_one_where_it_has_none() {
        let (secret, cookie) = BrowserCookie { secret: None, is_https: true }.keep();
        assert_eq!(cookie, format!("__Host-authkit_browser={secret}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"));
        assert_ne!(BrowserCookie { secret: None, is_https: true }.keep().0, secret);
        assert_eq!(read(true, &format!("a=b; __Host-authkit_browser={secret}")), Some(secret.clone()));
        let (kept, _) = BrowserCookie { secret: Some(secret.clone()), is_https: false }.keep();
        assert_eq!(kept, secret);
        // What another host has planted, what is there twice, and what was never ours is none.
        assert_eq!(read(true, &format!("authkit_browser={secret}")), None);
        assert_eq!(read(false, &format!("authkit_browser={secret}; authkit_browser={secret}")), None);
        for garbage in ["", "authkit_browser=", "authkit_browser=x", "authkit_browser"] {
            assert_eq!(read(false, garbage), None, "{garbage:?}");
        }
    }
}
