//! A server that is a child process, spoken to on its standard input and output.
//!
//! Each child has a process group of its own, and it is the group that is ended: a server that is
//! started by a shell or a package runner is a grandchild. A process that leaves its group is not
//! reached.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::AbortHandle;
use tokio_util::codec::FramedRead;

use self::process::{Ending, Pipes, Process, asked_to_end};
use self::tail::Tail;
use super::Failure;
use super::board::{Board, Outbox, cancellation};
use super::dialect::Dialect;
use super::spec::{Secret, Spec};
use super::unattended::unattended_call;
use super::wire::{Answer, Call, Fault, Stop, Wire};
use crate::authority::Started;
use crate::exchange::{Exchange, Unattended};
use sentinel_mcp_protocol::framing::lines::{self, Lines};
use sentinel_mcp_protocol::jsonrpc::{Notification, Request};

mod process;
mod tail;
mod watchdog;

/// Lines that wait to be written.
const WAITING_LINES: usize = 256;
/// Lines are written together up to about this many bytes.
const WRITE_BYTES: usize = 64 * 1024;
/// How long the last lines, such as a cancellation, may take when a child is ended.
const LAST_LINES: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct ChildWire {
    board: Arc<Board>,
    lines: Writer,
    process: Process,
    tail: Arc<Tail>,
    listening: Mutex<Option<(AbortHandle, Notification)>>,
}

/// A line that is to be written.
#[derive(Debug)]
struct Line {
    bytes: Vec<u8>,
    /// Held until it is.
    started: Option<Started>,
}

#[derive(Debug, Clone)]
struct Writer(mpsc::Sender<Line>);

#[async_trait]
impl Outbox for Writer {
    async fn send(&self, bytes: Vec<u8>, call: Option<&Call>) -> Result<(), Fault> {
        let gone = |_| Fault::broken("the server reads no more", false);
        // The place comes first: nothing else is waited for between the start and the writing.
        let place = self.0.reserve().await.map_err(gone)?;
        let started = match call {
            Some(call) => Some(call.ticket.start().await.map_err(Fault::only)?),
            None => None,
        };
        place.send(Line { bytes, started });
        Ok(())
    }
}

impl Writer {
    /// Sends what is not worth waiting for.
    fn try_send(&self, bytes: Vec<u8>) -> bool {
        self.0.try_send(Line { bytes, started: None }).is_ok()
    }
}

impl ChildWire {
    /// Starts the child.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        spec: &Spec,
        command: &[String],
        env: &[(String, Secret)],
        news: broadcast::Sender<Notification>,
    ) -> Result<Self, Failure> {
        let board = Arc::new(Board::new(news));
        let (process, pipes) = Process::start(command, env, spec.limits.grace, Arc::clone(&board))?;
        let Pipes { stdin, stdout, stderr, ending } = pipes;
        let tail = Arc::new(Tail::default());
        let (lines, waiting) = mpsc::channel(WAITING_LINES);
        let lines = Writer(lines);
        // All three end with the pipes, which end with the child.
        tokio::spawn(write(stdin, waiting, ending, Arc::clone(&board)));
        let codec = Lines::new(spec.limits.of_message());
        tokio::spawn(read(stdout, codec, Arc::clone(&board), lines.clone()));
        tokio::spawn(Arc::clone(&tail).drain(stderr, spec.show_stderr));
        Ok(Self { board, lines, process, tail, listening: Mutex::default() })
    }
}

#[async_trait]
impl Wire for ChildWire {
    async fn call(&self, call: &Call, exchange: &dyn Exchange) -> Result<Answer, Fault> {
        self.board.converse(call, true, &self.lines, exchange).await
    }

    fn abandon(&self, call: &Call, why: Stop) {
        if !call.ticket.has_started() {
            return;
        }
        let sent = self.lines.try_send(cancellation(&call.request.id, why).to_bytes());
        if !sent {
            self.board.drop_one("a cancellation: too many lines wait to be written");
        }
        if why == Stop::Withdrawn {
            // A server that ignores the cancellation must not go on.
            self.process.end(Ending::AtOnce);
        }
    }

    async fn notify(&self, notification: Notification) -> Result<(), Fault> {
        self.lines.send(notification.to_bytes(), None).await
    }

    fn adopt(&self, dialect: Dialect) {
        self.board.adopt(dialect.is_modern());
    }

    async fn listen(&self, request: Option<Request>) {
        let Some(request) = request else { return };
        let stop = cancellation(&request.id, Stop::Cancelled);
        let (board, lines) = (Arc::clone(&self.board), self.lines.clone());
        // Ends when the server responds, the board is closed, or another one takes its place.
        let task = tokio::spawn(async move {
            let call = unattended_call(request);
            drop(board.converse(&call, false, &lines, &Unattended).await);
        });
        let earlier = {
            let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
            listening.replace((task.abort_handle(), stop))
        };
        if let Some((task, stop)) = earlier {
            task.abort();
            self.lines.try_send(stop.to_bytes());
        }
    }

    fn is_up(&self) -> bool {
        self.board.is_open() && self.process.is_running()
    }

    fn dropped(&self) -> u64 {
        self.board.dropped()
    }

    fn stderr(&self) -> Vec<String> {
        self.tail.lines()
    }

    async fn close(&self) {
        self.process.end(Ending::Orderly);
        self.process.ended().await;
    }
}

/// Reads until the child closes its standard output.
async fn read(stdout: ChildStdout, codec: Lines, board: Arc<Board>, lines: Writer) {
    let mut incoming = FramedRead::with_capacity(stdout, codec, WRITE_BYTES);
    while let Some(Ok(line)) = incoming.next().await {
        let message = match line {
            lines::Line::Message(message) => Ok(message),
            lines::Line::Malformed(malformed) => Err(malformed),
            lines::Line::TooLong => {
                board.too_large();
                continue;
            }
        };
        // Waiting for room could make both sides wait for each other.
        if let Some(response) = board.take(message)
            && !lines.try_send(response.to_bytes())
        {
            board.drop_one("a question: too many lines wait to be written");
        }
    }
    board.close("the server has ended");
}

/// Writes until the child is to end, and then closes its standard input.
async fn write(
    mut stdin: ChildStdin,
    mut waiting: mpsc::Receiver<Line>,
    mut ending: watch::Receiver<Ending>,
    board: Arc<Board>,
) {
    let mut buffer = Buffer::default();
    // Whether the last line was written to its end.
    let mut whole = true;
    let failed = tokio::select! {
        failed = write_lines(&mut stdin, &mut waiting, &mut buffer, &mut whole) => failed,
        () = asked_to_end(&mut ending) => false,
    };
    if failed {
        board.close("the server reads no more");
    } else if whole {
        waiting.close();
        let last = write_lines(&mut stdin, &mut waiting, &mut buffer, &mut whole);
        drop(tokio::time::timeout(LAST_LINES, last).await);
    }
}

/// Writes until there are no more lines. Returns whether writing failed.
async fn write_lines(
    stdin: &mut ChildStdin,
    waiting: &mut mpsc::Receiver<Line>,
    buffer: &mut Buffer,
    whole: &mut bool,
) -> bool {
    while let Some(line) = waiting.recv().await {
        buffer.add(line);
        while buffer.bytes.len() < WRITE_BYTES
            && let Ok(line) = waiting.try_recv()
        {
            buffer.add(line);
        }
        *whole = false;
        if stdin.write_all(&buffer.bytes).await.is_err() {
            return true;
        }
        *whole = true;
        buffer.clear();
    }
    false
}

/// Lines that are written together, and what is held until they are.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    started: Vec<Started>,
}

impl Buffer {
    fn add(&mut self, line: Line) {
        self.bytes.extend(line.bytes);
        self.bytes.push(b'\n');
        self.started.extend(line.started);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        // One large call must not be paid for until the child ends.
        self.bytes.shrink_to(2 * WRITE_BYTES);
        self.started.clear();
    }
}
