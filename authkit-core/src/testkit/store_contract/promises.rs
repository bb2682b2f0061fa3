//! The list of all promises, and the macro that makes a test of each.

use super::factors;
use super::guesses;
use super::passkeys;
use super::{Stores, atomicity, audit, credentials, keys, model, races, roles, rotation, sessions, users};
use super::{administration, search};
use super::{one_time_tokens, outbox};

/// One thing that every store promises, and the check that holds it to that.
pub type Promise = crate::testkit::promise::Promise<Stores>;

/// Makes one test of each promise of the store contract; see [`store_contract`](crate::testkit::store_contract).
#[macro_export]
macro_rules! store_contract {
    ($fresh_store:expr) => {
        $crate::__store_promises! { [$crate::__store_contract_tests] $fresh_store }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_contract_tests {
    (($fresh_store:expr) $($group:ident { $($promise:ident)* })*) => {
        mod store_contract {
            use super::*;

            $(mod $group {
                use super::*;

                $(#[test]
                fn $promise() {
                    use $crate::testkit::store_contract as contract;
                    let promise = contract::Promise::new(stringify!($promise), |stores| {
                        ::std::boxed::Box::pin(contract::$group::$promise(stores))
                    });
                    contract::assert_promise(&promise, &contract::Stores::new($fresh_store));
                })*
            })*
        }
    };
}

macro_rules! table {
    (() $($group:ident { $($promise:ident)* })*) => {
        vec![$($(Promise::new(stringify!($promise), |stores| Box::pin($group::$promise(stores))),)*)*]
    };
}

/// Every promise of the contract.
#[must_use]
pub fn promises() -> Vec<Promise> {
    crate::__store_promises! { [table] }
}

/// The one list. It hands itself to the macro in brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_promises {
    ([$($with:tt)+] $($args:tt)*) => {
        $($with)+! {
            ($($args)*)
            users {
                an_account_is_read_back_with_every_field
                an_unknown_account_is_absent
                an_address_finds_its_account_in_every_spelling
                an_address_that_is_taken_is_refused_in_every_spelling
                an_account_id_is_taken_for_ever
                a_profile_update_changes_the_named_fields_alone
                a_profile_update_needs_an_active_account
                the_epoch_rises_by_one_from_the_one_that_was_read
                a_closed_account_is_in_no_read
                the_address_of_a_closed_account_is_free_again
                closing_needs_an_account_that_is_open
                an_address_is_verified_only_while_it_is_the_accounts
                an_address_is_changed_only_from_the_one_that_was_read_to_one_that_is_free
            }
            administration {
                an_update_changes_the_named_fields_of_the_version_that_was_read
                a_new_address_is_not_verified_and_raises_the_epoch
                a_new_address_that_is_taken_is_refused_in_every_spelling
                suspending_needs_an_active_account_of_the_same_version
                an_expectation_holds_what_is_behind_it_and_changes_nothing
                every_change_of_an_account_raises_its_version
                a_session_of_somebody_else_is_read_back
                impersonations_are_ended_by_who_acts
                impersonations_are_ended_by_as_whom
                impersonations_are_ended_by_the_roles_of_either
                the_cap_leaves_impersonations_alone
                one_of_many_updates_of_a_version_wins
                one_address_is_moved_to_once
                no_session_survives_a_suspension
            }
            search {
                accounts_are_listed_the_greatest_id_first
                accounts_are_found_by_the_beginnings_of_what_they_are
                a_query_is_text_and_no_pattern
                a_search_comes_in_the_order_of_places_and_each_account_once
                what_is_found_follows_the_account
                whoever_looks_for_few_among_many_finds_them
            }
            credentials {
                a_password_is_read_back
                a_password_is_given_only_to_an_account_without_one
                a_password_is_replaced_only_while_it_is_the_verified_one
                a_password_is_deleted_if_there_is_one
                password_hashes_come_in_pages_the_least_id_first
            }
            sessions {
                a_session_is_read_back_with_every_field
                an_unknown_session_is_absent
                a_session_begins_only_for_an_active_account_of_the_same_epoch
                a_session_id_is_taken_for_ever
                a_session_begins_live
                a_session_is_revoked_once
                revoking_all_ends_what_was_not_revoked_and_spares_one
                the_cap_ends_the_longest_unused
                the_cap_counts_live_sessions_alone
                reauthentication_needs_a_live_session_of_the_same_epoch
                live_sessions_are_live_at_the_instant
                live_sessions_come_in_pages_the_greatest_id_first
                revocations_come_after_the_mark_in_order
                revocations_of_closed_accounts_are_read
                ended_sessions_are_purged_and_no_others
                a_purge_of_sessions_keeps_to_its_limit
            }
            rotation {
                a_rotation_moves_on_by_one_generation
                a_rotation_cuts_the_idle_end_at_the_absolute_end
                a_rotation_of_another_generation_is_refused
                a_rotation_with_another_secret_is_refused
                a_rotation_of_a_revoked_session_is_refused
                a_rotation_of_an_expired_session_is_refused
                a_rotation_of_no_session_is_refused_with_nothing
                a_refresh_chain_keeps_one_row
            }
            keys {
                a_key_is_read_back_with_every_field
                keys_come_in_the_order_of_purpose_and_serial
                a_key_id_is_taken_once
                a_serial_is_taken_once_for_each_purpose
                a_deleted_key_is_gone_and_its_places_are_free
            }
            audit {
                an_event_is_read_back_with_every_field
                an_event_id_is_taken_once
                events_come_in_pages_the_greatest_id_first
                events_of_one_account_come_in_pages_of_their_own
                events_outlive_their_account
                every_member_of_a_filter_chooses_its_events
                seals_are_one_chain
                the_events_of_a_seal_are_purged_and_the_seal_stays
                a_receiver_is_served_by_one_node_at_a_time
            }
            guesses {
                guesses_are_counted_one_by_one
                guesses_are_read_beside_the_account_or_nobody
                a_guess_is_reserved_only_from_the_count_that_was_read
                a_count_is_forgotten_if_there_is_one
                old_counts_are_purged_and_high_ones_stay
                no_guess_among_rivals_is_lost
                one_of_many_reserves_the_guess
            }
            factors {
                factors_are_read_back_with_every_field
                factors_are_written_only_as_they_were_read
                factors_are_those_of_an_account_that_is_there
                factors_are_forgotten_if_there_are_any
                factors_in_force_are_set_from_the_epoch_that_was_read
                one_of_many_writes_the_factors
                one_of_many_changes_of_the_factors_in_force_wins
                no_session_begins_on_the_factors_of_before
            }
            one_time_tokens {
                a_token_is_read_back_with_every_field
                a_token_is_read_for_its_own_purpose_alone
                a_token_needs_an_account_that_is_open
                a_token_id_is_taken_once
                a_token_is_used_up_by_what_it_is_and_for_what_it_is
                an_expired_token_is_good_for_nothing
                every_guess_is_paid_for_until_none_is_left
                tokens_of_an_account_are_revoked_by_purpose_or_all
                tokens_go_with_their_account
                expired_tokens_are_purged_and_no_others
            }
            outbox {
                a_message_is_read_back_with_every_field
                a_message_begins_as_one_that_waits
                a_message_id_is_taken_once
                a_claim_takes_what_is_due_the_longest_due_first
                what_was_delivered_is_forgotten
                a_worker_whose_lease_ran_out_has_no_say
                a_message_that_failed_is_due_again
                a_message_that_was_given_up_can_be_tried_again_while_it_is_true
                a_message_can_be_discarded_in_every_state
                messages_of_a_state_come_in_pages_the_greatest_id_first
                messages_go_with_the_account_and_the_farewell_stays
                finished_messages_are_purged_and_no_others
            }
            passkeys {
                a_passkey_is_read_back_with_every_field
                a_passkey_needs_an_active_account_of_the_same_epoch
                no_two_passkeys_are_called_the_same
                no_account_gets_more_passkeys_than_it_may_have
                a_use_is_recorded_from_the_counter_that_was_read
                one_of_many_uses_of_a_counter_is_recorded
                a_passkey_is_renamed_by_its_owner
                the_last_way_in_stays
                two_passkeys_cannot_take_each_other_away
                passkeys_are_forgotten_with_their_account_or_by_name
                a_challenge_is_answered_once_by_what_it_is
                a_challenge_that_expired_is_answered_by_nothing
                one_of_many_answers_a_challenge
                expired_challenges_are_purged_and_no_others
            }
            atomicity {
                a_store_answers_a_ping
                an_empty_set_does_nothing
                changes_see_the_ones_before_them
                a_failing_change_undoes_the_ones_before_it
                a_failing_change_undoes_each_kind_of_change
                nothing_behind_a_failing_change_is_applied
                the_first_guard_that_fails_is_named
                what_was_refused_can_be_mended_and_committed
            }
            races {
                one_address_is_registered_once
                one_generation_is_rotated_once
                a_rotation_never_revives_a_revoked_session
                one_of_many_password_changes_wins
                one_of_many_epoch_raises_wins
                no_session_of_an_old_password_survives_its_change
                no_session_survives_the_closing_of_its_account
                the_cap_holds_among_rivals
                a_session_is_revoked_by_one_of_many
                one_of_many_keys_takes_the_serial
                one_of_many_seals_takes_the_number
                one_of_many_nodes_serves_a_receiver
                one_of_many_uses_up_a_token
                no_more_guesses_are_paid_for_than_there_are
                one_address_is_changed_to_once
                no_message_is_claimed_by_two
                rivals_in_opposite_order_all_succeed
                no_read_sees_half_a_commit
                what_is_acknowledged_is_read_by_everybody
            }
            roles {
                a_fresh_store_has_the_built_in_roles
                a_role_is_read_back_with_every_field
                a_role_name_is_taken_once
                a_role_is_changed_only_on_the_version_that_was_read
                built_in_roles_stay
                a_role_that_somebody_has_is_not_deleted
                an_account_begins_without_roles
                assignments_are_read_back_with_the_account
                assignments_are_replaced_only_from_the_version_that_was_read
                assignments_need_roles_that_exist
                a_closed_account_has_no_roles
                changed_access_comes_after_the_mark_in_order
                accounts_with_a_role_come_in_pages_the_greatest_id_first
                acting_needs_the_access_that_was_read
                the_last_who_holds_everything_is_spared
                everything_is_held_by_the_active_for_good_and_everywhere
                one_of_many_role_changes_wins
                one_of_many_assignments_wins
                no_role_is_deleted_while_it_is_assigned
                what_was_decided_on_roles_needs_them_as_they_were
                no_impersonation_outlives_the_change_of_a_role
                those_who_hold_everything_cannot_take_it_from_each_other
            }
            model {
                random_histories_are_those_of_the_model
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// A check that nobody lists would never run.
    #[test]
    fn every_check_is_listed_once() {
        let sources = [
            include_str!("users.rs"),
            include_str!("administration.rs"),
            include_str!("search.rs"),
            include_str!("credentials.rs"),
            include_str!("sessions.rs"),
            include_str!("rotation.rs"),
            include_str!("keys.rs"),
            include_str!("audit.rs"),
            include_str!("guesses.rs"),
            include_str!("factors.rs"),
            include_str!("one_time_tokens.rs"),
            include_str!("outbox.rs"),
            include_str!("passkeys.rs"),
            include_str!("atomicity.rs"),
            include_str!("races.rs"),
            include_str!("roles.rs"),
            include_str!("model.rs"),
        ];
        let written: BTreeSet<&str> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("pub async fn "))
            .filter_map(|rest| rest.split('(').next())
            .collect();
        let listed: Vec<&str> = super::promises().iter().map(|promise| promise.name).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), written);
        assert_eq!(listed.len(), written.len(), "two promises share a name");
    }
}
