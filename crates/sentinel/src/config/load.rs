//! Reading the configuration from its file and the environment.

use std::collections::BTreeMap;
use std::path::Path;

use config::{ConfigError, File, FileFormat, Value, ValueKind};

use super::Config;
use super::document::{Document, YamlError, nearest};
use super::entries;
use super::kind::kind;
use super::places::{Place, Places};
use super::schema::schema;
use crate::failure::{Failure, Outcome};

/// Variables that are not fields of the configuration but are read by the commands, or by clients
/// on the same machine.
const OTHER_VARIABLES: [&str; 6] = [
    "SENTINEL_AGENT",
    "SENTINEL_API_KEY",
    "SENTINEL_CONFIG",
    "SENTINEL_DATA_DIR",
    "SENTINEL_TENANT",
    "SENTINEL_URL",
];
const PREFIX: &str = "SENTINEL_";

/// A configuration as it was given, with what was odd about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// Variables with our prefix that are not known.
    pub(crate) unknown_variables: Vec<String>,
    /// Where each field was given.
    pub(crate) places: Places,
}

/// How a field is written in an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is.
    Plain,
    /// Separated by commas.
    List,
    /// As JSON.
    Objects,
}

/// Why the values of a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
enum ValuesError {
    #[error(transparent)]
    Yaml(#[from] YamlError),
    #[error(transparent)]
    Values(#[from] ConfigError),
}

/// What was given, and what is wrong with it.
struct Given {
    /// The names of all fields.
    fields: BTreeMap<String, Form>,
    document: Document,
    /// The values that count: those of the environment in place of those of the file.
    values: BTreeMap<String, Value>,
    places: Places,
    unknown_variables: Vec<String>,
    problems: Vec<String>,
}

/// Reads `file`, if there is one, and the variables of `environment` that name a field.
///
/// # Errors
/// When the file cannot be read, or either has an unknown field or a wrong type: every one of them,
/// with its line.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Outcome<Loaded> {
    let mut given = Given {
        fields: fields(),
        document: Document::default(),
        values: BTreeMap::new(),
        places: Places::default(),
        unknown_variables: Vec::new(),
        problems: Vec::new(),
    };
    let invalid = || {
        let origin =
            file.map_or_else(|| "environment".to_owned(), |path| path.display().to_string());
        Failure::new(format!("the configuration `{origin}` is not valid"))
    };
    let help = |failure: Failure| {
        failure.help("docs/configuration.md lists every field, its type and its default")
    };
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(format!("cannot read the configuration `{}`: {error}", path.display()))
        })?;
        given.file(&text).map_err(|error| help(invalid().detail(error.to_string())))?;
    }
    environment.for_each(|(name, value)| given.variable(name, &value));
    if !given.problems.is_empty() {
        return Err(help(given.problems.into_iter().fold(invalid(), Failure::detail)));
    }
    match deserialize(&given.values) {
        Ok(config) => {
            given.unknown_variables.sort();
            let Given { unknown_variables, places, .. } = given;
            Ok(Loaded { config, unknown_variables, places })
        }
        Err(error) => {
            let wrong = given.wrong_types();
            let wrong = if wrong.is_empty() { vec![error.to_string()] } else { wrong };
            Err(help(wrong.into_iter().fold(invalid(), Failure::detail)))
        }
    }
}

impl Given {
    fn file(&mut self, text: &str) -> Result<(), ValuesError> {
        self.document = Document::read(text)?;
        for (name, lines) in &self.document.fields {
            let line = lines.first().copied().unwrap_or_default();
            self.places.add(name, Place::Line(line));
            if !self.fields.contains_key(name) {
                let meant = nearest(name, self.fields.keys().map(String::as_str));
                let meant = meant.map(|meant| format!("; did you mean `{meant}`?"));
                let meant = meant.unwrap_or_default();
                self.problems.push(format!("line {line}: there is no field `{name}`{meant}"));
            } else if let Some(again) = lines.get(1) {
                let problem = format!("line {again}: `{name}` is given in line {line} already");
                self.problems.push(problem);
            }
        }
        if self.problems.is_empty() {
            let source = File::from_str(text, FileFormat::Yaml);
            let built = config::Config::builder().add_source(source).build()?;
            self.values = built.try_deserialize()?;
        }
        Ok(())
    }

    fn variable(&mut self, name: String, value: &str) {
        let Some(suffix) = name.strip_prefix(PREFIX) else { return };
        let field = suffix.to_ascii_lowercase();
        if let Some(form) = self.fields.get(&field) {
            let value = match form {
                Form::Plain => Ok(Value::from(value)),
                Form::List => Ok(list(&name, value)),
                Form::Objects => entries::read(&name, value),
            };
            self.places.add(&field, Place::Variable(name));
            match value {
                Ok(value) => drop(self.values.insert(field, value)),
                Err(problem) => self.problems.push(problem),
            }
        } else if !OTHER_VARIABLES.contains(&name.as_str()) {
            // A name that is nearly a field was meant for one: ignoring it would be a surprise.
            match nearest(&field, self.fields.keys().map(String::as_str)) {
                Some(meant) => self.problems.push(format!(
                    "the variable `{name}` is not a field; did you mean `{PREFIX}{}`?",
                    meant.to_uppercase()
                )),
                None => self.unknown_variables.push(name),
            }
        }
    }

    /// The fields whose values are not of their type: each is read by itself. The value is not
    /// repeated, since it may be a secret.
    fn wrong_types(&self) -> Vec<String> {
        let schema = schema();
        let mut found = Vec::new();
        for (name, value) in &self.values {
            let alone = BTreeMap::from([(name.clone(), value.clone())]);
            let Err(error) = deserialize(&alone) else { continue };
            let place = match self.places.of(name) {
                Some(Place::Line(line)) => format!("line {line}: `{name}`"),
                Some(variable) => variable.to_string(),
                None => format!("`{name}`"),
            };
            let field = schema.get("properties").and_then(|fields| fields.get(name));
            let misfit = field.and_then(|field| entries::misfit(field, &schema, value));
            if let Some(misfit) = misfit {
                found.push(format!("{place}: {misfit}"));
                continue;
            }
            let expected = field.map(|field| kind(field, &schema)).unwrap_or_default();
            found.push(match (expected.as_str(), value.kind.clone()) {
                // It is text, but not of the form that is needed.
                ("text", ValueKind::String(_)) => format!("{place} cannot be used: {error}"),
                ("", _) => format!("{place}: {error}"),
                _ => format!("{place} must be {expected}"),
            });
        }
        found
    }
}

fn deserialize(values: &BTreeMap<String, Value>) -> Result<Config, ConfigError> {
    let mut builder = config::Config::builder();
    for (name, value) in values {
        builder = builder.set_override(name, value.clone())?;
    }
    Config::read(&builder.build()?)
}

/// The names of the fields, and how each is written in a variable.
fn fields() -> BTreeMap<String, Form> {
    let schema = schema();
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    let form = |field: &serde_json::Value| match field.get("type") {
        Some(kind) if kind != "array" => Form::Plain,
        Some(_) if field.pointer("/items/$ref").is_some() => Form::Objects,
        Some(_) => Form::List,
        None => Form::Plain,
    };
    let named = |(name, field): (&String, _)| (name.clone(), form(field));
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

    fn refusal(yaml: &str, environment: &[(&str, &str)]) -> String {
        format!("{:?}", of(yaml, environment).unwrap_err())
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
        assert_eq!(loaded.config.listen.listen.port(), 2);
        assert_eq!(loaded.config.limits.max_waiting, 7);
        assert_eq!(loaded.config.listen.allowed_hosts, ["b", "c"]);
        assert_eq!(
            loaded.config.logging.log_format,
            Some(crate::runtime::logging::LogFormat::Json)
        );
        assert!(!loaded.config.logging.log_checks);
        assert!(loaded.unknown_variables.is_empty());
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line_and_the_nearest_name() {
        let refused = refusal("\nlistn: 127.0.0.1:1\nmax_wating: 1\nnonsense: 2\n", &[]);
        assert!(refused.contains("line 2: there is no field `listn`; did you mean `listen`?"));
        assert!(refused.contains("line 3: there is no field `max_wating`; did you mean `max_wai"));
        assert!(refused.contains("line 4: there is no field `nonsense`\""), "{refused}");
        assert!(!refused.contains("database_url") && refused.len() < 600, "{refused}");
        let twice = refusal("listen: 127.0.0.1:1\nmax_waiting: 1\nlisten: 127.0.0.1:2\n", &[]);
        assert!(twice.contains("line 3: `listen` is given in line 1 already"), "{twice}");
    }

    #[test]
    fn a_variable_that_is_nearly_a_field_is_refused_and_another_unknown_one_is_told() {
        for (name, meant) in [
            ("SENTINEL_LISTN", "SENTINEL_LISTEN"),
            ("SENTINEL_POLICY_BUNDLE_KEYFILE", "SENTINEL_POLICY_BUNDLE_KEY_FILE"),
            ("SENTINEL_DATABSE_URL", "SENTINEL_DATABASE_URL"),
        ] {
            let refused = refusal("{}", &[(name, "x")]);
            assert!(refused.contains(&format!("`{name}` is not a field; did you mean `{meant}`?")));
        }
        // Clients' variables, and what Kubernetes sets for a service of that name.
        let environment = [
            ("SENTINEL_AGENT", "x"),
            ("SENTINEL_API_KEY", "x"),
            ("SENTINEL_DATA_DIR", "x"),
            ("SENTINEL_PORT", "tcp://10.0.0.1:8000"),
            ("SENTINEL_PORT_8000_TCP_ADDR", "10.0.0.1"),
            ("SENTINEL_SERVICE_HOST", "10.0.0.1"),
            ("SENTINEL_SERVICE_PORT", "8000"),
            ("SENTINEL_TENANT", "x"),
            ("SENTINEL_URL", "x"),
            ("HOME", "/"),
        ];
        let unknown = of("{}", &environment).unwrap().unknown_variables;
        let expected = [
            "SENTINEL_PORT",
            "SENTINEL_PORT_8000_TCP_ADDR",
            "SENTINEL_SERVICE_HOST",
            "SENTINEL_SERVICE_PORT",
        ];
        assert_eq!(unknown, expected);
    }

    #[test]
    fn wrong_types_are_all_refused_with_their_lines_and_what_they_should_be() {
        let refused = refusal(
            "max_waiting: many\npolicy_engine: opal\nlog_checks: perhaps\nlisten: nowhere\n\
             rate_limits: 5\ndatabase_url: {hunter2: hunter2}\n",
            &[("SENTINEL_OPA_TIMEOUT_MS", "-1")],
        );
        for expected in [
            "line 1: `max_waiting` must be 1 to 1000000",
            "line 2: `policy_engine` must be `embedded`, `opa`, `shadow`",
            "line 3: `log_checks` must be `true` or `false`",
            "line 4: `listen` cannot be used: invalid socket address",
            "line 6: `database_url` must be text",
            "the variable `SENTINEL_OPA_TIMEOUT_MS` must be 1 to 10000",
        ] {
            assert!(refused.contains(expected), "no `{expected}`: {refused}");
        }
        assert!(!refused.contains("hunter2"), "{refused}");
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

    #[test]
    fn lists_of_objects_are_json_in_a_variable() {
        let meta_tools = r#"[{"tool": "hub__call", "name": "/tool", "arguments": "/args"}]"#;
        let upstreams = r#"[{"tenant": "acme", "name": "docs",
            "transport": {"http": {"url": "https://docs.example.com/mcp"}}}]"#;
        let loaded = of(
            "gateway_meta_tools: []\n",
            &[
                ("SENTINEL_GATEWAY_META_TOOLS", meta_tools),
                ("SENTINEL_GATEWAY_UPSTREAMS", upstreams),
            ],
        );
        let gateway = loaded.unwrap().config.gateway;
        assert_eq!(gateway.gateway_meta_tools.len(), 1);
        let transport = &gateway.gateway_upstreams.first().unwrap().transport;
        assert_eq!(transport["http"]["url"], "https://docs.example.com/mcp");
    }

    #[test]
    fn an_entry_that_does_not_fit_is_refused_with_its_number_and_without_its_values() {
        let refused = refusal(
            "gateway_meta_tools:\n  - {tool: hub__call, name: /tool, arguments: /a}\n  \
             - {tool: hub__find, name: /tool}\n",
            &[],
        );
        let expected = "line 1: `gateway_meta_tools`: entry 2 has no `arguments`; an entry takes \
                        `arguments`, `name`, `tool`";
        assert!(refused.contains(expected), "{refused}");
        for (json, why) in [
            (r#"[{"tenant": "a", "nam": "hunter2"}]"#, "entry 1 has a member `nam`"),
            (
                r#"[{"tenant": ["hunter2"], "name": "x", "transport": 1}]"#,
                "`tenant` that is not text",
            ),
            (r#"["hunter2"]"#, "entry 1 is not an object"),
            ("hunter2", "must be a JSON list of objects"),
            (r#"{"hunter2": 1}"#, "must be a JSON list of objects"),
        ] {
            let refused = refusal("{}", &[("SENTINEL_GATEWAY_UPSTREAMS", json)]);
            assert!(refused.contains("the variable `SENTINEL_GATEWAY_UPSTREAMS`"), "{refused}");
            assert!(refused.contains(why) && !refused.contains("hunter2"), "{refused}");
        }
    }
}
