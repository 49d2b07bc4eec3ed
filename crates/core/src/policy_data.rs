//! Policy data that people put beside what the policy's source brings: a document of its own, which
//! is changed while servers run.
//!
//! It is kept as entries, each a value at a path, none of which is inside another. A change is
//! worked out here, against the version it is based on; a store only checks that this is still the
//! version, and writes the entries that differ.

use std::fmt;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::json;
use crate::name::is_deceptive;

/// Where a value is: the names of the objects that lead to it, at least one. Its text is a JSON
/// pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataPath(Vec<String>);

/// Why a text is not a path of data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDataPath {
    #[error("a path of data names something: `/limits/search`")]
    Empty,
    #[error("a path of data has at most {} parts", DataPath::MAX_PARTS)]
    TooDeep,
    #[error("a part of a path of data has 1 to {} bytes", DataPath::MAX_PART)]
    Length,
    #[error("a part of a path of data hides no characters, and is not `.` or `..`")]
    Characters,
    #[error("the path is not written as it should be: {0}")]
    Syntax(&'static str),
}

impl DataPath {
    pub const MAX_PARTS: usize = 16;
    /// Of one part, in bytes.
    pub const MAX_PART: usize = 256;

    /// # Errors
    /// When there are no parts or too many, or one of them is unusable.
    pub fn new(parts: Vec<String>) -> Result<Self, BadDataPath> {
        if parts.is_empty() {
            return Err(BadDataPath::Empty);
        }
        if parts.len() > Self::MAX_PARTS {
            return Err(BadDataPath::TooDeep);
        }
        for part in &parts {
            if part.is_empty() || part.len() > Self::MAX_PART {
                return Err(BadDataPath::Length);
            }
            // Clients and proxies take the dots out of an address, and would name another place.
            let hidden = |c: char| c.is_control() || is_deceptive(c);
            if part.chars().any(hidden) || matches!(part.as_str(), "." | "..") {
                return Err(BadDataPath::Characters);
            }
        }
        Ok(Self(parts))
    }

    /// Reads the path as it is written in an address, `limits/search%2Fv2`: a part may hold a
    /// slash, so the parts are told apart before they are decoded.
    ///
    /// # Errors
    /// As [`DataPath::new`], and when it is not UTF-8 in percent encoding.
    pub fn from_address(raw: &str) -> Result<Self, BadDataPath> {
        Self::new(raw.split('/').map(decoded).collect::<Result<_, _>>()?)
    }

    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// Whether `other` is this path or below it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The paths above this one, the nearest last.
    pub fn above(&self) -> impl Iterator<Item = Self> {
        (1..self.0.len()).filter_map(|length| Some(Self(self.0.get(..length)?.to_vec())))
    }
}

fn decoded(part: &str) -> Result<String, BadDataPath> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next()), digit(rest.next()));
        let value = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(value.ok_or(BadDataPath::Syntax("`%` takes two hexadecimal digits"))?);
    }
    String::from_utf8(bytes).map_err(|_| BadDataPath::Syntax("it is not UTF-8"))
}

impl fmt::Display for DataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| {
            f.write_str("/")?;
            f.write_str(&part.replace('~', "~0").replace('/', "~1"))
        })
    }
}

impl std::str::FromStr for DataPath {
    type Err = BadDataPath;

    fn from_str(text: &str) -> Result<Self, BadDataPath> {
        let parts = text.strip_prefix('/').ok_or(BadDataPath::Syntax("it begins with `/`"))?;
        let unescaped = |part: &str| {
            let bare = part.replace("~0", "").replace("~1", "");
            if bare.contains('~') {
                return Err(BadDataPath::Syntax("`~` is written `~0`, and `/` in a name `~1`"));
            }
            Ok(part.replace("~1", "/").replace("~0", "~"))
        };
        Self::new(parts.split('/').map(unescaped).collect::<Result<_, _>>()?)
    }
}

impl serde::Serialize for DataPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for DataPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A value, and how large it is.
#[derive(Debug, Clone, PartialEq)]
pub struct DataEntry {
    value: Value,
    /// As JSON.
    bytes: usize,
}

impl DataEntry {
    #[must_use]
    pub fn new(value: Value) -> Self {
        let bytes = serde_json::to_vec(&value).map_or(usize::MAX, |json| json.len());
        Self { value, bytes }
    }

    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }
}

/// What tells a value from another: 128 bits of the SHA-256 of its canonical form, in hex.
#[must_use]
pub fn tag_of(value: &Value) -> String {
    let digest = Sha256::digest(json::canonical(value));
    hex::encode(digest.get(..16).unwrap_or(&digest))
}

/// Entries as they are after a change; `None` where there is none any more.
pub type DataEntries = Vec<(DataPath, Option<Arc<DataEntry>>)>;

/// One version of the data that was put. Persistent: a change copies what it touches.
#[derive(Debug, Clone, Default)]
pub struct PolicyData {
    version: u64,
    entries: RedBlackTreeMapSync<DataPath, Arc<DataEntry>>,
}

/// Why data cannot be changed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    #[error("`{0}` is not an object, so nothing can be below it")]
    NotAnObject(DataPath),
    #[error("there is no data at `{0}` that was put there")]
    Absent(DataPath),
    #[error(
        "there are at most {} values, and {} bytes of them in all",
        PolicyData::MAX_ENTRIES,
        PolicyData::MAX_BYTES
    )]
    Full,
}

impl PolicyData {
    pub const MAX_ENTRIES: usize = 10_000;
    /// All of it, as JSON.
    pub const MAX_BYTES: usize = 16 * 1024 * 1024;

    /// How many changes led here.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    pub fn entries(&self) -> impl Iterator<Item = (&DataPath, &Arc<DataEntry>)> {
        self.entries.iter()
    }

    /// The value at `path`; values below it make up an object.
    #[must_use]
    pub fn get(&self, path: &DataPath) -> Option<Value> {
        if let Some((above, entry)) = self.holding(path) {
            let rest = path.parts().get(above.parts().len()..)?;
            return rest.iter().try_fold(entry.value(), |at, name| at.get(name)).cloned();
        }
        let mut found = None::<Map<String, Value>>;
        for (below, entry) in self.below(path) {
            let rest = below.parts().get(path.parts().len()..)?;
            set(found.get_or_insert_default(), rest, entry.value());
        }
        found.map(Value::Object)
    }

    /// All of it.
    #[must_use]
    pub fn document(&self) -> Map<String, Value> {
        let mut document = Map::new();
        for (path, entry) in self.entries() {
            set(&mut document, path.parts(), entry.value());
        }
        document
    }

    /// The entries that change when `value` is put at `path`.
    ///
    /// # Errors
    /// When something above it is not an object, or it is too much.
    pub fn put(&self, path: &DataPath, value: Value) -> Result<DataEntries, DataError> {
        let mut changed: DataEntries = self
            .below(path)
            .filter(|(at, _)| *at != path)
            .map(|(at, _)| (at.clone(), None))
            .collect();
        let (at, value) = match self.holding(path).filter(|(at, _)| *at != path) {
            None => (path.clone(), value),
            Some((at, entry)) => {
                let rest = path.parts().get(at.parts().len()..).unwrap_or_default();
                let mut all = entry.value().clone();
                put_within(&mut all, rest, value)
                    .map_err(|depth| DataError::NotAnObject(cut(path, at.parts().len() + depth)))?;
                (at.clone(), all)
            }
        };
        changed.push((at, Some(Arc::new(DataEntry::new(value)))));
        self.fits(&changed)?;
        Ok(changed)
    }

    /// The entries that change when what is at `path` and below it is removed.
    ///
    /// # Errors
    /// When nothing is there.
    pub fn remove(&self, path: &DataPath) -> Result<DataEntries, DataError> {
        let absent = || DataError::Absent(path.clone());
        match self.holding(path).filter(|(at, _)| *at != path) {
            None => {
                let gone: DataEntries =
                    self.below(path).map(|(at, _)| (at.clone(), None)).collect();
                if gone.is_empty() { Err(absent()) } else { Ok(gone) }
            }
            Some((at, entry)) => {
                let rest = path.parts().get(at.parts().len()..).unwrap_or_default();
                let (last, within) = rest.split_last().ok_or_else(absent)?;
                let mut all = entry.value().clone();
                let object = within.iter().try_fold(&mut all, |at, name| at.get_mut(name));
                let object = object.and_then(Value::as_object_mut).ok_or_else(absent)?;
                object.remove(last).ok_or_else(absent)?;
                Ok(vec![(at.clone(), Some(Arc::new(DataEntry::new(all))))])
            }
        }
    }

    /// The data after a change that made it `version`.
    #[must_use]
    pub fn after(&self, version: u64, changed: DataEntries) -> Self {
        let mut entries = self.entries.clone();
        for (path, entry) in changed {
            match entry {
                Some(entry) => entries.insert_mut(path, entry),
                None => drop(entries.remove_mut(&path)),
            }
        }
        Self { version: version.max(self.version), entries }
    }

    fn fits(&self, changed: &DataEntries) -> Result<(), DataError> {
        let after = self.after(self.version, changed.clone());
        let bytes =
            after.entries().fold(0_usize, |sum, (_, entry)| sum.saturating_add(entry.bytes));
        let fits = after.entries.size() <= Self::MAX_ENTRIES && bytes <= Self::MAX_BYTES;
        if fits { Ok(()) } else { Err(DataError::Full) }
    }

    /// The entry at `path`, or the one that contains it.
    fn holding(&self, path: &DataPath) -> Option<(&DataPath, &Arc<DataEntry>)> {
        let mut above = path.above().chain([path.clone()]);
        above.find_map(|path| self.entries.get_key_value(&path))
    }

    /// The entries at `path` and below it.
    fn below(&self, path: &DataPath) -> impl Iterator<Item = (&DataPath, &Arc<DataEntry>)> {
        self.entries.range(path.clone()..).take_while(move |(at, _)| path.covers(at))
    }
}

fn cut(path: &DataPath, length: usize) -> DataPath {
    DataPath(path.0.get(..length).unwrap_or(&path.0).to_vec())
}

/// Sets a place in an object; what is not an object on the way is replaced by one.
fn set(object: &mut Map<String, Value>, path: &[String], value: &Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.insert(first.clone(), value.clone());
        return;
    }
    let inner = object.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        set(inner, rest, value);
    }
}

/// Sets a place within a value. The error is the depth of what is not an object.
fn put_within(all: &mut Value, path: &[String], value: Value) -> Result<(), usize> {
    let mut at = all;
    for (depth, name) in path.iter().enumerate() {
        let object = at.as_object_mut().ok_or(depth)?;
        let last = depth + 1 == path.len();
        let fresh = || if last { Value::Null } else { Value::Object(Map::new()) };
        at = object.entry(name.clone()).or_insert_with(fresh);
    }
    *at = value;
    Ok(())
}

#[cfg(test)]
mod tests;
