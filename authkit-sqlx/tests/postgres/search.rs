//! What a search costs among many.

use std::time::Instant;

use authkit_core::UserId;
use authkit_core::model::{UserCursor, UserFilter, UserPageRequest, UserQuery, UserStatus};
use authkit_core::ports::UserReads;
use authkit_sqlx::testkit::TestDatabase;
use sqlx::{AssertSqlSafe, Executor};

use crate::open;

/// Accounts with a first and a last name (of 300 and 5,000), on 200 domains, one in ten thousand suspended; as they are written.
const FILL: &str = "
SET session_replication_role = replica;
CREATE TEMPORARY TABLE people AS
SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id, n,
       translate(md5('f' || n % 300), '0123456789', 'ghijklmnop') AS f, translate(md5('l' || n::bigint * 7919 % 5000), '0123456789', 'ghijklmnop') AS l
FROM generate_series(1, {COUNT}) n;
INSERT INTO {SCHEMA}.users (id, email_normal, email, full_name, status, auth_epoch, created_at, updated_at, indexed_by)
SELECT id, a, a, left(f, 6) || ' ' || left(l, 8), CASE WHEN n % 10000 = 0 THEN 'suspended' ELSE 'active' END, 0, n, n, 1
FROM people, LATERAL (SELECT left(f, 6) || '.' || left(l, 8) || '.' || n || '@mail' || n % 200 || '.example' AS a) e;
INSERT INTO {SCHEMA}.user_terms (term, kind, user_id)
SELECT email_normal, 'e', id FROM {SCHEMA}.users
UNION ALL SELECT '@' || split_part(email_normal, '@', 2), 'e', id FROM {SCHEMA}.users
UNION ALL SELECT left(l, 8), 'e', id FROM people UNION ALL SELECT n::text, 'e', id FROM people
UNION ALL SELECT left(f, 6), 'n', id FROM people UNION ALL SELECT left(l, 8), 'n', id FROM people;
ANALYZE {SCHEMA}.users; ANALYZE {SCHEMA}.user_terms";

/// `AUTHKIT_SEARCH_USERS` says how many; a million takes some minutes to fill. It prints what each page took.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills a big table: cargo nextest run -p authkit-sqlx --test postgres search --run-ignored all --no-capture"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
async fn a_page_of_a_search_takes_as_long_among_a_million() {
    let count: u64 = std::env::var("AUTHKIT_SEARCH_USERS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let database = TestDatabase::fresh().await;
    let store = open(database.options()).await;
    let mut connection = database.connect().await;
    let fill = FILL.replace("{SCHEMA}", database.schema()).replace("{COUNT}", &count.to_string());
    connection.execute(AssertSqlSafe(fill)).await.expect("fills");
    let id = |n: u64| UserId::from_uuid(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(n)));
    let some = store.user_by_id(id(4_242)).await.expect("reads").expect("she is there");
    let name = some.full_name.as_ref().expect("a name").as_str().to_owned();
    let (first, last) = name.split_once(' ').expect("two names");
    let search = |text: &str, status| UserFilter { query: UserQuery::parse(text).ok(), status, ..UserFilter::default() };
    let deep = Some(UserCursor { term: String::new(), id: id(count / 2) });
    let behind = |term: &str| Some(UserCursor { term: term.to_owned(), id: id(count / 2) });
    for (what, filter, cursor) in [
        ("list, first page", UserFilter::default(), None),
        ("list, page in the middle", UserFilter::default(), deep.clone()),
        ("suspended ones, page in the middle", UserFilter { status: Some(UserStatus::Suspended), ..UserFilter::default() }, deep),
        ("an address", search(some.email.normal(), None), None),
        ("a last name", search(last, None), None),
        ("a first name", search(first, None), None),
        ("a first name, deep", search(first, None), behind(first)),
        ("one letter", search("a", None), None),
        ("one letter, deep", search("a", None), behind("am")),
        ("both names", search(&name, None), None),
        ("a name and nobody's", search(&format!("{first} zzz"), None), None),
        ("one letter, suspended", search("a", Some(UserStatus::Suspended)), None),
        ("a domain", search("@mail7.example", None), None),
        ("nobody", search("zzzzzz", None), None),
    ] {
        let page = UserPageRequest { cursor, ..UserPageRequest::default() };
        let mut took = Vec::new();
        let mut found = 0;
        for _ in 0..40 {
            let begun = Instant::now();
            found = store.list_users(&filter, &page).await.expect("searches").items.len();
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        println!("{count} accounts: {what}: {found} found, median {:?}, slowest {:?}", took[20], took[39]);
    }
}
