//! `uuid.parse`, as the library reads that OPA uses.

use regorus::Value;

use super::function::{Outcome, Unsupported, string};

const NAME: &str = "uuid.parse";
/// From the first day of the calendar that these times count by, in steps of 100 ns.
const EPOCH: i64 = 0x01B2_1DD2_1381_4000;
/// Where the bytes are in the usual form.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

pub(super) fn parse(args: &[Value]) -> Outcome {
    let bytes = string(args.first()).and_then(bytes);
    let bytes = bytes.ok_or_else(|| Unsupported::argument(NAME))?;
    let mut found = Value::new_object();
    let fields = found.as_object_mut().map_err(|_| Unsupported::argument(NAME))?;
    for (name, value) in parts(bytes) {
        fields.insert(Value::from(name), value);
    }
    Ok(found)
}

/// In one of four forms. Of the one in braces, the braces are not looked at.
fn bytes(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    let usual = match text.len() {
        32 => return of_places(text, std::array::from_fn(|index| index * 2)),
        36 => text,
        38 => text.get(1..37)?,
        45 if text.get(..9)?.eq_ignore_ascii_case(b"urn:uuid:") => text.get(9..)?,
        _ => return None,
    };
    let dashes = [8, 13, 18, 23].into_iter().all(|place| usual.get(place) == Some(&b'-'));
    if dashes { of_places(usual, PLACES) } else { None }
}

fn of_places(text: &[u8], places: [usize; 16]) -> Option<[u8; 16]> {
    let digit = |place: usize| char::from(*text.get(place)?).to_digit(16);
    let mut bytes = [0; 16];
    for (byte, place) in bytes.iter_mut().zip(places) {
        *byte = u8::try_from(digit(place)? * 16 + digit(place + 1)?).ok()?;
    }
    Some(bytes)
}

fn parts(bytes: [u8; 16]) -> Vec<(&'static str, Value)> {
    let [a, b, c, d, e, f, g, h, i, j, node @ ..] = bytes;
    let version = g >> 4;
    let variant = match i {
        0x80..=0xbf => "RFC4122",
        0xc0..=0xdf => "Microsoft",
        0xe0.. => "Future",
        _ => "Reserved",
    };
    let mut parts =
        vec![("version", Value::from(u64::from(version))), ("variant", Value::from(variant))];
    if !matches!(version, 1 | 2) {
        return parts;
    }
    let [first, ..] = node;
    let cast = match first & 0b11 {
        0b11 => "local:multicast",
        0b01 => "global:multicast",
        0b10 => "local:unicast",
        _ => "global:unicast",
    };
    let steps = i64::from_be_bytes([g & 0x0f, h, e, f, a, b, c, d]);
    // Where it is too large for 64 bits, OPA goes on from the other end.
    let time = (steps - EPOCH).wrapping_mul(100);
    let node: Vec<String> = node.iter().map(|byte| format!("{byte:02x}")).collect();
    parts.extend([
        ("time", Value::from(time)),
        ("nodeid", Value::from(node.join("-"))),
        ("macvariables", Value::from(cast)),
        ("clocksequence", Value::from(u64::from(u16::from_be_bytes([i & 0x3f, j])))),
    ]);
    if version == 2 {
        let domain = match j {
            0 => "Person".to_owned(),
            1 => "Group".to_owned(),
            2 => "Org".to_owned(),
            other => format!("Domain{other}"),
        };
        let id = u64::from(u32::from_be_bytes([a, b, c, d]));
        parts.extend([("id", Value::from(id)), ("domain", Value::from(domain))]);
    }
    parts
}
