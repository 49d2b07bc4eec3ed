//! `sentinel quotas`: what is used of each quota.

use sentinel_core::principal::Role;

use crate::client::{Connection, text};
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
    let quotas = client.list(&["v1", "quotas"], &[("tenant", args.tenant)], usize::MAX).await?;
    if json {
        return output::json(&quotas);
    }
    let mut table = Table::new(&["tenant", "tool", "used", "limit", "window", "resets at"]);
    for quota in &quotas {
        let limit = text(quota, "limit");
        table.row(vec![
            text(quota, "tenant"),
            text(quota, "tool"),
            text(quota, "usage"),
            if limit.is_empty() { "-".to_owned() } else { limit },
            text(quota, "window"),
            text(quota, "resets_at"),
        ]);
    }
    table.print("nothing was counted yet in the windows under way")
}
