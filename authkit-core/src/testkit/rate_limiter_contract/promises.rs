//! The list of all promises, and the macro that makes a test of each.

use super::{Limiters, buckets, counting, time};

/// One thing that every limiter promises, and the check that holds it to that.
pub type Promise = crate::testkit::promise::Promise<Limiters>;

/// Makes one test of each promise of the limiter contract; see
/// [`rate_limiter_contract`](crate::testkit::rate_limiter_contract).
#[macro_export]
macro_rules! rate_limiter_contract {
    ($fresh_limiter:expr) => {
        $crate::__rate_limiter_promises! { [$crate::__rate_limiter_contract_tests] $fresh_limiter }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __rate_limiter_contract_tests {
    (($fresh_limiter:expr) $($group:ident { $($promise:ident)* })*) => {
        mod rate_limiter_contract {
            use super::*;

            $(mod $group {
                use super::*;

                $(#[test]
                fn $promise() {
                    use $crate::testkit::rate_limiter_contract as contract;
                    let promise = contract::Promise::new(stringify!($promise), |limiters| {
                        ::std::boxed::Box::pin(contract::$group::$promise(limiters))
                    });
                    contract::assert_promise(&promise, &contract::Limiters::new($fresh_limiter));
                })*
            })*
        }
    };
}

macro_rules! table {
    (() $($group:ident { $($promise:ident)* })*) => {
        vec![$($(Promise::new(stringify!($promise), |limiters| Box::pin($group::$promise(limiters))),)*)*]
    };
}

/// Every promise of the contract.
#[must_use]
pub fn promises() -> Vec<Promise> {
    crate::__rate_limiter_promises! { [table] }
}

/// The one list. It hands itself to the macro in brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! __rate_limiter_promises {
    ([$($with:tt)+] $($args:tt)*) => {
        $($with)+! {
            ($($args)*)
            counting {
                exactly_the_burst_is_allowed_at_once
                what_is_left_is_told
                a_refusal_adds_no_debt
                no_charges_are_no_readings
                a_limiter_says_that_it_works
            }
            buckets {
                subjects_and_scopes_count_apart
                a_refusal_spares_the_buckets_behind_it
                a_refusal_is_paid_for_by_the_buckets_in_front_of_it
                rivals_from_a_used_up_address_spare_the_account
                a_bucket_keeps_its_debt_when_its_quota_changes
            }
            time {
                one_more_is_allowed_after_the_time_that_was_told
                no_more_is_allowed_than_burst_and_time_give
                an_idle_bucket_holds_its_burst_and_no_more
                no_window_gives_a_second_burst
                hammering_keeps_no_bucket_shut
                what_is_full_again_is_forgotten
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
        let sources = [include_str!("counting.rs"), include_str!("buckets.rs"), include_str!("time.rs")];
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
