//! A thread that drops what is large.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

/// Drops something large on a thread of its own, so that no decision waits for it.
pub(crate) fn discard(value: impl Send + 'static) {
    static REAPER: OnceLock<Sender<Box<dyn Send>>> = OnceLock::new();
    let reaper = REAPER.get_or_init(|| {
        let (sender, receiver) = channel::<Box<dyn Send>>();
        // Without the thread the channel is closed, and values are dropped where they are.
        drop(std::thread::Builder::new().name("policy-reaper".to_owned()).spawn(move || {
            for value in receiver {
                drop(value);
            }
        }));
        sender
    });
    drop(reaper.send(Box::new(value)));
}
