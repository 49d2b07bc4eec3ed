//! The examples of `docs/extending.md`. The page quotes these files, and `cargo xtask docs` fails when
//! it shows anything else.

pub mod signer;
