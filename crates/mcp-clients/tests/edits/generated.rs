//! Generated configurations of each format, in many layouts: what is governed and taken out again
//! is as it was, byte for byte.

use proptest::prelude::*;

use crate::round_trip;

/// Text that formats must escape or quote.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z@/._-]{1,12}",
        1 => "[ -~]{0,10}",
        1 => "[a-z\"'\\\\,\\[\\]{}#: é\u{1f600}]{1,8}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,8}"
}

#[derive(Debug, Clone)]
struct Case {
    servers: Vec<(String, String, Option<Vec<String>>)>,
    /// Chooses layouts, digit by digit.
    layout: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let args = prop::option::of(prop::collection::vec(word(), 0..4));
    let server = (word(), args);
    (prop::collection::btree_map(name(), server, 0..4), any::<u64>()).prop_map(
        |(servers, layout)| Case {
            servers: servers.into_iter().map(|(name, (word, args))| (name, word, args)).collect(),
            layout,
        },
    )
}

struct Layout(u64);

impl Layout {
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.0 % of.len() as u64).unwrap();
        self.0 = self.0.rotate_right(5).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        of[at]
    }
}

fn quoted(word: &str) -> String {
    serde_json::Value::from(word).to_string()
}

fn list(layout: &mut Layout, items: &[String]) -> String {
    let (open, close) = (layout.pick(&["", " ", "\n  ", " \n\t"]), layout.pick(&["", " ", "\n"]));
    let comma = layout.pick(&[",", ", ", ",\n    ", " , "]);
    format!("[{open}{}{close}]", items.join(comma))
}

fn json(case: &Case) -> String {
    let mut layout = Layout(case.layout);
    let servers = case.servers.iter().map(|(name, command, args)| {
        let mut members =
            vec![format!("\"command\":{}{}", layout.pick(&["", " "]), quoted(command))];
        if let Some(args) = args {
            let items: Vec<_> = args.iter().map(|arg| quoted(arg)).collect();
            let args = format!("\"args\": {}", list(&mut layout, &items));
            members.insert(layout.pick(&["", "1"]).len(), args);
        }
        if layout.pick(&["", "1"]).is_empty() {
            members.insert(0, "\"type\": \"stdio\"".to_owned());
        }
        let around = layout.pick(&["", " ", "\n      ", " // note\n      "]);
        let comma = layout.pick(&[",", ", ", ",\n      ", ", /* and */ "]);
        format!("{}:{{{around}{}{around}}}", quoted(name), members.join(comma))
    });
    let servers: Vec<_> = servers.collect();
    format!("{{\"x\": [1], \"mcpServers\": {{\n{}}}}}\n", servers.join(",\n"))
}

/// A string as one of TOML's literals.
fn toml_string(layout: &mut Layout, word: &str) -> String {
    let is_literal = !word.contains('\'') && layout.pick(&["", "1"]).is_empty();
    if is_literal { format!("'{word}'") } else { quoted(word) }
}

fn toml(case: &Case) -> String {
    let mut layout = Layout(case.layout);
    let mut text = "top = 1\n".to_owned();
    let mut tables = Vec::new();
    for (name, command, args) in &case.servers {
        let command = format!("command = {}", toml_string(&mut layout, command));
        let args = args.as_ref().map(|args| {
            let items: Vec<_> = args.iter().map(|arg| toml_string(&mut layout, arg)).collect();
            format!("args = {}", list(&mut layout, &items))
        });
        let mut members: Vec<_> = std::iter::once(command).chain(args).collect();
        if layout.pick(&["", "1"]).is_empty() {
            members.reverse();
        }
        match layout.pick(&["table", "inline", "dotted"]) {
            "table" => {
                let indent = layout.pick(&["", "  "]);
                let note = layout.pick(&["", " # note"]);
                let lines = members.iter().map(|line| format!("{indent}{line}{note}\n"));
                tables.push(format!("[mcp_servers.{name}]\n{}", lines.collect::<String>()));
            }
            // Strings of several lines do not occur, but lists do; both styles allow them.
            "inline" => {
                text += &format!("mcp_servers.{name} = {{ {} }}\n", members.join(", "));
            }
            _ => {
                for line in members {
                    text += &format!("mcp_servers.{name}.{line}\n");
                }
            }
        }
    }
    let is_mixed = !tables.is_empty() && text.contains("mcp_servers");
    // TOML lets a table be extended in one way only.
    if is_mixed { tables.concat() } else { text + &tables.concat() }
}

/// A scalar as one of YAML's styles.
fn yaml_scalar(layout: &mut Layout, word: &str) -> String {
    let is_plain = word.starts_with(|c: char| c.is_ascii_lowercase() || c == '/')
        && word.chars().all(|c| c.is_ascii_lowercase() || "/._-@".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&word);
    match layout.pick(&["plain", "single", "double"]) {
        "plain" if is_plain => word.to_owned(),
        "single" => format!("'{}'", word.replace('\'', "''")),
        _ => quoted(word),
    }
}

fn yaml(case: &Case) -> String {
    let mut layout = Layout(case.layout);
    let mut text = "top: 1\nextensions:\n".to_owned();
    for (name, command, args) in &case.servers {
        let indent = layout.pick(&["    ", "      "]);
        let command = yaml_scalar(&mut layout, command);
        let mut members = vec![format!("cmd: {command}{}", layout.pick(&["", " # note"]))];
        if let Some(args) = args {
            let items: Vec<_> = args.iter().map(|arg| yaml_scalar(&mut layout, arg)).collect();
            let is_flow = items.is_empty() || layout.pick(&["", "1"]).is_empty();
            let args = if is_flow {
                format!("args: [{}]", items.join(", "))
            } else {
                let dash = layout.pick(&["", "  "]);
                let items = items.iter().map(|item| format!("\n{indent}{dash}- {item}"));
                format!("args:{}", items.collect::<String>())
            };
            members.insert(layout.pick(&["", "1"]).len(), args);
        }
        members.insert(0, "type: stdio".to_owned());
        let members = members.iter().map(|member| format!("{indent}{member}\n"));
        text += &format!("  {name}:\n{}", members.collect::<String>());
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn json_is_restored(case in case()) {
        round_trip("cursor", &json(&case));
    }

    #[test]
    fn toml_is_restored(case in case()) {
        round_trip("codex", &toml(&case));
    }

    #[test]
    fn yaml_is_restored(case in case()) {
        round_trip("goose", &yaml(&case));
    }
}
