//! `sentinel provenance keys`: the keys that sign manifests, as the log knows them.

use std::path::{Path, PathBuf};

use sentinel_client::api::{EndSigningKey, SigningKey, SigningKeyEvent};
use sentinel_core::principal::Role;

use crate::client::{Client, Connection, OrExplain as _, name_if};
use crate::failure::{OrFail as _, Outcome};
use crate::output::{self, Table, shown};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists every key that ever signed here, and what became of it.
    List {
        /// Writes the logged statements about them there, a bundle a file: for `--key-events` of
        /// `sentinel provenance verify`.
        #[arg(long, value_name = "DIR")]
        bundles: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Logs that a key signs no more. What it signed stays good.
    Retire(End),
    /// Logs that a key is in wrong hands: what it signs from here on is rejected by verifiers.
    Revoke(End),
}

/// The key that is to end.
#[derive(Debug, clap::Args)]
pub(crate) struct End {
    /// SSH fingerprint of the key, `SHA256:…`, as `keys list` shows it.
    hint: String,
    /// Why; signed, and public.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::List { bundles, connection } => list(bundles.as_deref(), &connection, json).await,
        Command::Retire(end) => {
            let (client, request) = end.request()?;
            let key = client.api.retire_signing_key(&request).await.or_explain(&client)?;
            ended(&key, json)
        }
        Command::Revoke(end) => {
            let (client, request) = end.request()?;
            let key = client.api.revoke_signing_key(&request).await.or_explain(&client)?;
            ended(&key, json)
        }
    }
}

async fn list(bundles: Option<&Path>, connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Auditor)?;
    let keys = client.api.signing_keys().await.or_explain(&client)?;
    if let Some(dir) = bundles {
        write_bundles(dir, keys.items.iter().flat_map(|key| &key.events))?;
    }
    if json {
        return output::json(&keys);
    }
    let mut table = Table::new(&["KEY", "STATE", "EVENT", "AT", "ENTRY", "REASON"]);
    for key in &keys.items {
        for event in &key.events {
            table.row(vec![
                key.hint.clone(),
                key.state.to_string(),
                event.event.clone(),
                event.at.to_string(),
                shown(event.log_index.as_ref()),
                shown(event.reason.as_ref()),
            ]);
        }
    }
    table.print("no key has signed here")
}

fn write_bundles<'e>(dir: &Path, events: impl Iterator<Item = &'e SigningKeyEvent>) -> Outcome {
    std::fs::create_dir_all(dir).or_fail(|| format!("cannot make `{}`", dir.display()))?;
    // Numbered, since each shard of the log has an entry of the same index.
    for (number, event) in (1..).zip(events) {
        let path = dir.join(format!("key-event-{number:04}.json"));
        let written = std::fs::write(&path, event.bundle.get());
        written.or_fail(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

impl End {
    fn request(&self) -> Outcome<(Client, EndSigningKey)> {
        let reason = name_if("--reason", self.reason.as_ref())?;
        let request = EndSigningKey { hint: self.hint.clone(), reason };
        Ok((self.connection.client(Role::Admin)?, request))
    }
}

fn ended(key: &SigningKey, json: bool) -> Outcome {
    if json {
        return output::json(key);
    }
    let entry = key.events.last().and_then(|event| event.log_index);
    let (hint, state, entry) = (&key.hint, &key.state, shown(entry.as_ref()));
    output::line(&format!("{hint} is {state}: entry {entry} of the log says so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_same_index_in_two_shards_are_both_written() {
        let dir = tempfile::tempdir().unwrap();
        let event = |bundle: &str| SigningKeyEvent {
            event: "introduced".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            reason: None,
            log_index: Some(0),
            bundle: serde_json::from_str(bundle).unwrap(),
        };
        let events = [event("1"), event("2")];
        assert!(write_bundles(dir.path(), events.iter()).is_ok());
        let files = std::fs::read_dir(dir.path()).unwrap();
        let mut written: Vec<_> =
            files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        written.sort();
        assert_eq!(written, ["1", "2"]);
    }
}
