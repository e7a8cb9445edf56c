//! The life of sessions through the hub and its whole stack, over every store alike.
//!
//! A test is an async function that is given an empty store. The clock stands still unless a test
//! moves it; nothing sleeps. A store is added by its line below, as in `lifecycle_store`.

#![allow(clippy::unchecked_time_subtraction, reason = "of constants, in tests")]

#[path = "../empty_stores/mod.rs"]
mod empty_stores;
#[cfg(feature = "postgres")]
#[path = "../postgres_server/mod.rs"]
mod postgres_server;
#[path = "../test_stack/mod.rs"]
mod test_stack;

mod absolute;
mod account_policies;
mod audit;
mod background;
mod changed_policies;
mod client;
mod current_claims;
mod legacy;
mod lists;
mod logout;
mod long_lived;
mod outage;
mod races;
mod refusals;
mod restart;
mod reuse;
mod revoke_all;
mod settings;
mod step_up;
mod unsteady;

/// A module of all tests over the store that `stores` knows by this name; those of races run this
/// many rounds.
macro_rules! lifecycle {
    ($store:ident, $rounds:literal) => {
        mod $store {
            lifecycle! { @with (crate::empty_stores::$store().await);
                absolute {
                    p01_at_the_absolute_deadline_a_refresh_ends_the_session
                    p01_no_chain_of_refreshes_passes_the_absolute_deadline
                }
                account_policies {
                    what_is_out_of_bounds_changes_nothing
                    the_next_sign_in_carries_what_was_decided
                    a_decision_is_audited_once
                    a_decision_that_is_taken_back_leaves_the_default
                    decisions_side_by_side_each_see_the_one_before
                }
                audit {
                    one_life_is_told_in_order
                    the_ends_of_sessions_are_told_with_their_limit
                    rows_name_nobody
                    a_log_is_of_its_scope
                    what_a_sink_does_not_keep_is_counted_and_costs_no_request
                }
                background {
                    p17_a_background_refresh_is_no_activity
                    p17_an_activity_after_a_background_refresh_counts_again
                    p17_an_activity_of_a_request_is_what_a_background_refresh_knows
                    p17_replays_of_a_background_refresh_are_no_activity_either
                }
                changed_policies {
                    p20_a_shortened_policy_reaches_live_sessions_at_their_next_request
                    p20_a_shortened_policy_reaches_live_sessions_at_their_next_refresh
                    p20_a_shortened_policy_reaches_the_lists
                    p20_a_lengthened_policy_revives_and_lengthens_no_session
                    p20_what_a_shortened_policy_has_ended_stays_over
                }
                current_claims {
                    p02_a_denied_refresh_uses_the_token_up
                    p02_an_ended_user_is_out_at_the_refresh
                    p02_a_request_renews_no_denied_user
                    p02_a_refresh_tells_both_tokens_who_the_user_is_today
                    p23_a_failing_source_leaves_the_token_good
                    p23_a_slow_source_leaves_the_token_good
                }
                revoke_all {
                    an_account_ends_with_its_caller_and_no_other_account
                    a_second_call_ends_nothing_and_is_not_audited
                    the_sessions_of_an_excepted_user_go_on
                    an_excepted_session_goes_on_and_the_users_others_end
                    everything_ends
                    one_session_ends_alone
                    p29_what_began_in_the_same_millisecond_ends
                    p29_a_sign_in_afterwards_lives_in_the_same_millisecond_too
                    p29_a_sign_in_between_two_revocations_of_one_millisecond_ends
                    p29_what_one_revocation_spares_the_next_of_the_same_millisecond_ends
                    p29_a_sign_in_before_a_step_back_of_the_clock_ends_after_it
                }
                legacy {
                    an_adopted_refresh_token_becomes_a_session
                    an_adopted_refresh_token_is_used_once
                    an_adopted_session_is_ended_with_all_others
                    an_adopted_refresh_token_lives_no_longer_than_the_policy_says
                    a_refresh_token_that_is_not_adopted_is_refused
                }
                lists {
                    a_users_sessions_are_paged_the_latest_sign_in_first
                    a_list_holds_live_sessions_alone
                    a_record_tells_the_session_and_marks_the_callers
                    an_accounts_users_are_listed_once
                }
                logout {
                    p04_a_session_ended_from_elsewhere_is_not_renewed
                    p04_a_session_ended_with_all_others_is_not_renewed
                    p04_a_session_ended_by_its_handler_is_not_renewed
                    p04_p21_a_session_that_was_stepped_up_is_not_renewed
                }
                outage {
                    p23_an_outage_signs_nobody_out_and_uses_nothing_up
                    p23_an_outage_lets_no_ended_session_in
                    p23_a_silent_store_is_given_up_at_five_seconds
                    p23_a_handler_hears_that_its_session_did_not_end
                    p23_a_refresh_whose_answer_was_lost_is_answered_by_its_repetition
                    p23_an_end_whose_answer_was_lost_is_an_end
                }
                refusals {
                    a_refresh_token_of_an_idle_session_stays_unused
                    tokens_are_good_for_their_own_purpose_alone
                    a_forged_refresh_token_is_refused_and_the_true_one_stays_good
                    a_refresh_token_of_a_session_that_nobody_knows_is_refused
                    what_was_ended_is_refused_as_that_whatever_has_run_out_since
                    without_refresh_tokens_there_are_none
                    a_token_of_another_issuer_or_audience_is_refused
                }
                restart {
                    p22_what_was_ended_stays_ended
                    p22_what_was_used_stays_used
                }
                reuse {
                    p06_p07_parallel_refreshes_within_the_grace_are_one_rotation
                    a_replay_at_the_end_of_the_grace_revokes_the_session
                    a_replay_after_its_successor_was_used_revokes_the_session
                    the_answer_to_a_replay_is_as_old_as_the_first
                    p07_without_grace_one_wins_and_the_others_revoke_nothing
                }
                step_up {
                    p21_a_step_up_is_a_new_session_of_the_same_user
                    p02_a_step_up_asks_who_the_user_is_today
                    p21_a_step_up_ends_the_old_session_and_no_other
                    p21_every_sign_in_is_a_session_of_its_own
                    p19_p21_a_step_up_of_an_abolished_profile_is_a_normal_session
                }
                long_lived {
                    a_sign_in_tells_both_deadlines
                    both_tokens_carry_the_limits
                    a_refresh_carries_sign_in_limits_and_claims_on
                }
            }
            lifecycle! { @with (crate::empty_stores::$store().await, $rounds);
                races {
                    p05_no_refresh_outlives_an_end
                    p05_no_refresh_outlives_the_end_of_all
                    p05_no_refresh_outlives_a_handlers_end
                    p05_a_chain_of_refreshes_stops_at_the_end_of_all
                }
            }
        }
    };
    (@with $given:tt; $($module:ident { $($test:ident)+ })+) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::$module::$test $given.await;
            })+
        })+
    };
}

lifecycle!(memory, 1000);
#[cfg(feature = "sqlite")]
lifecycle!(sqlite, 200);
#[cfg(feature = "postgres")]
lifecycle!(postgres, 200);
