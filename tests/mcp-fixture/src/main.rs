//! An MCP server for tests, built with the SDK: the tools, prompts and resources that the public
//! conformance scenarios name.

fn main() {}
