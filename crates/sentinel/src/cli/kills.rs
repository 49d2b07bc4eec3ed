//! `sentinel kills`: lists kills.

use sentinel_core::principal::Role;
use serde_json::Value;

use crate::client::{Connection, text};
use crate::failure::Outcome;
use crate::output::{self, Table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Those that have ended and those that start later as well.
    #[arg(long)]
    all: bool,
    /// At most so many, newest first.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let client = args.connection.client(Role::Auditor)?;
    let in_force = (!args.all).then(|| "true".to_owned());
    let query = [("in_force", in_force)];
    let kills = client.list(&["v1", "kills"], &query, args.limit).await?;
    if json {
        return output::json(&kills);
    }
    let mut table = Table::new(&["kill", "state", "scope", "of", "until", "reason"]);
    for kill in &kills {
        table.row(vec![
            text(kill, "kill_id"),
            text(kill, "state"),
            text(kill, "scope"),
            of(kill),
            text(kill, "expires_at"),
            text(kill, "reason"),
        ]);
    }
    table.print(if args.all { "nothing was killed yet" } else { "no kill is in force" })
}

/// What a kill names.
fn of(kill: &Value) -> String {
    let named = ["tenant", "tool", "agent", "label"].into_iter();
    named.filter_map(|field| kill.get(field)?.as_str()).collect::<Vec<_>>().join("/")
}
