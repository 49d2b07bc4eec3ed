//! The committed schema and reference page, generated from the type.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Config;
use super::kind::kind;
use super::schema::schema;

const HEAD: &str = "# Configuration of `sentinel serve`

<!-- Generated from crates/sentinel/src/config/sections; UPDATE_DOCS=1 cargo test -p sentinel rewrites it. -->

One YAML file, given by `--config FILE`, and an environment variable for every field; the variable
wins. In a variable, the items of a list are separated by commas, and a list of objects is JSON. [`config.schema.json`](config.schema.json) is the JSON Schema.

```yaml
listen: 127.0.0.1:8000
database_url: sqlite:///var/lib/sentinel/sentinel.db
policy_dir: /etc/sentinel/policies
signing_key_file: /etc/sentinel/signing-key.pem
```

`sentinel serve` refuses to start on an unsafe or incomplete configuration. Unknown fields are refused
with the nearest name, fields that are given twice and values of another type too, each with its line;
when there are none, every other problem is listed with its line and its solution. A variable `SENTINEL_…` that is
nearly a field is refused as well; others are ignored, and the log says so. `sentinel doctor --config
FILE` looks at everything that is configured. The first API key is made with `sentinel key create --config FILE --role admin --name NAME`, before the server
is started.

| field | environment variable | type | default | meaning |
|---|---|---|---|---|
";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn assert_current(name: &str, generated: &str) {
    let path = docs().join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "{name} is stale: UPDATE_DOCS=1 cargo test -p sentinel");
}

fn table() -> String {
    let schema = schema();
    let sections = Config::default().values().unwrap();
    let default_of = |name| sections.iter().find_map(|section| section.get(name)).unwrap();
    let mut out = HEAD.to_owned();
    for (name, field) in schema["properties"].as_object().unwrap() {
        let default = match default_of(name) {
            Value::Null => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let meaning = field["description"].as_str().unwrap().replace('\n', " ").replace('|', "\\|");
        let variable = name.to_uppercase();
        let kind = kind(field, &schema);
        out += &format!("| `{name}` | `SENTINEL_{variable}` | {kind} | {default} | {meaning} |\n");
    }
    out
}

#[test]
fn the_committed_schema_is_current() {
    let schema = serde_json::to_string_pretty(&schema()).unwrap();
    assert_current("config.schema.json", &format!("{schema}\n"));
}

#[test]
fn the_committed_reference_is_current() {
    assert_current("configuration.md", &table());
}
