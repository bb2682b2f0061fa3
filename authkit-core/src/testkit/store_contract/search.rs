//! Promises about the list of accounts, and the search in it.

use crate::model::{Patch, User, UserChange, UserCursor, UserFilter, UserPageRequest, UserQuery, UserStatus};
use crate::primitives::{FullName, UserId};

use super::super::fixtures::email;
use super::Stores;
use super::trial::Trial;
use super::view::{limit, list_users};

fn named(trial: &Trial, address: &str, name: &str) -> User {
    let full_name = Some(FullName::from_stored(name.to_owned())).filter(|_| !name.is_empty());
    User { email: email(address), full_name, ..trial.fixtures.user() }
}

fn search(text: &str) -> UserFilter {
    UserFilter { query: Some(UserQuery::parse(text).expect("a query")), status: None }
}

/// Whom a filter lets through, in pages of any size: the same ones in the same order.
async fn found(trial: &Trial, filter: &UserFilter) -> Vec<UserId> {
    let whole: Vec<UserId> = list_users(&*trial.store, filter, limit(200)).await.iter().map(|user| user.id).collect();
    for size in [1, 2, 3] {
        let paged: Vec<UserId> = list_users(&*trial.store, filter, limit(size)).await.iter().map(|user| user.id).collect();
        assert_eq!(paged, whole, "in pages of {size}, for {filter:?}");
    }
    whole
}

pub async fn accounts_are_listed_the_greatest_id_first(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    assert_eq!(found(&trial, &UserFilter::default()).await, []);
    let mut users = Vec::new();
    for number in 0..7 {
        let status = if number % 3 == 0 { UserStatus::Suspended } else { UserStatus::Active };
        users.push(trial.keep_user(User { status, ..trial.fixtures.user() }).await);
    }
    trial.closed_user().await;
    users.sort_by_key(|user| std::cmp::Reverse(user.id));
    let listed = list_users(&*trial.store, &UserFilter::default(), limit(200)).await;
    assert_eq!(listed, users);
    let of = |status: Option<UserStatus>| {
        users.iter().filter(move |user| status == Some(user.status) || status.is_none()).map(|user| user.id)
    };
    for status in [None, Some(UserStatus::Active), Some(UserStatus::Suspended)] {
        let filter = UserFilter { query: None, status };
        assert_eq!(found(&trial, &filter).await, of(status).collect::<Vec<_>>());
        // Behind an account that is not in the list, and never was, a page begins all the same.
        for user in users.iter().chain([&trial.fixtures.user()]) {
            let cursor = Some(UserCursor { term: String::new(), id: user.id });
            let page = trial.store.list_users(&filter, &UserPageRequest { limit: limit(200), cursor }).await.expect("reads");
            let behind: Vec<UserId> = of(status).filter(|id| *id < user.id).collect();
            assert_eq!(page.items.iter().map(|user| user.id).collect::<Vec<_>>(), behind);
        }
    }
}

pub async fn accounts_are_found_by_the_beginnings_of_what_they_are(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let zoe = trial.keep_user(named(&trial, "Zoë.Ünal@Bücher.Example", "Zoë O'Hara-Müller 李")).await;
    let jane = trial.keep_user(named(&trial, "jane.doe+shop@example.com", "Jane Doe")).await;
    let nameless = trial.keep_user(named(&trial, "j_smith99@example.org", "")).await;
    let suspended = User { status: UserStatus::Suspended, ..named(&trial, "mallory@example.com", "Jane Mallory") };
    let mallory = trial.keep_user(suspended).await;
    for (text, expected) in [
        ("zoe", vec![&zoe]),
        ("ZOË", vec![&zoe]),
        ("zoe\u{308}.u", vec![&zoe]),
        ("zoë.ünal@bücher", vec![&zoe]),
        ("zoe.unal@xn--bcher-kva.example", vec![&zoe]),
        ("@bucher", vec![&zoe]),
        ("mull", vec![&zoe]),
        ("o'hara mül", vec![&zoe]),
        ("李", vec![&zoe]),
        ("hara", vec![&zoe]),
        ("jane", vec![&mallory, &jane]),
        ("jane mal", vec![&mallory]),
        ("doe j", vec![&jane]),
        ("shop", vec![&jane]),
        ("jane.doe+shop@example.com", vec![&jane]),
        ("smith", vec![&nameless]),
        ("@example", vec![&jane, &mallory, &nameless]),
        ("@example.org", vec![&nameless]),
        // Not inside of words, and not across.
        ("ane", vec![]),
        ("example", vec![]),
        ("oe", vec![]),
        ("janed", vec![]),
        ("jane nobody", vec![]),
        ("doe@example.com", vec![]),
    ] {
        let mut ids: Vec<UserId> = found(&trial, &search(text)).await;
        let mut expected: Vec<UserId> = expected.iter().map(|user| user.id).collect();
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ids, expected, "{text}");
    }
    let by_id = search(&mallory.id.to_string());
    assert_eq!(found(&trial, &by_id).await, [mallory.id]);
    assert_eq!(found(&trial, &UserFilter { status: Some(UserStatus::Active), ..by_id }).await, []);
    assert_eq!(found(&trial, &search(&trial.fixtures.user().id.to_string())).await, []);
    let filter = |status| UserFilter { status: Some(status), ..search("jane") };
    assert_eq!(found(&trial, &filter(UserStatus::Active)).await, [jane.id]);
    assert_eq!(found(&trial, &filter(UserStatus::Suspended)).await, [mallory.id]);
}

pub async fn a_query_is_text_and_no_pattern(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let odd = trial.keep_user(named(&trial, "a%b_c@example.com", "100%_Anna \\ '; DROP TABLE users; --")).await;
    trial.keep_user(named(&trial, "axbyc@example.com", "Anton")).await;
    for (text, is_found) in [
        ("a%b_c@example.com", true),
        ("a%b_c@", true),
        ("a_b_c@", false),
        ("a%@", false),
        ("%@example", false),
        ("10_", true),
        ("a%a", true),
        ("anna\" OR \"1", false),
        ("drop", true),
        ("100%_anna", true),
    ] {
        let ids = found(&trial, &search(text)).await;
        assert_eq!(ids.contains(&odd.id), is_found, "{text}: {ids:?}");
    }
}

pub async fn a_search_comes_in_the_order_of_places_and_each_account_once(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let mut users = Vec::new();
    // Several terms of one account begin alike, across its address and its name; some accounts have the same place.
    for (address, name) in [
        ("anna.annika@example.com", "Anna Annabell Annegret"),
        ("ann@example.com", "Ann"),
        ("zora@example.com", "Ann"),
        ("anna@example.com", "Annabell"),
        ("x.ann@example.com", "Annabell Ann"),
        ("ann1@example.com", "Bea"),
        ("bea@example.com", "Bea"),
    ] {
        users.push(trial.keep_user(named(&trial, address, name)).await);
    }
    for text in ["a", "an", "ann", "anna", "annab", "be", "ann a"] {
        let filter = search(text);
        let query = filter.query.clone().expect("a query");
        let mut expected: Vec<(String, UserId)> =
            users.iter().filter_map(|user| query.place(user).map(|place| (place, user.id))).collect();
        expected.sort();
        let expected: Vec<UserId> = expected.into_iter().map(|(_, id)| id).collect();
        assert_eq!(found(&trial, &filter).await, expected, "{text}");
    }
    // Forged cursors: behind everything, before everything, in the middle of nowhere.
    for (term, count) in [("zzz", 0), ("", 6), ("\u{10FFFE}", 0), ("ann", 6)] {
        let cursor = Some(UserCursor { term: term.to_owned(), id: UserId::from_uuid(uuid::Uuid::nil()) });
        let page = trial.store.list_users(&search("ann"), &UserPageRequest { limit: limit(200), cursor }).await.expect("reads");
        assert_eq!(page.items.len(), count, "behind {term:?}");
    }
}

pub async fn what_is_found_follows_the_account(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.keep_user(named(&trial, "jane@example.com", "Jane Doe")).await;
    let bystander = trial.keep_user(named(&trial, "doe@example.net", "John Smith")).await;
    let (id, at) = (user.id, trial.now());
    let finds = async |text: &str, expected: bool, when: &str| {
        assert_eq!(found(&trial, &search(text)).await.contains(&id), expected, "{text} {when}");
    };
    let name = |text: &str| Patch::Set(FullName::from_stored(text.to_owned()));
    trial.apply(UserChange::UpdateProfile { id, full_name: name("Jane Smith"), locale: Patch::Keep, at }).await;
    for (text, expected) in [("doe", false), ("smith", true), ("jane", true), ("jane@example", true)] {
        finds(text, expected, "after her name was changed by herself").await;
    }
    trial.apply(UserChange::UpdateProfile { id, full_name: Patch::Clear, locale: Patch::Keep, at }).await;
    finds("smith", false, "after her name was removed").await;
    finds("jane", true, "by her address").await;
    let (email_after, full_name) = (Some(email("mary@example.org")), name("Mary Jane"));
    trial.apply(UserChange::Update { id, from: 2, email: email_after, full_name, locale: Patch::Keep, at }).await;
    for (text, expected) in
        [("mary@example.org", true), ("@example.org", true), ("jane", true), ("jane@", false), ("@example.com", false)]
    {
        finds(text, expected, "after she was moved and renamed").await;
    }
    let (email_after, full_name) = (Some(email("ann@example.org")), Patch::Keep);
    trial.apply(UserChange::Update { id, from: 3, email: email_after, full_name, locale: Patch::Keep, at }).await;
    for (text, expected) in [("mary", true), ("mary@", false), ("ann", true), ("mary ann", true)] {
        finds(text, expected, "after she was moved").await;
    }
    let stale = UserChange::Update { id, from: 3, email: None, full_name: name("Mallory"), locale: Patch::Keep, at };
    trial.refuse_one(stale, crate::ports::store::Conflict::UserChanged).await;
    finds("mallory", false, "after a change that was refused").await;
    trial.apply(UserChange::Close { id, at }).await;
    for text in ["mary", "ann", "@example.org"] {
        finds(text, false, "after she was closed").await;
    }
    assert_eq!(found(&trial, &search("doe")).await, [bystander.id], "another account is found as before");
    let heir = trial.keep_user(named(&trial, "ann@example.org", "")).await;
    assert_eq!(found(&trial, &search("ann@example.org")).await, [heir.id]);
}

pub async fn whoever_looks_for_few_among_many_finds_them(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let mut changes = crate::model::ChangeSet::new();
    let mut wanted = Vec::new();
    // More than a store looks at for one page.
    for number in 0..1_300 {
        let user = named(&trial, &format!("many{number}@example.com"), "");
        let is_wanted = number % 600 == 7;
        let status = if is_wanted { UserStatus::Suspended } else { UserStatus::Active };
        wanted.extend(is_wanted.then_some(user.id));
        changes = changes.and(UserChange::Insert(User { status, ..user }));
    }
    trial.store.commit(&changes).await.expect("commits");
    let filter = UserFilter { status: Some(UserStatus::Suspended), ..search("many") };
    let mut found: Vec<UserId> = list_users(&*trial.store, &filter, limit(2)).await.iter().map(|user| user.id).collect();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    assert_eq!(list_users(&*trial.store, &search("many"), limit(200)).await.len(), 1_300);
    assert_eq!(list_users(&*trial.store, &search("many nobody"), limit(200)).await, []);
}
