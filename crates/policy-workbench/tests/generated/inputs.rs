//! Makes data and inputs, in a third of which a field is missing or of another type.

use serde_json::{Value, json};

use crate::rng::Rng;
use crate::text::Input;

const TENANTS: &[&str] = &["acme", "umbra", "initech"];
const TOOLS: &[&str] = &["ledger", "docs", "search", "mail"];
const TEXTS: &[&str] = &["a", "b", "ab", "abc", "read", "write", "x-y", "", "Ä b", "a.b.c", "10"];

fn text(rng: &mut Rng) -> Value {
    Value::from(*rng.pick(TEXTS))
}

fn number(rng: &mut Rng) -> Value {
    rng.pick(&[
        json!(0),
        json!(1),
        json!(2),
        json!(3),
        json!(5),
        json!(7),
        json!(10),
        json!(100),
        json!(-1),
        json!(1.5),
        json!(0.5),
        json!(2.25),
        json!(1000),
        json!(-3),
    ])
    .clone()
}

fn list(rng: &mut Rng, item: fn(&mut Rng) -> Value) -> Value {
    (0..rng.below(4)).map(|_| item(rng)).collect::<Vec<_>>().into()
}

fn map(rng: &mut Rng, item: fn(&mut Rng) -> Value) -> Value {
    let keys = ["a", "b", "x", "ledger", "acme"];
    let chosen: Vec<_> = keys.into_iter().filter(|_| rng.chance(55)).collect();
    chosen
        .into_iter()
        .map(|key| (key.to_owned(), item(rng)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Of another type than most fields have.
fn odd(rng: &mut Rng) -> Value {
    rng.pick(&[
        Value::Null,
        json!(true),
        json!(0),
        json!("a"),
        json!(""),
        json!([]),
        json!({}),
        json!([1, "a"]),
        json!({"a": 1}),
        json!(-0.5),
        json!("1"),
        json!(1_000_000_u64),
        json!([["a"], {"b": null}]),
        json!(false),
    ])
    .clone()
}

fn tree(rng: &mut Rng) -> Value {
    json!({
        "x": {"n": number(rng), "names": list(rng, text), "s": text(rng), "flag": rng.chance(50),
              "numbers": list(rng, number), "counts": map(rng, number), "any": odd(rng)},
        "a": [number(rng), {"b": text(rng)}],
    })
}

/// The data of a policy. Now and then a place of it is missing or of another type.
pub(crate) fn data(rng: &mut Rng) -> Value {
    let mut allowlist = serde_json::Map::new();
    for tenant in TENANTS {
        let tools: serde_json::Map<_, _> =
            TOOLS.iter().map(|tool| ((*tool).to_owned(), json!(rng.chance(75)))).collect();
        allowlist.insert((*tenant).to_owned(), tools.into());
    }
    let limits: serde_json::Map<_, _> =
        TOOLS.iter().map(|tool| ((*tool).to_owned(), number(rng))).collect();
    let mut data = json!({
        "allowlist": allowlist,
        "limits": limits,
        "teams": {"acme": ["a", "ab"], "umbra": list(rng, text), "initech": ["read", "a"]},
        "labels": {"acme": text(rng), "umbra": text(rng), "initech": text(rng), "a": "b"},
        "names": ["a", "read", text(rng)],
        "numbers": list(rng, number),
        "owner": text(rng),
        "ceiling": 500,
        "enabled": rng.chance(80),
        "tree": tree(rng),
        "empty": {},
        "odd": odd(rng),
        "graph": {"a": ["b"], "b": ["c"], "c": []},
    });
    if rng.chance(25) {
        let places = ["limits", "labels", "names", "numbers", "owner", "enabled", "tree", "odd"];
        let place = *rng.pick(&places);
        let fields = data.as_object_mut().unwrap();
        if rng.chance(50) {
            fields.remove(place);
        } else {
            fields.insert(place.to_owned(), odd(rng));
        }
    }
    data
}

/// Where a caller can leave something out, or put something else. The other fields are there in
/// every input, and of their type: vetting counts on it.
const PLACES: &[&str] = &[
    "/context/n",
    "/context/m",
    "/context/s",
    "/context/t",
    "/context/path",
    "/context/flag",
    "/context/off",
    "/context/names",
    "/context/numbers",
    "/context/counts",
    "/context/labels",
    "/context/tree",
    "/context/any",
    "/context/tree/x",
    "/context/names/0",
    "/context/counts/a",
    "/context/labels/a",
    "/arguments/amount",
    "/arguments/query",
    "/arguments/force",
    "/arguments/amounts",
    "/arguments/counts",
    "/arguments/any",
];
pub(crate) fn input(rng: &mut Rng) -> Input {
    let sound = crate::ours::completed(sound(rng));
    let mut document = sound.clone();
    if rng.chance(44) {
        for _ in 0..1 + rng.below(3) {
            let place = *rng.pick(PLACES);
            spoil(rng, &mut document, place);
        }
        if rng.chance(15) {
            remove(&mut document, if rng.chance(50) { "/purpose" } else { "/agent" });
        }
    }
    let flawed = document != sound;
    Input { document, flawed }
}

fn spoil(rng: &mut Rng, document: &mut Value, place: &str) {
    if rng.chance(50) {
        remove(document, place);
    } else if let Some(value) = document.pointer_mut(place) {
        let other = odd(rng);
        *value = if kind(&other) == kind(value) { Value::Null } else { other };
    }
}

fn remove(document: &mut Value, place: &str) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    match document.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(name)),
        Some(Value::Array(items)) if !items.is_empty() => drop(items.remove(0)),
        _ => {}
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// What the caller says, as it should be.
fn sound(rng: &mut Rng) -> Value {
    json!({
        "tenant": *rng.pick(TENANTS),
        "tool": *rng.pick(TOOLS),
        "action": *rng.pick(&["call", "call", "call", "read"]),
        "purpose": *rng.pick(&["read", "audit"]),
        "agent": *rng.pick(&["agent-7", "a"]),
        "usage": *rng.pick(&[0, 1, 3, 7, 10, 100, 499, 501, 2000]),
        "context": {
            "n": number(rng), "m": number(rng), "s": text(rng), "t": text(rng),
            "path": *rng.pick(&["/srv/a", "/srv/a/b", "/etc/x", ""]),
            "flag": rng.chance(60), "off": rng.chance(10),
            "names": list(rng, text), "numbers": list(rng, number),
            "counts": map(rng, number), "labels": map(rng, text),
            "tree": tree(rng), "any": odd(rng),
        },
        "arguments": {
            "amount": number(rng), "query": text(rng), "force": rng.chance(30),
            "amounts": list(rng, number), "counts": map(rng, number), "any": odd(rng),
        },
    })
}
