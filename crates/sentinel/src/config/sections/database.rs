//! Which database a server uses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;
use crate::parts::database::{Database, PostgresLimits};

const EXAMPLE: &str = "set `database_url: sqlite:///var/lib/sentinel/sentinel.db` for one server, or \
                       `database_url: postgres://user@host/database` for several \
                       (or SENTINEL_DATABASE_URL)";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct DatabaseSection {
    /// Where decisions, manifests and the registry are kept: `sqlite:///absolute/path` for one
    /// server, `postgres://user:password@host/database?sslmode=verify-full` for one or more.
    /// Required.
    pub(crate) database_url: Option<String>,
    /// A read replica of the PostgreSQL database, for the audit and other listings. What it
    /// returns may lag behind.
    pub(crate) database_read_url: Option<String>,
    /// Connections to PostgreSQL that listings and changes of this server share, for each of the
    /// two addresses. Up to seven more have tasks of their own: commits, kills and readiness,
    /// listening.
    #[schemars(range(min = 4, max = 1000))]
    pub(crate) database_connections: u32,
    /// Milliseconds that one statement may take in PostgreSQL before it fails, and the check that
    /// waits for it is denied.
    #[schemars(range(min = 100, max = 60_000))]
    pub(crate) database_statement_timeout_ms: u64,
}

impl Default for DatabaseSection {
    fn default() -> Self {
        Self {
            database_url: None,
            database_read_url: None,
            database_connections: 12,
            database_statement_timeout_ms: 5000,
        }
    }
}

impl Section for DatabaseSection {
    type Built = Database;

    fn build(&self, problems: &mut Problems) -> Option<Database> {
        problems.keep(self.database())
    }
}

impl DatabaseSection {
    pub(crate) fn is_sqlite(&self) -> bool {
        self.database_url.as_deref().is_some_and(|url| url.starts_with("sqlite:"))
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.database_url.as_deref().is_some_and(|url| url.starts_with("postgres"))
    }

    /// The database that `database_url` names.
    ///
    /// # Errors
    /// When it names none, or one that cannot be used.
    pub(crate) fn database(&self) -> Result<Database, Problem> {
        let Some(url) = &self.database_url else {
            return Err(Problem::new("`database_url` is missing", EXAMPLE));
        };
        match url.split(':').next() {
            Some("postgres" | "postgresql") => self.postgres(url),
            Some("sqlite") => self.sqlite(url).map(Database::Sqlite),
            // The address may contain a password, so it is not repeated.
            _ => Err(Problem::new(
                "`database_url` is not a `sqlite://` or `postgres://` address",
                EXAMPLE,
            )),
        }
    }

    fn postgres(&self, url: &str) -> Result<Database, Problem> {
        encrypted("database_url", url)?;
        if let Some(replica) = &self.database_read_url {
            encrypted("database_read_url", replica)?;
        }
        let limits = PostgresLimits {
            connections: self.database_connections,
            statement_timeout: Duration::from_millis(self.database_statement_timeout_ms),
        };
        Ok(Database::postgres(url, self.database_read_url.as_deref(), limits))
    }

    fn sqlite(&self, url: &str) -> Result<PathBuf, Problem> {
        let Some(path) = url.strip_prefix("sqlite://").map(Path::new) else {
            return Err(Problem::new("`database_url` is not a `sqlite://` address", EXAMPLE));
        };
        if !path.is_absolute() {
            return Err(Problem::new("the path in `database_url` is not absolute", EXAMPLE));
        }
        let parent = path.parent().unwrap_or(path);
        if !parent.is_dir() {
            let what =
                format!("the directory `{}` of the database does not exist", parent.display());
            return Err(Problem::new(what, sentinel_signers::make_directory(parent)));
        }
        if self.database_read_url.is_some() {
            return Err(Problem::new(
                "`database_read_url` is for PostgreSQL, and `database_url` names SQLite",
                "remove `database_read_url`",
            ));
        }
        Ok(path.to_owned())
    }
}

/// Refuses an address that leads to another machine without verified TLS.
fn encrypted(name: &str, url: &str) -> Result<(), Problem> {
    let parsed = Url::parse(url).map_err(|error| {
        let what = format!("`{name}` is not a PostgreSQL address: {error}");
        Problem::new(what, "write postgres://user:password@host/database")
    })?;
    if is_unencrypted(&parsed) {
        return Err(Problem::new(
            format!("`{name}` leads to another machine without verified TLS"),
            "add `?sslmode=verify-full&sslrootcert=/path/ca.pem` to it",
        ));
    }
    Ok(())
}

/// Whether decisions and secrets could be read on their way to the server, or given to another.
/// When a parameter is given twice the last one counts, as it does when connecting. An address
/// without a host takes it from the environment, so it does not count as local.
fn is_unencrypted(url: &Url) -> bool {
    let parameter = |names: [&str; 2]| {
        let given = url.query_pairs().filter(|(key, _)| names.contains(&&**key)).last();
        given.map(|(_, value)| value.into_owned())
    };
    let host = parameter(["host", "hostaddr"]).or_else(|| url.host_str().map(str::to_owned));
    let local = host.is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.starts_with('/')
            || host.starts_with("%2F")
            || host == "localhost"
            || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    let mode = parameter(["sslmode", "ssl-mode"]);
    !local && !matches!(mode.as_deref(), Some("verify-full" | "verify-ca"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_needs_verified_tls() {
        let refused = |url: &str| is_unencrypted(&Url::parse(url).unwrap());
        for local in [
            "postgres://u@localhost/d",
            "postgres://u@127.0.0.1:5432/d",
            "postgres://u@[::1]/d",
            "postgres:///d?host=/run/postgresql",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres://u@db.example/d?sslmode=verify-full",
        ] {
            assert!(!refused(local), "{local}");
        }
        for remote in [
            "postgres://u@db.example/d",
            "postgres://u@10.0.0.1/d?sslmode=require",
            "postgres://u@db.example/d?sslmode=verify-full&sslmode=disable",
            "postgres://u@db.example/d?sslmode=verify-full&ssl-mode=prefer",
            "postgres://u@localhost/d?hostaddr=10.0.0.1",
            "postgres://u@localhost/d?host=localhost&host=db.example",
            "postgres:///d",
            "postgres://u@localhost.example/d",
        ] {
            assert!(refused(remote), "{remote}");
        }
    }
}
