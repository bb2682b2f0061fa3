//! The statements' texts, with the tables in their schema.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::mutant::Mutation;

/// What the shared texts write before the name of a table. On PostgreSQL it becomes the schema and a dot.
const PREFIX: &str = "authkit_";

/// The name of a schema, which can stand in a statement without quotes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SchemaName(Arc<str>);

impl SchemaName {
    /// SECURITY: the name is spliced into statements, so it is one of a kind that needs no quotes and cannot end a word.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let fits =
            (1..=63).contains(&name.len()) && name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_lowercase());
        // PostgreSQL keeps those for itself.
        let fits = fits && !name.starts_with("pg_");
        fits.then(|| Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A text with every table in this schema.
    pub(crate) fn qualify(&self, sql: &str) -> String {
        sql.replace(PREFIX, &format!("{}.", self.0))
    }
}

impl Default for SchemaName {
    fn default() -> Self {
        Self("authkit".into())
    }
}

impl fmt::Debug for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The texts of one store: each shared text is rewritten once, and then found again.
#[derive(Debug)]
pub(crate) struct Texts {
    schema: SchemaName,
    mutation: Mutation,
    rewritten: RwLock<HashMap<&'static str, Arc<str>>>,
}

impl Texts {
    pub(crate) fn new(schema: SchemaName, mutation: Mutation) -> Self {
        Self { schema, mutation, rewritten: RwLock::default() }
    }

    pub(crate) const fn mutation(&self) -> Mutation {
        self.mutation
    }

    /// The text as PostgreSQL gets it.
    pub(crate) fn of(&self, sql: &'static str) -> Arc<str> {
        if let Some(text) = self.rewritten.read().unwrap_or_else(PoisonError::into_inner).get(sql) {
            return Arc::clone(text);
        }
        let text: Arc<str> = self.schema.qualify(self.mutation.rewrite(sql)).into();
        self.rewritten.write().unwrap_or_else(PoisonError::into_inner).entry(sql).or_insert(text).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_stand_in_their_schema() {
        let texts = Texts::new(SchemaName::parse("auth").expect("a name"), Mutation::NONE);
        let text = texts.of("SELECT 1 FROM authkit_users u WHERE u.id = authkit_sessions.user_id");
        assert_eq!(&*text, "SELECT 1 FROM auth.users u WHERE u.id = auth.sessions.user_id");
        assert!(Arc::ptr_eq(&text, &texts.of("SELECT 1 FROM authkit_users u WHERE u.id = authkit_sessions.user_id")));
    }
}
