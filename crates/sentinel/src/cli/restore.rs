//! `sentinel restore`: ends a kill.

use sentinel_core::principal::Role;

use super::kill::{Target, affected};
use crate::client::{Connection, OrExplain as _};
use crate::failure::Outcome;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let target = args.target.named()?;
    let client = args.connection.client(Role::Operator)?;
    let answer = client.api.restore(&target).await.or_explain(&client)?;
    if json {
        return output::json(&answer);
    }
    if answer.kills.is_empty() {
        let words = output::printable(&args.target.words()).into_owned();
        return output::line(&format!("nothing was killed  {words}"));
    }
    output::line(&format!(
        "{}  {}",
        output::styled(output::GREEN, "restored"),
        output::printable(&args.target.words())
    ))?;
    output::fields(&[("affects", affected(&answer.affected_tools))])
}
