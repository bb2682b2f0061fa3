use std::collections::BTreeSet;

use authkit_core::model::CredentialChange;
use authkit_core::testkit::Fixtures;

use super::every::{every_text, statements};
use super::*;
use crate::dialect;

/// The numbers of a text's binds.
fn binds(sql: &str) -> BTreeSet<usize> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    sql.split('$').skip(1).map(|rest| digits(rest).parse().expect("a number follows each $")).collect()
}

// sqlx-sqlite binds a missing argument as NULL without a word, and ignores a surplus one.
#[test]
fn every_statement_names_exactly_its_arguments() {
    let fixtures = Fixtures::new(1);
    let mut queries = Vec::new();
    for dialect in [&dialect::SQLITE, &dialect::POSTGRES] {
        queries.extend(every_text(dialect, &fixtures));
    }
    assert!(queries.len() > 60, "only {} statements were looked at", queries.len());
    for query in queries {
        assert_eq!(binds(query.sql), (1..=query.args.len()).collect(), "{}", query.sql);
    }
}

#[test]
fn every_guard_of_the_model_is_in_a_statement() {
    let free: Vec<&str> = statements(&dialect::POSTGRES, &Fixtures::new(2))
        .iter()
        .filter(|statement| statement.guard == Guard::None)
        .map(|statement| statement.query.sql.split(' ').next().expect("a verb"))
        .collect();
    // What the search finds after an update; DeletePassword, RevokeAll, EndImpersonations, EnforceCap, the purges of sessions, events
    // and leaves; Count, Forget and Purge of guesses; of one-time tokens RevokeAllOf and the purge, of messages the claim and the
    // purge, what the search finds after a change of address.
    let first = ["DELETE", "DELETE", "INSERT", "DELETE", "UPDATE", "UPDATE", "UPDATE", "DELETE", "DELETE", "DELETE"];
    let guesses = ["INSERT", "DELETE", "DELETE"];
    // Forget.
    let factors = ["DELETE"];
    let tokens = ["DELETE", "DELETE"];
    // ForgetAllOf, and the purge of challenges.
    let passkeys = ["DELETE", "DELETE"];
    let messages = ["UPDATE", "DELETE", "DELETE", "INSERT"];
    // The old assignments, and when they were replaced; the locks of the two guards of those who hold everything; the ends of
    // impersonations, of somebody and by role.
    let roles = ["DELETE", "INSERT", "SELECT", "SELECT", "UPDATE", "UPDATE"];
    // The password, the factors, the passkeys, the devices, the terms, the tokens, the messages, the assignments and their last change of a closed
    // account; the terms of an indexed one.
    let closed = ["DELETE", "UPDATE", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "INSERT"];
    assert_eq!(free, [&first[..], &roles, &guesses, &factors, &tokens, &passkeys, &messages, &closed].concat());
}

#[test]
fn arguments_never_show_themselves() {
    let fixtures = Fixtures::new(3);
    let hash = fixtures.password_hash();
    let change = CredentialChange::InsertPassword { user_id: fixtures.user().id, hash: hash.clone(), at: fixtures.now() };
    let shown = format!("{:?}", compile(&dialect::SQLITE, &ChangeSet::new().and(change)).expect("known"));
    assert!(!shown.contains(hash.expose()) && !shown.contains("argon2"), "{shown}");
}
