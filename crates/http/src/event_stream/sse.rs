//! What a subscriber hears, as server-sent events.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::{Heard, Message};

/// Milliseconds after which a client that lost its stream connects again.
const RETRY: u32 = 1000;

/// The body of the response.
pub(crate) fn body(
    heard: impl Stream<Item = Heard>,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    // Belongs to the block of the first event, since no empty line follows.
    let retry = futures::stream::once(std::future::ready(format!("retry: {RETRY}\n").into()));
    retry.chain(heard.map(bytes)).map(Ok)
}

fn bytes(heard: Heard) -> Bytes {
    match heard {
        Heard::Messages(messages) => messages.iter().map(block).collect::<String>().into(),
        Heard::Heartbeat => Bytes::from_static(b": heartbeat\n\n"),
        Heard::Closed(closing) => block(&closing.message()).into(),
    }
}

/// JSON has no line breaks, so one `data` line holds it.
fn block(Message { id, name, data }: &Message) -> String {
    match id {
        Some(id) => format!("id: {id}\nevent: {name}\ndata: {data}\n\n"),
        None => format!("event: {name}\ndata: {data}\n\n"),
    }
}
