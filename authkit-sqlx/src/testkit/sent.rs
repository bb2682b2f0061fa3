//! The statements, as PostgreSQL gets them: for a look at their plans, and for whoever measures the database without us.

use std::fmt::Write as _;

use authkit_core::testkit::Fixtures;

use crate::aggregate::session;
use crate::dialect;
use crate::postgres::{SchemaName, SchemaNameError};
use crate::statement::Query;
use crate::statement::every::every_text;
use crate::value::Value;

/// A statement with its tables in their schema, and arguments that fit it.
#[derive(Debug, Clone)]
pub struct SentStatement {
    text: String,
    types: Vec<&'static str>,
    arguments: Vec<String>,
}

impl SentStatement {
    /// Every statement that a store sends to the tables of a schema.
    pub fn every(schema: &str) -> Result<Vec<Self>, SchemaNameError> {
        let schema = SchemaName::parse(schema).ok_or(SchemaNameError)?;
        Ok(every_text(&dialect::POSTGRES, &Fixtures::new(2)).into_iter().map(|query| Self::new(&schema, &query)).collect())
    }

    /// The rotation of a refresh token. Its binds are the session, the generation and the secret that are presented, the next
    /// secret, the instant, the end of the next idle time, the address and the user agent.
    pub fn rotation(schema: &str) -> Result<Self, SchemaNameError> {
        let schema = SchemaName::parse(schema).ok_or(SchemaNameError)?;
        let fixtures = Fixtures::new(2);
        let session = fixtures.session(fixtures.user().id);
        Ok(Self::new(&schema, &session::rotation(&dialect::POSTGRES, &fixtures.rotation(&session))))
    }

    fn new(schema: &SchemaName, query: &Query) -> Self {
        let text = schema.qualify(query.sql);
        let (types, arguments) = query.args.iter().map(|value| (type_of(value), literal(value))).unzip();
        Self { text, types, arguments }
    }

    /// The text, with its binds.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `PREPARE name …`.
    #[must_use]
    pub fn prepare(&self, name: &str) -> String {
        let types = if self.types.is_empty() { String::new() } else { format!("({})", self.types.join(", ")) };
        format!("PREPARE {name}{types} AS {}", self.text)
    }

    /// `EXECUTE name …`, with arguments.
    #[must_use]
    pub fn execute(&self, name: &str) -> String {
        let arguments = if self.arguments.is_empty() { String::new() } else { format!("({})", self.arguments.join(", ")) };
        format!("EXECUTE {name}{arguments}")
    }
}

const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Int(_) => "bigint",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytea",
        Value::Id(_) => "uuid",
    }
}

fn literal(value: &Value) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match value {
        Value::Int(Some(number)) => number.to_string(),
        Value::Text(Some(text)) => quoted(text),
        Value::Id(Some(id)) => quoted(&id.to_string()),
        Value::Bytes(Some(bytes)) => quoted(&bytes.iter().fold("\\x".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })),
        Value::Int(None) | Value::Text(None) | Value::Bytes(None) | Value::Id(None) => "NULL".to_owned(),
    }
}
