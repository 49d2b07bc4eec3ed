//! `sentinel upstream show`: one upstream with what is wrong with its tools.

use sentinel_client::api::{Tool, Upstream, UpstreamStatus};
use sentinel_core::upstream::Transport;

use super::place;
use crate::client::{Client, OrExplain as _};
use crate::failure::Outcome;
use crate::output::{self, Table, shown};

pub(super) async fn show(client: &Client, upstream: &Upstream) -> Outcome {
    let tools = client.api.tools(Some(upstream.tenant_slug.as_str())).collect(usize::MAX).await;
    let own: Vec<Tool> = own(upstream, tools.or_explain(client)?);
    output::line(&format!("{}/{}", upstream.tenant_slug, upstream.name))?;
    output::fields(&[
        ("id", upstream.id.to_string()),
        ("transport", upstream.transport.kind().to_owned()),
        ("where", place(&upstream.transport)),
        ("created", upstream.created_at.to_string()),
        ("by", upstream.created_by.clone()),
        ("tools", own.len().to_string()),
    ])?;
    match &upstream.status {
        Some(status) => of_connection(status)?,
        None if upstream.transport == Transport::Wrapped => {
            output::fields(&[("state", "runs beside its client".to_owned())])?;
        }
        None => output::fields(&[("state", "not used yet".to_owned())])?,
    }
    let mut table = Table::new(&["tool", "reason", "detail"]);
    for defect in &upstream.defects {
        table.row(vec![defect.tool.clone(), defect.reason.clone(), defect.detail.clone()]);
    }
    for tool in &own {
        let Some(quarantine) = tool.pin.as_ref().and_then(|pin| pin.quarantine.as_ref()) else {
            continue;
        };
        let detail = format!("quarantined since {}; see `sentinel tools drift`", quarantine.since);
        table.row(vec![tool.name.to_string(), quarantine.cause.clone(), detail]);
    }
    table.print("nothing is wrong with its tools, as far as they were listed")
}

/// The tools that the registry has of it, without its doors.
fn own(upstream: &Upstream, tools: Vec<Tool>) -> Vec<Tool> {
    let is_own = |tool: &Tool| {
        let about = tool.metadata.get("mcp");
        let says = |member: &str| about.and_then(|about| about.get(member)?.as_str());
        says("kind") == Some("tool") && says("upstream") == Some(upstream.name.as_str())
    };
    tools.into_iter().filter(is_own).collect()
}

fn of_connection(status: &UpstreamStatus) -> Outcome {
    output::fields(&[
        ("state", status.state.clone()),
        ("since", status.since.to_string()),
        ("last error", shown(status.last_error.as_ref())),
        ("restarts", status.restarts.to_string()),
        ("revision", shown(status.revision.as_ref())),
        ("latency", status.latency_ms.map_or_else(String::new, |ms| format!("{ms} ms"))),
        ("in flight", status.in_flight.to_string()),
    ])
}
