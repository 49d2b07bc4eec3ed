//! The front on standard input and output, in front of a server and an authority in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod ends;
mod legacy;
mod modern;
mod world;
