//! `sentinel mcp install`: the edit of a client's configuration.

use std::path::PathBuf;

use sentinel_mcp_clients::{Server, State, Transport, Wrapper};
use url::Url;

use super::configuration::{Configuration, Which};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// All servers that the client starts; this is the default.
    #[arg(long, conflicts_with = "servers")]
    all: bool,
    /// The control plane that decides. Without it, one on this machine is started when it is
    /// needed.
    #[arg(long, value_name = "URL", requires = "tenant")]
    url: Option<Url>,
    /// File with the API key for that control plane.
    #[arg(long, value_name = "FILE", requires = "url")]
    key_file: Option<PathBuf>,
    /// Tenant that the servers belong to.
    #[arg(long, value_name = "TENANT", requires = "url")]
    tenant: Option<String>,
    /// Name of the agent; the name of the client by default.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let program = program()?;
    let mut is_changed = false;
    for configuration in args.which.configurations()? {
        is_changed |= edit(args, &program, &configuration)?;
    }
    if is_changed {
        let client = args.which.client;
        output::line(&format!("Restart {} for this to take effect.", client.name))?;
        output::line(&format!("`sentinel mcp uninstall {}` undoes it.", client.id))?;
    }
    Ok(())
}

fn edit(args: &Args, program: &str, configuration: &Configuration) -> Outcome<bool> {
    let mut document = configuration.document.clone();
    for server in document.servers() {
        if !args.which.means(&server.name) {
            continue;
        }
        match &server.state {
            State::Governed(_) => output::line(&format!("`{}` is governed already", server.name))?,
            State::Ungoverned(Transport::Stdio(_)) => {
                let wrapper = args.wrapper(program, &server)?;
                document = document
                    .govern(&server, &wrapper)
                    .or_fail(|| format!("cannot edit `{}`", configuration.path.display()))?;
            }
            State::Ungoverned(other) => output::line(&left_alone(&server, other))?,
        }
    }
    let text = document.text();
    if text == configuration.file.text || !args.which.agreed(configuration, &text)? {
        return Ok(false);
    }
    let saved = configuration.file.save(&text).map_err(|error| Failure::new(error.to_string()))?;
    if let Some(backup) = saved.backup {
        output::line(&format!("The file as it was is kept in {}", backup.display()))?;
    }
    Ok(true)
}

/// Why a server is left as it is, and what to do about it.
fn left_alone(server: &Server, transport: &Transport) -> String {
    let name = &server.name;
    match transport {
        Transport::Remote(_) => format!(
            "`{name}` is reached over the network: register it with `sentinel upstream add`, and \
             give the client the address /mcp/TENANT/NAME of your control plane"
        ),
        Transport::Broken(reason) => format!("`{name}` was left as it is: {reason}"),
        Transport::Other(_) | Transport::Stdio(_) => {
            format!("`{name}` is part of the client, and was left as it is")
        }
    }
}

impl Args {
    fn wrapper(&self, program: &str, server: &Server) -> Outcome<Wrapper> {
        let name = super::server_name::of_text(&server.name);
        let agent = self.agent.as_deref().unwrap_or(self.which.client.id);
        let mut options = vec!["--server".to_owned(), name, "--agent".to_owned(), agent.to_owned()];
        let mut option = |name: &str, value: String| options.extend([name.to_owned(), value]);
        match &self.url {
            None => options.insert(0, "--embedded".to_owned()),
            Some(url) => {
                option("--url", url.to_string());
                option("--tenant", self.tenant.clone().unwrap_or_default());
                if let Some(file) = &self.key_file {
                    let file = std::path::absolute(file)
                        .or_fail(|| format!("cannot find `{}`", file.display()))?;
                    option("--key-file", file.display().to_string());
                }
            }
        }
        Ok(Wrapper { program: program.to_owned(), options })
    }
}

/// The path of this program. A client may start it with another PATH than that of a shell.
fn program() -> Outcome<String> {
    let path = std::env::current_exe().or_fail(|| "cannot find this program".to_owned())?;
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::new(format!("the path `{}` is not text", path.display())))
}
