//! `sentinel migrate`: brings the schema of a database up to date.

use std::path::PathBuf;

use serde_json::json;

use crate::config::load::load;
use crate::dev::data_dir::DataDir;
use crate::environment;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;
use crate::parts::database::Database;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    database: Named,
    /// How far to go on PostgreSQL; each step includes those before it.
    #[arg(long, value_enum, default_value_t = Step::Expand)]
    step: Step,
}

/// A step of an upgrade.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Step {
    /// What servers of the version before can live with.
    Expand,
    /// Fill in what they did not write, while they still run.
    Backfill,
    /// Take away what only they used; refused while one of them is connected.
    Contract,
}

impl From<Step> for sentinel_store_postgres::Step {
    fn from(step: Step) -> Self {
        match step {
            Step::Expand => Self::Expand,
            Step::Backfill => Self::Backfill,
            Step::Contract => Self::Contract,
        }
    }
}

/// A database, named by the configuration or data directory that it belongs to.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Named {
    /// Configuration of the server.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory of `sentinel dev`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl Named {
    /// The database.
    ///
    /// # Errors
    /// When the configuration cannot be read or names none.
    pub(crate) fn database(&self) -> Outcome<Database> {
        if let Some(dir) = &self.data_dir {
            return Ok(Database::Sqlite(DataDir::open(dir)?.database()));
        }
        let config = load(self.config.as_deref(), environment::variables())?.config;
        let database = config.database.database();
        database.map_err(|problem| Failure::new(problem.what).help(problem.fix))
    }
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let database = args.database.database()?;
    let version =
        database.migrate(args.step.into()).await.or_fail(|| "cannot migrate".to_owned())?;
    if json {
        return output::json(&json!({ "database": database.to_string(), "schema": version }));
    }
    output::line(&format!("`{database}` has schema {version}"))
}
