//! JSON lines: an object a line, with the names of the columns as members.

use std::io;

use serde_json::{Map, Value};

use super::lines::Lines;
use super::row::{Column, Row, RowError};

/// The rows of a file of JSON lines.
pub(super) struct JsonlReader<'r> {
    pub(super) lines: Lines<'r>,
    ignore_unknown: bool,
}

impl<'r> JsonlReader<'r> {
    pub(super) fn new(lines: Lines<'r>, ignore_unknown: bool) -> Self {
        Self { lines, ignore_unknown }
    }

    /// The next row, and its line.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Result<Row, RowError>)>> {
        let Some((number, line)) = self.lines.next()? else { return Ok(None) };
        Ok(Some((number, line.text().and_then(|text| self.row(&text)))))
    }

    fn row(&self, line: &str) -> Result<Row, RowError> {
        // Neither the text nor serde's message, which may quote it, is said: a line may hold a password.
        let object: Map<String, Value> = serde_json::from_str(line)
            .map_err(|error| RowError::of_line(format!("no JSON object (column {})", error.column())))?;
        let mut values = Vec::new();
        let mut wrong = None;
        for (name, value) in object {
            let Some(column) = Column::by_name(&name) else {
                if Column::is_plain_text(&name) {
                    wrong = Some(RowError::plain_text(&name));
                } else if !self.ignore_unknown {
                    wrong = Some(RowError::of_line(format!("the member {name:?} is not known")));
                }
                continue;
            };
            match value {
                Value::Null => {}
                Value::String(text) => values.push((column, text)),
                Value::Bool(flag) => values.push((column, flag.to_string())),
                // Some systems number their users.
                Value::Number(number) if column == Column::ExternalId => values.push((column, number.to_string())),
                Value::Array(names) if column == Column::Roles => match words(&names) {
                    Some(text) => values.push((column, text)),
                    None => wrong = Some(RowError::of_line("roles: is no list of names of roles")),
                },
                _ => wrong = Some(RowError::of_line(format!("the member {name:?} is neither a text nor true, false or null"))),
            }
        }
        match wrong {
            None => Ok(Row::of(values)),
            Some(error) => Err(error.about(values.iter().find(|(column, _)| *column == Column::Email).map(|(_, email)| email))),
        }
    }
}

/// The texts of an array, as they stand in a column; `None` when one is no text or would be two there.
fn words(values: &[Value]) -> Option<String> {
    let words: Option<Vec<&str>> =
        values.iter().map(|value| value.as_str().filter(|word| !word.is_empty() && !word.contains([' ', ';']))).collect();
    Some(words?.join(" "))
}
