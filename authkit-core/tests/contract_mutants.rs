//! The contract can fail: stores that are wrong on purpose, each the way a real one goes wrong, and the promise that notices.

use authkit_core::testkit::store_contract::{Stores, promises, run, run_all};
use authkit_core::testkit::{Bug, MutantStore};

fn stores(bug: Bug) -> Stores {
    Stores::new(move || async move { MutantStore::new(bug) })
}

/// Insists that a bug breaks a promise.
async fn breaks(bug: Bug, promise: &str) {
    let promise = promises().into_iter().find(|listed| listed.name == promise).expect("a promise of the contract");
    let noticed = run(&promise, &stores(bug)).await.expect_err(&format!("{bug:?} went unnoticed by {}", promise.name));
    // For the reader of a log: a mutant must die of its bug, and not of something else.
    println!("{bug:?}: {}", noticed.chars().take(300).collect::<String>());
}

macro_rules! mutants {
    ($($bug:ident breaks $promise:ident;)*) => {
        mod mutant {
            $(#[expect(non_snake_case, reason = "named for the bug")]
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $bug() {
                super::breaks(super::Bug::$bug, stringify!($promise)).await;
            })*
        }
    };
}

mutants! {
    ChecksThenRotates breaks one_generation_is_rotated_once;
    ShowsTheStateBeforeTheRefusal breaks one_generation_is_rotated_once;
    RotatesAnyGeneration breaks a_rotation_of_another_generation_is_refused;
    RotatesWithAnySecret breaks a_rotation_with_another_secret_is_refused;
    RotatesWhatExpired breaks a_rotation_of_an_expired_session_is_refused;
    ForgetsWhoUsedItLast breaks a_rotation_moves_on_by_one_generation;
    DoesNotCutTheIdleEnd breaks a_rotation_cuts_the_idle_end_at_the_absolute_end;
    AppliesWhatComesBehindAFailure breaks nothing_behind_a_failing_change_is_applied;
    NamesTheLastGuard breaks the_first_guard_that_fails_is_named;
    DropsAuditEvents breaks an_event_is_read_back_with_every_field;
    ComparesSpellings breaks one_address_is_registered_once;
    LosesTheSpelling breaks an_account_is_read_back_with_every_field;
    CutsTimesToMilliseconds breaks an_account_is_read_back_with_every_field;
    IgnoresTheEpoch breaks a_session_begins_only_for_an_active_account_of_the_same_epoch;
    ChecksTheEpochThenBegins breaks no_session_of_an_old_password_survives_its_change;
    ChecksThePasswordThenReplaces breaks one_of_many_password_changes_wins;
    ReplacesAnyPassword breaks a_password_is_replaced_only_while_it_is_the_verified_one;
    ForgetsTheException breaks revoking_all_ends_what_was_not_revoked_and_spares_one;
    RevokesAgain breaks a_session_is_revoked_once;
    ReportsNoRevocation breaks a_session_is_revoked_once;
    CapIsOneTooMany breaks the_cap_ends_the_longest_unused;
    CapCountsByAge breaks the_cap_ends_the_longest_unused;
    CountsThenEnforcesTheCap breaks the_cap_holds_among_rivals;
    LiveOneTickTooLong breaks live_sessions_are_live_at_the_instant;
    RepeatsTheMark breaks revocations_come_after_the_mark_in_order;
    SkipsTheRestOfAnInstant breaks revocations_come_after_the_mark_in_order;
    CursorIsInclusive breaks live_sessions_come_in_pages_the_greatest_id_first;
    PagesNeverEnd breaks events_come_in_pages_the_greatest_id_first;
    ForgetsTheSubject breaks events_of_one_account_come_in_pages_of_their_own;
    ReadsTheTokenThenTakesIt breaks one_of_many_uses_up_a_token;
    TakesATokenForAnything breaks a_token_is_used_up_by_what_it_is_and_for_what_it_is;
    TakesAnExpiredToken breaks an_expired_token_is_good_for_nothing;
    GuessesCostNothing breaks no_more_guesses_are_paid_for_than_there_are;
    ClaimsTwice breaks no_message_is_claimed_by_two;
    ForgetsWhoseMessageItIs breaks a_worker_whose_lease_ran_out_has_no_say;
    KeepsWhatWasDelivered breaks what_was_delivered_is_forgotten;
    VerifiesAnyAddress breaks an_address_is_verified_only_while_it_is_the_accounts;
    ReportsADeadlock breaks rivals_in_opposite_order_all_succeed;
    ReadsThenCountsAGuess breaks no_guess_among_rivals_is_lost;
    ReservesWhateverWasRead breaks one_of_many_reserves_the_guess;
    ForgetsNoGuesses breaks a_count_is_forgotten_if_there_is_one;
    PurgesEveryCount breaks old_counts_are_purged_and_high_ones_stay;
    ReadsNoGuessesOfNobody breaks guesses_are_read_beside_the_account_or_nobody;
    WritesFactorsWhateverWasRead breaks one_of_many_writes_the_factors;
    ForgetsNoFactors breaks factors_are_forgotten_if_there_are_any;
    KeepsTheFactorsInForce breaks factors_in_force_are_set_from_the_epoch_that_was_read;
    CountsThenKeepsThePasskey breaks no_account_gets_more_passkeys_than_it_may_have;
    RecordsNoUse breaks a_use_is_recorded_from_the_counter_that_was_read;
    TakesTheLastWayIn breaks the_last_way_in_stays;
    ForgetsNoPasskeys breaks passkeys_are_forgotten_with_their_account_or_by_name;
    AnswersAChallengeTwice breaks a_challenge_is_answered_once_by_what_it_is;
    AnswersAnExpiredChallenge breaks a_challenge_that_expired_is_answered_by_nothing;
    LosesTheLastStep breaks factors_are_read_back_with_every_field;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_committed_one_by_one_break_atomicity_and_isolation() {
    breaks(Bug::CommitsChangeByChange, "a_failing_change_undoes_the_ones_before_it").await;
    breaks(Bug::CommitsChangeByChange, "a_failing_change_undoes_each_kind_of_change").await;
    breaks(Bug::CommitsChangeByChange, "no_read_sees_half_a_commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_histories_find_what_no_check_was_written_for() {
    for bug in [
        Bug::RotatesAnyGeneration,
        Bug::RotatesWithAnySecret,
        Bug::RotatesWhatExpired,
        Bug::ForgetsWhoUsedItLast,
        Bug::DoesNotCutTheIdleEnd,
        Bug::CommitsChangeByChange,
        Bug::AppliesWhatComesBehindAFailure,
        Bug::DropsAuditEvents,
        Bug::ComparesSpellings,
        Bug::LosesTheSpelling,
        Bug::CutsTimesToMilliseconds,
        Bug::IgnoresTheEpoch,
        Bug::ReplacesAnyPassword,
        Bug::ForgetsTheException,
        Bug::RevokesAgain,
        Bug::ReportsNoRevocation,
        Bug::CapIsOneTooMany,
        Bug::CapCountsByAge,
        Bug::SkipsTheRestOfAnInstant,
        Bug::ForgetsTheSubject,
    ] {
        breaks(bug, "random_histories_are_those_of_the_model").await;
    }
}

/// Without a bug the mutant keeps every promise: what turns the others red is the bug and not the wrapper.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_wrapper_without_a_bug_breaks_nothing() {
    let results = run_all(&stores(Bug::Nothing)).await;
    let broken: Vec<_> = results.iter().filter(|(_, result)| result.is_err()).collect();
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!(results.len(), promises().len());
}
