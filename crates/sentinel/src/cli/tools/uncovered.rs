//! `sentinel tools uncovered`: which tools were called without Sentinel.

use std::collections::BTreeMap;

use sentinel_client::DecisionFilter;
use sentinel_client::api::Decision;
use sentinel_core::decision::ReasonCode;
use sentinel_core::principal::Role;
use serde::Serialize;

use crate::client::{Connection, OrExplain as _};
use crate::failure::Outcome;
use crate::output::{self, Table};

/// Reports that are read at most. They are read newest first, so what is cut off is old.
const MOST: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Uncovered {
    /// Only those of one tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Not before this time, such as 2026-11-22T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    #[command(flatten)]
    connection: Connection,
}

/// What is known of one tool that was called without Sentinel.
#[derive(Debug, Serialize)]
struct Reported {
    tenant: String,
    tool: String,
    calls: u64,
    first: String,
    last: String,
    /// What the newest report says.
    reason: String,
    /// Who reported the newest call.
    reported_by: String,
}

impl Uncovered {
    pub(super) async fn run(self, json: bool) -> Outcome {
        let client = self.connection.client(Role::Auditor)?;
        let filter = DecisionFilter {
            tenant: self.tenant,
            code: Some(ReasonCode::NoPermit.as_str().to_owned()),
            from: self.from.map(|time| time.to_string()),
            ..DecisionFilter::default()
        };
        let reports = client.api.decisions(&filter).collect(MOST).await.or_explain(&client)?;
        let tools = by_tool(&reports);
        if json {
            return output::json(&tools);
        }
        let headings = ["tenant", "tool", "calls", "first", "last", "reported by", "reason"];
        let mut table = Table::new(&headings);
        for tool in tools {
            table.row(vec![
                tool.tenant,
                tool.tool,
                tool.calls.to_string(),
                tool.first,
                tool.last,
                tool.reported_by,
                tool.reason,
            ]);
        }
        table.print("no tool server has reported a call without a permit")
    }
}

/// One entry for each tool. The reports come newest first.
fn by_tool(reports: &[Decision]) -> Vec<Reported> {
    let mut tools = BTreeMap::new();
    for report in reports {
        let name = (report.tenant.to_string(), report.tool.to_string());
        let time = report.created_at.to_string();
        let tool = tools.entry(name).or_insert_with_key(|(tenant, tool)| Reported {
            tenant: tenant.clone(),
            tool: tool.clone(),
            calls: 0,
            first: time.clone(),
            last: time.clone(),
            reason: report.reason.clone(),
            reported_by: report.principal.clone(),
        });
        tool.calls += 1;
        tool.first = time;
    }
    tools.into_values().collect()
}
