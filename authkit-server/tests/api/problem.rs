//! What every refusal has in common.

use serde_json::Value;

use crate::support::Reply;

impl Reply {
    /// Holds a refusal against everything that is promised of one, and returns its document.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!((self.status, self.code().as_str()), (status, code), "{text}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{text}");
        let document = self.json();
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("urn:authkit:problem:{code}"));
        assert!(document["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert_eq!(document["request_id"], self.header("x-request-id"));
        assert!(!self.header("x-request-id").is_empty());
        assert_eq!(self.header("cache-control"), "no-store");
        if status == 401 {
            assert!(self.header("www-authenticate").starts_with("Bearer realm="), "{:?}", self.headers);
        }
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{:?}", self.headers);
        }
        document
    }

    /// A refusal of one member, which is named.
    #[track_caller]
    pub(crate) fn problem_of(&self, status: u16, code: &str, field: &str) -> Value {
        let document = self.problem(status, code);
        let fields: Vec<_> = document["errors"].as_array().into_iter().flatten().map(|error| error["field"].clone()).collect();
        assert_eq!(fields, [field], "{document}");
        document
    }
}
