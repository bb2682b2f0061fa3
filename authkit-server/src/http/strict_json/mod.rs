//! A JSON body that says exactly what the operation takes, or is refused with the member that does not.

mod decode;
mod document;
mod optional;

use std::ops::Deref;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use poem::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use poem::{Request, RequestBody, Result};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;

pub use self::optional::OptionalJson;
use super::body::BodyError;
use crate::problem::Problem;

/// The most bytes that are read, also where no shell stands before the handler.
const MAX_BYTES: usize = 64 * 1024;

/// A JSON request body, decoded strictly.
///
/// `T` derives `poem_openapi::Object` for the schema and `serde::Deserialize` with `deny_unknown_fields` for the decoding.
/// Refused are:
///
/// | body | status and code |
/// |---|---|
/// | not `application/json`, another charset than UTF-8, compressed | 415 `request.unsupported_media_type` |
/// | over the size limit, or too slow | 413 `request.body_too_large`, 408 `request.body_timeout` |
/// | empty, not JSON, not UTF-8, a member twice, nested over 32 deep | 400 `request.malformed_json` |
/// | a member that the operation does not know | 422 `request.unknown_member` |
/// | a member that it needs | 422 `request.missing_member` |
/// | a member of the wrong type | 422 `request.invalid_type` |
/// | a member whose value its type does not take | 422 `request.invalid_value` |
///
/// # Security
/// No answer repeats a value of the body: it may be a password in the wrong place. Names of unknown members are repeated,
/// shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrictJson<T>(pub T);

impl<T> Deref for StrictJson<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> StrictJson<T> {
    /// Decodes a whole body.
    fn decode(body: &[u8]) -> Result<Self, Problem> {
        let document = document::parse(body)?;
        decode::decode(document).map(Self)
    }
}

impl<T: Type> Payload for StrictJson<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        is_json(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: DeserializeOwned + Send> ParsePayload for StrictJson<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        check_type(request)?;
        let bytes = collect(BoxBody::from(body.take()?)).await.map_err(BodyError::to_problem)?;
        Ok(Self::decode(&bytes)?)
    }
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for StrictJson<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = MetaMediaType { content_type: Self::CONTENT_TYPE, schema: <Self as Payload>::schema_ref() };
        Some(MetaRequest { description: None, content: vec![content], required: true })
    }

    async fn from_request(request: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        <Self as ParsePayload>::from_request(request, body).await
    }
}

/// Refuses a body that is not plain JSON.
fn check_type(request: &Request) -> Result<(), Problem> {
    let mut types = request.headers().get_all(CONTENT_TYPE).iter();
    // Two types are none: something in front of us may have looked at the other one.
    let content_type = types.next().filter(|_| types.next().is_none()).and_then(|value| value.to_str().ok());
    let mut encodings = request.headers().get_all(CONTENT_ENCODING).iter();
    let encoded = encodings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    // SECURITY: a form can be posted across sites without a preflight; JSON cannot. And a body that would grow when it is
    // unpacked is not unpacked.
    if encoded || !content_type.is_some_and(is_json) { Err(Problem::unsupported_media_type()) } else { Ok(()) }
}

async fn collect(mut body: BoxBody<Bytes, std::io::Error>) -> Result<Bytes, BodyError> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| BodyError::of_io(&error))?.into_data() else { continue };
        length += data.len();
        if length > MAX_BYTES {
            return Err(BodyError::TooLarge { max_bytes: MAX_BYTES });
        }
        // Nearly every body comes in one piece, which then needs no copy.
        match first.take() {
            None if all.is_empty() => first = Some(data),
            None => all.extend_from_slice(&data),
            Some(earlier) => {
                all.extend_from_slice(&earlier);
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

/// `application/json`, with no parameter but `charset=utf-8` (RFC 8259 §11 defines none, yet clients send that one).
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    json && parts.filter(|part| !part.is_empty()).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

#[cfg(test)]
mod tests;
