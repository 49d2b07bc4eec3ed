//! `sentinel migrate`: brings the schema of a database up to date.

use std::path::PathBuf;

use sentinel_store_sqlite::SqliteStore;
use serde_json::json;

use crate::config::load::load;
use crate::config::problems;
use crate::dev::data_dir::DataDir;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    database: Database,
}

/// A database, named by the configuration or data directory that it belongs to.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Database {
    /// Configuration of the server.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory of `sentinel dev`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl Database {
    /// The file of the database.
    ///
    /// # Errors
    /// When the configuration cannot be read or names none.
    pub(crate) fn path(&self) -> Outcome<PathBuf> {
        if let Some(dir) = &self.data_dir {
            return Ok(DataDir::open(dir)?.database());
        }
        let config = load(self.config.as_deref(), crate::environment())?.config;
        problems::database(&config).map_err(|problem| Failure::new(problem.what).help(problem.mend))
    }
}

pub(crate) fn run(args: &Args, json: bool) -> Outcome {
    let path = args.database.path()?;
    let version = SqliteStore::migrate(&path).or_fail(|| "cannot migrate".to_owned())?;
    if json {
        return output::json(&json!({ "database": path, "schema": version }));
    }
    output::line(&format!("`{}` has schema {version}", path.display()))
}
