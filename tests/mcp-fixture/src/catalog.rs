//! What the server lists, and the results that are always the same, read from `catalog.json`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use rmcp::model::{
    CallToolResult, GetPromptResult, Prompt, Resource, ResourceContents, ResourceTemplate, Tool,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A red pixel.
const PNG: &str = concat!(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAA",
    "AADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
);
/// A header and no samples.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

#[derive(Debug, Deserialize)]
struct File {
    tools: Vec<Map<String, Value>>,
    odd_tools: Vec<Map<String, Value>>,
    prompts: Vec<Map<String, Value>>,
    resources: Vec<Resource>,
    resource_templates: Vec<ResourceTemplate>,
    contents: BTreeMap<String, Map<String, Value>>,
    forms: BTreeMap<String, Value>,
}

#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) tools: Vec<Tool>,
    pub(crate) prompts: Vec<Prompt>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) templates: Vec<ResourceTemplate>,
    /// JSON schemas of forms, by name.
    pub(crate) forms: BTreeMap<String, Value>,
    results: BTreeMap<String, CallToolResult>,
    messages: BTreeMap<String, GetPromptResult>,
    contents: BTreeMap<String, ResourceContents>,
}

impl Catalog {
    /// With `odd`, tools that misbehave are listed too.
    pub(crate) fn load(odd: bool) -> Result<Self> {
        let text = include_str!("catalog.json").replace("$PNG", PNG).replace("$WAV", WAV);
        let mut file: File = serde_json::from_str(&text).context("catalog.json")?;
        if odd {
            file.tools.append(&mut file.odd_tools);
        }
        for tool in &mut file.tools {
            tool.entry("inputSchema").or_insert(json!({ "type": "object", "properties": {} }));
        }
        let (tools, results) = split(file.tools)?;
        let (prompts, messages) = split(file.prompts)?;
        let contents = file.contents.into_iter().map(|(uri, mut content)| {
            content.insert("uri".to_owned(), Value::from(uri.as_str()));
            anyhow::Ok((uri, serde_json::from_value(Value::Object(content))?))
        });
        Ok(Self {
            tools,
            prompts,
            resources: file.resources,
            templates: file.resource_templates,
            forms: file.forms,
            results,
            messages,
            contents: contents.collect::<Result<_>>()?,
        })
    }

    pub(crate) fn result(&self, tool: &str) -> Option<CallToolResult> {
        self.results.get(tool).cloned()
    }

    pub(crate) fn messages(&self, prompt: &str) -> Option<GetPromptResult> {
        self.messages.get(prompt).cloned()
    }

    pub(crate) fn contents(&self, uri: &str) -> Option<ResourceContents> {
        if let Some(contents) = self.contents.get(uri) {
            return Some(contents.clone());
        }
        let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
        let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
        serde_json::from_value(json!({
            "uri": uri, "mimeType": "application/json", "text": data.to_string(),
        }))
        .ok()
    }
}

/// Splits each entry into its definition and its `result`.
fn split<D: DeserializeOwned, R: DeserializeOwned>(
    entries: Vec<Map<String, Value>>,
) -> Result<(Vec<D>, BTreeMap<String, R>)> {
    let mut definitions = Vec::new();
    let mut results = BTreeMap::new();
    for mut entry in entries {
        let name = entry.get("name").and_then(Value::as_str).context("no name")?.to_owned();
        if let Some(mut result) = entry.remove("result") {
            // The SDK leaves it out for legacy clients.
            if let Some(result) = result.as_object_mut() {
                result.insert("resultType".to_owned(), "complete".into());
            }
            results.insert(name.clone(), serde_json::from_value(result).context(name.clone())?);
        }
        definitions.push(serde_json::from_value(Value::Object(entry)).context(name)?);
    }
    Ok((definitions, results))
}
