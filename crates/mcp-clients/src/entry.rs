//! One server in a configuration, and where in the text its parts are.

use std::ops::Range;

/// A server as the text of a configuration states it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The project that it belongs to, where one file holds those of several.
    pub(crate) scope: Option<String>,
    pub(crate) name: String,
    pub(crate) is_disabled: bool,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Stdio {
        command: Literal,
        /// Where the name of `command` begins.
        key: usize,
        args: Args,
    },
    Remote(String),
    /// It is part of the client, or of a kind that is not known.
    Other(String),
    /// It cannot be read; why.
    Broken(&'static str),
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// The client starts this command.
    Stdio(Vec<String>),
    /// The client connects to this address.
    Remote(String),
    /// Part of the client, or of a kind that is not known.
    Other(String),
    /// The entry cannot be read; why.
    Broken(&'static str),
}

/// A string, and the bytes that it is written with, quotes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) value: String,
    pub(crate) span: Range<usize>,
}

/// The arguments of a command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Args {
    /// There is no list. One is written in front of the command: `before` names it, `after`
    /// separates it from the command.
    Absent { before: String, after: String },
    /// A list in brackets; `open` is where its content begins, `key` where its name does.
    Flow { items: Vec<Literal>, open: usize, key: usize },
    /// A list with one item a line; each line begins with `indent`, the first at `start`.
    Block { items: Vec<Literal>, start: usize, indent: String },
}

impl Args {
    pub(crate) fn items(&self) -> &[Literal] {
        match self {
            Self::Absent { .. } => &[],
            Self::Flow { items, .. } | Self::Block { items, .. } => items,
        }
    }
}

impl Entry {
    /// How the server is reached, without the places in the text.
    pub(crate) fn transport(&self) -> Transport {
        match &self.kind {
            Kind::Stdio { command, args, .. } => {
                let args = args.items().iter().map(|item| item.value.clone());
                Transport::Stdio(std::iter::once(command.value.clone()).chain(args).collect())
            }
            Kind::Remote(url) => Transport::Remote(url.clone()),
            Kind::Other(kind) => Transport::Other(kind.clone()),
            Kind::Broken(reason) => Transport::Broken(reason),
        }
    }
}
