//! `sentinel policy log`: the record of changes of policy.

use sentinel_client::api::PolicyChange;
use sentinel_core::principal::Role;

use crate::client::{Connection, OrExplain as _};
use crate::failure::Outcome;
use crate::output::{self, Table, shown};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// At most so many, newest first.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let client = args.connection.client(Role::Auditor)?;
    let changes = client.api.policy_changes().collect(args.limit).await.or_explain(&client)?;
    if json {
        return output::json(&changes);
    }
    let mut table = Table::new(&["time", "change", "what", "by", "why"]);
    for change in &changes {
        table.row(vec![
            change.at.to_string(),
            change.kind.to_string(),
            what(change),
            by(change),
            why(change),
        ]);
    }
    table.print("no change of policy is recorded")
}

fn what(change: &PolicyChange) -> String {
    match change.data_version {
        Some(version) => format!("{} (data {version})", shown(change.path.as_ref())),
        None => shown(change.revision.as_ref()),
    }
}

/// The author with the principal, or the principal alone.
pub(super) fn by(change: &PolicyChange) -> String {
    match &change.author {
        Some(author) => format!("{author} ({})", change.actor),
        None => change.actor.clone(),
    }
}

fn why(change: &PolicyChange) -> String {
    shown(change.reason.as_ref().or(change.detail.as_ref()))
}
