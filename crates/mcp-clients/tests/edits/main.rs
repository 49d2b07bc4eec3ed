//! The edits of configurations: for each client a file as it has it, and generated ones of each
//! format.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod clients;
mod files;
mod generated;
mod refused;

use sentinel_mcp_clients::{Client, Document, Location, Server, State, Transport, Wrapper};

fn wrapper() -> Wrapper {
    Wrapper {
        program: "/opt/sentinel/bin/sentinel".into(),
        options: vec!["--server".into(), "a \"b\"".into()],
    }
}

fn location(client: &str) -> Location {
    Client::find(client).unwrap().locations[0]
}

fn read(client: &str, text: &str) -> Document {
    Document::read(location(client), text).unwrap()
}

/// Every server that can be governed is.
fn govern_all(document: &Document) -> Document {
    document.servers().iter().fold(document.clone(), |document, server| match &server.state {
        State::Ungoverned(Transport::Stdio(_)) => document.govern(server, &wrapper()).unwrap(),
        _ => document,
    })
}

fn ungovern_all(document: &Document) -> Document {
    document
        .servers()
        .iter()
        .fold(document.clone(), |document, server| document.ungovern(server).unwrap())
}

/// The server's own command, whether it is governed or not.
fn own_command(server: &Server) -> Option<&[String]> {
    match &server.state {
        State::Governed(command) | State::Ungoverned(Transport::Stdio(command)) => Some(command),
        State::Ungoverned(_) => None,
    }
}

/// Governs every server of `text`, checks that each still has its command, and undoes it.
#[track_caller]
fn round_trip(client: &str, text: &str) -> String {
    let before = read(client, text);
    for server in before.servers() {
        // One that cannot be read would pass all that follows.
        let is_broken = matches!(server.state, State::Ungoverned(Transport::Broken(_)));
        assert!(!is_broken, "{server:?} in {text}");
    }
    let governed = govern_all(&before);
    for (old, new) in before.servers().iter().zip(governed.servers()) {
        assert_eq!(own_command(old), own_command(&new), "{}", governed.text());
        let is_governed = matches!(new.state, State::Governed(_));
        assert_eq!(is_governed, own_command(old).is_some(), "{}", governed.text());
    }
    // Read again from the text alone, as a later run does.
    let again = read(client, &governed.text());
    assert_eq!(again.servers(), governed.servers());
    assert_eq!(govern_all(&again).text(), governed.text(), "governing twice changed something");
    assert_eq!(ungovern_all(&again).text(), text, "after {}", governed.text());
    governed.text()
}
