//! Reading the configuration from its file and the environment.

use std::collections::BTreeMap;
use std::path::Path;

use config::{File, FileFormat, Value, ValueKind};

use super::{Config, schema};
use crate::failure::{Failure, Outcome};

/// Variables that are not fields of the configuration but are read by the commands.
const OTHER_VARIABLES: [&str; 4] =
    ["SENTINEL_URL", "SENTINEL_API_KEY", "SENTINEL_DATA_DIR", "SENTINEL_CONFIG"];
const PREFIX: &str = "SENTINEL_";

/// A configuration as it was given, with what was odd about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// Variables that look as if they were meant for us and are not known.
    pub(crate) unknown_variables: Vec<String>,
}

/// Reads `file`, if there is one, and the variables among `environment` that are meant for us.
///
/// # Errors
/// When the file cannot be read, or either has an unknown field or a wrong type.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Outcome<Loaded> {
    let fields = fields();
    let mut builder = config::Config::builder();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(format!("cannot read the configuration `{}`: {error}", path.display()))
        })?;
        builder = builder.add_source(File::from_str(&text, FileFormat::Yaml));
    }
    let mut unknown_variables = Vec::new();
    for (name, value) in environment {
        let Some(suffix) = name.strip_prefix(PREFIX) else { continue };
        let field = suffix.to_ascii_lowercase();
        let Some(is_list) = fields.get(&field) else {
            if !OTHER_VARIABLES.contains(&name.as_str()) {
                unknown_variables.push(name);
            }
            continue;
        };
        let value = if *is_list { list(&name, &value) } else { Value::from(value.as_str()) };
        builder = builder
            .set_override(field, value)
            .map_err(|error| Failure::new(format!("`{name}`: {error}")))?;
    }
    let origin = file.map_or_else(|| "environment".to_owned(), |path| path.display().to_string());
    let config = builder.build().and_then(config::Config::try_deserialize).map_err(|error| {
        Failure::new(format!("the configuration `{origin}` is not valid: {error}"))
            .help("docs/configuration.md lists every field, its type and its default")
    })?;
    unknown_variables.sort();
    Ok(Loaded { config, unknown_variables })
}

/// The names of the fields, and whether each is a list.
fn fields() -> BTreeMap<String, bool> {
    let schema = schema();
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    let is_list = |field: &serde_json::Value| field.get("type") == Some(&"array".into());
    let named = |(name, field): (&String, _)| (name.clone(), is_list(field));
    properties.into_iter().flatten().map(named).collect()
}

fn list(origin: &str, text: &str) -> Value {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let values = parts.map(|part| Value::new(Some(&origin.to_owned()), part)).collect();
    Value::new(Some(&origin.to_owned()), ValueKind::Array(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(yaml: &str, environment: &[(&str, &str)]) -> Outcome<Loaded> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(Some(file.path()), environment)
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let loaded = of(
            "listen: 127.0.0.1:1\nmax_waiting: 7\nallowed_hosts: [a]\n",
            &[
                ("SENTINEL_LISTEN", "127.0.0.1:2"),
                ("SENTINEL_ALLOWED_HOSTS", "b, c"),
                ("SENTINEL_LOG_CHECKS", "false"),
                ("SENTINEL_HEALTH_CHECK_NETWORKS", "public_and_private"),
                ("SENTINEL_LOG_FORMAT", "json"),
            ],
        )
        .unwrap();
        assert_eq!(loaded.config.listen.port(), 2);
        assert_eq!(loaded.config.max_waiting, 7);
        assert_eq!(loaded.config.allowed_hosts, ["b", "c"]);
        assert_eq!(loaded.config.log_format, Some(crate::telemetry::LogFormat::Json));
        assert!(!loaded.config.log_checks);
        assert!(loaded.unknown_variables.is_empty());
    }

    #[test]
    fn an_unknown_field_is_refused_and_an_unknown_variable_is_told() {
        let refused = of("listn: 127.0.0.1:1\n", &[]).unwrap_err();
        assert!(format!("{refused:?}").contains("listn"), "{refused:?}");
        let environment = [("SENTINEL_LISTN", "x"), ("SENTINEL_URL", "x"), ("HOME", "/")];
        assert_eq!(of("{}", &environment).unwrap().unknown_variables, ["SENTINEL_LISTN"]);
    }

    #[test]
    fn a_wrong_type_is_refused() {
        assert!(of("max_waiting: many\n", &[]).is_err());
        assert!(of("listen: nowhere\n", &[]).is_err());
        assert!(of("listen: [\n", &[]).is_err());
        assert!(of("{}", &[("SENTINEL_MAX_WAITING", "-1")]).is_err());
    }

    #[test]
    fn defaults_are_those_of_the_type() {
        assert_eq!(of("{}", &[]).unwrap().config, Config::default());
        assert_eq!(of("", &[]).unwrap().config, Config::default());
    }
}
