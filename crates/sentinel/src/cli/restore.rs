//! `sentinel restore`: ends a kill.

use sentinel_core::principal::Role;
use serde_json::Value;

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
    let ended = answer.get("kills").and_then(Value::as_array);
    if ended.is_some_and(Vec::is_empty) {
        let words = output::printable(&args.target.words()).into_owned();
        return output::line(&format!("nothing was killed  {words}"));
    }
    output::line(&format!(
        "{}  {}",
        output::styled(output::GREEN, "restored"),
        output::printable(&args.target.words())
    ))?;
    output::fields(&[("affects", affected(&answer))])
}
