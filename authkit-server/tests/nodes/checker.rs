//! Holds the database against the record: what was acknowledged is there, what was refused is not, nothing is half-made.

use crate::history::{Count, Entry, Knowledge};
use crate::ledger::Ledger;

/// Fails with every promise that is broken.
#[track_caller]
pub(crate) fn check(entries: &[Entry], ledger: &Ledger) {
    let broken = violations(entries, ledger);
    assert!(broken.is_empty(), "{} PROMISES BROKEN:\n{}", broken.len(), broken.join("\n"));
}

/// Every promise that is broken.
pub(crate) fn violations(entries: &[Entry], ledger: &Ledger) -> Vec<String> {
    let mut broken: Vec<String> =
        ledger.half_made.iter().map(|(what, found)| format!("nothing is half-made, and here is {found} times {what}")).collect();
    let known = Knowledge::of(entries);
    for (email, knowledge) in &known {
        judge(email, knowledge, ledger, &mut broken);
    }
    let strangers = ledger.accounts.keys().filter(|email| !known.contains_key(*email));
    broken.extend(strangers.map(|email| format!("nobody asked for the account {email}")));
    broken
}

fn judge(email: &str, known: &Knowledge, ledger: &Ledger, broken: &mut Vec<String>) {
    broken.extend(known.wronged.iter().map(|entry| format!("nothing of this deserved a refusal: {entry:?}")));
    broken.extend(known.forks().map(|(token, to)| format!("{email}: one token has one successor, and {token} has {to:?}")));
    let account = ledger.accounts.get(email);
    let exists = i64::from(account.is_some());
    if !known.registrations.allows(exists) {
        broken.push(format!("{email}: {exists} accounts, and the clients know of {:?}", known.registrations));
    }
    let Some(account) = account else { return };
    // The registration begins a session as well.
    let sessions = Count { done: known.logins.done + 1, unknown: known.logins.unknown };
    for (what, found, expected) in [
        ("sessions", account.sessions, sessions),
        ("sessions that were logged out of", account.logged_out, known.ended_sessions()),
        ("rotations", account.rotations, known.rotations()),
        ("changes of the password", account.auth_epoch, known.password_changes),
    ] {
        if !expected.allows(found) {
            broken.push(format!("{email}: {found} {what}, and the clients know of {expected:?}"));
        }
    }
}

mod tests {
    use super::*;
    use crate::history::{Deed, History, Outcome};
    use crate::ledger::Account;

    fn done(token: &str) -> Outcome {
        Outcome::Done { token: Some(token.to_owned()) }
    }

    fn refresh(token: &str) -> Deed {
        Deed::Refresh { token: token.to_owned() }
    }

    fn unknown() -> Outcome {
        Outcome::Unknown { why: "the reply was lost".to_owned() }
    }

    /// Of one account, which was registered and has whatever else was done.
    fn record(deeds: &[(Deed, Outcome)]) -> Vec<Entry> {
        let history = History::new();
        for (deed, outcome) in [(Deed::Register, done("t0"))].iter().chain(deeds) {
            let open = history.invoke("ada", deed.clone());
            history.end(open, outcome.clone());
        }
        history.entries()
    }

    fn ledger(account: Option<Account>) -> Ledger {
        Ledger { accounts: account.map(|account| ("ada".to_owned(), account)).into_iter().collect(), half_made: Vec::new() }
    }

    fn fresh() -> Account {
        Account { auth_epoch: 0, sessions: 1, logged_out: 0, rotations: 0 }
    }

    #[track_caller]
    fn finds(deeds: &[(Deed, Outcome)], account: Option<Account>, promise: &str) {
        let broken = violations(&record(deeds), &ledger(account));
        assert!(broken.len() == 1 && broken[0].contains(promise), "{broken:?}");
    }

    #[test]
    fn the_checker_takes_what_fits_and_either_of_what_is_unknown() {
        let deeds = [(refresh("t0"), unknown()), (refresh("t0"), done("t1")), (refresh("t1"), unknown())];
        for rotations in [1, 2] {
            assert_eq!(violations(&record(&deeds), &ledger(Some(Account { rotations, ..fresh() }))), [""; 0]);
        }
    }

    #[test]
    fn the_checker_finds_each_kind_of_loss() {
        let login = Deed::LogIn { is_guess: false };
        let logout = Deed::LogOut { token: "t0".to_owned() };
        finds(&[], None, "0 accounts");
        finds(&[(refresh("t0"), done("t1"))], Some(fresh()), "0 rotations");
        finds(&[(refresh("t0"), unknown())], Some(Account { rotations: 2, ..fresh() }), "2 rotations");
        finds(&[(login, done("t1"))], Some(fresh()), "1 sessions");
        finds(&[(logout, Outcome::Done { token: None })], Some(fresh()), "0 sessions that were logged out");
        finds(&[(Deed::ChangePassword, Outcome::Done { token: None })], Some(fresh()), "0 changes of the password");
    }

    #[test]
    fn the_checker_finds_what_nobody_did() {
        finds(&[], Some(Account { sessions: 2, ..fresh() }), "2 sessions");
        finds(&[], Some(Account { auth_epoch: 1, ..fresh() }), "1 changes of the password");
        let broken = violations(&[], &ledger(Some(fresh())));
        assert!(broken.len() == 1 && broken[0].contains("nobody asked"), "{broken:?}");
    }

    #[test]
    fn the_checker_finds_two_lineages_and_a_forced_logout() {
        let fork = [(refresh("t0"), done("t1")), (refresh("t0"), done("t2"))];
        finds(&fork, Some(Account { rotations: 1, ..fresh() }), "one successor");
        let refused = Outcome::Refused { status: 401, code: "auth.refresh_token_reused".to_owned() };
        finds(&[(refresh("t0"), refused)], Some(fresh()), "deserved a refusal");
    }

    #[test]
    fn the_checker_passes_on_what_is_half_made() {
        let mut ledger = ledger(Some(fresh()));
        ledger.half_made.push(("an account without a password", 3));
        let broken = violations(&record(&[]), &ledger);
        assert!(broken.len() == 1 && broken[0].contains("an account without a password"), "{broken:?}");
    }
}
