//! The tests that every store passes: those of this crate, and yours.
//!
//! Each function runs the rules of one trait against a store and panics where it breaks one, with the
//! names of all broken rules. A custom store needs five lines:
//!
//! ```
//! use tower_sliding_session::store::{MemoryStore, conformance};
//!
//! #[tokio::test(flavor = "multi_thread")]
//! async fn my_store_conforms() {
//!     conformance::lifecycle_store(async || MemoryStore::new()).await;
//! }
//! ```
//!
//! | function | trait | an empty store for each rule |
//! |---|---|---|
//! | [`session_store`] | [`SessionStore`] | yes |
//! | [`lifecycle_store`] | [`LifecycleStore`], with all that it contains | yes |
//! | [`renewal_limiter`] | [`RenewalLimiter`](super::RenewalLimiter) | no: its keys are new at each call |
//!
//! Use a runtime with several threads: some rules are about concurrent calls. A store that reads a clock
//! for what it deletes or refuses has to read one at 2027-01-15T08:00:00Z (1,800,000,000 s), when the
//! sessions of the rules begin.

mod adopt;
mod begin;
mod claims;
mod folding;
mod hostile;
mod limits;
mod lists;
mod logs;
mod pages;
mod policies;
mod races;
mod renewal_limiter;
mod requests;
mod revoke;
mod revoke_all;
mod rotate;
mod rules;
mod sign_in;
mod tickets;

use std::sync::Arc;

pub use self::renewal_limiter::renewal_limiter;
use self::rules::Rule;
use super::{LifecycleStore, SessionStore};

/// The named functions of these modules.
macro_rules! rules {
    ($($module:ident { $($rule:ident)+ })+) => {
        &[$($(Rule {
            name: concat!(stringify!($module), "::", stringify!($rule)),
            test: |store| Box::pin($module::$rule(store)),
        }),+),+]
    };
}

/// Tests a [`SessionStore`]; `empty` returns an empty one at each call.
///
/// # Panics
/// If the store breaks a rule, or fails.
pub async fn session_store<S>(empty: impl AsyncFn() -> S)
where
    S: SessionStore,
{
    rules::run(OF_SESSION_STORE, async || Arc::new(empty().await) as Arc<dyn SessionStore>).await;
}

/// Tests a [`LifecycleStore`], which is a [`SessionStore`] and has the queries, too; `empty` returns an
/// empty one at each call.
///
/// # Panics
/// If the store breaks a rule, or fails.
pub async fn lifecycle_store<S>(empty: impl AsyncFn() -> S)
where
    S: LifecycleStore,
{
    session_store(&empty).await;
    rules::run(OF_LIFECYCLE_STORE, async || Arc::new(empty().await) as Arc<dyn LifecycleStore>)
        .await;
}

const OF_SESSION_STORE: &[Rule<dyn SessionStore>] = rules! {
    requests {
        a_touch_of_an_unknown_session_creates_its_entry
        a_known_only_touch_creates_no_entry
        the_later_activity_applies
        an_idle_token_creates_no_entry
        an_idle_session_is_not_changed
        p12_the_last_activity_never_moves_backwards
        p04_a_tombstone_is_final
        p22_an_unknown_session_can_have_a_tombstone
        writing_a_tombstone_is_idempotent
    }
};

const OF_LIFECYCLE_STORE: &[Rule<dyn LifecycleStore>] = rules! {
    adopt {
        an_adopted_session_is_listed_counted_and_revoked
        adopting_changes_no_record
        p04_a_revoked_session_is_not_adopted
    }
    begin {
        a_session_begins_with_its_record_its_entry_and_its_row
        without_a_cutoff_the_epoch_is_the_sign_in_time
        p29_a_sign_in_after_a_bulk_revocation_is_active
        p29_the_epoch_of_a_sign_in_is_later_than_every_cutoff
        p29_the_latest_cutoff_of_all_scopes_applies
        p29_a_cutoff_revokes_sessions_that_the_store_does_not_know
        p04_a_revoked_session_cannot_start_again
    }
    claims {
        p37_the_layers_see_the_number_of_every_scope
        p37_each_number_is_greater_than_every_earlier_one
        p37_concurrent_changes_have_different_numbers
    }
    folding {
        p31_a_user_who_ends_many_sessions_ends_no_other
        p04_a_session_that_a_fold_has_exempted_ends
        p22_a_session_that_a_bulk_revocation_has_exempted_ends
        p04_a_folded_session_is_exempt_from_nothing
        p29_a_sign_in_with_a_clock_that_is_behind_is_not_folded
        p31_concurrent_endings_end_no_other_session
        p29_a_session_that_begins_during_a_fold_is_active
        p22_a_later_end_of_a_folded_session_counts
    }
    hostile {
        p14_strings_are_returned_as_stored
        p14_look_alike_strings_are_different_sessions
        p13_extreme_instants_do_not_panic
        p13_the_earliest_and_latest_instants_are_stored_exactly
    }
    limits {
        a_sign_in_beyond_the_limit_ends_the_oldest_session
        a_sign_in_beyond_the_limit_ends_the_least_active_session
        a_sign_in_beyond_the_limit_is_refused_and_changes_nothing
        expired_and_revoked_sessions_do_not_count
        a_session_that_has_just_expired_is_no_reason_to_refuse
        adopted_sessions_count_and_are_not_refused
        a_limit_holds_for_a_subject_in_all_accounts_and_for_no_other
        p21_a_step_up_does_not_count
        p21_a_step_up_from_a_session_that_has_ended_counts
        p31_a_thousand_concurrent_sign_ins_leave_as_many_sessions_as_the_limit
    }
    lists {
        a_session_is_active_until_its_deadlines
        activity_by_request_or_refresh_extends_a_session
        an_unknown_session_has_no_record
        a_list_holds_the_active_sessions_of_its_scope
        active_users_are_distinct_and_the_latest_sign_in_first
        active_users_have_an_active_session
    }
    logs {
        records_are_returned_as_appended_the_latest_first
        activity_entries_are_returned_as_appended_the_latest_first
        a_log_returns_the_records_of_its_scope
        pages_of_a_log_contain_each_record_once
        appending_nothing_changes_nothing
    }
    pages {
        pages_hold_each_session_once_and_in_order
        a_page_continues_after_the_last_one_despite_changes
        pages_skip_expired_and_revoked_sessions
    }
    policies {
        overrides_are_replaced_only_if_the_expected_ones_are_stored
        overrides_apply_to_one_account
        the_layers_see_new_overrides
    }
    races {
        p05_one_of_fifty_rotations_of_one_token_succeeds
        p05_nothing_is_usable_after_a_revocation
        p05_nothing_is_usable_after_a_tombstone
        p05_nothing_is_adopted_after_a_tombstone
        p05_nothing_is_usable_after_a_bulk_revocation
        p29_a_session_started_during_a_bulk_revocation_is_before_or_after_it
        an_exempt_session_is_never_seen_as_revoked
        concurrent_bulk_revocations_count_each_session_once
        concurrent_overrides_are_replaced_once
        p04_no_touch_succeeds_after_a_tombstone
    }
    revoke {
        an_active_session_is_revoked_and_logged_once
        p40_a_session_without_a_record_is_logged_once
        p40_a_session_without_a_tombstone_is_logged_once
        p40_of_concurrent_revocations_one_is_logged
        p04_a_revoked_session_rejects_requests
    }
    revoke_all {
        one_scope_is_revoked_only
        p29_a_subject_is_revoked_in_all_accounts
        a_second_call_revokes_nothing
        expired_and_revoked_sessions_are_not_counted
        exempt_sessions_stay_active
        the_sessions_of_an_exempt_user_are_exempt
        an_exemption_holds_for_one_cutoff
        p29_an_exempt_session_is_revoked_by_a_second_cutoff_of_the_same_millisecond
        a_caller_without_a_record_is_exempt
        p29_an_exempt_caller_without_a_record_ends_with_the_next_cutoff
        an_exemption_revives_no_session
        p22_an_exemption_revives_no_session_without_a_record
        p40_an_empty_scope_gets_a_cutoff_and_a_record
        the_layers_see_new_cutoffs
    }
    rotate {
        a_token_of_the_recorded_generation_is_exchanged
        a_token_of_an_earlier_generation_is_refused_and_changes_nothing
        p33_a_record_that_lacks_exchanges_continues_from_the_token
        a_token_can_be_consumed_without_a_successor
        p32_refreshes_leave_nothing_but_the_last
        the_latest_presented_generation_is_recorded
        p05_a_revoked_session_refuses
        only_activity_moves_the_last_activity
        p12_activity_never_moves_the_last_activity_back
        reading_the_state_changes_nothing
        p33_a_lost_session_gets_its_record_again
        a_known_session_keeps_its_record
        p05_a_revoked_session_gets_no_record
    }
    tickets {
        p38_a_ticket_is_used_once
        p38_a_ticket_is_open_to_the_millisecond
        p38_a_session_has_32_open_tickets
        p38_concurrent_tickets_are_no_more_than_32
        p38_of_a_hundred_uses_one_succeeds
        p31_the_tickets_of_a_user_close_none_of_another
    }
};
