use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::json;
use tokio_util::codec::{Decoder, Encoder};

use super::lines::{Line, Lines};
use super::sse::{Event, KEEP_ALIVE, SseDecoder, SseError};
use crate::jsonrpc::{Id, LIMITS, Message, Notification, Request};

/// Feeds `bytes` in pieces that end at `cuts`.
fn read<D: Decoder>(
    decoder: &mut D,
    bytes: &[u8],
    cuts: &[usize],
) -> Result<Vec<D::Item>, D::Error> {
    let mut buffer = BytesMut::new();
    let mut items = Vec::new();
    let mut from = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    for end in ends {
        buffer.extend_from_slice(&bytes[from..end]);
        from = end;
        while let Some(item) = decoder.decode(&mut buffer)? {
            items.push(item);
        }
    }
    while let Some(item) = decoder.decode_eof(&mut buffer)? {
        items.push(item);
    }
    assert!(buffer.is_empty(), "nothing remains");
    Ok(items)
}

fn every_cut(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).collect()
}

fn ping(id: i64) -> Message {
    let params = json!({ "ü": "line\nend" }).as_object().cloned().unwrap();
    Request { id: Id::Integer(id), method: "ping".to_owned(), params }.into()
}

#[test]
fn junk_between_messages_is_told_apart() {
    let mut bytes = b"Server listening\r\n\n  \n".to_vec();
    bytes.extend(ping(1).to_bytes());
    bytes.extend(b"\r\n\xff\xfe\n[]\n");
    bytes.extend(ping(2).to_bytes());
    for cuts in [vec![], every_cut(&bytes)] {
        let lines = read(&mut Lines::default(), &bytes, &cuts).unwrap();
        assert!(matches!(lines[0], Line::Malformed(_)));
        assert_eq!(lines[1], Line::Message(ping(1)));
        assert!(matches!(lines[2], Line::Malformed(_)));
        assert!(matches!(lines[3], Line::Malformed(_)));
        assert_eq!(lines[4], Line::Message(ping(2)), "the last line needs no end");
        assert_eq!(lines.len(), 5);
    }
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_the_next_one_is_read() {
    let limits = sentinel_core::json::Limits { max_bytes: 100, ..LIMITS };
    let mut bytes = vec![b'x'; 101];
    bytes.push(b'\n');
    bytes.extend(ping(1).to_bytes());
    bytes.push(b'\n');
    bytes.extend(vec![b'y'; 1000]);
    for cuts in [vec![], every_cut(&bytes)] {
        let lines = read(&mut Lines::new(limits), &bytes, &cuts).unwrap();
        assert_eq!(lines, [Line::TooLong, Line::Message(ping(1)), Line::TooLong]);
    }
}

#[test]
fn a_line_without_an_end_does_not_fill_the_memory() {
    let mut lines = Lines::default();
    let mut buffer = BytesMut::new();
    for _ in 0..100 {
        buffer.extend_from_slice(&vec![b'x'; 1024 * 1024]);
        assert!(lines.decode(&mut buffer).unwrap().is_none());
        assert!(buffer.len() <= LIMITS.max_bytes + 1024 * 1024);
    }
}

fn events(bytes: &[u8], cuts: &[usize]) -> Vec<Event> {
    read(&mut SseDecoder::default(), bytes, cuts).unwrap()
}

#[test]
fn reads_events_as_the_standard_says() {
    let streams: [&[u8]; 4] = [
        b"\xef\xbb\xbf: comment\nid: 7\nretry: 1500\nevent: message\ndata: a\ndata:b\n\ndata\n\nid\n\n",
        b"\xef\xbb\xbf:\r\nid:7\r\nretry:1500\r\nevent:message\r\ndata:a\r\ndata: b\r\n\r\ndata:\r\n\r\nid:\r\n\r\n",
        b"id: 7\rretry: 1500\revent: message\rdata: a\rdata: b\r\rdata: \r\rid: \r\r",
        b"id: 6\nid: 7\nid: n\0ul\nretry: 1x\nretry: 1500\nevent: x\nevent: message\nother: 1\ndata: a\n: c\ndata: b\n\r\ndata: \n\nid:\n\ndata: cut off\n",
    ];
    for stream in streams {
        for cuts in [vec![], every_cut(stream)] {
            let events = events(stream, &cuts);
            let first = Event {
                event: Some("message".to_owned()),
                id: Some("7".to_owned()),
                retry: Some(1500),
                data: Some(Bytes::from_static(b"a\nb")),
            };
            let reset = Event { id: Some(String::new()), ..Event::default() };
            assert_eq!(events, [first, Event::message(""), reset], "{}", stream.escape_ascii());
        }
    }
}

#[test]
fn a_character_that_is_split_over_chunks_arrives_whole() {
    let message = Message::from(Notification {
        method: "notifications/message".to_owned(),
        params: json!({ "data": "ä€😀" }).as_object().cloned().unwrap(),
    });
    let bytes = Event::message(message.to_bytes()).to_bytes();
    let events = events(&bytes, &every_cut(&bytes));
    assert_eq!(events[0].data.as_deref(), Some(message.to_bytes().as_slice()));
}

#[test]
fn an_event_that_is_too_large_ends_the_stream() {
    let long_line = vec![b'x'; 200];
    let many_lines = b"data: x\n".repeat(50);
    let empty_lines = b"data\n".repeat(50);
    let other_fields = b"event: abc\n".repeat(50);
    for stream in [long_line, many_lines, empty_lines, other_fields] {
        for cuts in [vec![], every_cut(&stream)] {
            let read = read(&mut SseDecoder::new(100), &stream, &cuts);
            assert!(matches!(read, Err(SseError::TooLarge { limit: 100 })));
        }
    }
    let comments = [KEEP_ALIVE.repeat(1000), b": ping\n".repeat(1000)].concat();
    let read = read(&mut SseDecoder::new(100), &comments, &[]).unwrap();
    assert!(read.is_empty(), "comments keep a stream open as long as it likes");
}

#[test]
fn fields_cannot_be_smuggled_into_an_event() {
    let event = Event {
        event: Some("a\ndata: b".to_owned()),
        id: Some("1\r\n\r\ndata: c".to_owned()),
        retry: None,
        data: Some(Bytes::from_static(b"x\rid: 9\n\nevent: y")),
    };
    let read = events(&event.to_bytes(), &[]);
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].event.as_deref(), Some("adata: b"));
    assert_eq!(read[0].id.as_deref(), Some("1data: c"));
    assert_eq!(read[0].data.as_deref(), Some(b"x\nid: 9\n\nevent: y".as_slice()));
}

fn event() -> impl Strategy<Value = Event> {
    let text = "[^\r\n\0]{0,12}";
    let data = prop::collection::vec(any::<u8>().prop_filter("CR", |byte| *byte != b'\r'), 0..60);
    (prop::option::of(text), prop::option::of(text), prop::option::of(any::<u64>()), data)
        .prop_map(|(event, id, retry, data)| Event { event, id, retry, data: Some(data.into()) })
}

proptest! {
    #[test]
    fn events_survive_writing_and_any_chunks(
        events in prop::collection::vec(event(), 0..5),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut bytes = BytesMut::new();
        for event in &events {
            event.write(&mut bytes);
            bytes.extend_from_slice(KEEP_ALIVE);
        }
        let read = read(&mut SseDecoder::default(), &bytes, &cuts).unwrap();
        prop_assert_eq!(read, events);
    }

    #[test]
    fn chunks_do_not_change_what_is_read(
        bytes in prop::collection::vec(prop::sample::select(b"data: id\r\n\0x\xff".to_vec()), 0..200),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let whole = read(&mut SseDecoder::new(50), &bytes, &[]).ok();
        let pieces = read(&mut SseDecoder::new(50), &bytes, &cuts).ok();
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn messages_survive_lines_and_any_chunks(
        ids in prop::collection::vec(any::<i64>(), 0..6),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut bytes = BytesMut::new();
        for id in &ids {
            Lines::default().encode(&ping(*id), &mut bytes).unwrap();
        }
        let read = read(&mut Lines::default(), &bytes, &cuts).unwrap();
        let expected: Vec<Line> = ids.into_iter().map(|id| Line::Message(ping(id))).collect();
        prop_assert_eq!(read, expected);
    }
}
