//! `sentinel policy data`: what is put beside the data that the policy's source brings.

use std::path::{Path, PathBuf};

use reqwest::Method;
use sentinel_core::policy_data::DataPath;
use sentinel_core::principal::Role;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::log::by;
use crate::client::{Connection, text};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, Table};

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
            let answer = change.send(Method::PUT, &path, Some(value)).await?;
            if json {
                return output::json(&answer);
            }
            output::line(&format!("put  {path}"))?;
            output::fields(&[("etag", text(&answer, "etag")), ("data", text(&answer, "version"))])
        }
        Command::Delete { path, change } => {
            let answer = change.send(Method::DELETE, &path, None).await?;
            if json { output::json(&answer) } else { output::line(&format!("deleted  {path}")) }
        }
        Command::History { path, limit, connection } => {
            history(path.as_ref(), limit, &connection, json).await
        }
    }
}

/// The value as JSON, byte for byte where it is JSON: written anew it might say something else.
///
/// What begins like JSON and is none was meant to be JSON. As a string it would replace what
/// policies look into, and they would find nothing there that denies.
fn given(text: String) -> Outcome<Vec<u8>> {
    let Err(error) = serde_json::from_str::<IgnoredAny>(&text) else {
        return Ok(text.into_bytes());
    };
    let begins = |first: char| matches!(first, '{' | '[' | '"' | '-') || first.is_ascii_digit();
    if text.trim_start().starts_with(begins) {
        return Err(Failure::usage(format!(
            "the value begins like JSON and is none: {error}; for a text, give '\"…\"' or --string"
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

fn address(path: Option<&DataPath>) -> Vec<&str> {
    let parts = path.into_iter().flat_map(|path| path.parts()).map(String::as_str);
    ["v1", "policy", "data"].into_iter().chain(parts).collect()
}

impl Change {
    async fn send(&self, method: Method, path: &DataPath, body: Option<Vec<u8>>) -> Outcome<Value> {
        let client = self.connection.client(Role::Author)?;
        let quoted = |tag: &String| format!("\"{}\"", tag.trim_matches('"'));
        let precondition = self.if_match.as_ref().map(|tag| ("if-match", quoted(tag)));
        let query = [("reason", self.reason.clone())];
        client.change(method, &address(Some(path)), &query, precondition, body).await
    }
}

async fn get(path: Option<&DataPath>, connection: &Connection, json: bool) -> Outcome {
    let answer = connection.client(Role::Author)?.get(&address(path), &[]).await?;
    if json {
        return output::json(&answer);
    }
    output::json(answer.get("value").unwrap_or(&Value::Null))?;
    output::fields(&[("etag", text(&answer, "etag")), ("data", text(&answer, "version"))])
}

async fn history(
    path: Option<&DataPath>,
    limit: usize,
    connection: &Connection,
    json: bool,
) -> Outcome {
    let query = [("path", path.map(ToString::to_string))];
    let client = connection.client(Role::Author)?;
    let changes = client.list(&["v1", "policy", "data-history"], &query, limit).await?;
    if json {
        return output::json(&changes);
    }
    let mut table = Table::new(&["data", "time", "path", "value", "by", "why"]);
    for change in &changes {
        let value = match change.get("value") {
            Some(value) => shortened(&value.to_string()),
            None => "(deleted)".to_owned(),
        };
        table.row(vec![
            text(change, "data_version"),
            text(change, "at"),
            text(change, "path"),
            value,
            by(change),
            text(change, "reason"),
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
