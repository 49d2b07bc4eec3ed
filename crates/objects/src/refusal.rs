//! What an object storage says when it refuses.

use std::error::Error;

/// The refusal in one line: the code and the message of an answer in XML, which also repeats the
/// request, or the cause at the bottom, as a request that could not be sent says why only there.
#[must_use]
pub fn told(error: &object_store::Error) -> String {
    let text = error.to_string();
    if let (Some(code), Some(message)) = (tag(&text, "Code"), tag(&text, "Message")) {
        let before = text.split("<?xml").next().and_then(|text| text.split("<Error>").next());
        let before = before.unwrap_or_default().trim_end();
        return format!("{before} `{code}`: {message}");
    }
    let mut cause = error.source();
    while let Some(next) = cause.and_then(Error::source) {
        cause = Some(next);
    }
    match cause.map(ToString::to_string) {
        Some(cause) if !text.contains(&cause) => format!("{text}: {cause}"),
        _ => text,
    }
}

/// Whether it is the object that is not there. A bucket that does not exist gives 404,
/// too, and says nothing about what was archived.
#[must_use]
pub fn is_absence(error: &object_store::Error) -> bool {
    let object_store::Error::NotFound { source, .. } = error else { return false };
    let text = source.to_string();
    tag(&text, "Code").is_none_or(|code| code == "NoSuchKey")
}

/// The content of the first element of this name.
fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(content, _)| content)
}
