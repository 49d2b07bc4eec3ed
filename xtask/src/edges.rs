//! The edges between crates. `docs/architecture.md` draws them from the list in this file.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Each crate of the workspace, and the crates of the workspace it may depend on.
pub(crate) const ALLOWED: &[(&str, &[&str])] = &[
    ("sentinel-core", &[]),
    ("sentinel-provenance", &[]),
    ("sentinel-api", &["sentinel-core"]),
    ("sentinel-client", &["sentinel-api", "sentinel-core"]),
    ("sentinel-tower", &["sentinel-api", "sentinel-client", "sentinel-core"]),
    ("sentinel-evidence", &["sentinel-api", "sentinel-provenance"]),
    ("sentinel-objects", &[]),
    ("sentinel-policy-analysis", &["sentinel-core"]),
    ("sentinel-policy", &["sentinel-core", "sentinel-policy-analysis"]),
    (
        "sentinel-policy-bundles",
        &["sentinel-core", "sentinel-objects", "sentinel-policy", "sentinel-policy-analysis"],
    ),
    (
        "sentinel-policy-workbench",
        &["sentinel-core", "sentinel-policy", "sentinel-policy-analysis"],
    ),
    ("sentinel-redis", &["sentinel-core"]),
    ("sentinel-signers", &["sentinel-provenance"]),
    ("sentinel-archive", &["sentinel-core", "sentinel-api", "sentinel-objects"]),
    ("sentinel-store-rows", &["sentinel-core"]),
    ("sentinel-store-postgres", &["sentinel-core", "sentinel-archive", "sentinel-store-rows"]),
    ("sentinel-store-sqlite", &["sentinel-core", "sentinel-store-rows"]),
    ("sentinel-telemetry", &[]),
    ("sentinel-service", &["sentinel-core", "sentinel-provenance", "sentinel-telemetry"]),
    ("sentinel-transparency", &["sentinel-core", "sentinel-provenance", "sentinel-objects"]),
    (
        "sentinel-ingress",
        &["sentinel-core", "sentinel-api", "sentinel-service", "sentinel-telemetry"],
    ),
    (
        "sentinel-http",
        &[
            "sentinel-core",
            "sentinel-api",
            "sentinel-ingress",
            "sentinel-provenance",
            "sentinel-service",
            "sentinel-telemetry",
        ],
    ),
    ("sentinel-ext-authz", &["sentinel-core", "sentinel-ingress"]),
    (
        "sentinel-gateway",
        &[
            "sentinel-core",
            "sentinel-api",
            "sentinel-client",
            "sentinel-ingress",
            "sentinel-mcp-protocol",
            "sentinel-service",
            "sentinel-telemetry",
        ],
    ),
    ("sentinel-listener", &["sentinel-ingress"]),
    ("sentinel-mcp-clients", &[]),
    ("sentinel-mcp-protocol", &["sentinel-core"]),
    (
        "sentinel",
        &[
            "sentinel-core",
            "sentinel-api",
            "sentinel-client",
            "sentinel-evidence",
            "sentinel-archive",
            "sentinel-objects",
            "sentinel-provenance",
            "sentinel-policy",
            "sentinel-policy-analysis",
            "sentinel-policy-bundles",
            "sentinel-policy-workbench",
            "sentinel-store-sqlite",
            "sentinel-store-postgres",
            "sentinel-redis",
            "sentinel-service",
            "sentinel-signers",
            "sentinel-ext-authz",
            "sentinel-gateway",
            "sentinel-http",
            "sentinel-listener",
            "sentinel-mcp-clients",
            "sentinel-mcp-protocol",
            "sentinel-ingress",
            "sentinel-telemetry",
            "sentinel-transparency",
        ],
    ),
    ("sentinel-testkit", &["sentinel-core", "sentinel-provenance"]),
    ("sentinel-bench", &["sentinel-provenance", "sentinel-testkit"]),
    ("sentinel-epoch-model", &[]),
    ("sentinel-extending", &["sentinel-provenance", "sentinel-signers"]),
    (
        "sentinel-chaos",
        &[
            "sentinel-client",
            "sentinel-core",
            "sentinel-http",
            "sentinel-ingress",
            "sentinel-policy",
            "sentinel-provenance",
            "sentinel-redis",
            "sentinel-service",
            "sentinel-store-postgres",
            "sentinel-testkit",
        ],
    ),
    ("sentinel-mcp-fixture", &[]),
    ("xtask", &[]),
];

/// Crates beside the product: tests and tools.
pub(crate) const BESIDE: &[&str] = &[
    "sentinel-testkit",
    "sentinel-bench",
    "sentinel-epoch-model",
    "sentinel-extending",
    "sentinel-chaos",
    "sentinel-mcp-fixture",
    "xtask",
];

/// Crates that do I/O, and the crates that must not use them.
const IO: &[&str] = &["tokio", "axum", "hyper", "reqwest", "rusqlite", "sqlx", "redis"];
const PURE: &[&str] =
    &["sentinel-core", "sentinel-mcp-protocol", "sentinel-provenance", "sentinel-store-rows"];

/// Crates that only these crates may use. The chaos suite reads the tables as an auditor would.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["sentinel-store-postgres", "sentinel-chaos"]),
    ("sqlx-postgres", &["sentinel-store-postgres", "sentinel-chaos"]),
    (
        "object_store",
        &[
            "sentinel-objects",
            "sentinel-archive",
            "sentinel-policy-bundles",
            "sentinel-signers",
            "sentinel-transparency",
        ],
    ),
];

/// Features that plant faults or change the behaviour of a store, and the crates that may turn them
/// on. The product is not among them.
const TEST_FEATURES: &[&str] = &["planted-faults", "rehearsal"];
const TURN_ON: &[&str] = &["sentinel-chaos"];

/// Compares the workspace with the allowed edges.
pub(crate) fn check() -> Result<String> {
    let packages = packages()?;
    let dependencies = dependencies(&packages)?;
    let mut wrong = test_features(&packages)?;
    for (name, depends_on) in &dependencies {
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("crate `{name}` is not in xtask/src/edges.rs"));
            continue;
        };
        for to in depends_on {
            let ours = dependencies.contains_key(to);
            if ours && !allowed.contains(&to.as_str()) {
                wrong.push(format!("`{name}` must not depend on `{to}`"));
            }
            if ONLY_IN.iter().any(|(of, only)| of == to && !only.contains(&name.as_str())) {
                wrong.push(format!("`{name}` must not depend on `{to}`"));
            }
            if PURE.contains(&name.as_str()) && IO.contains(&to.as_str()) {
                wrong.push(format!("`{name}` must do no I/O, but depends on `{to}`"));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n       "));
    }
    Ok(format!("edges: {} crates depend only on what the architecture allows", dependencies.len()))
}

/// The crates of the workspace, as cargo describes them.
fn packages() -> Result<Vec<Value>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .output()
        .context("`cargo metadata` could not be run")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    Ok(metadata.get("packages").and_then(Value::as_array).context("no packages")?.clone())
}

/// The places where a crate turns on a feature that only tests may turn on.
fn test_features(packages: &[Value]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for package in packages {
        let name = package.get("name").and_then(Value::as_str).context("a package has no name")?;
        let direct = package.get("dependencies").and_then(Value::as_array);
        // Dev-dependencies are for tests, and not part of any build that is used.
        let built =
            |dependency: &&Value| dependency.get("kind").and_then(Value::as_str) != Some("dev");
        let features = direct
            .into_iter()
            .flatten()
            .filter(built)
            .filter_map(|dependency| dependency.get("features")?.as_array())
            .flatten()
            .filter_map(Value::as_str);
        for feature in features {
            if TEST_FEATURES.contains(&feature) && !TURN_ON.contains(&name) {
                wrong.push(format!("`{name}` must not turn on the feature `{feature}`"));
            }
        }
    }
    Ok(wrong)
}

/// Every crate with its direct dependencies, without dev-dependencies.
fn dependencies(packages: &[Value]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut dependencies = BTreeMap::new();
    for package in packages {
        let name = package.get("name").and_then(Value::as_str).context("a package has no name")?;
        let direct =
            package.get("dependencies").and_then(Value::as_array).context("no dependencies")?;
        let names = direct
            .iter()
            .filter(|dependency| dependency.get("kind").is_none_or(Value::is_null))
            .filter_map(|dependency| dependency.get("name")?.as_str());
        dependencies.insert(name.to_owned(), names.map(str::to_owned).collect());
    }
    Ok(dependencies)
}
