//! The file `.env`: `KEY=VALUE` lines, read strictly and without expansion.
//!
//! A value is bare (to the end of the line or to a ` #`), in single quotes (as it stands) or in double quotes (where
//! `\n`, `\r`, `\t`, `\"`, `\\` and `\$` are escapes). Quoted values may span lines. `export ` in front is tolerated.
//! Nothing is substituted: a `$` is a `$`.

use std::iter::Peekable;
use std::str::Chars;

use super::problem::Refusal;

/// One assignment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The line on which it starts, counted from 1.
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) value: String,
    /// Whether the value asks for a substitution (`${…}` outside of single quotes) that is not made.
    pub(super) wants_expansion: bool,
}

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) line: usize,
    pub(super) refusal: Refusal,
}

/// Reads the text of a `.env` file. What cannot be read is reported by line, and never quoted: it may be half a secret.
pub(super) fn parse(text: &str) -> (Vec<Assignment>, Vec<Malformed>) {
    let mut reader = Reader { chars: text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable(), line: 1 };
    let (mut assignments, mut malformed) = (Vec::new(), Vec::new());
    while reader.chars.peek().is_some() {
        let line = reader.line;
        match reader.statement() {
            Ok(Some((name, value, wants_expansion))) => assignments.push(Assignment { line, name, value, wants_expansion }),
            Ok(None) => {}
            Err(refusal) => {
                malformed.push(Malformed { line, refusal });
                reader.skip_line();
            }
        }
    }
    (assignments, malformed)
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    /// Reads one line, or as many as a quoted value spans. On an error the rest of the line is left to the caller.
    fn statement(&mut self) -> Result<Option<(String, String, bool)>, Refusal> {
        self.skip_blanks();
        if self.at_end_or_comment() {
            self.skip_line();
            return Ok(None);
        }
        let mut name = self.name();
        if name == "export" && self.chars.peek().is_some_and(|c| matches!(c, ' ' | '\t')) {
            self.skip_blanks();
            name = self.name();
        }
        self.skip_blanks();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !is_name || self.chars.next_if_eq(&'=').is_none() {
            return Err(Refusal::new("the line is not of the form NAME=value", "put a # in front of it or mend it"));
        }
        self.skip_blanks();
        let (value, wants_expansion) = match self.chars.peek() {
            Some(&quote @ ('"' | '\'')) => {
                self.bump();
                let quoted = self.quoted(quote)?;
                self.skip_blanks();
                if !self.at_end_or_comment() {
                    return Err(Refusal::new("there is text after the closing quote", "quote the whole value"));
                }
                self.skip_line();
                quoted
            }
            _ => self.bare(),
        };
        if value.contains('\0') {
            return Err(Refusal::new("the value contains a NUL character", "remove it"));
        }
        Ok(Some((name, value, wants_expansion)))
    }

    fn name(&mut self) -> String {
        std::iter::from_fn(|| self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_')).collect()
    }

    /// A value without quotes. A `#` after white space starts a comment; one inside a word belongs to it.
    fn bare(&mut self) -> (String, bool) {
        let mut value = String::new();
        while let Some(&c) = self.chars.peek() {
            if c == '\n' || (c == '#' && value.is_empty()) || (c == '#' && value.ends_with([' ', '\t'])) {
                break;
            }
            value.push(c);
            self.bump();
        }
        self.skip_line();
        let value = value.trim().to_owned();
        let wants_expansion = value.contains("${");
        (value, wants_expansion)
    }

    fn quoted(&mut self, quote: char) -> Result<(String, bool), Refusal> {
        let (mut value, mut wants_expansion) = (String::new(), false);
        loop {
            match self.bump() {
                None => return Err(Refusal::new("the quote is never closed", "close it")),
                Some(c) if c == quote => return Ok((value, wants_expansion)),
                Some('\\') if quote == '"' => value.push(match self.bump() {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(c @ ('"' | '\\' | '$')) => c,
                    _ => {
                        return Err(Refusal::new(
                            "there is an unknown escape in double quotes",
                            "use single quotes, or write \\\\",
                        ));
                    }
                }),
                // Line ends are those of Unix, whichever editor wrote the file.
                Some('\r') if self.chars.peek() == Some(&'\n') => {}
                Some(c) => {
                    wants_expansion |= quote == '"' && c == '$' && self.chars.peek() == Some(&'{');
                    value.push(c);
                }
            }
        }
    }

    fn at_end_or_comment(&mut self) -> bool {
        self.chars.peek().is_none_or(|c| matches!(c, '\n' | '\r' | '#'))
    }

    fn skip_blanks(&mut self) {
        while self.chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
    }

    fn skip_line(&mut self) {
        while self.bump().is_some_and(|c| c != '\n') {}
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.chars.next();
        self.line += usize::from(c == Some('\n'));
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let (assignments, malformed) = parse(text);
        assert_eq!(malformed, [], "{text:?}");
        assignments.into_iter().map(|a| (a.name, a.value)).collect()
    }

    #[test]
    fn every_way_to_write_a_value_is_read() {
        for (text, value) in [
            ("A=b", "b"),
            ("  export A = b  ", "b"),
            ("A=b # a comment", "b"),
            ("A=b#c", "b#c"),
            ("A=# nothing", ""),
            ("A=", ""),
            ("A='b # $c \\n'", "b # $c \\n"),
            (r#"A="b \"c\" \\ \n\t\$d" # e"#, "b \"c\" \\ \n\td".replace("\td", "\t$d").as_str()),
            ("A=\"one\r\ntwo\"", "one\ntwo"),
            ("A=a=b==", "a=b=="),
            ("\u{feff}A=b\r\n", "b"),
            ("# first\n\n   # second\nA=b\n", "b"),
            ("A=it's", "it's"),
            ("export=b", "b"),
        ] {
            let read = pairs(text);
            assert_eq!(read.len(), 1, "{text:?}");
            assert_eq!(read[0].1, value, "{text:?}");
        }
        assert_eq!(pairs("export A=1\nB=2"), [("A".into(), "1".into()), ("B".into(), "2".into())]);
        assert_eq!(pairs("export=b")[0].0, "export");
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line_and_never_quoted() {
        for text in
            ["A", "=canary", "1A=canary", "A B=canary", "A=\"canary", "A='canary' canary", r#"A="canary\x""#, "A=can\0ary"]
        {
            let (_, malformed) = parse(&format!("# ok\n{text}\n"));
            assert_eq!(malformed.first().map(|m| m.line), Some(2), "{text:?}");
            assert!(!format!("{malformed:?}").contains("canary"), "{text:?}");
        }
    }

    #[test]
    fn lines_after_a_malformed_one_and_after_a_value_of_many_lines_keep_their_numbers() {
        let (assignments, malformed) = parse("A='1\n2\n3'\nwhat?\nB=4\n");
        assert_eq!(assignments.iter().map(|a| (a.line, a.name.as_str())).collect::<Vec<_>>(), [(1, "A"), (5, "B")]);
        assert_eq!(malformed.iter().map(|m| m.line).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_wish_for_substitution_is_noticed_outside_of_single_quotes() {
        let wishes = |text: &str| parse(text).0[0].wants_expansion;
        assert!(wishes("A=${B}") && wishes("A=\"x${B}\""));
        assert!(!wishes("A='${B}'") && !wishes("A=\"\\${B}\"") && !wishes("A=$B"));
    }
}
