//! The JSON Schema of the configuration, put together from those of its sections.

use serde_json::{Map, Value, json};

use super::Config;

const DESCRIPTION: &str = "\
Configuration of `sentinel serve`. Every field can also be given as an environment variable,
`SENTINEL_` followed by the field's name in capitals; the variable wins over the file.";

/// The schema of a file: the fields of all sections at the top level, and no others.
pub(crate) fn schema() -> Value {
    let sections = Config::schemas();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sentinel MCP configuration",
        "description": DESCRIPTION,
        "type": "object",
        "properties": merged(&sections, "properties"),
        "additionalProperties": false,
        "$defs": merged(&sections, "$defs"),
    })
}

/// The members of the object of that name in all sections.
fn merged(sections: &[Value], name: &str) -> Map<String, Value> {
    let objects = sections.iter().filter_map(|section| section.get(name)?.as_object());
    objects.flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_sections_have_a_field_of_the_same_name() {
        let sections = Config::schemas();
        let fields = |section: &Value| section["properties"].as_object().unwrap().len();
        let each: usize = sections.iter().map(fields).sum();
        assert_eq!(merged(&sections, "properties").len(), each);
    }
}
