//! `sentinel policy log`: the record of changes of policy.

use sentinel_core::principal::Role;
use serde_json::Value;

use crate::client::{Connection, text};
use crate::failure::Outcome;
use crate::output::{self, Table};

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
    let changes = client.list(&["v1", "policy", "changes"], &[], args.limit).await?;
    if json {
        return output::json(&changes);
    }
    let mut table = Table::new(&["time", "change", "what", "by", "why"]);
    for change in &changes {
        table.row(vec![
            text(change, "at"),
            text(change, "kind"),
            what(change),
            by(change),
            why(change),
        ]);
    }
    table.print("no change of policy is recorded")
}

fn what(change: &Value) -> String {
    let version = text(change, "data_version");
    match (text(change, "path"), version.is_empty()) {
        (path, false) => format!("{path} (data {version})"),
        _ => text(change, "revision"),
    }
}

/// The name with what stands behind it, or that alone.
pub(super) fn by(change: &Value) -> String {
    match text(change, "author") {
        author if author.is_empty() => text(change, "actor"),
        author => format!("{author} ({})", text(change, "actor")),
    }
}

fn why(change: &Value) -> String {
    match text(change, "reason") {
        reason if reason.is_empty() => text(change, "detail"),
        reason => reason,
    }
}
