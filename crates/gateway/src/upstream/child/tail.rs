//! Reads the standard error of a child, so that the child is never held up, and keeps its end.

use std::collections::VecDeque;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

const MAX_LINES: usize = 20;
/// The most bytes of a line that are kept.
const MAX_LINE: usize = 400;

/// The last lines.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    ended: VecDeque<String>,
    open: Vec<u8>,
}

impl Tail {
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended.iter().cloned().collect()
    }

    fn add(&self, bytes: &[u8]) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE.saturating_sub(lines.open.len());
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            lines.open.extend(text.iter().take(room));
            if part.ends_with(b"\n") {
                lines.end();
            }
        }
    }

    /// Reads until the other end is closed.
    pub(super) async fn drain(self: Arc<Self>, mut from: impl AsyncRead + Unpin, show: bool) {
        let mut buffer = [0; 4096];
        let mut ours = if show { our_stderr() } else { None };
        while let Ok(count) = from.read(&mut buffer).await {
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            self.add(bytes);
            if let Some(ours) = &mut ours {
                // Ours may be closed; the child must go on all the same.
                drop(ours.write_all(bytes).await);
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).end();
    }
}

/// As a file, which is written to by another thread: whatever reads it may be slow.
fn our_stderr() -> Option<tokio::fs::File> {
    let owned = std::io::stderr().as_fd().try_clone_to_owned().ok()?;
    Some(tokio::fs::File::from_std(std::fs::File::from(owned)))
}

impl Lines {
    fn end(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let open = std::mem::take(&mut self.open);
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        if self.ended.len() == MAX_LINES {
            self.ended.pop_front();
        }
        self.ended.push_back(String::from_utf8_lossy(&open).chars().map(clean).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_last_lines_and_the_start_of_each() {
        let tail = Arc::new(Tail::default());
        let mut text = String::new();
        for number in 0..50 {
            text.push_str(&format!("line {number} {}\n", "x".repeat(2 * MAX_LINE)));
        }
        text.push_str("\u{1b}[31mlast");
        Arc::clone(&tail).drain(text.as_bytes(), false).await;
        let lines = tail.lines();
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines[MAX_LINES - 1], " [31mlast");
        assert!(lines[0].starts_with("line 31 ") && lines[0].len() == MAX_LINE);
    }
}
