//! The stream of events: what was stopped, and what happens.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use reqwest::Method;
use sentinel_api::{ClosedEvent, EventLine, SyncEvent};
use serde::de::DeserializeOwned;

use crate::sse::{Block, Parser};
use crate::{Client, Error};

/// A server sends something every 15 seconds, if only a heartbeat: one that is silent for longer
/// than this is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// Pause before a stream is opened again, when the server does not say how long.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

type Bytes = Pin<Box<dyn Stream<Item = Result<Vec<u8>, Error>> + Send>>;

/// An event, and where in the stream it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Streamed {
    /// Resumes the stream after this event.
    pub id: Option<String>,
    pub event: StreamEvent,
}

/// What a stream reports.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// The state of the kill switch: the first event, and again whenever events were missed.
    Sync(SyncEvent),
    /// Something happened.
    Event(EventLine<'static>),
    /// The server ends the stream, and says why.
    Closed(ClosedEvent),
}

/// A stream of events.
pub struct Events {
    client: Client,
    types: Option<String>,
    /// Of the last event, to go on after it.
    last_id: Option<String>,
    parser: Parser,
    ready: VecDeque<Block>,
    bytes: Option<Bytes>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("types", &self.types)
            .field("last_id", &self.last_id)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Opens the stream of events. `types` are those wanted, such as
    /// `kill_switch.*,policy.check.deny`, and all when it is `None`; `last_id` is the `id` of the
    /// last event received on an earlier stream.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn events(
        &self,
        types: Option<&str>,
        last_id: Option<&str>,
    ) -> Result<Events, Error> {
        let mut events = Events {
            client: self.clone(),
            types: types.map(str::to_owned),
            last_id: last_id.map(str::to_owned),
            parser: Parser::default(),
            ready: VecDeque::new(),
            bytes: None,
        };
        events.connect().await?;
        Ok(events)
    }
}

impl Events {
    /// `id` of the last event received.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next event; `None` when the server ended the stream.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection breaks or falls silent, or what it carries cannot be read. The stream is
    /// over then, as after `None`; [`Events::next_resumed`] opens it again.
    pub async fn next(&mut self) -> Result<Option<Streamed>, Error> {
        loop {
            if let Some(block) = self.ready.pop_front() {
                return self.read(block).map(Some);
            }
            let Some(bytes) = &mut self.bytes else { return Ok(None) };
            match tokio::time::timeout(SILENCE, bytes.next()).await {
                Ok(Some(Ok(part))) => match self.parser.take(&part) {
                    Ok(blocks) => self.ready.extend(blocks),
                    Err(_) => {
                        self.bytes = None;
                        return Err(malformed("a line is too long"));
                    }
                },
                Ok(Some(Err(error))) => {
                    self.bytes = None;
                    return Err(error);
                }
                Ok(None) => self.bytes = None,
                Err(_) => {
                    self.bytes = None;
                    let silence = SILENCE.as_secs();
                    return Err(Error::Interrupted(format!("nothing came for {silence} s")));
                }
            }
        }
    }

    /// The next event, however often the connection breaks: the stream is opened again after the
    /// last event received, after a pause that grows with each failure in a row. The first event
    /// afterwards is `sync`, which says whether events were missed.
    ///
    /// # Errors
    /// When going on makes no sense: the server refuses (a revoked key, for instance), or what it
    /// sends cannot be read.
    pub async fn next_resumed(&mut self) -> Result<Streamed, Error> {
        let mut pause = self.parser.retry.map_or(PAUSE, Duration::from_millis);
        loop {
            match self.next().await {
                Ok(Some(event)) => return Ok(event),
                Ok(None) | Err(Error::Interrupted(_) | Error::TimedOut { .. }) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause.min(MAX_PAUSE)).await;
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
            match self.connect().await {
                Ok(()) | Err(Error::Unreachable { .. } | Error::TimedOut { .. }) => {}
                Err(Error::Refused(problem)) if problem.status >= 500 || problem.status == 429 => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let client = &self.client;
        let mut request =
            client.request(Method::GET, &["v1", "events"], &[("types", self.types.clone())])?;
        if let Some(id) = &self.last_id {
            request = request.header("last-event-id", id);
        }
        let response = client.send_for_stream(request).await?;
        let client = client.clone();
        let bytes = response.bytes_stream().map(move |part| {
            part.map(|bytes| bytes.to_vec()).map_err(|error| client.interrupted(&error))
        });
        self.parser.restart();
        self.ready.clear();
        self.bytes = Some(Box::pin(bytes));
        Ok(())
    }

    fn read(&mut self, block: Block) -> Result<Streamed, Error> {
        let Block { id, event, data } = block;
        let event = match event.as_str() {
            "sync" => StreamEvent::Sync(parsed(&data)?),
            "closed" => StreamEvent::Closed(parsed(&data)?),
            _ => StreamEvent::Event(parsed(&data)?),
        };
        if id.is_some() {
            self.last_id.clone_from(&id);
        }
        Ok(Streamed { id, event })
    }
}

fn parsed<T: DeserializeOwned>(data: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(data).map_err(malformed)
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::malformed("a stream of events", cause)
}
