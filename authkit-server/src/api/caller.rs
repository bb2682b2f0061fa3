//! The bearer token of a request (RFC 6750 §2.1): from the `Authorization` header, and from nowhere else.

use authkit_core::AuthKit;
use authkit_core::flows::Principal;
use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::refusal::{missing_bearer, refused};

/// The name of the scheme in the OpenAPI document.
const SCHEME: &str = "bearer";

/// The access token that came with a request, not yet verified.
#[derive(Debug)]
pub(crate) struct Bearer(Option<String>);

impl Bearer {
    /// Verifies the token.
    ///
    /// # Errors
    /// 401 with a challenge, whatever is wrong with it.
    pub(crate) fn caller(&self, auth: &AuthKit) -> poem::Result<Principal> {
        let token = self.0.as_deref().ok_or_else(missing_bearer)?;
        Ok(auth.authenticate(token).map_err(refused)?)
    }
}

impl<'a> ApiExtractor<'a> for Bearer {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some("An access token of a login, registration or refresh."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("JWT"),
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(SCHEME, scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
        Ok(Self(token_of(request)))
    }
}

/// The one token of the one `Authorization` header; two headers, another scheme or a second word are no token.
fn token_of(request: &Request) -> Option<String> {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(headers: &[&[u8]]) -> Option<String> {
        let mut request = Request::builder();
        for value in headers {
            request = request.header(header::AUTHORIZATION, poem::http::HeaderValue::from_bytes(value).expect("a header"));
        }
        token_of(&request.finish())
    }

    #[test]
    fn only_one_well_formed_header_carries_a_token() {
        assert_eq!(token(&[b"Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(token(&[b"bearer  abc "]).as_deref(), Some("abc"));
        for headers in [
            &[][..], &[b"Bearer"], &[b"Bearer "], &[b"Bearer a b"], &[b"Basic abc"], &[b"abc"], &[b"Bearer \xff"], &[b"Bearer a", b"Bearer b"],
        ] {
            assert_eq!(token(headers), None, "{headers:?}");
        }
    }
}
