//! `sentinel restore`: ends a kill.

use sentinel_core::principal::Role;

use super::kill::{Target, affected};
use crate::client::Connection;
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
    let body = args.target.body(None)?;
    let client = args.connection.client(Role::Operator)?;
    let answer = client.post(&["kill", "restore"], &body).await?;
    if json {
        return output::json(&answer);
    }
    output::line(&format!(
        "{}  {}",
        output::styled(output::GREEN, "restored"),
        output::printable(&args.target.words())
    ))?;
    output::fields(&[("affects", affected(&answer))])
}
