//! `sentinel evidence export`.

use std::path::PathBuf;

use jiff::Timestamp;
use sentinel_core::name::TenantSlug;
use sentinel_core::principal::Role;

use super::collect::{Scope, collect};
use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose evidence.
    #[arg(long)]
    tenant: TenantSlug,
    /// Not before this time, such as 2026-11-22T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Timestamp,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    to: Timestamp,
    /// The archive, a `tar.gz` that does not exist yet.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Adds the salts of payloads: with a salt, guesses of the payload can be tested.
    #[arg(long)]
    with_salts: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    if args.from >= args.to {
        return Err(Failure::usage("--from is not before --to"));
    }
    let client = args.connection.client(Role::Auditor)?;
    let scope =
        Scope { tenant: args.tenant, from: args.from, to: args.to, with_salts: args.with_salts };
    let about = collect(&client, scope, &args.output).await?;
    if json {
        return output::json(&about);
    }
    let (decisions, manifests) = (about.decisions, about.manifests);
    output::line(&format!(
        "{decisions} decisions and {manifests} manifests are in `{}`",
        args.output.display()
    ))
}
