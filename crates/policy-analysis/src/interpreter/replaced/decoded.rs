//! `base64.decode`, `base64url.decode` and `hex.decode`. Bytes that are not text are an error: the
//! interpreter would put something else in their place, and OPA keeps them.

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regorus::Value;

use super::function::{Outcome, Unsupported, string};

pub(super) fn base64(args: &[Value]) -> Outcome {
    let name = "base64.decode";
    let text = string(args.first()).ok_or_else(|| Unsupported::argument(name))?;
    of_base64(name, text.to_owned(), &STANDARD)
}

/// With or without padding.
pub(super) fn base64url(args: &[Value]) -> Outcome {
    let name = "base64url.decode";
    let mut text = string(args.first()).ok_or_else(|| Unsupported::argument(name))?.to_owned();
    if !text.ends_with('=') {
        match text.len() % 4 {
            0 => {}
            2 => text.push_str("=="),
            3 => text.push('='),
            _ => return Err(Unsupported::argument(name)),
        }
    }
    of_base64(name, text, &URL_SAFE)
}

/// Go's decoder passes over the ends of lines, and does not look at bits that are left over.
fn of_base64(name: &'static str, mut text: String, alphabet: &Alphabet) -> Outcome {
    text.retain(|c| !matches!(c, '\r' | '\n'));
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let decoded = GeneralPurpose::new(alphabet, config).decode(text);
    utf8(name, decoded.map_err(|_| Unsupported::argument(name))?)
}

pub(super) fn hex(args: &[Value]) -> Outcome {
    let name = "hex.decode";
    let text = string(args.first()).ok_or_else(|| Unsupported::argument(name))?;
    utf8(name, ::hex::decode(text).map_err(|_| Unsupported::argument(name))?)
}

fn utf8(name: &'static str, bytes: Vec<u8>) -> Outcome {
    let text = String::from_utf8(bytes);
    text.map(Value::from).map_err(|_| Unsupported::new(name, "what it decodes is not text"))
}
