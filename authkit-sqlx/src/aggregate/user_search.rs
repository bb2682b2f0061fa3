//! What accounts are found by, and the search for them.
//!
//! A term of an account is a row of its own, and a search walks the rows whose terms begin with its longest word: in the order of
//! their index, from where the last page ended, and never more than a thousand of them for one page (a literal, so that
//! the planner counts on it). Whatever else is asked is
//! asked of those. So the first page and the ten thousandth cost the same, and so do a search that finds everybody and one that finds
//! nobody.

use authkit_core::model::user_search::{terms_of_email, terms_of_name};
use authkit_core::model::{User, UserCursor, UserFilter, UserPage, UserPageRequest, UserQuery, UserStatus};
use authkit_core::ports::Conflict;
use authkit_core::{Email, FullName, PageLimit, RoleName, UserId};
use uuid::Uuid;

use crate::aggregate::user::{self, no_user, user_columns};
use crate::dialect::Dialect;
use crate::row::{DecodeError, Fields};
use crate::statement::{Query, Statement};
use crate::value::args;
use crate::work::Work;

/// By which rules terms are made here. Whoever changes the rules raises it, and the predicates of the index with it.
pub(crate) const RULES: u32 = 1;

/// What sorts behind every character of a term: a noncharacter, which no name or address holds.
const LAST: char = '\u{10FFFF}';

macro_rules! listed {
    ($status:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            " FROM authkit_users u WHERE u.status = ",
            $status,
            " AND u.id < $1 ORDER BY u.id DESC LIMIT $2"
        )
    };
}

/// Two walks of one index, put together: each stops by itself.
const LIST_OPEN: &str = concat!(
    "SELECT * FROM (SELECT * FROM (",
    listed!("'active'"),
    ") a UNION ALL SELECT * FROM (",
    listed!("'suspended'"),
    ") s) u ORDER BY u.id DESC LIMIT $2"
);

const LIST_STATUS: &str = listed!("$3");

/// Where nobody at all has one of the other words, there are none. That is asked once for the whole statement, because it is about no
/// candidate: a look into the index for each word, in the place of one for each word of a thousand accounts.
macro_rules! candidates {
    ($columns:literal, $words:literal, $limit:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM authkit_user_terms t WHERE (t.term, t.user_id) > ($1, $2) AND t.term < $3 \
             AND NOT EXISTS (SELECT 1 FROM ",
            $words,
            " WHERE NOT EXISTS (SELECT 1 FROM authkit_user_terms x WHERE x.term >= w.value AND x.term < w.value || $9)) \
             ORDER BY t.term, t.user_id LIMIT ",
            $limit
        )
    };
}

/// The accounts of the candidates that have no lesser term in the same range, which would be their place; and the last candidate where
/// there may be more behind it.
macro_rules! search {
    ($words:literal) => {
        concat!(
            "SELECT * FROM (SELECT * FROM (SELECT c.term AS place, c.user_id AS candidate, ",
            user_columns!(),
            " FROM (",
            candidates!("t.term, t.kind, t.user_id", $words, "1000"),
            ") c JOIN authkit_users u ON u.id = c.user_id \
             WHERE u.status <> 'closed' AND ($4 = '' OR u.status = $4) \
             AND ($8 = '' OR EXISTS (SELECT 1 FROM authkit_role_assignments a WHERE a.user_id = c.user_id AND a.role = $8)) \
             AND NOT EXISTS (SELECT 1 FROM authkit_user_terms l WHERE l.user_id = c.user_id \
                AND l.term >= $5 AND l.term < $3 AND (l.term, l.kind) < (c.term, c.kind)) \
             AND NOT EXISTS (SELECT 1 FROM ",
            $words,
            " WHERE NOT EXISTS (SELECT 1 FROM authkit_user_terms x WHERE x.user_id = c.user_id \
                AND substr(x.term, 1, length(w.value)) = w.value)) \
             ORDER BY c.term, c.user_id LIMIT $7) found \
             UNION ALL SELECT e.term, e.user_id, ",
            no_user!(),
            " FROM (",
            candidates!("t.term, t.user_id", $words, "1 OFFSET 999"),
            ") e) r ORDER BY r.place, r.candidate"
        )
    };
}

pub(crate) const SEARCH_SQLITE: &str = search!("json_each($6) w");
pub(crate) const SEARCH_POSTGRES: &str = search!("jsonb_array_elements_text($6::jsonb) w(value)");

macro_rules! holders {
    ($limit:literal) => {
        concat!(
            "SELECT DISTINCT a.user_id FROM authkit_role_assignments a WHERE a.role = $3 AND a.user_id < $1 \
             ORDER BY a.user_id DESC LIMIT ",
            $limit
        )
    };
}

/// Those who were given a role, and of them those with a status; as a search, it looks at a thousand for a page.
const LIST_HOLDERS: &str = concat!(
    "SELECT * FROM (SELECT * FROM (SELECT '' AS place, c.user_id AS candidate, ",
    user_columns!(),
    " FROM (",
    holders!("1000"),
    ") c JOIN authkit_users u ON u.id = c.user_id WHERE u.status <> 'closed' AND ($4 = '' OR u.status = $4) \
     ORDER BY c.user_id DESC LIMIT $2) found \
     UNION ALL SELECT '', e.user_id, ",
    no_user!(),
    " FROM (",
    holders!("1 OFFSET 999"),
    ") e) r ORDER BY r.candidate DESC"
);

const UNINDEXED: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM authkit_users u WHERE u.indexed_by = 0 AND u.status <> 'closed' ORDER BY u.id LIMIT $1"
);

const FORGET_KIND: &str = "DELETE FROM authkit_user_terms WHERE user_id = $1 AND kind = $2";

pub(crate) const FORGET: &str = "DELETE FROM authkit_user_terms WHERE user_id = $1";

macro_rules! keep {
    ($terms:literal) => {
        concat!(
            "INSERT INTO authkit_user_terms (term, kind, user_id) \
             SELECT substr(w.value, 2), substr(w.value, 1, 1), $1 FROM ",
            $terms
        )
    };
}

pub(crate) const KEEP_SQLITE: &str = keep!("json_each($2) w");
pub(crate) const KEEP_POSTGRES: &str = keep!("jsonb_array_elements_text($2::jsonb) w(value)");

const MARK_INDEXED: &str =
    "UPDATE authkit_users SET indexed_by = $2 WHERE id = $1 AND indexed_by = 0 AND version = $3 AND status <> 'closed'";

/// What an account is found by, as one argument: each term behind the letter of its kind.
pub(crate) fn terms(email: Option<&Email>, name: Option<&FullName>) -> String {
    let email = email.map(terms_of_email).unwrap_or_default();
    let name = name.map(terms_of_name).unwrap_or_default();
    let all: Vec<String> =
        email.iter().map(|term| format!("e{term}")).chain(name.iter().map(|term| format!("n{term}"))).collect();
    // Texts always serialise.
    serde_json::to_string(&all).unwrap_or_else(|_| "[]".to_owned())
}

/// Replaces what an account is found by because of its name, of its address, or both.
#[expect(clippy::option_option, reason = "whether the name changes at all, and whether there is one then")]
pub(crate) fn replace(
    dialect: &Dialect,
    id: UserId,
    email: Option<&Email>,
    name: Option<Option<&FullName>>,
    statements: &mut Vec<Statement>,
) {
    let kinds = [email.map(|_| "e"), name.map(|_| "n")];
    statements.extend(kinds.into_iter().flatten().map(|kind| Statement::free(FORGET_KIND, args![id, kind])));
    if email.is_some() || name.flatten().is_some() {
        statements.push(Statement::free(dialect.keep_terms, args![id, terms(email, name.flatten())]));
    }
}

/// The accounts that have no terms yet, at most so many.
pub(crate) fn unindexed(limit: PageLimit) -> Query {
    Query::new(UNINDEXED, args![u32::from(limit.value())])
}

/// Gives an account its terms, unless it has changed since it was read: then it has them by that, or gets them in the next round.
fn index(dialect: &Dialect, user: &User) -> [Statement; 3] {
    let marked = args![user.id, RULES, user.version];
    [
        Statement::guarded(MARK_INDEXED, marked, Conflict::UserChanged),
        Statement::free(FORGET, args![user.id]),
        Statement::free(dialect.keep_terms, args![user.id, terms(Some(&user.email), user.full_name.as_ref())]),
    ]
}

/// Gives accounts their terms, all of them or none.
pub(crate) fn index_all(dialect: &Dialect, users: &[User]) -> Work {
    Work::Apply(users.iter().flat_map(|user| index(dialect, user)).collect())
}

/// Reads a page of accounts, and what tells whether there is another.
pub(crate) fn page(dialect: &Dialect, filter: &UserFilter, page: &UserPageRequest) -> Query {
    let limit = u32::from(page.limit.value()) + 1;
    match &filter.query {
        Some(UserQuery::Words(words)) => {
            let first = words.first().map_or("", String::as_str);
            let (term, id) = page.cursor.as_ref().map_or((first, Uuid::nil()), |cursor| {
                // SECURITY: a cursor of another search must not begin before this one.
                if cursor.term.as_str() < first { (first, Uuid::nil()) } else { (&cursor.term, cursor.id.as_uuid()) }
            });
            let status = filter.status.map_or("", UserStatus::as_str);
            let others = serde_json::to_string(words.get(1..).unwrap_or_default()).unwrap_or_else(|_| "[]".to_owned());
            let role = filter.role.as_ref().map_or("", RoleName::as_str);
            let (end, last) = (format!("{first}{LAST}"), LAST.to_string());
            Query::new(dialect.search_users, args![term, id, end, status, first, others, limit, role, last])
        }
        // By its id there is at most one: the page behind it is empty.
        Some(UserQuery::Id(id)) => match &page.cursor {
            None => user::by_id(*id),
            Some(_) => user::by_id(UserId::from_uuid(Uuid::nil())),
        },
        // A new kind of query finds nobody here.
        Some(_) => user::by_id(UserId::from_uuid(Uuid::nil())),
        None => {
            let before = page.cursor.as_ref().map_or(Uuid::max(), |cursor| cursor.id.as_uuid());
            let status = filter.status.map(UserStatus::as_str);
            if let Some(role) = &filter.role {
                return Query::new(LIST_HOLDERS, args![before, limit, role.as_str(), status.unwrap_or_default()]);
            }
            match status {
                None => Query::new(LIST_OPEN, args![before, limit]),
                Some(status) => Query::new(LIST_STATUS, args![before, limit, status]),
            }
        }
    }
}

/// A row of a page.
pub(crate) enum Listed {
    /// An account, and its place.
    Found(UserCursor, Box<User>),
    /// The last one that was looked at, where there may be more.
    LookedAt(UserCursor),
}

/// The row of the next columns, of a page that was asked for with this filter.
pub(crate) fn decode(filter: &UserFilter, fields: &mut Fields<'_>) -> Result<Listed, DecodeError> {
    let is_looked_for = matches!(filter.query, Some(UserQuery::Words(_))) || (filter.query.is_none() && filter.role.is_some());
    if !is_looked_for {
        let user = user::decode(fields)?;
        return Ok(Listed::Found(UserCursor { term: String::new(), id: user.id }, Box::new(user)));
    }
    let place = UserCursor { term: fields.text()?, id: UserId::from_uuid(fields.id()?) };
    if fields.is_empty()? { Ok(Listed::LookedAt(place)) } else { Ok(Listed::Found(place, Box::new(user::decode(fields)?))) }
}

/// The page of its rows.
pub(crate) fn page_of(rows: Vec<Listed>, filter: &UserFilter, limit: PageLimit) -> UserPage {
    let limit = usize::from(limit.value());
    let (mut items, mut last, mut looked_at, mut more) = (Vec::with_capacity(limit), None, None, false);
    for row in rows {
        match row {
            Listed::Found(..) if items.len() == limit => more = true,
            Listed::Found(place, user) => {
                // For the status and the role of one who is asked for by her id the database was not asked.
                if filter.lets_through(&user) {
                    items.push(*user);
                    last = Some(place);
                }
            }
            Listed::LookedAt(place) => looked_at = Some(place),
        }
    }
    UserPage { items, next: if more { last } else { looked_at } }
}
