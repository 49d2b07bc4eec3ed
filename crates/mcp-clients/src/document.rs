//! The text of one configuration, and the edits of it.

use crate::client::Location;
use crate::entry::{Entry, Kind, Transport};
use crate::error::Error;
use crate::splice::{Wrapper, apply, govern, inner, ungovern};

/// Where a byte order mark ends, if the text begins with one.
const BOM: &str = "\u{feff}";

/// A configuration that could be read.
#[derive(Debug, Clone)]
pub struct Document {
    location: Location,
    has_bom: bool,
    text: String,
    entries: Vec<Entry>,
}

/// A server of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub name: String,
    /// The project that it belongs to, where one file holds those of several.
    pub scope: Option<String>,
    pub is_disabled: bool,
    pub state: State,
}

/// Whether a server is governed, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// `sentinel mcp wrap` is in front of this command.
    Governed(Vec<String>),
    Ungoverned(Transport),
}

impl Document {
    /// Reads a configuration.
    ///
    /// # Errors
    /// When it is not of the format of the location, or names are in it twice.
    pub fn read(location: Location, text: &str) -> Result<Self, Error> {
        let has_bom = text.starts_with(BOM);
        let text = text.strip_prefix(BOM).unwrap_or(text).to_owned();
        let entries = location.format.entries(&location.shape, &text)?;
        Ok(Self { location, has_bom, text, entries })
    }

    /// The servers, in the order of the text.
    #[must_use]
    pub fn servers(&self) -> Vec<Server> {
        self.entries.iter().map(server).collect()
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> String {
        if self.has_bom { format!("{BOM}{}", self.text) } else { self.text.clone() }
    }

    /// The document with this server behind `wrapper`. One that is governed stays as it is.
    ///
    /// # Errors
    /// When there is no such server, or it is not a command that can be edited.
    pub fn govern(&self, server: &Server, wrapper: &Wrapper) -> Result<Self, Error> {
        let (at, entry) = self.entry(server)?;
        if matches!(state(entry), State::Governed(_)) {
            return Ok(self.clone());
        }
        let Transport::Stdio(command) = entry.transport() else {
            return Err(Error::entry(&entry.name, reason(entry)));
        };
        let edits = govern(&self.text, entry, wrapper, self.location.format.is_yaml())?;
        self.edited(at, apply(&self.text, edits), &State::Governed(command))
    }

    /// The document with this server as it was before it was governed. One that is not governed
    /// stays as it is.
    ///
    /// # Errors
    /// When there is no such server, or it cannot be edited.
    pub fn ungovern(&self, server: &Server) -> Result<Self, Error> {
        let (at, entry) = self.entry(server)?;
        let State::Governed(command) = state(entry) else { return Ok(self.clone()) };
        let text = apply(&self.text, ungovern(&self.text, entry)?);
        self.edited(at, text, &State::Ungoverned(Transport::Stdio(command)))
    }

    fn entry(&self, server: &Server) -> Result<(usize, &Entry), Error> {
        let mut entries = self.entries.iter().enumerate();
        let is_it = |entry: &Entry| entry.name == server.name && entry.scope == server.scope;
        let found = entries.find(|(_, entry)| is_it(entry));
        found.ok_or_else(|| Error::UnknownServer(server.name.clone()))
    }

    /// The edited text, read again: the one server must now be as wanted, and all others as before.
    fn edited(&self, at: usize, text: String, wanted: &State) -> Result<Self, Error> {
        let entries = self.location.format.entries(&self.location.shape, &text)?;
        let is_as_meant = entries.len() == self.entries.len()
            && self.entries.iter().zip(&entries).enumerate().all(|(index, (old, new))| {
                let (old, new) = (server(old), server(new));
                let state = if index == at { wanted } else { &old.state };
                new.state == *state
                    && (new.name, new.scope, new.is_disabled)
                        == (old.name, old.scope, old.is_disabled)
            });
        if !is_as_meant {
            let name = self.entries.get(at).map(|entry| entry.name.clone()).unwrap_or_default();
            return Err(Error::entry(&name, "its layout is not one that can be edited safely"));
        }
        Ok(Self { text, entries, ..self.clone() })
    }
}

fn server(entry: &Entry) -> Server {
    Server {
        name: entry.name.clone(),
        scope: entry.scope.clone(),
        is_disabled: entry.is_disabled,
        state: state(entry),
    }
}

fn state(entry: &Entry) -> State {
    if let Kind::Stdio { command, args, .. } = &entry.kind
        && let Some(at) = inner(&command.value, args.items())
    {
        let own = args.items().iter().skip(at).map(|item| item.value.clone());
        return State::Governed(own.collect());
    }
    State::Ungoverned(entry.transport())
}

fn reason(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::Remote(_) => "it is reached over the network, not started by the client",
        Kind::Broken(reason) => reason,
        _ => "it is not a command that the client starts",
    }
}
