use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use regorus::Engine;

use super::*;

/// Where the source of the interpreter is that this crate is built with.
fn interpreter() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let regorus = packages.iter().find(|package| package["name"] == "regorus").unwrap();
    let manifest = PathBuf::from(regorus["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().join("src/builtins")
}

/// Names that the files of the interpreter register: the first string after each `m.insert(`.
fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![interpreter()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let inserted = text.split("m.insert(").skip(1);
            let inserted = inserted.filter_map(|rest| rest.trim_start().strip_prefix('"'));
            names.extend(inserted.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    names
}

/// Whether the interpreter has it, with the features that this crate is built with.
fn has(name: &str) -> bool {
    let mut engine = Engine::new();
    engine.set_gather_prints(true);
    match engine.eval_query(format!("{name}()"), false) {
        Ok(_) => true,
        Err(error) => !error.to_string().contains("could not find function"),
    }
}

#[test]
fn every_builtin_of_the_interpreter_is_in_the_table() {
    let registered = registered();
    assert!(registered.len() > 120, "the source was read: {registered:?}");
    let missing: Vec<_> =
        registered.iter().filter(|name| has(name) && bound(name).is_none()).collect();
    assert_eq!(missing, Vec::<&String>::new(), "say in table.rs what bounds these");
}

#[test]
fn the_table_is_in_order_and_has_nothing_else() {
    for pair in TABLE.windows(2) {
        assert!(pair[0].0 < pair[1].0, "{} before {}", pair[0].0, pair[1].0);
    }
    let extra: Vec<_> = TABLE.iter().map(|(name, _)| name).filter(|name| !has(name)).collect();
    assert_eq!(extra, Vec::<&&str>::new());
}

#[test]
fn what_is_not_in_the_table_is_refused() {
    assert!(unlisted("json.is_valid").is_none());
    assert!(unlisted("json.is_a_new_one").is_some());
}
