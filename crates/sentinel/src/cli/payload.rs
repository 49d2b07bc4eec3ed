//! `sentinel payload`: payloads that a server keeps, read and destroyed.

use std::path::PathBuf;

use sentinel_client::api::{DestroyRequest, Tombstone};
use sentinel_core::id::ManifestId;
use sentinel_core::principal::Role;

use crate::client::{Connection, OrExplain as _, name};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Fetches the payload of a manifest, exactly as it was signed.
    Get {
        /// Identifier of the manifest.
        id: uuid::Uuid,
        /// Where to; standard output by default.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Destroys every payload and salt of a tenant so far, for good.
    Destroy(Destroy),
    /// Lists what was destroyed, and when.
    Tombstones {
        /// Of this tenant only.
        #[arg(long, value_name = "SLUG")]
        tenant: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Destroy {
    /// The tenant.
    #[arg(long, value_name = "SLUG")]
    tenant: String,
    /// Why; it becomes part of the signed tombstone.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Get { id, output, connection } => get(id, output, &connection).await,
        Command::Destroy(destroy) => destroy.run(json).await,
        Command::Tombstones { tenant, connection } => tombstones(tenant, &connection, json).await,
    }
}

async fn get(id: uuid::Uuid, to: Option<PathBuf>, connection: &Connection) -> Outcome {
    let client = connection.client(Role::Auditor)?;
    let payload = client.api.payload(ManifestId(id)).await.or_explain(&client)?;
    match to {
        Some(path) => {
            std::fs::write(&path, payload).or_fail(|| format!("cannot write `{}`", path.display()))
        }
        // No line break is added: the bytes are what was signed.
        None => output::bytes(&payload),
    }
}

impl Destroy {
    async fn run(self, json: bool) -> Outcome {
        let client = self.connection.client(Role::Admin)?;
        if !self.yes {
            self.confirm()?;
        }
        let request = DestroyRequest {
            tenant_slug: name("--tenant", &self.tenant)?,
            reason: name("--reason", &self.reason)?,
        };
        let answer = client.api.destroy_payloads(&request).await.or_explain(&client)?;
        if json {
            return output::json(&answer);
        }
        let tombstone = &answer.tombstone;
        let tenant = output::printable(&self.tenant).into_owned();
        output::line(&format!("{}  {tenant}", output::styled(output::RED, "destroyed")))?;
        output::fields(&[
            ("payloads", answer.payloads_destroyed.to_string()),
            ("key", tombstone.key_generation.to_string()),
            ("tombstone", tombstone.id.to_string()),
            ("log index", tombstone.log_index.to_string()),
        ])
    }

    /// Goes on only when the slug is typed again.
    fn confirm(&self) -> Outcome {
        let tenant = output::printable(&self.tenant);
        output::tell(&format!(
            "This destroys every payload and salt of `{tenant}` so far, for good.\n\
             Type the tenant's slug to go on:"
        ));
        let mut typed = String::new();
        std::io::stdin().read_line(&mut typed).or_fail(|| "cannot read the answer".to_owned())?;
        if typed.trim() == self.tenant {
            return Ok(());
        }
        Err(Failure::usage("nothing was destroyed").help("--yes does not ask"))
    }
}

async fn tombstones(tenant: Option<String>, connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Auditor)?;
    let listed = client.api.tombstones(tenant.as_deref()).await.or_explain(&client)?;
    if json {
        return output::json(&listed);
    }
    for Tombstone { destroyed_at, tenant, key_generation, id, reason, .. } in &listed.items {
        let reason = reason.as_deref().unwrap_or_default();
        let line = format!("{destroyed_at}  {tenant}/{key_generation}  {id}  {reason}");
        output::line(&output::printable(&line))?;
    }
    Ok(())
}
