//! `sentinel provenance keys`: the keys that sign manifests, as the log knows them.

use std::path::{Path, PathBuf};

use sentinel_core::principal::Role;
use serde_json::{Value, json};

use crate::client::{Connection, request, text};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, Table};

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
        Command::Retire(end) => end.run("retire", json).await,
        Command::Revoke(end) => end.run("revoke", json).await,
    }
}

async fn list(bundles: Option<&Path>, connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Auditor)?;
    let answer = client.get(&["v1", "provenance", "keys"], &[]).await?;
    let keys = || answer.get("items").and_then(Value::as_array).into_iter().flatten();
    if let Some(dir) = bundles {
        write_bundles(dir, keys().flat_map(events))?;
    }
    if json {
        return output::json(&answer);
    }
    let mut table = Table::new(&["KEY", "STATE", "EVENT", "AT", "ENTRY", "REASON"]);
    for key in keys() {
        for event in events(key) {
            table.row(vec![
                text(key, "hint"),
                text(key, "state"),
                text(event, "event"),
                text(event, "at"),
                text(event, "log_index"),
                text(event, "reason"),
            ]);
        }
    }
    table.print("no key has signed here")
}

fn events(key: &Value) -> impl Iterator<Item = &Value> {
    key.get("events").and_then(Value::as_array).into_iter().flatten()
}

fn write_bundles<'v>(dir: &Path, events: impl Iterator<Item = &'v Value>) -> Outcome {
    std::fs::create_dir_all(dir).or_fail(|| format!("cannot make `{}`", dir.display()))?;
    // Numbered, since each shard of the log has an entry of the same index.
    for (number, event) in (1..).zip(events) {
        let bundle = event.get("bundle").map(Value::to_string);
        let bundle = bundle.ok_or_else(|| Failure::new("the server sent no bundle"))?;
        let path = dir.join(format!("key-event-{number:04}.json"));
        std::fs::write(&path, bundle).or_fail(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

impl End {
    async fn run(self, how: &str, json: bool) -> Outcome {
        let client = self.connection.client(Role::Admin)?;
        let body = request(json!({"hint": self.hint, "reason": self.reason}));
        let key = client.post(&["v1", "provenance", "keys", how], &body).await?;
        if json {
            return output::json(&key);
        }
        let entry = events(&key).last().map(|event| text(event, "log_index")).unwrap_or_default();
        let (hint, state) = (text(&key, "hint"), text(&key, "state"));
        output::line(&format!("{hint} is {state}: entry {entry} of the log says so"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_same_index_in_two_shards_are_both_written() {
        let dir = tempfile::tempdir().unwrap();
        let events = [json!({"log_index": 0, "bundle": 1}), json!({"log_index": 0, "bundle": 2})];
        assert!(write_bundles(dir.path(), events.iter()).is_ok());
        let files = std::fs::read_dir(dir.path()).unwrap();
        let mut written: Vec<_> =
            files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        written.sort();
        assert_eq!(written, ["1", "2"]);
    }
}
