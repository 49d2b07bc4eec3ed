//! `sentinel payload`: payloads that a server keeps, read and destroyed.

use std::path::PathBuf;

use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::client::{Connection, text};
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
    let payload = client.bytes(&["v1", "manifests", &id.to_string(), "payload"]).await?;
    match to {
        Some(path) => {
            std::fs::write(&path, payload).or_fail(|| format!("cannot write `{}`", path.display()))
        }
        // No line break of ours: the bytes are what was signed.
        None => output::bytes(&payload),
    }
}

impl Destroy {
    async fn run(self, json: bool) -> Outcome {
        let client = self.connection.client(Role::Admin)?;
        if !self.yes {
            self.confirm()?;
        }
        let body = json!({"tenant_slug": self.tenant, "reason": self.reason});
        let answer = client.post(&["v1", "payload-keys", "destroy"], &body).await?;
        if json {
            return output::json(&answer);
        }
        let tombstone = answer.get("tombstone").unwrap_or(&Value::Null);
        let tenant = output::printable(&self.tenant).into_owned();
        output::line(&format!("{}  {tenant}", output::styled(output::RED, "destroyed")))?;
        output::fields(&[
            ("payloads", text(&answer, "payloads_destroyed")),
            ("key", text(tombstone, "key_generation")),
            ("tombstone", text(tombstone, "id")),
            ("log index", text(tombstone, "log_index")),
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
    let answer = client.get(&["v1", "tombstones"], &[("tenant", tenant)]).await?;
    if json {
        return output::json(&answer);
    }
    for tombstone in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        let [at, tenant, key, id, reason] =
            ["destroyed_at", "tenant", "key_generation", "id", "reason"]
                .map(|field| output::printable(&text(tombstone, field)).into_owned());
        output::line(&format!("{at}  {tenant}/{key}  {id}  {reason}"))?;
    }
    Ok(())
}
