//! What every store of whole session lives promises, tested of each store alike.
//!
//! A test is an async function that is given an empty store. All instants are handed in: nothing
//! here reads a clock or sleeps. A store is added by a function in `stores` and one line below.

mod begin;
#[path = "../empty_stores/mod.rs"]
mod empty_stores;
mod hostile;
mod lists;
mod logs;
mod pages;
mod policies;
#[cfg(feature = "postgres")]
#[path = "../postgres_server/mod.rs"]
mod postgres_server;
mod races;
mod requests;
mod revoke;
mod revoke_all;
mod rotate;
mod sign_in;
mod successors;

/// A module of tests of the store that `stores` knows by this name.
macro_rules! conformance {
    ($store:ident) => {
        mod $store {
            conformance! { @of crate::empty_stores::$store;
                begin {
                    a_session_begins_with_its_record_its_entry_and_its_row
                    without_marks_the_epoch_is_its_own
                    p29_a_sign_in_after_a_bulk_revocation_lives
                    p29_whatever_lives_dies_and_the_next_sign_in_comes_behind_it
                    p29_the_latest_mark_of_all_scopes_counts
                    p29_a_mark_reaches_sessions_that_the_store_never_saw
                    p04_an_ended_session_does_not_begin_again
                }
                hostile {
                    p14_strings_come_back_as_they_went
                    p14_look_alike_strings_are_different_sessions
                    p13_extreme_instants_do_not_panic
                    p13_the_ends_of_what_a_claim_may_name_are_kept_exactly
                }
                lists {
                    a_session_is_live_until_its_deadlines
                    an_activity_of_either_kind_extends_a_session
                    an_unknown_session_has_no_record
                    a_list_holds_the_live_sessions_of_its_scope
                    active_users_are_distinct_and_the_latest_sign_in_first
                    active_users_are_those_with_a_live_session
                }
                logs {
                    rows_come_back_as_they_went_the_latest_first
                    a_log_has_the_rows_of_its_category_and_scope
                    pages_of_a_log_hold_each_row_once
                    appending_nothing_is_nothing
                }
                pages {
                    pages_hold_each_session_once_and_in_order
                    a_page_goes_on_where_it_ended_whatever_has_changed
                    pages_skip_what_is_over
                }
                policies {
                    overrides_are_exchanged_if_the_old_ones_are_in_force
                    overrides_are_of_one_account
                    the_layers_hear_of_overrides
                }
                races {
                    p05_fifty_rotations_of_one_token_are_one
                    p05_nothing_is_usable_after_a_revocation
                    p05_nothing_is_usable_after_an_end
                    p05_nothing_is_adopted_after_an_end
                    p05_nothing_is_usable_after_a_bulk_revocation
                    p29_a_session_begun_during_a_bulk_revocation_is_before_or_after_it
                    an_excepted_session_is_never_heard_to_be_revoked
                    bulk_revocations_side_by_side_end_each_session_once
                    overrides_exchanged_side_by_side_are_exchanged_once
                    p04_no_touch_lives_after_an_end
                }
                requests {
                    an_unknown_session_begins_its_entry
                    a_session_that_has_to_be_known_stays_unknown
                    the_later_activity_judges
                    an_idle_token_begins_nothing
                    an_idle_session_stays_as_it_was
                    p12_the_last_activity_never_moves_backwards
                    p04_an_ended_session_is_final
                    p22_an_unknown_session_can_be_ended
                    ending_is_idempotent
                }
                revoke {
                    a_live_session_is_ended_and_logged_once
                    an_unknown_session_is_ended_and_not_logged
                    what_is_over_is_not_logged
                    p04_a_revoked_session_is_over_for_requests
                }
                revoke_all {
                    a_scope_ends_and_no_other
                    a_second_call_ends_nothing
                    what_is_over_is_not_counted
                    excepted_sessions_live_on
                    the_sessions_of_an_excepted_user_live_on
                    an_exception_is_of_one_mark
                    p29_an_exception_ends_in_the_same_millisecond_too
                    an_exception_revives_nothing
                    an_empty_scope_is_marked_and_not_logged
                    the_layers_hear_of_marks
                }
                rotate {
                    an_unused_token_is_consumed
                    a_used_token_is_refused_and_nothing_happens
                    a_token_is_consumed_alone
                    a_used_token_is_remembered_until_its_time
                    an_unknown_session_refuses
                    p05_a_revoked_session_refuses
                    an_activity_moves_the_last_activity_and_nothing_else_does
                    p12_an_activity_never_moves_backwards
                    asking_changes_nothing
                }
                successors {
                    a_successor_is_told_while_it_is_unused
                    a_successor_that_was_consumed_alone_is_not_told
                    a_successor_that_was_used_before_is_not_told
                    an_unknown_session_is_adopted
                    a_known_session_is_not_adopted
                    p05_nothing_is_adopted_where_the_session_is_revoked
                    nothing_is_adopted_for_a_used_token
                }
            }
        }
    };
    (@of $empty:path; $($module:ident { $($test:ident)+ })+) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::$module::$test($empty().await).await;
            })+
        })+
    };
}

conformance!(memory);
#[cfg(feature = "sqlite")]
conformance!(sqlite);
#[cfg(feature = "postgres")]
conformance!(postgres);
