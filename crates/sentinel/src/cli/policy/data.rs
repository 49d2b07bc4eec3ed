//! `sentinel policy data`: what is put beside the data that the policy's source brings.

use std::path::{Path, PathBuf};

use sentinel_client::Precondition;
use sentinel_client::api::{PolicyData, PolicyDataChange};
use sentinel_core::policy_data::DataPath;
use sentinel_core::principal::Role;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::log::by;
use crate::client::{Connection, OrExplain as _};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, Table, shown};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Shows what was put, at a path or everywhere.
    Get {
        /// Where, such as `/limits/search`; a slash in a name is written `~1`.
        path: Option<DataPath>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Puts a value at a path, in place of what is there.
    Put {
        path: DataPath,
        /// JSON; a word that does not begin like JSON is a string.
        #[arg(required_unless_present = "file", allow_negative_numbers = true)]
        value: Option<String>,
        /// Reads the value, JSON, from a file; `-` is standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "value")]
        file: Option<PathBuf>,
        /// Takes the value for a string, whatever it looks like.
        #[arg(long, conflicts_with = "file")]
        string: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Removes what was put at a path and below it.
    Delete {
        path: DataPath,
        #[command(flatten)]
        change: Change,
    },
    /// Shows who changed what and why, at a path or everywhere.
    History {
        path: Option<DataPath>,
        /// At most so many, newest first.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Change {
    /// Why; kept in the history.
    #[arg(long)]
    reason: Option<String>,
    /// Changes nothing unless the value there still has this tag, which `get` shows.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Get { path, connection } => get(path.as_ref(), &connection, json).await,
        Command::Put { path, value, file, string, change } => {
            let value = match (value, file) {
                (_, Some(file)) => read(&file)?,
                (Some(text), None) if string => Value::String(text).to_string().into_bytes(),
                (Some(text), None) => given(text)?,
                (None, None) => return Err(Failure::usage("give a value, or --file")),
            };
            let client = change.connection.client(Role::Author)?;
            let data = client.api.put_policy_data(&path, value, &change.precondition()).await;
            let data = data.or_explain(&client)?;
            if json {
                return output::json(&data);
            }
            output::line(&format!("put  {path}"))?;
            version(&data)
        }
        Command::Delete { path, change } => {
            let client = change.connection.client(Role::Author)?;
            let deleted = client.api.delete_policy_data(&path, &change.precondition()).await;
            deleted.or_explain(&client)?;
            if json { output::json(&()) } else { output::line(&format!("deleted  {path}")) }
        }
        Command::History { path, limit, connection } => {
            history(path.as_ref(), limit, &connection, json).await
        }
    }
}

/// The value as JSON, byte for byte where it is JSON: written again it might say something else.
///
/// A value that begins like JSON but is not was meant to be JSON. As a string it would replace what
/// policies look into, and they would find nothing there that denies.
fn given(text: String) -> Outcome<Vec<u8>> {
    let Err(error) = serde_json::from_str::<IgnoredAny>(&text) else {
        return Ok(text.into_bytes());
    };
    let begins = |first: char| matches!(first, '{' | '[' | '"' | '-') || first.is_ascii_digit();
    if text.trim_start().starts_with(begins) {
        return Err(Failure::usage(format!(
            "the value begins like JSON but is not: {error}; for a text, give '\"…\"' or --string"
        )));
    }
    Ok(Value::String(text).to_string().into_bytes())
}

fn read(file: &Path) -> Outcome<Vec<u8>> {
    let failed = || format!("cannot read `{}`", file.display());
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).or_fail(failed)?
    } else {
        std::fs::read_to_string(file).or_fail(failed)?
    };
    let json = serde_json::from_str::<IgnoredAny>(&text);
    json.or_fail(|| format!("`{}` is not JSON", file.display()))?;
    Ok(text.into_bytes())
}

impl Change {
    fn precondition(&self) -> Precondition {
        Precondition { if_match: self.if_match.clone(), reason: self.reason.clone() }
    }
}

fn version(data: &PolicyData) -> Outcome {
    output::fields(&[("etag", data.etag.clone()), ("data", data.version.to_string())])
}

async fn get(path: Option<&DataPath>, connection: &Connection, json: bool) -> Outcome {
    let client = connection.client(Role::Author)?;
    let data = client.api.policy_data(path).await.or_explain(&client)?;
    if json {
        return output::json(&data);
    }
    output::json(&data.value)?;
    version(&data)
}

async fn history(
    path: Option<&DataPath>,
    limit: usize,
    connection: &Connection,
    json: bool,
) -> Outcome {
    let client = connection.client(Role::Author)?;
    let changes = client.api.policy_data_history(path).collect(limit).await.or_explain(&client)?;
    if json {
        return output::json(&changes);
    }
    let mut table = Table::new(&["data", "time", "path", "value", "by", "why"]);
    for PolicyDataChange { change, value } in &changes {
        let value = match value {
            Some(value) => shortened(&value.to_string()),
            None => "(deleted)".to_owned(),
        };
        table.row(vec![
            shown(change.data_version.as_ref()),
            change.at.to_string(),
            shown(change.path.as_ref()),
            value,
            by(change),
            shown(change.reason.as_ref()),
        ]);
    }
    table.print("no data was put")
}

/// A value as it fits into a table.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN - 1).chain(['…']).collect()
}
