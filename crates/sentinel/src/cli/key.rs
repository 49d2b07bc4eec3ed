//! `sentinel key`: API keys, over HTTP, or directly in the store of a server that is not running.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sentinel_core::principal::{Principal, Role};
use sentinel_core::store::{Store, StoreError};
use sentinel_service::keys::{KeySpec, Keys};
use serde_json::{Value, json};

use super::migrate::Named;
use crate::client::{Connection, request, text};
use crate::failure::{OrFail as _, Outcome};
use crate::output::{self, Table};
use crate::parts::database::open_failure;
use crate::runtime::clock::SystemClock;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes a key and shows it, this once.
    Create(Create),
    /// Lists keys, without the keys themselves.
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Revokes a key at once.
    Revoke {
        /// Identifier of the key, as `key list` shows it.
        id: uuid::Uuid,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// What the key may do: agent, operator, author, auditor or admin.
    #[arg(long)]
    role: Role,
    /// What people call it.
    #[arg(long)]
    name: String,
    /// Binds it to one tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Binds it to one agent.
    #[arg(long)]
    agent: Option<String>,
    /// Who holds it: keys of one owner are one principal, so that a key can be rotated.
    #[arg(long)]
    owner: Option<String>,
    /// Makes the key directly in the store of a configured server that is not running. With
    /// --data-dir, that of a data directory whose server is not running.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Create(create) => create.run(json).await,
        Command::List { connection } => list(&connection, json).await,
        Command::Revoke { id, connection } => {
            let client = connection.client(Role::Admin)?;
            let answer = client.delete(&["v1", "keys", &id.to_string()]).await?;
            if json { output::json(&answer) } else { output::line(&format!("revoked  {id}")) }
        }
    }
}

impl Create {
    async fn run(self, json: bool) -> Outcome {
        let answer = match self.store().await? {
            Some(store) => self.in_store(store).await?,
            None => self.over_http().await?,
        };
        if json {
            return output::json(&answer);
        }
        output::line(&text(&answer, "secret"))?;
        // The key stands alone on standard output, so that it can be piped.
        let (id, role) = (text(&answer, "id"), text(&answer, "role"));
        output::tell(&format!("Key {id} of role {role}; it is not shown again."));
        Ok(())
    }

    /// The store that is named, unless it is that of a data directory whose server is running: that
    /// one makes the key.
    async fn store(&self) -> Outcome<Option<Arc<dyn Store>>> {
        let data_dir = self.connection.named_data_dir().map(Path::to_owned);
        let of_data_dir = self.config.is_none();
        let database = match (&self.config, data_dir) {
            (None, None) => return Ok(None),
            (None, data_dir) => Named { config: None, data_dir },
            (config, _) => Named { config: config.clone(), data_dir: None },
        };
        match database.database()?.open().await {
            Ok(opened) => Ok(Some(opened.store)),
            Err(StoreError::InUse { .. }) if of_data_dir => Ok(None),
            Err(error) => Err(open_failure(&error)
                .help("a running server makes keys over HTTP: leave out --config")),
        }
    }

    async fn over_http(&self) -> Outcome<Value> {
        let body = request(json!({
            "name": self.name,
            "role": self.role,
            "tenant_slug": self.tenant,
            "agent": self.agent,
            "owner": self.owner,
        }));
        self.connection.client(Role::Admin)?.post(&["v1", "keys"], &body).await
    }

    async fn in_store(self, store: Arc<dyn Store>) -> Outcome<Value> {
        let doing = || "cannot make the key".to_owned();
        let keys = Keys::offline(store, Arc::new(SystemClock)).await.or_fail(doing)?;
        let spec = KeySpec {
            name: self.name.parse().or_fail(doing)?,
            role: self.role,
            tenant: self.tenant.map(|slug| slug.parse()).transpose().or_fail(doing)?,
            agent: self.agent.map(|agent| agent.parse()).transpose().or_fail(doing)?,
            owner: self.owner.map(|owner| owner.parse()).transpose().or_fail(doing)?,
        };
        // Whoever can open the store may do anything to it.
        let made = keys.create(&Principal::LOCAL, spec).await.or_fail(doing)?;
        Ok(json!({
            "id": made.key.id,
            "secret": made.secret,
            "name": made.key.name,
            "role": made.key.role,
            "agent": made.key.agent,
            "owner": made.key.owner,
            "created_at": made.key.created_at,
        }))
    }
}

async fn list(connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Admin)?;
    let keys = client.list(&["v1", "keys"], &[], usize::MAX).await?;
    if json {
        return output::json(&keys);
    }
    let mut table =
        Table::new(&["id", "role", "tenant", "agent", "owner", "name", "created", "revoked"]);
    for key in &keys {
        let fields = ["id", "role", "tenant", "agent", "owner", "name", "created_at", "revoked_at"];
        table.row(fields.map(|field| text(key, field)).to_vec());
    }
    table.print("no keys")
}
