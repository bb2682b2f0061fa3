//! A JSON body that may be missing.

use http_body_util::combinators::BoxBody;
use poem::{Request, RequestBody, Result};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;

use super::{StrictJson, check_type, collect};
use crate::http::body::BodyError;

/// A JSON request body as [`StrictJson`] takes it, or none at all: then it is what `T` is by default. A body that is there is refused
/// as that one refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionalJson<T>(pub T);

impl<'a, T: Type + DeserializeOwned + Default> ApiExtractor<'a> for OptionalJson<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <StrictJson<T> as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema = <StrictJson<T> as Payload>::schema_ref();
        let content = MetaMediaType { content_type: <StrictJson<T> as Payload>::CONTENT_TYPE, schema };
        Some(MetaRequest { description: None, content: vec![content], required: false })
    }

    async fn from_request(request: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let bytes = collect(BoxBody::from(body.take()?)).await.map_err(BodyError::to_problem)?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        check_type(request)?;
        Ok(Self(StrictJson::decode(&bytes)?.0))
    }
}
