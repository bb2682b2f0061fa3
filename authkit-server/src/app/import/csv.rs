//! CSV after RFC 4180, one record a line: a quoted field may hold commas and quotes, and no line break, which none of the columns
//! can have. So a line that is broken spoils no other one.

use std::io;

use super::HeaderError;
use super::lines::{Line, Lines};
use super::row::{Column, Row, RowError};

/// The rows of a CSV file.
pub(super) struct CsvReader<'r> {
    pub(super) lines: Lines<'r>,
    /// What each column holds; `None` for one that is left out.
    columns: Vec<Option<Column>>,
}

impl<'r> CsvReader<'r> {
    /// Reads the names of the columns from the first line.
    pub(super) fn begin(mut lines: Lines<'r>, ignore_unknown: bool) -> Result<Self, HeaderError> {
        let Some((_, Line::Text(header))) = lines.next()? else { return Err(HeaderError::NoHeader) };
        let names = fields(&header).map_err(|_| HeaderError::NoHeader)?;
        let mut columns: Vec<Option<Column>> = Vec::new();
        for name in names {
            let name = name.trim().to_ascii_lowercase();
            let column = Column::by_name(&name);
            match column {
                None if Column::is_plain_text(&name) => return Err(HeaderError::PlainText(name)),
                None if !ignore_unknown => return Err(HeaderError::Unknown(name)),
                Some(_) if columns.contains(&column) => return Err(HeaderError::Twice(name)),
                _ => columns.push(column),
            }
        }
        if !columns.contains(&Some(Column::Email)) {
            return Err(HeaderError::NoEmail);
        }
        Ok(Self { lines, columns })
    }

    /// The next row, and its line.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Result<Row, RowError>)>> {
        let Some((number, line)) = self.lines.next()? else { return Ok(None) };
        Ok(Some((number, line.text().and_then(|text| self.row(&text)))))
    }

    fn row(&self, line: &str) -> Result<Row, RowError> {
        let fields = fields(line).map_err(RowError::of_line)?;
        if fields.len() != self.columns.len() {
            return Err(RowError::of_line(format!("{} fields where the first line names {}", fields.len(), self.columns.len())));
        }
        let named = self.columns.iter().zip(fields).filter_map(|(column, value)| Some(((*column)?, value)));
        Ok(Row::of(named.filter(|(_, value)| !value.is_empty())))
    }
}

/// The fields of a record.
fn fields(line: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return Err("a quote stands inside a field that does not begin with one");
                }
                (rest[..end].to_owned(), &rest[end..])
            }
            Some(quoted) => quoted_field(quoted)?,
        };
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(fields),
            None => return Err("something stands between a closing quote and the next comma"),
        }
    }
}

/// A field behind its opening quote, and what comes behind its closing one.
fn quoted_field(text: &str) -> Result<(String, &str), &'static str> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let quote = rest.find('"').ok_or("a quote is not closed on its line")?;
        field.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, rest)),
        }
    }
}

/// A field as it is written: in quotes where it needs them, and never one that a spreadsheet takes for a formula.
///
// SECURITY: a reason or an address that begins with `=` runs in the spreadsheet of whoever opens the report (CSV injection, OWASP).
pub(super) fn written(field: &str) -> String {
    let neutral = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{field}") } else { field.to_owned() };
    let neutral: String = neutral.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if neutral.contains([',', '"']) { format!("\"{}\"", neutral.replace('"', "\"\"")) } else { neutral }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_rfc_4180() {
        assert_eq!(fields(r#"a,"b,c","say ""hi""",,d "#).unwrap(), ["a", "b,c", "say \"hi\"", "", "d "]);
        assert_eq!(fields("").unwrap(), [""]);
        assert_eq!(fields(r#""""#).unwrap(), [""]);
        for broken in [r#"a,"b"#, r#""a"b,c"#, r#"a"b"#, r#"""""#, r#"""#] {
            assert!(fields(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_is_no_formula() {
        for text in ["plain", "a,b", "say \"hi\"", "", "ä"] {
            assert_eq!(fields(&format!("x,{},y", written(text))).unwrap()[1], text);
        }
        for formula in ["=HYPERLINK(\"http://evil\")", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert!(fields(&written(formula)).unwrap()[0].starts_with('\''), "{formula}");
        }
        assert_eq!(written("a\nb"), "a b");
    }
}
