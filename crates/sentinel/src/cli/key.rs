//! `sentinel key`: API keys, over HTTP, or directly in the store of a server that is not running.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sentinel_client::api::{KeyRequest, NewApiKey};
use sentinel_core::id::KeyId;
use sentinel_core::principal::{Principal, Role};
use sentinel_core::store::{Store, StoreError};
use sentinel_service::keys::{KeySpec, Keys, NewKey};
use serde_json::json;

use super::migrate::Named;
use crate::client::{Connection, OrExplain as _, name, name_if};
use crate::failure::{OrFail as _, Outcome};
use crate::output::{self, Table, shown};
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
            let key = client.api.revoke_key(KeyId(id)).await.or_explain(&client)?;
            if json { output::json(&key) } else { output::line(&format!("revoked  {id}")) }
        }
    }
}

impl Create {
    async fn run(self, json: bool) -> Outcome {
        match self.store().await? {
            Some(store) => {
                let NewKey { key, secret } = self.in_store(store).await?;
                if json {
                    return output::json(&json!({
                        "id": key.id,
                        "secret": secret,
                        "name": key.name,
                        "role": key.role,
                        "agent": key.agent,
                        "owner": key.owner,
                        "created_at": key.created_at,
                    }));
                }
                show(key.id, key.role, &secret)
            }
            None => {
                let made = self.over_http().await?;
                if json {
                    return output::json(&made);
                }
                show(made.key.id, made.key.role, made.secret.expose())
            }
        }
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

    async fn over_http(&self) -> Outcome<NewApiKey> {
        let request = KeyRequest {
            name: name("--name", &self.name)?,
            role: self.role,
            tenant_slug: name_if("--tenant", self.tenant.as_ref())?,
            agent: name_if("--agent", self.agent.as_ref())?,
            owner: name_if("--owner", self.owner.as_ref())?,
        };
        let client = self.connection.client(Role::Admin)?;
        client.api.create_key(&request).await.or_explain(&client)
    }

    async fn in_store(self, store: Arc<dyn Store>) -> Outcome<NewKey> {
        let doing = || "cannot make the key".to_owned();
        let keys = Keys::offline(store, Arc::new(SystemClock)).await.or_fail(doing)?;
        let spec = KeySpec {
            name: self.name.parse().or_fail(doing)?,
            role: self.role,
            tenant: self.tenant.map(|slug| slug.parse()).transpose().or_fail(doing)?,
            agent: self.agent.map(|agent| agent.parse()).transpose().or_fail(doing)?,
            owner: self.owner.map(|owner| owner.parse()).transpose().or_fail(doing)?,
        };
        // A user who can open the store may do anything to it.
        keys.create(&Principal::LOCAL, spec).await.or_fail(doing)
    }
}

/// Writes the key alone to standard output, so that it can be piped.
fn show(id: KeyId, role: Role, secret: &str) -> Outcome {
    output::line(secret)?;
    output::tell(&format!("Key {id} of role {}; it is not shown again.", role.as_str()));
    Ok(())
}

async fn list(connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Admin)?;
    let keys = client.api.keys().collect(usize::MAX).await.or_explain(&client)?;
    if json {
        return output::json(&keys);
    }
    let mut table =
        Table::new(&["id", "role", "tenant", "agent", "owner", "name", "created", "revoked"]);
    for key in &keys {
        table.row(vec![
            key.id.to_string(),
            key.role.as_str().to_owned(),
            shown(key.tenant_slug.as_ref()),
            shown(key.agent.as_ref()),
            shown(key.owner.as_ref()),
            key.name.to_string(),
            key.created_at.to_string(),
            shown(key.revoked_at.as_ref()),
        ]);
    }
    table.print("no keys")
}
