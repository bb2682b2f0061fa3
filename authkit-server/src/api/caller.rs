//! Who asks: the bearer token of a request, verified before anything else of it is read.

use authkit_core::{AuthKit, Principal};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::refusal::refused;
use crate::http::bearer_token;
use crate::problem::Problem;

/// The name of the scheme in the OpenAPI document.
const SCHEME: &str = "bearer";

/// Somebody whose access token was verified; a request without one gets no further. It comes first among the parameters of
/// a handler, so that nobody without a token learns anything from how the rest of her request is refused.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) Principal);

impl<'a> ApiExtractor<'a> for Caller {
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
        let token = bearer_token(request.headers())?;
        let auth = request.data::<AuthKit>().ok_or_else(Problem::internal)?;
        Ok(Self(auth.authenticate(token).map_err(refused)?))
    }
}
