//! From what use cases return to what is sent ([`sentinel_api`]), and back from a target to kill.

use sentinel_api::{
    ApiKey, Kill, ManifestRecord, PolicyRollout, RolloutComparison, Tombstone, Tool, ToolDefect,
    ToolDrift, Upstream, UpstreamStatus,
};
use sentinel_core::control::ControlState;
use sentinel_core::{manifest, principal};
use sentinel_service::kill::KillView;
use sentinel_service::payloads;
use sentinel_service::registry::ToolView;
use sentinel_service::rollouts::RolloutView;
use sentinel_service::upstreams::{self, UpstreamView};

mod target;

pub(crate) use target::target;

pub(crate) fn tool(view: ToolView) -> Tool {
    let ToolView { tool, tenant, is_active, health } = view;
    Tool::new(tool, tenant, is_active, health)
}

pub(crate) fn upstream(view: UpstreamView) -> Upstream {
    let UpstreamView { upstream, tenant, status, defects } = view;
    let status = status.map(|status| UpstreamStatus {
        state: status.state.to_owned(),
        since: status.since,
        last_error: status.last_error,
        restarts: status.restarts,
        revision: status.revision,
        latency_ms: status.latency_ms,
        in_flight: status.in_flight,
    });
    let defect = |defect: upstreams::ToolDefect| ToolDefect {
        tool: defect.tool,
        reason: defect.reason.to_owned(),
        detail: defect.detail,
    };
    Upstream::new(upstream, tenant, status, defects.into_iter().map(defect).collect())
}

pub(crate) fn standing(standing: upstreams::ToolStanding) -> sentinel_api::ToolStanding {
    let upstreams::ToolStanding { name, visible, quarantined } = standing;
    let quarantined = quarantined.map(str::to_owned);
    sentinel_api::ToolStanding { name, visible, quarantined }
}

pub(crate) fn drift(drift: upstreams::Drift) -> ToolDrift {
    let upstreams::Drift { tool, tenant, quarantine, approved, offered } = drift;
    let changed = approved.as_ref().zip(offered.as_ref());
    let changed = changed
        .map(|(approved, offered)| ToolDrift::changed(&approved.definition, &offered.definition));
    let definition = |pinned: upstreams::PinnedDefinition| sentinel_api::PinnedDefinition {
        digest: pinned.digest,
        definition: pinned.definition,
    };
    ToolDrift {
        tool_id: tool.id,
        tenant_slug: tenant,
        name: tool.name,
        quarantine: quarantine.map(Into::into),
        approved: approved.map(definition),
        offered: offered.map(definition),
        changed: changed.unwrap_or_default(),
    }
}

pub(crate) fn kill(view: KillView) -> Kill {
    let KillView { kill, tenant, tool } = view;
    Kill::new(kill, tenant, tool)
}

pub(crate) fn key(control: &ControlState, key: principal::ApiKey) -> ApiKey {
    let tenant = key.tenant_id.and_then(|id| control.tenant_by_id(id));
    let slug = tenant.map(|tenant| tenant.slug.clone());
    ApiKey::new(key, slug)
}

pub(crate) fn manifest(control: &ControlState, manifest: manifest::Manifest) -> ManifestRecord {
    let slug = control.tenant_by_id(manifest.tenant_id).map(|tenant| tenant.slug.clone());
    ManifestRecord::new(manifest, slug)
}

pub(crate) fn tombstone(tombstone: payloads::Tombstone) -> Tombstone {
    let payloads::Tombstone { id, said, place, .. } = tombstone;
    Tombstone {
        id,
        tenant: said.tenant,
        key_generation: said.key_generation,
        principal: said.principal,
        reason: said.reason,
        destroyed_at: said.timestamp,
        log_shard: place.shard,
        log_index: place.index,
    }
}

pub(crate) fn rollout(view: RolloutView) -> PolicyRollout {
    let RolloutView { rollout, loaded, report } = view;
    PolicyRollout {
        id: rollout.id,
        revision: rollout.revision.clone(),
        digest: rollout.digest.clone(),
        state: rollout.state.as_str().into(),
        tenants: rollout.tenants.clone(),
        percent: rollout.percent.get(),
        loaded,
        actor: rollout.actor.clone(),
        started_at: rollout.started_at,
        comparison: report.map(|report| RolloutComparison {
            agreed: report.agreed,
            newly_allowed: report.newly_allowed,
            newly_denied: report.newly_denied,
            otherwise: report.otherwise,
            errors: report.errors,
            dropped: report.dropped,
            examples: report.examples.into_iter().map(Into::into).collect(),
        }),
    }
}
