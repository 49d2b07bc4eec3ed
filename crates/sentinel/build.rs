//! Rebuilds when a shipped policy is added or removed: the embedding macro sees only changes.

fn main() {
    println!("cargo::rerun-if-changed=../../policies/shipped");
    println!("cargo::rerun-if-changed=../../policies/starter");
}
