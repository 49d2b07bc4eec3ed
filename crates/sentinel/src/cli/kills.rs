//! `sentinel kills`: lists kills.

use sentinel_client::api::Kill;
use sentinel_core::principal::Role;

use crate::client::{Connection, OrExplain as _};
use crate::failure::Outcome;
use crate::output::{self, Table, shown};

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
    let kills = client.api.kills(!args.all).collect(args.limit).await.or_explain(&client)?;
    if json {
        return output::json(&kills);
    }
    let mut table = Table::new(&["kill", "state", "scope", "of", "until", "reason"]);
    for kill in &kills {
        table.row(vec![
            kill.kill_id.to_string(),
            kill.state.as_str().to_owned(),
            kill.scope.to_string(),
            of(kill),
            shown(kill.expires_at.as_ref()),
            kill.reason.to_string(),
        ]);
    }
    table.print(if args.all { "nothing was killed yet" } else { "no kill is in force" })
}

/// What a kill names.
fn of(kill: &Kill) -> String {
    let named = [
        kill.tenant.as_ref().map(|tenant| tenant.as_str()),
        kill.tool.as_ref().map(|tool| tool.as_str()),
        kill.agent.as_ref().map(|agent| agent.as_str()),
        kill.label.as_ref().map(|label| label.as_str()),
    ];
    named.into_iter().flatten().collect::<Vec<_>>().join("/")
}
