//! Finding accounts: what is asked, what an account is found by, and in which order.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::model::user::{User, UserStatus};
use crate::primitives::fold::{fold, words};
use crate::primitives::{CursorError, Email, FullName, PageLimit, UserId};

/// Why a text cannot be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserQueryError {
    /// Longer than [`UserQuery::MAX_CHARS`].
    #[error("must have at most 200 characters")]
    TooLong,
    /// More words than [`UserQuery::MAX_WORDS`].
    #[error("must have at most 8 words")]
    TooManyWords,
    /// Nothing in it that an account could be found by.
    #[error("must have a letter or a digit")]
    NoWord,
}

/// What accounts are searched for.
///
/// The whole text is an identifier: then the account of that id is found. Otherwise **every** word of it has to be the beginning
/// of something of the account: of its address (`jane.doe@exa`), of a word of the part before the `@` (`doe`), of a word of the name
/// (`mull` finds Zoë Müller), or, written with the `@`, of the domain (`@example`). Case, accents and typographic variants make no
/// difference. `%`, `_` and `*` mean nothing: they are no part of any word.
///
/// There is no search inside of words: it would cost an index that not every database has, and a search by what somebody types is one
/// by beginnings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserQuery {
    /// The account with this id.
    Id(UserId),
    /// The accounts for which each of these begins one of their terms; folded, the longest first, none twice.
    Words(Vec<String>),
}

impl UserQuery {
    /// The longest text that is searched for.
    pub const MAX_CHARS: usize = 200;
    /// The most words of it.
    pub const MAX_WORDS: usize = 8;

    /// Reads what somebody typed.
    pub fn parse(text: &str) -> Result<Self, UserQueryError> {
        if text.len() > Self::MAX_CHARS * 4 || text.chars().count() > Self::MAX_CHARS {
            return Err(UserQueryError::TooLong);
        }
        if let Ok(id) = text.trim().parse() {
            return Ok(Self::Id(id));
        }
        let mut found: Vec<String> = Vec::new();
        for token in text.split_whitespace() {
            match token.split_once('@') {
                Some((local, domain)) => found.push(fold(&format!("{local}@{}", shown_domain(domain)))),
                None => found.extend(words(&fold(token)).map(str::to_owned)),
            }
        }
        // A mere @ begins every domain: it says nothing.
        found.retain(|word| words(word).next().is_some());
        // The longest one narrows down the most, and is looked up; the others are tried on what it finds.
        found.sort_by(|a, b| b.chars().count().cmp(&a.chars().count()).then_with(|| a.cmp(b)));
        found.dedup();
        match found.len() {
            0 => Err(UserQueryError::NoWord),
            1..=Self::MAX_WORDS => Ok(Self::Words(found)),
            _ => Err(UserQueryError::TooManyWords),
        }
    }

    /// The term of an account by which its place among the results is decided: the least one that begins with the first word.
    /// `None` when the account is not found; an empty text when it is found by its id.
    #[must_use]
    pub fn place(&self, user: &User) -> Option<String> {
        match self {
            Self::Id(id) => (*id == user.id).then(String::new),
            Self::Words(searched) => {
                let mut terms = terms_of_email(&user.email);
                terms.extend(user.full_name.iter().flat_map(terms_of_name));
                let found = searched.iter().all(|word| terms.iter().any(|term| term.starts_with(word.as_str())));
                let first = searched.first().filter(|_| found)?;
                terms.into_iter().filter(|term| term.starts_with(first.as_str())).min()
            }
        }
    }
}

/// A domain as it is shown, so that it is found in either form.
fn shown_domain(domain: &str) -> String {
    let (shown, outcome) = idna::domain_to_unicode(domain);
    // What is only the beginning of a domain need not be one.
    if outcome.is_ok() { shown } else { domain.to_owned() }
}

/// What an account is found by because of its address: the address, its domain with the `@`, and the words before the `@`; folded,
/// none twice, and none that begins another one.
#[must_use]
pub fn terms_of_email(email: &Email) -> Vec<String> {
    let address = fold(email.spelling());
    let (local, domain) = address.split_once('@').unwrap_or((&address, ""));
    let mut terms: Vec<String> = words(local).map(str::to_owned).collect();
    terms.push(format!("@{domain}"));
    terms.push(address.clone());
    antichain(terms)
}

/// What an account is found by because of its name: its words; folded, none twice, and none that begins another one.
#[must_use]
pub fn terms_of_name(name: &FullName) -> Vec<String> {
    antichain(words(&fold(name.as_str())).map(str::to_owned).collect())
}

/// Whatever begins with a text that begins with another is found by both: the longer one is enough.
fn antichain(mut terms: Vec<String>) -> Vec<String> {
    terms.sort_unstable();
    let mut kept: Vec<String> = Vec::with_capacity(terms.len());
    // Sorted, what a term begins stands right behind it.
    for term in terms {
        match kept.last_mut() {
            Some(last) if term.starts_with(last.as_str()) => *last = term,
            _ => kept.push(term),
        }
    }
    kept
}

/// Which accounts are listed. What is not said is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// What they are searched for.
    pub query: Option<UserQuery>,
    /// Whether they may be used.
    pub status: Option<UserStatus>,
}

impl UserFilter {
    /// The page of these accounts, which are all that there are, in any order: what a store can do that has no index for it.
    #[must_use]
    pub fn page_of(&self, users: impl IntoIterator<Item = User>, page: &UserPageRequest) -> UserPage {
        let wanted = users.into_iter().filter(|user| self.status.is_none_or(|status| user.status == status));
        let mut found: Vec<(UserCursor, User)> = wanted
            .filter_map(|user| {
                let term = self.query.as_ref().map_or_else(|| Some(String::new()), |query| query.place(&user))?;
                Some((UserCursor { term, id: user.id }, user))
            })
            .collect();
        let order = |a: &UserCursor, b: &UserCursor| match &self.query {
            Some(_) => (&a.term, a.id).cmp(&(&b.term, b.id)),
            None => b.id.cmp(&a.id),
        };
        found.sort_by(|a, b| order(&a.0, &b.0));
        if let Some(cursor) = &page.cursor {
            found.retain(|(place, _)| order(place, cursor).is_gt());
        }
        let limit = usize::from(page.limit.value());
        let next = (found.len() > limit).then(|| found[limit - 1].0.clone());
        UserPage { items: found.into_iter().take(limit).map(|(_, user)| user).collect(), next }
    }
}

/// Where a page of accounts ended, opaque to the caller: the place of its last account among the results, or of the last one that was
/// looked at.
///
/// # Security
/// It is data, never a fragment of a query. A forged one begins a page somewhere else in the same list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCursor {
    /// The term of [`UserQuery::place`]; empty in a list that is not searched.
    pub term: String,
    /// Which account.
    pub id: UserId,
}

impl UserCursor {
    /// More than the longest term has: an address has 254 bytes, and folding can write one letter as two.
    const MAX_TERM: usize = 1_200;
}

impl fmt::Display for UserCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.as_uuid().as_bytes().to_vec();
        bytes.extend_from_slice(self.term.as_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for UserCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() > (Self::MAX_TERM + 16) * 4 / 3 {
            return Err(CursorError);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        let (id, term) = bytes.split_first_chunk::<16>().ok_or(CursorError)?;
        let term = std::str::from_utf8(term).map_err(|_| CursorError)?;
        if term.chars().any(char::is_control) {
            return Err(CursorError);
        }
        Ok(Self { term: term.to_owned(), id: UserId::from_uuid(Uuid::from_bytes(*id)) })
    }
}

/// Which page of a list of accounts is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPageRequest {
    /// How many accounts at most.
    pub limit: PageLimit,
    /// Where the previous page ended; `None` for the first page.
    pub cursor: Option<UserCursor>,
}

/// One page of a list of accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    /// The accounts, in the list's order.
    pub items: Vec<User>,
    /// Where the next page starts; `None` at the end of the list.
    pub next: Option<UserCursor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(text: &str) -> Vec<String> {
        match UserQuery::parse(text) {
            Ok(UserQuery::Words(words)) => words,
            other => panic!("{other:?} for {text:?}"),
        }
    }

    #[test]
    fn a_query_is_an_id_or_words() {
        let id = UserId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(UserQuery::parse(&format!(" {id} ")), Ok(UserQuery::Id(id)));
        assert_eq!(words_of("  Zoë  O'Hara-Müller "), ["muller", "hara", "zoe", "o"]);
        assert_eq!(words_of("Jane.Doe@EXA"), ["jane.doe@exa"]);
        assert_eq!(words_of("@XN--BCHER-KVA.example"), ["@bucher.example"]);
        assert_eq!(words_of("100% jane_doe*"), ["jane", "100", "doe"]);
        assert_eq!(words_of("a a a a a a a a a a"), ["a"]);
        for text in ["", "   ", "%", "_%", "@", "'--"] {
            assert_eq!(UserQuery::parse(text), Err(UserQueryError::NoWord), "{text:?}");
        }
        assert_eq!(UserQuery::parse(&"x".repeat(201)), Err(UserQueryError::TooLong));
        assert_eq!(UserQuery::parse("a b c d e f g h i"), Err(UserQueryError::TooManyWords));
    }

    #[test]
    fn an_account_is_found_by_beginnings_that_are_not_repeated() {
        let email = Email::parse("Jane.Doe+x@Bücher.example").unwrap();
        assert_eq!(terms_of_email(&email), ["@bucher.example", "doe", "jane.doe+x@bucher.example", "x"]);
        assert_eq!(terms_of_name(&FullName::parse("Zoë O'Hara-Müller Mull").unwrap()), ["hara", "muller", "o", "zoe"]);
    }

    #[test]
    fn a_cursor_is_read_back_and_a_foreign_one_is_refused() {
        let cursor = UserCursor { term: "müll@x".to_owned(), id: UserId::from_uuid(Uuid::from_u128(7)) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let control = UserCursor { term: "a\0b".to_owned(), id: UserId::from_uuid(Uuid::nil()) }.to_string();
        for text in ["", "x", "' OR 1=1 --", &"A".repeat(20), &"A".repeat(10_000), &control, "____________________________"] {
            assert_eq!(text.parse::<UserCursor>(), Err(CursorError), "{text}");
        }
    }
}
