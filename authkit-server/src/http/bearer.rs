//! The access token of a request, from its header alone.

use poem::http::HeaderMap;
use poem::http::header::AUTHORIZATION;

use crate::problem::Problem;

/// The longest token that is looked at, in bytes. A token of ours with every claim it can have stays far below.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Reads `Authorization: Bearer <token>` (RFC 6750 §2.1); the scheme is matched without regard to case (RFC 9110 §11.1).
///
/// # Errors
/// [`Problem::unauthenticated`] where there is no header, [`Problem::invalid_token`] where it is anything but one bearer token.
///
/// # Security
/// Never from the query or a form (RFC 9700 §4.3.2), and never a guess: two headers, or two tokens in one, are refused, since
/// something in front of us may have looked at the other one.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(Problem::unauthenticated)?;
    if values.next().is_some() {
        return Err(Problem::invalid_token());
    }
    let text = value.to_str().map_err(|_| Problem::invalid_token())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(Problem::invalid_token)?;
    let token = token.trim_start_matches(' ');
    // RFC 6750 §2.1, `b64token`.
    let sane = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    let one_token = !token.is_empty() && token.len() <= MAX_TOKEN_BYTES && token.bytes().all(sane);
    if scheme.eq_ignore_ascii_case("bearer") && one_token { Ok(token) } else { Err(Problem::invalid_token()) }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn anything_but_one_bearer_token_is_a_401() {
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        let corpus: [&[u8]; 10] = [
            b"",
            b"Bearer",
            b"Bearer ",
            b"Bearer  ",
            b"Bearer \xff",
            b"bearer x y",
            b"Basic dTpw",
            b"Bearer\tx",
            b"Bearer x,Bearer y",
            long.as_bytes(),
        ];
        for value in corpus {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).expect("a header value"));
            assert_eq!(bearer_token(&headers).expect_err("refused").status(), 401, "{value:?}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(bearer_token(&headers).expect_err("refused").code(), "auth.unauthenticated");
        headers.append(AUTHORIZATION, HeaderValue::from_static("bearer a.b-c_d"));
        assert_eq!(bearer_token(&headers).ok(), Some("a.b-c_d"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        assert_eq!(bearer_token(&headers).expect_err("two headers").code(), "auth.invalid_token");
    }
}
