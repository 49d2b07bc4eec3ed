//! The end of a load. A scope waits for its threads, so without this a test that panics would never
//! end, and fail nobody.

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets the flag when it is dropped, by a panic too.
#[derive(Debug)]
pub struct EndOf<'a>(pub &'a AtomicBool);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
