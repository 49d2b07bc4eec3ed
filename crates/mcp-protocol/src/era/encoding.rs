//! Values of the headers `Mcp-Name` and `Mcp-Param-*`: plain where a header can carry the text as
//! it is, otherwise `=?base64?…?=`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// The header value for `text`. Decoding it gives `text` again, whatever it contains.
#[must_use]
pub fn encode(text: &str) -> Cow<'_, str> {
    // A proxy may trim the blanks around a value, and a plain text may look like an encoded one.
    let padded = text.starts_with(' ') || text.ends_with(' ');
    let ambiguous = text.starts_with(PREFIX) && text.ends_with(SUFFIX);
    if padded || ambiguous || !text.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        Cow::Owned(format!("{PREFIX}{}{SUFFIX}", STANDARD.encode(text)))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text of a header value; `None` when it claims to be encoded and cannot be decoded.
#[must_use]
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    let Some(encoded) = value.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX))
    else {
        return Some(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
