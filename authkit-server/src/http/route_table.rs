//! What poem does not tell about its routes: their methods, and the names that the documentation gives to their parts.

use std::collections::HashMap;

use poem::http::Method;
use poem_openapi::OpenApi;

/// The routes of the service, by the pattern under which poem knows them.
///
/// From here come the `Allow` header of a 405 (RFC 9110 §15.5.6), the route in the log and in the metrics, and the name of a
/// path parameter in an error: poem-openapi calls the parameters of a path `param0`, `param1`, … whatever they are called.
#[derive(Debug, Clone, Default)]
pub struct RouteTable(HashMap<String, Route>);

#[derive(Debug, Clone, Default)]
struct Route {
    /// As OpenAPI writes it: `/users/{id}`.
    documented: String,
    methods: Vec<Method>,
}

impl RouteTable {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one route without parameters, such as `/health/live`.
    #[must_use]
    pub fn route(mut self, path: &str, methods: impl IntoIterator<Item = Method>) -> Self {
        self.add(path, methods);
        self
    }

    /// Adds the routes of an API that is nested under `prefix`.
    #[must_use]
    pub fn openapi<A: OpenApi>(mut self, prefix: &str) -> Self {
        for path in A::meta().into_iter().flat_map(|api| api.paths) {
            let documented = format!("{}{}", prefix.trim_end_matches('/'), path.path);
            self.add(&documented, path.operations.into_iter().map(|operation| operation.method));
        }
        self
    }

    /// The methods of a route, for the `Allow` header.
    pub(crate) fn allow(&self, pattern: &str) -> Option<String> {
        let methods = &self.0.get(pattern)?.methods;
        Some(methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", "))
    }

    /// The documented form of a route; poem's own where the route is not in the table.
    pub(crate) fn documented<'r>(&'r self, pattern: &'r str) -> &'r str {
        self.0.get(pattern).map_or(pattern, |route| &route.documented)
    }

    /// The documented name of the parameter that poem-openapi calls `param0`, `param1`, ….
    pub(crate) fn parameter(&self, pattern: &str, name: &str) -> Option<&str> {
        let index = name.strip_prefix("param")?.parse::<usize>().ok()?;
        parameters(&self.0.get(pattern)?.documented).nth(index)
    }

    fn add(&mut self, documented: &str, methods: impl IntoIterator<Item = Method>) {
        let mut pattern = documented.to_owned();
        for (index, name) in parameters(documented).enumerate() {
            pattern = pattern.replacen(&format!("{{{name}}}"), &format!(":param{index}"), 1);
        }
        let route = self.0.entry(pattern).or_insert_with(|| Route { documented: documented.to_owned(), methods: Vec::new() });
        for method in methods {
            // poem answers HEAD wherever it answers GET.
            let head = (method == Method::GET).then_some(Method::HEAD);
            for method in [Some(method), head].into_iter().flatten() {
                if !route.methods.contains(&method) {
                    route.methods.push(method);
                }
            }
        }
    }
}

fn parameters(documented: &str) -> impl Iterator<Item = &str> {
    documented.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_by_the_pattern_that_poem_openapi_makes_of_it() {
        let table = RouteTable::new().route("/users/{id}/sessions/{session_id}", [Method::GET, Method::DELETE]);
        let pattern = "/users/:param0/sessions/:param1";
        assert_eq!(table.allow(pattern).as_deref(), Some("GET, HEAD, DELETE"));
        assert_eq!(table.documented(pattern), "/users/{id}/sessions/{session_id}");
        assert_eq!(table.parameter(pattern, "param1"), Some("session_id"));
        assert_eq!(table.parameter(pattern, "limit"), None);
        assert_eq!(table.documented("/other"), "/other");
    }
}
