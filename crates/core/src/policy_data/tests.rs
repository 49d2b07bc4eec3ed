use proptest::prelude::*;
use serde_json::json;

use super::*;

fn path(text: &str) -> DataPath {
    text.parse().unwrap()
}

fn with(data: &PolicyData, at: &str, value: Value) -> PolicyData {
    data.after(data.version() + 1, data.put(&path(at), value).unwrap())
}

#[test]
fn what_lies_above_and_below_is_replaced_and_kept_as_in_one_document() {
    let data = with(&PolicyData::default(), "/limits/acme/search", json!(5));
    let data = with(&data, "/limits/acme/index", json!(6));
    assert_eq!(data.get(&path("/limits")), Some(json!({"acme": {"search": 5, "index": 6}})));
    let data = with(&data, "/limits", json!({"beta": {}}));
    assert_eq!(data.get(&path("/limits/acme")), None);
    let data = with(&data, "/limits/beta/new/x", json!([1]));
    assert_eq!(data.entries().count(), 1, "no entry is inside another");
    assert_eq!(
        data.document(),
        *json!({"limits": {"beta": {"new": {"x": [1]}}}}).as_object().unwrap()
    );
    assert_eq!(data.version(), 4);
    let error = data.put(&path("/limits/beta/new/x/y"), json!(1)).unwrap_err();
    assert_eq!(error, DataError::NotAnObject(path("/limits/beta/new/x")));
    let data = data.after(5, data.remove(&path("/limits/beta/new")).unwrap());
    assert_eq!(data.get(&path("/limits")), Some(json!({"beta": {}})));
    for absent in ["/limits/beta/new", "/limits/other/x", "/other"] {
        assert_eq!(data.remove(&path(absent)), Err(DataError::Absent(path(absent))));
    }
    let data = data.after(6, data.remove(&path("/limits")).unwrap());
    assert_eq!((data.entries().count(), data.version()), (0, 6));
}

#[test]
fn it_does_not_grow_without_bound() {
    let mut data = PolicyData::default();
    let large = json!("x".repeat(1 << 20));
    for index in 0..15 {
        data = with(&data, &format!("/large/{index}"), large.clone());
    }
    assert_eq!(data.put(&path("/large/15"), large.clone()), Err(DataError::Full));
    assert!(data.put(&path("/large/3"), large).is_ok(), "in place of another it fits");

    let entry = Arc::new(DataEntry::new(json!(1)));
    let many =
        |n: usize| (0..n).map(|i| (path(&format!("/n/{i}")), Some(Arc::clone(&entry)))).collect();
    let data = PolicyData::default().after(1, many(PolicyData::MAX_ENTRIES));
    assert_eq!(data.put(&path("/one"), json!(1)), Err(DataError::Full));
}

#[test]
fn paths_that_name_nothing_or_hide_something_are_refused() {
    for text in [
        "",
        "a",
        "/",
        "/a//b",
        "/a/",
        "/.",
        "/a/../b",
        "/a\u{0}",
        "/a\nb",
        "/a~",
        "/a~2",
        "/\u{202e}x",
    ] {
        assert!(text.parse::<DataPath>().is_err(), "{text:?}");
    }
    for raw in ["", "/a", "a//b", "%", "%4", "%zz", "%ff", "%00", "a/%2e%2e/b", "%2E", "+/%0a"] {
        assert!(DataPath::from_address(raw).is_err(), "{raw:?}");
    }
    assert_eq!(path(&"/a".repeat(16)).parts().len(), 16);
    assert!("/a".repeat(17).parse::<DataPath>().is_err());
    assert!(format!("/{}", "a".repeat(257)).parse::<DataPath>().is_err());
    let slash = DataPath::from_address("limits/search%2Fv2/%E2%9C%93~").unwrap();
    assert_eq!(slash.parts(), ["limits", "search/v2", "✓~"]);
    assert_eq!(slash.to_string(), "/limits/search~1v2/✓~0");
}

/// Sets and removes in a document as anyone would, to compare with.
fn model(document: &mut Value, path: &DataPath, value: Option<&Value>) -> bool {
    let (last, above) = path.parts().split_last().unwrap();
    let mut at = document;
    for part in above {
        let Some(object) = at.as_object_mut() else { return false };
        if value.is_none() && !object.contains_key(part) {
            return false;
        }
        at = object.entry(part.clone()).or_insert_with(|| json!({}));
    }
    let Some(object) = at.as_object_mut() else { return false };
    match value {
        Some(value) => {
            object.insert(last.clone(), value.clone());
            true
        }
        None => object.remove(last).is_some(),
    }
}

/// Objects that are empty only because what was put in them is gone are no difference.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let inner = map.iter().map(|(name, value)| (name.clone(), without_empty(value)));
            inner.filter(|(_, value)| *value != json!({})).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn step() -> impl Strategy<Value = (DataPath, Option<Value>)> {
    let paths = prop::collection::vec("[ab]", 1..4).prop_map(|parts| DataPath::new(parts).unwrap());
    let values =
        prop_oneof![Just(json!(1)), Just(json!({"a": {"b": 2}})), Just(json!({"b": [3]})),];
    (paths, prop::option::weighted(0.7, values))
}

proptest! {
    #[test]
    fn entries_are_one_document(steps in prop::collection::vec(step(), 1..30)) {
        let (mut data, mut document) = (PolicyData::default(), json!({}));
        for (path, value) in steps {
            let before = document.clone();
            let possible = model(&mut document, &path, value.as_ref());
            let changed = match value.clone() {
                Some(value) => data.put(&path, value),
                None => data.remove(&path),
            };
            match changed {
                Ok(changed) => data = data.after(data.version() + 1, changed),
                // A value that is not an object, put by itself, may be replaced by one that holds
                // another.
                Err(_) => document = before,
            }
            prop_assert!(possible || value.is_some() || data.get(&path).is_none());
            prop_assert_eq!(without_empty(&data.document().into()), without_empty(&document));
            let keys: Vec<_> = data.entries().map(|(at, _)| at).collect();
            prop_assert!(keys.windows(2).all(|pair| !pair[0].covers(pair[1])));
        }
    }

    #[test]
    fn a_path_survives_its_text(parts in prop::collection::vec("\\PC{1,20}", 1..6)) {
        if let Ok(path) = DataPath::new(parts) {
            prop_assert_eq!(&path.to_string().parse::<DataPath>().unwrap(), &path);
        }
    }

    #[test]
    fn any_address_is_read_or_refused(raw in "[a-z%/~.\\x00-\\x7f0-9A-F]{0,40}|\\PC{0,20}") {
        if let Ok(path) = DataPath::from_address(&raw) {
            prop_assert!(path.parts().iter().all(|part| !part.is_empty() && !part.contains('\0')));
            prop_assert_eq!(path.parts().len(), raw.split('/').count());
        }
    }
}
