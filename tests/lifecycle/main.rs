//! The lifecycle of sessions through `SlidingSessions` and its stack, over every store.
//!
//! A test is an async function that takes an empty store. Only a test advances the clock; nothing
//! sleeps. To add a store, add a function to `empty_stores` and one line below.

#![allow(clippy::unchecked_time_subtraction, reason = "of constants, in tests")]

#[path = "../empty_stores/mod.rs"]
mod empty_stores;
#[cfg(feature = "postgres")]
#[path = "../postgres_server/mod.rs"]
mod postgres_server;
#[cfg(feature = "redis")]
#[path = "../redis_server/mod.rs"]
mod redis_server;
#[path = "../test_stack/mod.rs"]
mod test_stack;

mod absolute;
mod account_policies;
mod adoption;
mod audit;
mod background;
mod changed_policies;
mod client;
mod current_claims;
#[cfg(all(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod data_loss;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod dead_tokens;
mod labels;
mod legacy;
mod lists;
mod live_claims;
mod logout;
mod long_lived;
#[cfg(all(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod lossy_server;
mod max_sessions;
mod open_sessions;
mod outage;
mod races;
#[cfg(feature = "redis")]
mod redis_operations;
mod refusals;
mod restart;
mod reuse;
mod revoke_all;
mod settings;
mod step_up;
mod tickets;
mod tombstones;
mod unreliable_store;
#[cfg(feature = "postgres")]
mod wrong_clock;

use live_claims::{
    answers as live_claims_answers, mints as live_claims_mints, races as live_claims_races,
    requests as live_claims_requests, scopes as live_claims_scopes,
};

/// A module with every test over the store of this name in `empty_stores`; tests of races run
/// this many rounds.
macro_rules! lifecycle {
    ($store:ident, $rounds:literal) => {
        mod $store {
            lifecycle! { @with (crate::empty_stores::$store().await);
                absolute {
                    p01_at_the_absolute_deadline_a_refresh_ends_the_session
                    p01_no_chain_of_refreshes_passes_the_absolute_deadline
                    p33_a_session_lasts_to_the_millisecond_of_its_absolute_deadline
                    p33_a_session_lasts_to_the_millisecond_of_its_idle_deadline
                }
                account_policies {
                    a_timeout_out_of_bounds_changes_nothing
                    an_account_may_weaken_the_policy_only_where_the_service_allows_it
                    p20_an_override_that_became_longer_than_the_policy_is_not_in_force
                    the_next_sign_in_has_the_new_timeouts
                    a_policy_change_is_audited_once
                    a_removed_override_restores_the_default
                    concurrent_policy_changes_are_serialized
                }
                audit {
                    p40_each_sign_out_of_an_unknown_session_is_logged_once
                    the_events_of_a_session_are_logged_in_order
                    an_expired_session_is_logged_with_its_expiry_reason
                    rows_hold_no_subject_or_name
                    a_log_holds_the_rows_of_its_scope_only
                    records_that_a_sink_does_not_keep_are_counted
                    every_sink_receives_every_event_of_the_stores_log_once
                    a_failed_transaction_is_reported_to_no_sink
                    plain_subjects_are_recorded_only_on_request
                    p40_a_record_names_its_actor
                    p40_the_requests_of_one_expired_token_displace_no_rows
                }
                background {
                    p17_a_background_refresh_is_not_activity
                    p17_activity_after_a_background_refresh_is_recorded
                    p17_a_background_refresh_keeps_the_last_activity_of_requests
                    p17_replays_of_a_background_refresh_are_not_activity
                    p33_a_repeated_refresh_is_activity
                    p33_a_user_active_every_five_minutes_is_refreshed_under_the_default_policy
                }
                changed_policies {
                    p20_a_shortened_policy_reaches_live_sessions_at_their_next_request
                    p20_a_shortened_policy_reaches_live_sessions_at_their_next_refresh
                    p20_a_shortened_policy_reaches_the_lists
                    p20_a_lengthened_policy_revives_and_lengthens_no_session
                    p20_a_session_expired_by_a_shortened_policy_stays_expired
                }
                current_claims {
                    p02_a_denied_refresh_consumes_the_token
                    p02_a_refresh_revokes_the_session_if_the_claims_source_ends_it
                    p02_a_request_of_a_denied_user_is_not_renewed
                    p02_a_repeated_refresh_asks_the_claims_source
                    p02_a_refresh_puts_current_claims_into_both_tokens
                    p23_a_failing_claims_source_leaves_the_token_valid
                    p23_a_slow_claims_source_leaves_the_token_valid
                }
                tombstones {
                    p31_a_user_who_signs_out_often_stays_signed_in_elsewhere
                    p33_a_session_without_epoch_is_not_folded
                }
                revoke_all {
                    the_sessions_of_one_account_are_revoked_with_the_callers
                    p29_the_sessions_of_a_subject_are_revoked_in_all_accounts
                    each_call_is_audited_with_its_own_count
                    the_sessions_of_an_exempt_user_stay_active
                    an_exempt_session_stays_active_and_the_users_others_are_revoked
                    everything_of_the_issuer_is_revoked
                    one_session_is_revoked_alone
                    p29_a_session_of_the_same_millisecond_is_revoked
                    p29_a_later_sign_in_of_the_same_millisecond_is_active
                    p29_a_sign_in_between_two_revocations_of_one_millisecond_is_revoked
                    p29_a_second_revocation_of_the_same_millisecond_revokes_exempt_sessions
                    p29_a_sign_in_before_the_clock_steps_back_is_revoked_after_it
                    p33_a_token_of_another_issuer_minted_after_a_revocation_is_active
                }
                legacy {
                    an_adopted_refresh_token_becomes_a_session
                    an_adopted_refresh_token_is_used_once
                    an_adopted_session_is_revoked_with_all_others
                    p33_an_adopted_refresh_token_is_active_until_the_absolute_deadline
                    a_refresh_token_that_is_not_adopted_is_refused
                }
                adoption {
                    p33_an_old_token_of_every_kind_becomes_a_session
                    p33_two_tokens_of_one_sign_in_are_one_session
                    p33_an_old_token_past_the_absolute_timeout_is_active_until_its_exp
                    p33_a_refresh_past_the_absolute_timeout_ends_no_old_access_token
                    p22_a_signed_out_session_stays_ended_until_its_old_token_expires
                    p22_a_bulk_revocation_applies_until_every_old_token_has_expired
                    p24_a_session_is_recorded_at_its_first_activity_only
                    p23_a_session_that_could_not_be_recorded_is_recorded_later
                }
                labels {
                    a_label_is_listed_with_its_session
                    a_label_is_kept_by_requests_and_refreshes
                    a_step_up_keeps_the_label_unless_it_sets_another
                    p10_a_label_is_in_no_token_and_in_no_audit_record
                    p15_a_label_that_is_too_long_starts_no_session
                }
                lists {
                    a_users_sessions_are_paged_the_latest_sign_in_first
                    a_list_holds_active_sessions_only
                    a_record_describes_the_session_and_flags_the_callers
                    an_accounts_users_are_listed_once
                }
                live_claims_answers {
                    p37_a_denied_user_is_answered_with_403
                    p37_a_denied_refresh_consumes_the_token
                    p37_an_ended_session_is_revoked
                    p37_unchanged_claims_are_confirmed
                    p23_p37_a_source_that_fails_is_a_503
                    p23_p37_a_source_that_does_not_answer_is_a_503_after_1_s
                }
                live_claims_mints {
                    p37_a_refresh_and_a_step_up_mint_current_claims
                    p37_a_renewal_mints_the_number_of_the_change
                    p37_a_token_that_was_minted_during_the_change_is_stale
                    p37_claims_that_a_sign_in_gives_are_asked_for_after_a_change
                    p37_a_handler_that_replaces_claims_does_not_hide_a_change
                }
                live_claims_requests {
                    p37_parallel_requests_ask_once
                    p06_p37_parallel_responses_carry_one_successor
                    p17_p37_a_background_response_shares_no_successor_with_later_activity
                    p37_a_background_request_asks_and_a_public_one_does_not
                    p37_a_failed_response_carries_the_successor
                    p37_where_no_successor_may_go_the_next_request_brings_it
                    p37_a_conditional_request_reaches_the_handler_without_its_conditions
                    p04_p37_a_handler_that_signs_out_gets_no_successor
                    p04_p37_a_session_that_ends_while_the_source_answers_is_refused
                    p37_a_change_while_the_source_answers_is_asked_for_again
                    p37_claims_that_change_during_each_answer_are_a_503
                }
                live_claims_scopes {
                    p37_a_change_reaches_the_tokens_of_its_scope
                    p37_another_node_asks_after_a_restart
                    p37_a_change_after_the_clock_was_set_back_counts
                    p37_a_number_is_kept_for_the_longest_token_lifetime
                    p37_without_a_claims_source_a_change_is_an_error
                    p40_a_change_is_audited_with_its_actor
                }
                logout {
                    p04_a_session_revoked_elsewhere_is_not_renewed
                    p04_a_session_revoked_in_bulk_is_not_renewed
                    p04_a_session_signed_out_by_its_handler_is_not_renewed
                    p04_p21_a_session_that_was_stepped_up_is_not_renewed
                }
                open_sessions {
                    p18_a_session_ends_at_its_idle_deadline
                    p18_a_session_ends_at_its_absolute_deadline
                    p36_activity_elsewhere_moves_the_deadline_whatever_the_token
                    p36_an_activity_just_before_the_deadline_wins
                    p17_background_requests_move_no_deadline
                    p18_each_way_to_revoke_ends_the_session_at_once
                    p18_a_bulk_revocation_ends_no_exempt_and_no_other_session
                    p20_a_shortened_account_policy_ends_the_session_earlier
                    p23_an_outage_of_30_s_at_the_deadline_is_unavailable
                    p23_a_revocation_ends_a_session_whose_store_fails
                    a_watch_tells_of_renewals_the_coming_end_and_the_end
                }
                max_sessions {
                    whom_a_sign_in_ends_is_told_that_the_session_was_revoked
                    a_sign_in_ends_the_session_whose_user_was_away_the_longest
                    a_refused_sign_in_says_what_to_do
                    p21_a_step_up_under_a_limit_ends_no_other_session
                    p31_a_thousand_concurrent_sign_ins_leave_three_sessions
                }
                outage {
                    p23_an_outage_signs_nobody_out_and_consumes_no_token
                    p23_an_outage_admits_no_revoked_session
                    p23_a_store_that_does_not_answer_fails_the_lifecycle_after_5_s
                    p39_all_answers_to_a_refresh_have_one_time_limit
                    p23_sign_out_in_a_handler_fails_in_an_outage
                    p23_a_refresh_can_be_repeated_after_a_lost_answer
                    p23_a_revocation_whose_answer_was_lost_applies
                    p23_an_outage_longer_than_the_idle_timeout_signs_out_nobody_who_went_on
                    p23_the_attempts_of_all_nodes_count_together
                    p23_attempts_are_written_when_the_store_answers_again
                    p23_the_attempts_of_a_user_who_cannot_be_written_hold_up_no_others
                    p23_a_session_is_idle_only_when_other_nodes_can_have_written
                    p23_no_session_is_idle_that_was_active_when_an_outage_began
                    p23_a_refresh_in_an_outage_is_an_attempt
                    p23_a_background_request_in_an_outage_is_no_attempt
                }
                refusals {
                    a_refresh_token_of_an_idle_session_stays_unused
                    an_access_token_cannot_refresh_and_a_refresh_token_cannot_authenticate
                    a_forged_refresh_token_is_refused_and_the_genuine_one_stays_valid
                    p33_a_refresh_token_of_an_unknown_session_is_judged_by_its_times
                    a_revoked_session_is_refused_as_revoked_after_its_deadlines
                    refresh_tokens_are_off_by_default
                    a_token_of_another_issuer_or_audience_is_refused
                }
                restart {
                    p22_a_revoked_session_stays_revoked_after_a_restart
                    p22_a_consumed_token_stays_consumed_after_a_restart
                    p33_a_lost_store_ends_no_refresh
                    p33_a_lost_store_signs_out_no_active_user
                }
                reuse {
                    p06_p07_parallel_refreshes_within_reuse_grace_are_one_rotation
                    a_replay_at_the_end_of_reuse_grace_revokes_the_session
                    a_replay_after_the_successor_was_used_revokes_the_session
                    a_replay_within_reuse_grace_returns_the_first_answer
                    p07_without_reuse_grace_one_refresh_succeeds_and_the_others_revoke_nothing
                    p33_a_lost_answer_is_repeated_until_a_successor_is_presented
                    p33_two_nodes_whose_clocks_differ_share_the_reuse_grace
                }
                step_up {
                    p21_a_step_up_is_a_new_session_of_the_same_user
                    p02_a_step_up_asks_the_claims_source
                    p21_a_step_up_revokes_the_old_session_only
                    p21_every_sign_in_starts_a_new_session
                    p19_p21_a_step_up_from_an_unknown_profile_starts_a_normal_session
                }
                tickets {
                    p38_a_ticket_is_good_for_one_request
                    p38_a_ticket_is_for_its_method_and_path
                    p38_a_ticket_is_good_for_30_seconds
                    p17_a_request_with_a_ticket_is_no_activity
                    p38_the_session_of_a_ticket_is_judged_as_ever
                    p38_no_token_is_accepted_as_another
                    p38_a_refused_ticket_falls_back_to_nothing
                    p38_a_public_path_is_not_looked_at
                    p38_of_a_hundred_requests_on_two_nodes_one_is_admitted
                    p38_a_session_has_32_open_tickets
                    a_path_that_is_none_gets_no_ticket
                    p23_an_outage_refuses_a_ticket_with_503
                }
                long_lived {
                    a_grant_has_both_deadlines
                    both_tokens_carry_the_timeouts
                    a_refresh_keeps_sign_in_time_timeouts_and_claims
                }
            }
            lifecycle! { @with (crate::empty_stores::$store().await, $rounds);
                live_claims_races {
                    p37_no_request_sees_a_role_after_its_change
                }
                races {
                    p05_no_refresh_succeeds_after_a_revocation
                    p05_no_refresh_succeeds_after_a_bulk_revocation
                    p05_no_refresh_succeeds_after_a_handlers_sign_out
                    p05_a_chain_of_refreshes_stops_at_a_bulk_revocation
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
#[cfg(feature = "redis")]
lifecycle!(redis, 200);
