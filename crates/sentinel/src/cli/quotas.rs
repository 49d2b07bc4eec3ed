//! `sentinel quotas`: what is used of each quota.

use sentinel_core::principal::Role;

use crate::client::{Connection, OrExplain as _};
use crate::failure::Outcome;
use crate::output::{self, Table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of one tenant.
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let client = args.connection.client(Role::Auditor)?;
    let quotas = client.api.quotas(args.tenant.as_deref()).collect(usize::MAX).await;
    let quotas = quotas.or_explain(&client)?;
    if json {
        return output::json(&quotas);
    }
    let mut table = Table::new(&["tenant", "tool", "used", "limit", "window", "resets at"]);
    for quota in &quotas {
        table.row(vec![
            quota.tenant.to_string(),
            quota.tool.to_string(),
            quota.usage.to_string(),
            quota.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string()),
            quota.window.to_string(),
            quota.resets_at.to_string(),
        ]);
    }
    table.print("nothing was counted yet in the windows under way")
}
