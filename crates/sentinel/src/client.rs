//! The connection of a command to a running server: where it is, which key it gets, and its errors
//! in words.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Once;

use sentinel_client::{ApiKey, DEFAULT_URL, Error, Problem, is_loopback};
use sentinel_core::principal::Role;
use url::Url;

use crate::config::nearest;
use crate::failure::{Failure, Outcome};
use crate::{dev, output};

/// Which server, and who is asking.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Address of the server.
    #[arg(long, env = "SENTINEL_URL", default_value = DEFAULT_URL, value_name = "URL")]
    pub(crate) url: Url,
    /// API key for that server. By default that of the variable `SENTINEL_API_KEY`, which goes to
    /// the server of `SENTINEL_URL` only; for a server on loopback the fitting key of the data
    /// directory.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Data directory of `sentinel dev`, where the default keys are; `.sentinel` by default.
    #[arg(long, env = "SENTINEL_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Whether the server is that of a configuration, for which no data directory has keys.
    #[arg(skip)]
    configured: bool,
}

/// A client of one server, in the role that a command needs.
#[derive(Debug)]
pub(crate) struct Client {
    /// The calls. Their errors go through [`OrExplain::or_explain`].
    pub(crate) api: sentinel_client::Client,
    /// Why a key that there is was not sent.
    withheld: Option<String>,
    role: Role,
}

impl Connection {
    /// A client; `role` is the one that the command needs.
    ///
    /// # Errors
    /// When the address is not one of HTTP, or the keys cannot be read.
    pub(crate) fn client(&self, role: Role) -> Outcome<Client> {
        if !matches!(self.url.scheme(), "http" | "https") || self.url.cannot_be_a_base() {
            return Err(Failure::usage(format!("`{}` is not an http address", self.url)));
        }
        tell_of_mistyped_variables();
        let (key, withheld) = self.key_for(role)?;
        let builder = sentinel_client::Client::builder(self.url.clone())
            .user_agent(concat!("sentinel/", env!("CARGO_PKG_VERSION")));
        let builder = match key {
            Some(key) => builder.key(key),
            None => builder,
        };
        let api = builder.build().map_err(|error| Failure::new(error.to_string()))?;
        Ok(Client { api, withheld, role })
    }

    /// The key that goes to the server, and why another does not.
    fn key_for(&self, role: Role) -> Outcome<(Option<ApiKey>, Option<String>)> {
        if let Some(key) = &self.key {
            return Ok((Some(ApiKey::given(key, &self.url)), None));
        }
        let withheld = match key_of_environment()? {
            Some(key) if key.for_request_to(&self.url).is_some() => return Ok((Some(key), None)),
            found => found.map(|key| key.withheld_from(&self.url, "--key")),
        };
        // The keys of a data directory are for this machine and go nowhere else.
        let has_local = is_loopback(&self.url) && !self.configured;
        let local = if has_local { self.local_key(role)? } else { None };
        Ok((local.map(|key| ApiKey::given(&key, &self.url)), withheld))
    }

    /// The same, for the server of a configuration: it listens at `listen`, unless an address was
    /// given. `None` when neither says where it is.
    pub(crate) fn for_deployment(&self, listen: Option<Url>) -> Option<Self> {
        let was_given = self.url.as_str().trim_end_matches('/') != DEFAULT_URL;
        let url = if was_given { self.url.clone() } else { listen? };
        Some(Self { configured: true, url, ..self.clone() })
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new(dev::DATA_DIR))
    }

    /// The data directory, if one was named.
    pub(crate) fn named_data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Whether nothing accepts connections at the address.
    pub(crate) async fn port_is_free(&self) -> bool {
        let host = self.url.host_str().unwrap_or("127.0.0.1").trim_matches(['[', ']']);
        let port = self.url.port_or_known_default().unwrap_or(80);
        tokio::net::TcpStream::connect((host, port)).await.is_err()
    }

    fn local_key(&self, role: Role) -> Outcome<Option<String>> {
        let keys = dev::keys::read(&dev::data_dir::DataDir::at(self.data_dir()).keys())?;
        Ok(keys.and_then(|mut keys| keys.remove(&role).or_else(|| keys.remove(&Role::Admin))))
    }
}

/// Warns, once, of variables that nothing reads and that are nearly those which commands read.
fn tell_of_mistyped_variables() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        for (name, _) in crate::environment::variables() {
            let Some(suffix) = name.strip_prefix("SENTINEL_") else { continue };
            let meant =
                nearest(suffix, ["agent", "api_key", "config", "data_dir", "tenant", "url"]);
            if let Some(meant) = meant.filter(|meant| !suffix.eq_ignore_ascii_case(meant)) {
                let meant = meant.to_uppercase();
                output::tell(&format!(
                    "warning: `{}` is not read; did you mean `SENTINEL_{meant}`?",
                    output::printable(&name)
                ));
            }
        }
    });
}

/// The API key of the environment, if there is one.
///
/// # Errors
/// When there is one and it is not said properly where it goes.
pub(crate) fn key_of_environment() -> Outcome<Option<ApiKey>> {
    ApiKey::of_environment().map_err(|error| Failure::usage(error.to_string()))
}

/// A name that was given on the command line as the server wants it.
///
/// # Errors
/// When it breaks the rules of such names; `option` is the one it was given with.
pub(crate) fn name<T>(option: &str, text: &str) -> Outcome<T>
where
    T: FromStr<Err = sentinel_core::name::NameError>,
{
    text.parse()
        .map_err(|error: T::Err| Failure::new(format!("{option}: {error} ({})", error.code())))
}

/// As [`name`], of one that may be left out.
///
/// # Errors
/// As [`name`].
pub(crate) fn name_if<T>(option: &str, text: Option<&String>) -> Outcome<Option<T>>
where
    T: FromStr<Err = sentinel_core::name::NameError>,
{
    text.map(|text| name(option, text)).transpose()
}

/// Turns an error of a call into a failure that says what to do about it.
pub(crate) trait OrExplain<T> {
    fn or_explain(self, client: &Client) -> Outcome<T>;
}

impl<T> OrExplain<T> for Result<T, Error> {
    fn or_explain(self, client: &Client) -> Outcome<T> {
        self.map_err(|error| client.explained(&error))
    }
}

impl Client {
    fn explained(&self, error: &Error) -> Failure {
        let failure = Failure::new(error.to_string());
        match error {
            Error::Unreachable { .. } => {
                failure.help("start a server with `sentinel dev`, or name another with --url")
            }
            Error::Refused(problem) => match self.help(problem) {
                Some(help) => failure.help(help),
                None => failure,
            },
            _ => failure,
        }
    }

    /// What to do about a refusal. Only some are about the key; what is said of the others is in
    /// their detail, or said by the command.
    fn forbidden_help(&self, code: Option<&str>) -> Option<String> {
        let role = self.role.as_str();
        let help = match code {
            None | Some("role_forbidden") => format!("this needs a key of role {role} or admin"),
            Some("unbound_principal_required") => {
                format!("this needs a key of role {role} or admin that is bound to no tenant")
            }
            Some("tenant_forbidden") => "this needs a key that has access to the tenant".to_owned(),
            Some("agent_forbidden") => {
                "the key is bound to another agent: leave the agent out, or name that one"
                    .to_owned()
            }
            Some(_) => return None,
        };
        Some(help)
    }

    /// What to do about an error that the server answered with.
    fn help(&self, problem: &Problem) -> Option<String> {
        let help = match (problem.status, &self.withheld) {
            (300..=399, _) => {
                "redirects are not followed: give the address it leads to with --url".to_owned()
            }
            (401 | 403, Some(why)) => why.clone(),
            (401, None) if !self.api.has_key() => {
                "give a key with --key or SENTINEL_API_KEY; on this machine, --data-dir DIR finds \
                 those of `sentinel dev`"
                    .to_owned()
            }
            (401, None) => {
                "the key is unknown or revoked; `sentinel key create` makes one".to_owned()
            }
            (403, None) => return self.forbidden_help(problem.code.as_deref()),
            _ => return None,
        };
        Some(help)
    }
}
