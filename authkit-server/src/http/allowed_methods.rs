//! Which methods a route knows: poem answers 405 without saying it.

use std::collections::HashMap;

use poem::http::Method;
use poem_openapi::OpenApi;

/// The methods of every route, by its pattern, for the `Allow` header of a 405 (RFC 9110 §15.5.6).
#[derive(Debug, Clone, Default)]
pub struct AllowedMethods(HashMap<String, Vec<Method>>);

impl AllowedMethods {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one route, such as `/health/live`, by the pattern under which poem knows it.
    #[must_use]
    pub fn route(mut self, pattern: &str, methods: impl IntoIterator<Item = Method>) -> Self {
        self.add(pattern.to_owned(), methods);
        self
    }

    /// Adds the routes of an API that is nested under `prefix`.
    #[must_use]
    pub fn openapi<A: OpenApi>(mut self, prefix: &str) -> Self {
        for path in A::meta().into_iter().flat_map(|api| api.paths) {
            // OpenAPI writes `{id}` where poem writes `:id`.
            let pattern = path.path.replace('{', ":").replace('}', "");
            self.add(format!("{}{pattern}", prefix.trim_end_matches('/')), path.operations.into_iter().map(|op| op.method));
        }
        self
    }

    /// The value of the header for a pattern.
    pub(crate) fn header(&self, pattern: &str) -> Option<String> {
        let methods = self.0.get(pattern)?;
        Some(methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", "))
    }

    fn add(&mut self, pattern: String, methods: impl IntoIterator<Item = Method>) {
        let known = self.0.entry(pattern).or_default();
        for method in methods {
            // poem answers HEAD wherever it answers GET.
            let head = (method == Method::GET).then_some(Method::HEAD);
            for method in [Some(method), head].into_iter().flatten() {
                if !known.contains(&method) {
                    known.push(method);
                }
            }
        }
    }
}
