//! The shape of a problem document for the OpenAPI description.

use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};

use super::{PROBLEM_JSON, Problem};

/// An error (RFC 9457). Further members may be present.
#[derive(Debug, Object)]
#[oai(rename = "Problem")]
pub struct ProblemDocument {
    /// Names the kind of problem: `urn:authkit:problem:` and the code.
    #[oai(rename = "type")]
    pub kind: String,
    /// What went wrong, the same for every problem of its kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    #[oai(skip_serializing_if_is_none)]
    pub detail: Option<String>,
    /// The stable machine code, such as `auth.invalid_credentials`.
    pub code: String,
    /// The id of the request, for the support and the log.
    pub request_id: String,
    /// The members of the request that were refused.
    #[oai(skip_serializing_if_is_none)]
    pub errors: Option<Vec<ProblemField>>,
}

/// A member of a request that was refused.
#[derive(Debug, Object)]
pub struct ProblemField {
    /// The path of the member.
    pub field: String,
    /// A stable machine code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// So that an operation can say `Result<Json<T>, Problem>`: its description gains a `default` response.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "A problem",
                status: None,
                status_range: None,
                content: vec![MetaMediaType { content_type: PROBLEM_JSON, schema: ProblemDocument::schema_ref() }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}
