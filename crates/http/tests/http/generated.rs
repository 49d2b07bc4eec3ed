//! The committed OpenAPI document is the one that the code generates.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::App;

fn document() -> String {
    let mut text = serde_json::to_string_pretty(&sentinel_http::openapi()).unwrap();
    text.push('\n');
    text
}

/// `UPDATE_OPENAPI=1` writes it again.
#[test]
fn generated_openapi_is_committed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, document()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document(),
        "docs/openapi.json is stale; `make docs` writes it again, then commit it"
    );
}

#[tokio::test]
async fn the_served_document_is_the_generated_one() {
    let app = App::start().await;
    let served = app.get(&app.admin, "/openapi.json").await;
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.ok(), serde_json::from_str::<Value>(&document()).unwrap());
}

#[test]
fn every_operation_is_described() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "Sentinel MCP");
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let named: BTreeSet<_> = parameters
                .filter(|parameter| parameter["in"] == "path")
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            let in_template: BTreeSet<_> =
                path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            assert_eq!(named, in_template, "{what}");
            assert!(ids.insert(operation["operationId"].to_string()), "{what}");
            assert!(operation["summary"].is_string(), "{what}");
            let description = operation["description"].as_str().unwrap_or_default();
            let names_roles = description.contains("Roles: ") || description.contains("Public: ");
            assert!(names_roles, "{what}: {description}");
            let problem = &operation["responses"]["default"]["content"];
            assert!(problem["application/problem+json"].is_object(), "{what}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(to)) = object.get("$ref") {
                    let pointer = to.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{to}");
                    references += 1;
                }
                open.extend(object.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 50, "{references}");
}

#[tokio::test]
async fn the_documentation_page_loads_from_nowhere_else() {
    let app = App::start().await;
    let page = app.get(&app.admin, "/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("http"), "{policy}");
    let mut loaded = 0;
    for part in page.text.split(['"', '\'']) {
        assert!(!part.contains("//"), "{part}");
        if part.starts_with("docs/") {
            let file = app.get(&app.admin, &format!("/{part}")).await;
            assert_eq!(file.status, 200, "{part}");
            assert_eq!(file.header("content-security-policy"), policy);
            loaded += 1;
        }
    }
    assert_eq!(loaded, 5);
}
