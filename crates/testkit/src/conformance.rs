//! The conformance suite of the store port: what a [`Store`] must do, one test a sentence.
//!
//! A crate that implements the port calls [`crate::store_conformance_tests`] in an integration
//! test. Each test gets a store of its own, empty.
//!
//! Texts hold no NUL character: requests that do are refused before, and PostgreSQL cannot store
//! it. Sequences are unique and rise in the order in which commits count their quotas; a store may
//! leave gaps between batches, and one that commits batches at once may show a later one first.

pub mod claims;
pub mod commits;
pub mod control;
pub mod decisions;
pub mod deployment;
pub mod housekeeping;
pub mod kill_kinds;
pub mod kills;
pub mod listings;
pub mod log;
pub mod manifests;
pub mod payloads;
pub mod permits;
pub mod policy;
pub mod quotas;
pub mod registry;
pub mod upstreams;

use std::sync::Arc;

use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::commit::{Batch, Committed, Outcome, claims_expire_before};
use sentinel_core::control::ControlState;
use sentinel_core::epoch::Epoch;
use sentinel_core::page::Page;
use sentinel_core::ports::{LogStore, PayloadStore};
use sentinel_core::quota::Counter;
use sentinel_core::store::Store;
use sentinel_core::tenant::Tenant;
use sentinel_core::tool::Tool;

use crate::build;

/// A store as a test gets it.
pub type Shared = Arc<dyn FullStore>;

/// All three ports, which one value implements.
pub trait FullStore: Store + LogStore + PayloadStore {}

impl<T: Store + LogStore + PayloadStore> FullStore for T {}

/// Expands to one `#[tokio::test]` for each test of the suite.
///
/// `$open` names an `async fn() -> (Arc<dyn FullStore>, G)` that opens an empty store; `G` is kept
/// until the test ends.
#[macro_export]
macro_rules! store_conformance_tests {
    ($open:path) => {
        $crate::store_conformance_tests! { @modules $open;
            control {
                a_new_store_is_at_epoch_zero
                every_change_of_control_state_begins_one_epoch
                changes_since_an_epoch_are_what_changed_after_it
                changes_from_the_beginning_leave_out_what_is_over
                what_is_over_is_in_the_changes_for_those_who_knew_it
                changes_are_one_consistent_snapshot
                a_change_is_seen_by_every_later_read
            }
            registry {
                a_slug_is_taken_once
                concurrent_registrations_create_the_tenant_once
                registering_returns_what_is_stored
                a_tool_joins_the_tenant_that_has_the_slug
                a_tool_name_is_taken_once
                a_retired_tool_keeps_its_name
                a_confusable_tool_name_is_refused
                tenants_do_not_share_tool_names
                a_refused_registration_changes_nothing
                an_update_changes_only_what_it_names
                a_health_check_can_be_removed
                retiring_twice_keeps_the_first_time
                updating_no_tool_returns_none
                a_key_is_stored_as_given
                revoking_twice_keeps_the_first_time
                recording_health_does_not_change_control_state
                health_of_no_tool_is_nothing
                any_text_survives
            }
            kills {
                a_kill_is_stored_under_its_epoch
                kills_are_listed_by_tenant_and_force
                restoring_ends_every_kill_of_exactly_that_scope
                restoring_nothing_changes_nothing
                restoring_is_refused_under_a_wider_kill
                a_kill_between_snapshot_and_commit_denies
                a_kill_covers_tools_that_were_registered_later
                a_kill_elsewhere_lets_the_call_pass
                a_restored_call_is_allowed_again
                nothing_is_allowed_after_a_kill_returned
            }
            kill_kinds {
                every_form_of_kill_comes_back_as_stored
                an_agent_is_killed_in_every_letter_case
                a_kill_of_a_principal_stops_the_one_it_names
                a_kill_of_a_scope_or_tag_stops_the_tools_that_have_it_or_get_it
                a_scheduled_kill_stops_from_its_start_on
                a_scheduled_kill_begins_once_and_under_an_epoch_of_its_own
                a_kill_expires_only_when_that_is_written_down
                what_the_platform_killed_only_the_platform_restores
                a_self_test_is_in_no_listing_and_costs_one_epoch
                every_store_knows_of_one_replica_at_least
            }
            commits {
                a_decision_comes_back_as_recorded
                an_unknown_tenant_or_tool_is_recorded_too
                an_empty_batch_commits
                the_largest_batch_commits
                sequences_follow_the_order_of_commits
                a_tool_that_changed_supersedes
                a_retired_tool_supersedes
                a_revoked_key_supersedes_an_allow
                a_tool_registered_meanwhile_supersedes_its_absence
                another_tool_that_changed_supersedes_nothing
                a_batch_from_the_future_is_refused
            }
            permits {
                a_permit_is_redeemed_once
                each_round_of_a_call_is_used_once
                only_a_recorded_allow_has_a_permit
                a_kill_keeps_a_permit_from_being_redeemed
                what_changed_supersedes_a_redemption
                a_revoked_key_redeems_nothing_and_has_nothing_redeemed
                a_redemption_from_the_future_is_refused
                nothing_is_redeemed_after_a_kill_returned
            }
            quotas {
                a_quota_is_exact_under_concurrency
                the_first_of_a_batch_get_what_is_left
                what_is_used_is_returned
                a_deny_is_not_counted
                windows_are_counted_apart
                windows_of_one_length_are_one_counter
                a_call_without_quota_is_counted
                a_lowered_limit_holds_at_once
                the_largest_limit_is_kept
                counters_are_those_of_the_moment
                counters_are_paged
            }
            claims {
                a_repeated_call_gets_the_same_decision_and_is_counted_once
                a_repeated_deny_stays_a_deny
                a_transient_deny_claims_nothing_and_disturbs_no_other_claim
                an_expired_claim_is_absent_to_a_transient_deny
                a_call_id_with_another_call_is_a_conflict
                a_context_is_part_of_the_call_however_its_numbers_are_stored
                call_ids_belong_to_principal_agent_and_tool
                an_expired_claim_is_absent
                an_allow_does_not_outlive_its_permit_by_being_repeated
                an_allow_is_not_repeated_once_policy_denies
                an_allow_is_repeated_while_the_quota_has_its_place
                expired_claims_are_deleted
                an_allow_does_not_outlive_a_kill_by_being_repeated
                an_allow_does_not_outlive_a_kill_by_a_repeat_that_was_denied_before_it
                an_allow_does_not_outlive_its_key_by_being_repeated
                concurrent_batches_agree_on_one_decision
                a_superseded_call_claims_nothing
            }
            decisions {
                no_such_decision_is_none
                every_filter_narrows
                time_filters_hold_when_clocks_jump
                decisions_are_complete_under_concurrent_commits
            }
            listings {
                tenants_are_listed_by_slug
                tools_are_listed_by_creation
                tools_are_complete_under_concurrent_registrations
                keys_are_listed_newest_first
                hostile_cursors_are_refused
                limits_are_clamped
                a_page_of_large_rows_ends_before_it_is_full
            }
            manifests {
                a_manifest_comes_back_as_stored
                manifests_are_stored_all_or_none
                manifests_are_filtered_newest_first
            }
            log {
                places_are_dense_under_concurrent_appends
                a_leaf_is_at_the_place_that_was_returned
                one_leads_at_a_time
                a_lead_that_is_not_renewed_is_taken_over
                who_resigns_is_followed_at_once
                a_head_moves_only_from_the_size_said
                a_tile_is_replaced_by_a_wider_one
                the_largest_witnessed_checkpoint_is_kept
                the_first_shard_begins_once
                nothing_is_appended_without_an_open_shard
                a_shard_continues_one_that_is_sealed_and_sequenced
                a_shard_is_continued_once
                an_origin_is_used_once
                cursors_never_go_back
                receipts_are_kept_as_first_given
                a_statement_is_logged_once
                statements_come_back_as_stored_oldest_first
                a_manifest_that_has_a_place_keeps_it
            }
            payloads {
                a_key_is_the_first_of_its_generation
                the_newest_key_is_of_one_tenant
                a_payload_comes_back_as_sealed
                destroying_takes_the_key_and_its_payloads_and_logs_a_tombstone
                a_key_is_destroyed_once
                a_key_that_is_destroyed_is_not_added_again
                nothing_is_stored_under_a_destroyed_key
                a_refused_tombstone_destroys_nothing
                nothing_outlives_a_key_that_is_destroyed_meanwhile
            }
            policy {
                what_a_source_repeats_is_recorded_once
                replicas_record_what_they_all_load_once
                policy_changes_are_paged_newest_first
                data_comes_back_as_put
                the_history_of_a_path_is_what_touched_it
                data_based_on_another_version_is_not_put
                concurrent_authors_do_not_overwrite_each_other
                data_put_between_snapshot_and_commit_supersedes
                data_put_meanwhile_supersedes_repeats_and_redemptions
                a_rollout_goes_from_monitored_to_promoted_to_dropped
                promoting_another_drops_the_one_before
                a_promotion_between_snapshot_and_commit_supersedes
            }
            upstreams {
                an_upstream_comes_back_as_stored
                an_upstream_name_is_taken_once
                removing_an_upstream_quarantines_what_it_offers
                an_upstream_of_a_removed_name_takes_over_its_doors
                a_pin_comes_back_as_stored
                a_pin_moves_only_from_what_is_known
                only_the_definitions_of_a_pin_are_kept
                a_quarantine_between_snapshot_and_commit_denies
            }
            housekeeping {
                a_year_leaves_no_more_than_a_few_days_need
                nothing_goes_before_its_expiry_and_the_longest_skew
                a_permit_stays_while_its_decision_is_young
                a_clock_that_jumps_ahead_deletes_nothing_that_is_live
                a_store_in_which_nothing_happened_is_kept_too
                all_that_has_expired_goes_in_batches
            }
            deployment {
                a_secret_is_the_first_candidate
                concurrent_candidates_agree_on_one_secret
                a_working_store_can_be_pinged
            }
        }
    };
    (@modules $open:path; $($module:ident { $($test:ident)+ })+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                let (store, _guard) = $open().await;
                $crate::conformance::$module::$test(store).await;
            }
        )+)+
    };
}

/// A store with tenant `acme` and its tool `search`.
pub(crate) struct Scene {
    pub(crate) store: Shared,
    pub(crate) tenant: Tenant,
    pub(crate) tool: Tool,
}

impl Scene {
    pub(crate) async fn new(store: Shared) -> Self {
        let tenant = build::tenant("acme");
        let tool = build::tool(&tenant, "search");
        let registered = store.register_tool(tenant, tool).await.unwrap();
        store.start_shard(build::shard("log.example")).await.unwrap();
        Self { store, tenant: registered.tenant, tool: registered.tool }
    }

    /// Registers another tool of `acme`.
    pub(crate) async fn add_tool(&self, name: &str) -> Tool {
        let tool = build::tool(&self.tenant, name);
        self.store.register_tool(self.tenant.clone(), tool).await.unwrap().tool
    }

    /// The control state as it is in the store now.
    pub(crate) async fn control(&self) -> Arc<ControlState> {
        control(&self.store).await
    }

    /// A check of `search` on the control state as it is now.
    pub(crate) async fn check(&self) -> build::Check {
        build::check(&self.control().await, "acme", "search")
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Vec<Outcome> {
        commit(&self.store, batch).await.outcomes
    }

    /// Commits one check that is expected to be recorded.
    pub(crate) async fn record(&self, check: &build::Check) -> Arc<DecisionRecord> {
        recorded(self.commit(check.batch()).await.pop().unwrap())
    }

    /// What is used of the counters that exist at `build::NOW`.
    pub(crate) async fn counters(&self) -> Vec<Counter> {
        self.store.counters(None, build::NOW, Page::first(1000)).await.unwrap().items
    }

    /// Every decision, newest first.
    pub(crate) async fn log(&self) -> Vec<DecisionRecord> {
        let page = Page::first(1000);
        self.store.decisions(DecisionFilter::default(), page).await.unwrap().items
    }
}

pub(crate) async fn control(store: &Shared) -> Arc<ControlState> {
    let changes = store.control_changes(Epoch::default()).await.unwrap();
    Arc::new(ControlState::default().after(changes))
}

pub(crate) async fn epoch(store: &Shared) -> Epoch {
    store.control_changes(Epoch::default()).await.unwrap().epoch
}

/// Commits at `build::NOW`.
pub(crate) async fn commit(store: &Shared, batch: Batch) -> Committed {
    let expire = claims_expire_before(build::NOW);
    store.commit_decisions(batch, expire).await.unwrap().into_committed()
}

/// The record of an outcome that must be a recorded decision.
pub(crate) fn recorded(outcome: Outcome) -> Arc<DecisionRecord> {
    match outcome {
        Outcome::Recorded(record) => record,
        other => panic!("not recorded: {other:?}"),
    }
}

/// Runs `count` copies of a task at once; returns what each returned.
pub(crate) async fn at_once<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|index| tokio::spawn(task(index))).collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[cfg(test)]
mod tests {
    /// A test that is written but not listed would never run.
    #[test]
    fn every_test_is_listed() {
        let listed = include_str!("conformance.rs");
        let modules = [
            include_str!("conformance/claims.rs"),
            include_str!("conformance/commits.rs"),
            include_str!("conformance/control.rs"),
            include_str!("conformance/decisions.rs"),
            include_str!("conformance/deployment.rs"),
            include_str!("conformance/kills.rs"),
            include_str!("conformance/listings.rs"),
            include_str!("conformance/log.rs"),
            include_str!("conformance/manifests.rs"),
            include_str!("conformance/payloads.rs"),
            include_str!("conformance/permits.rs"),
            include_str!("conformance/policy.rs"),
            include_str!("conformance/quotas.rs"),
            include_str!("conformance/registry.rs"),
        ];
        for line in modules.iter().flat_map(|module| module.lines()) {
            let Some(rest) = line.strip_prefix("pub async fn ") else { continue };
            let name = rest.split('(').next().unwrap();
            assert!(listed.lines().any(|line| line.trim() == name), "`{name}` is not listed");
        }
    }
}
