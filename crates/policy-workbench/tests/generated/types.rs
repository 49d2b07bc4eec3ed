//! The types of generated expressions: coarse, but enough that OPA's type checker has nothing
//! against them.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Number,
    Text,
    Flag,
    Texts,
    Numbers,
    TextSet,
    NumberSet,
    /// From texts to numbers.
    Counts,
    /// From texts to texts.
    Labels,
    /// Objects in objects and arrays.
    Tree,
    /// Anything: what callers put into the input, and results that are not looked into.
    Any,
}

use Type::{Any, Counts, Flag, Labels, Number, NumberSet, Numbers, Text, TextSet, Texts, Tree};

pub(crate) const ALL: &[Type] = &[
    Number, Number, Text, Text, Flag, Texts, Numbers, TextSet, NumberSet, Counts, Labels, Tree, Any,
];
pub(crate) const COLLECTIONS: &[Type] =
    &[Texts, Texts, Numbers, TextSet, NumberSet, Counts, Labels, Tree];

impl Type {
    /// Of the values in a collection.
    pub(crate) fn element(self) -> Self {
        match self {
            Texts | TextSet | Labels => Text,
            Numbers | NumberSet | Counts => Number,
            Number | Text | Flag | Tree | Any => Any,
        }
    }

    /// Of the keys of a collection.
    pub(crate) fn key(self) -> Self {
        match self {
            Texts | Numbers => Number,
            NumberSet => Number,
            TextSet | Counts | Labels | Tree => Text,
            Number | Text | Flag | Any => Any,
        }
    }

    /// Fields of the input that have it, when the caller is right.
    pub(crate) fn fields(self) -> &'static [&'static str] {
        match self {
            Number => &[
                "input.usage",
                "input.context.n",
                "input.context.m",
                "input.arguments.amount",
                "input.context.counts.a",
                "input.context.numbers[0]",
                "input.tool_record.metadata.tier",
                "input[\"context\"].n",
                "input.context[\"m\"]",
            ],
            Text => &[
                "input.tenant",
                "input.tool",
                "input.action",
                "input.purpose",
                "input.agent",
                "input.context.s",
                "input.context.t",
                "input.context.path",
                "input.arguments.query",
                "input.context.labels.a",
                "input.principal.roles[0]",
                "input.tool_record.owner",
                "input.context[\"s\"]",
            ],
            Flag => &["input.context.flag", "input.arguments.force", "input.context.off"],
            Texts => &["input.context.names", "input.principal.roles", "input.tool_record.scopes"],
            Numbers => &["input.context.numbers", "input.arguments.amounts"],
            TextSet | NumberSet => &[],
            Counts => &["input.context.counts", "input.arguments.counts"],
            Labels => &["input.context.labels"],
            Tree => &["input.context.tree", "input.tool_record.metadata", "input.context"],
            Any => &["input.context.any", "input.arguments.any", "input.context.tree.x"],
        }
    }

    /// Places in the data that have it, mostly.
    pub(crate) fn places(self) -> &'static [&'static str] {
        match self {
            Number => &["§.limits.ledger", "§.limits[input.tool]", "§.ceiling", "§.tree.x.n"],
            Text => &["§.owner", "§.labels[input.tenant]", "§.names[0]", "§.tree.x.s"],
            Flag => &["§.allowlist[input.tenant][input.tool]", "§.enabled", "§.tree.x.flag"],
            Texts => &["§.names", "§.teams[input.tenant]", "§.tree.x.names"],
            Numbers => &["§.numbers", "§.tree.x.numbers"],
            TextSet | NumberSet => &[],
            Counts => &["§.limits", "§.tree.x.counts"],
            Labels => &["§.labels"],
            Tree => &["§.tree", "§.tree.x", "§.empty"],
            Any => &["§.odd", "§.tree.x.any", "§.limits[input.context.any]"],
        }
    }

    /// Written out. Fractions are halves and quarters: OPA calculates with more digits than the
    /// engine, so that others differ in their last digits, as do integers of more than 53 bits.
    pub(crate) fn literals(self) -> &'static [&'static str] {
        match self {
            Number => {
                &["0", "1", "2", "3", "5", "10", "100", "-1", "-3", "1.5", "0.5", "2.25", "7"]
            }
            Text => &[
                "\"a\"",
                "\"b\"",
                "\"ab\"",
                "\"abc\"",
                "\"\"",
                "\"read\"",
                "\"write\"",
                "\"ledger\"",
                "\"acme\"",
                "\"/srv/a\"",
                "\"a.b.c\"",
                "\"Ä b\"",
                "\"a,b,c\"",
                "\"10\"",
                "`raw`",
                "\"x-y\"",
                "\"a\\nb\"",
                "\"docs\"",
                "\"call\"",
            ],
            Flag => &["true", "false", "true"],
            Texts => &[
                "[\"a\", \"b\"]",
                "[]",
                "[\"read\", \"write\", \"a\"]",
                "[\"ledger\", \"docs\"]",
                "[\"b\", \"a\", \"b\"]",
            ],
            Numbers => &["[1, 2, 3]", "[]", "[0.5, 10, -1]", "[3, 1, 2, 1]", "[100]"],
            TextSet => &["{\"a\", \"b\"}", "set()", "{\"read\", \"ledger\"}", "{\"abc\"}"],
            NumberSet => &["{1, 2, 3}", "set()", "{0.5, 10}", "{7}"],
            Counts => &["{\"a\": 1, \"b\": 2}", "{}", "{\"ledger\": 10}", "{\"a\": 0.5, \"x\": 3}"],
            Labels => &["{\"a\": \"b\"}", "{}", "{\"acme\": \"a\", \"x\": \"y\"}"],
            Tree => &[
                "{\"x\": {\"n\": 1, \"names\": [\"a\", \"b\"]}}",
                "{\"a\": [1, {\"b\": \"c\"}], \"d\": null}",
                "{\"x\": {\"y\": {\"z\": true}}}",
            ],
            Any => &["1", "\"a\"", "null", "[1]", "{\"a\": 1}", "false", "{1, \"a\"}"],
        }
    }
}
