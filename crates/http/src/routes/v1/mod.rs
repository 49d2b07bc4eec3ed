//! Everything beyond the seed's endpoints.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Shared;

mod decision_filter;
mod decisions_export;
mod decisions_get;
mod decisions_list;
mod events;
mod keys_create;
mod keys_list;
mod keys_revoke;
mod kills_list;
mod log_files;
mod manifests_bundle;
mod manifests_get;
mod manifests_list;
mod manifests_payload;
mod manifests_salt;
mod payload_keys_destroy;
mod permits_redeem;
mod permits_resume;
mod policy_changes;
mod policy_data;
mod policy_data_history;
mod policy_rollout;
mod policy_shadow;
mod policy_status;
mod public_key;
mod quotas_list;
mod signing_keys;
mod tenants_create;
mod tenants_list;
mod tombstones_bundle;
mod tombstones_list;
mod tools_drift;
mod tools_get;
mod tools_list;
mod tools_retire;
mod tools_review;
mod tools_uncovered;
mod tools_update;
mod trusted_root;
mod upstreams_create;
mod upstreams_get;
mod upstreams_list;
mod upstreams_remove;
mod upstreams_standing;
mod ws;

/// The endpoints below `/v1`.
pub(super) fn table() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(tenants_list::tenants_list, tenants_create::tenants_create))
        .routes(routes!(tools_list::tools_list))
        .routes(routes!(
            tools_get::tools_get,
            tools_update::tools_update,
            tools_retire::tools_retire
        ))
        .routes(routes!(tools_uncovered::tools_uncovered))
        .routes(routes!(tools_drift::tools_drift))
        .routes(routes!(tools_review::tools_approve))
        .routes(routes!(tools_review::tools_reject))
        .routes(routes!(upstreams_list::upstreams_list, upstreams_create::upstreams_create))
        .routes(routes!(upstreams_get::upstreams_get, upstreams_remove::upstreams_remove))
        .routes(routes!(upstreams_standing::upstreams_standing))
        .routes(routes!(decisions_list::decisions_list))
        .routes(routes!(decisions_export::decisions_export))
        .routes(routes!(decisions_get::decisions_get))
        .routes(routes!(kills_list::kills_list))
        .routes(routes!(quotas_list::quotas_list))
        .routes(routes!(policy_status::policy_status))
        .routes(routes!(policy_shadow::policy_shadow))
        .routes(routes!(policy_changes::policy_changes))
        .routes(routes!(policy_data::policy_data_all))
        .routes(routes!(
            policy_data::policy_data_get,
            policy_data::policy_data_put,
            policy_data::policy_data_patch,
            policy_data::policy_data_delete
        ))
        .routes(routes!(policy_data_history::policy_data_history))
        .routes(routes!(policy_rollout::policy_rollout_get, policy_rollout::policy_rollout_start))
        .routes(routes!(policy_rollout::policy_rollout_promote))
        .routes(routes!(policy_rollout::policy_rollout_drop))
        .routes(routes!(permits_redeem::permits_redeem))
        .routes(routes!(permits_resume::permits_resume))
        .routes(routes!(manifests_list::manifests_list))
        .routes(routes!(manifests_get::manifests_get))
        .routes(routes!(manifests_bundle::manifests_bundle))
        .routes(routes!(manifests_salt::manifests_salt))
        .routes(routes!(manifests_payload::manifests_payload))
        .routes(routes!(payload_keys_destroy::payload_keys_destroy))
        .routes(routes!(tombstones_list::tombstones_list))
        .routes(routes!(tombstones_bundle::tombstones_bundle))
        .routes(routes!(public_key::public_key))
        .routes(routes!(signing_keys::signing_keys))
        .routes(routes!(signing_keys::signing_key_retire))
        .routes(routes!(signing_keys::signing_key_revoke))
        .routes(routes!(trusted_root::trusted_root))
        .routes(routes!(log_files::log_file))
        .routes(routes!(log_files::log_shard_file))
        .routes(routes!(keys_list::keys_list, keys_create::keys_create))
        .routes(routes!(keys_revoke::keys_revoke))
        .routes(routes!(events::events))
        .routes(routes!(ws::ws))
}
