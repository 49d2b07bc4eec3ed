//! The configurations of one client on this machine.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use sentinel_mcp_clients::{CLIENTS, Client, ConfigFile, Document, Location, Machine};

use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

/// Which client, and which of its configurations.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Which {
    /// The client, such as `claude-desktop`, `claude-code`, `cursor`, `vscode`, `windsurf`, `zed`,
    /// `gemini-cli`, `codex`, `goose` or `lm-studio`.
    #[arg(value_name = "CLIENT", value_parser = client)]
    pub(crate) client: &'static Client,
    /// Only these servers; all of the client by default.
    #[arg(long = "server", value_name = "NAME")]
    pub(crate) servers: Vec<String>,
    /// Edits the configuration of the project in this folder in place of the user's.
    #[arg(long, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// Edits this file in place of those of the client.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Writes without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Shows what would be written, and writes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

fn client(id: &str) -> Result<&'static Client, String> {
    let known = || CLIENTS.iter().map(|client| client.id).collect::<Vec<_>>().join(", ");
    Client::find(id).ok_or_else(|| format!("no such client is known; known are {}", known()))
}

/// A configuration that was read.
pub(crate) struct Configuration {
    pub(crate) location: Location,
    pub(crate) path: PathBuf,
    pub(crate) file: ConfigFile,
    pub(crate) document: Document,
}

/// The machine that this runs on.
pub(crate) fn machine(project: Option<&std::path::Path>) -> Outcome<Machine> {
    Machine::this(project)
        .ok_or_else(|| Failure::new("there is no home directory").help("set HOME to its path"))
}

/// Reads the configuration at `path`; `None` when there is none.
///
/// # Errors
/// When it cannot be read or is not of its format.
pub(crate) fn read(location: Location, path: PathBuf) -> Outcome<Option<Configuration>> {
    let Some(file) = ConfigFile::read(&path).map_err(|error| Failure::new(error.to_string()))?
    else {
        return Ok(None);
    };
    let document =
        Document::read(location, &file.text).or_fail(|| format!("cannot use `{}`", path.display()));
    Ok(Some(Configuration { location, path, file, document: document? }))
}

impl Which {
    /// The configurations that there are.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub(crate) fn configurations(&self) -> Outcome<Vec<Configuration>> {
        let machine = machine(self.project.as_deref())?;
        let is_meant = |location: &&Location| location.is_of_project() == self.project.is_some();
        let mut looked = Vec::new();
        let mut found = Vec::new();
        for location in self.client.locations.iter().filter(is_meant) {
            let path = match &self.file {
                Some(file) => Some(file.clone()),
                None => location.path(&machine),
            };
            let Some(path) = path else { continue };
            looked.push(path.display().to_string());
            found.extend(read(*location, path)?);
            if self.file.is_some() {
                break;
            }
        }
        if found.is_empty() {
            let failure = Failure::new(format!("{} has no configuration here", self.client.name));
            return Err(looked.into_iter().fold(failure, |failure, path| {
                failure.detail(format!("`{path}` does not exist"))
            }));
        }
        self.refuse_unknown(&found)?;
        Ok(found)
    }

    fn refuse_unknown(&self, found: &[Configuration]) -> Outcome {
        let servers: Vec<_> =
            found.iter().flat_map(|configuration| configuration.document.servers()).collect();
        let is_known = |name: &&String| servers.iter().any(|server| server.name == **name);
        match self.servers.iter().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => {
                let names: Vec<_> = servers.iter().map(|server| server.name.as_str()).collect();
                let failure =
                    Failure::usage(format!("{} has no server `{name}`", self.client.name));
                Err(failure.help(format!("its servers are: {}", names.join(", "))))
            }
        }
    }

    /// Whether a server is among those that are meant.
    pub(crate) fn means(&self, name: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|server| server == name)
    }

    /// Shows a change, and asks whether to write it.
    ///
    /// # Errors
    /// When there is no one to ask.
    pub(crate) fn agreed(&self, configuration: &Configuration, new: &str) -> Outcome<bool> {
        output::line(&format!("{}:", configuration.path.display()))?;
        let format = configuration.location.format;
        let diff = sentinel_mcp_clients::diff(format, &configuration.file.text, new);
        diff.lines().try_for_each(|line| {
            let style = match line.chars().next() {
                Some('+') => output::GREEN,
                Some('-') => output::RED,
                _ => output::DIM,
            };
            output::line(&output::styled(style, &output::printable(line)))
        })?;
        if self.dry_run || self.yes {
            return Ok(self.yes && !self.dry_run);
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage("nothing was written: this is not a terminal to ask at")
                .help("add --yes to write it, or --dry-run to look only"));
        }
        ask("Write this?")
    }
}

fn ask(question: &str) -> Outcome<bool> {
    let doing = || "cannot ask".to_owned();
    let mut out = io::stdout().lock();
    write!(out, "{question} [y/N] ").and_then(|()| out.flush()).or_fail(doing)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).or_fail(doing)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
