//! Before a wrap serves, the control plane is asked whether it may: what no later call would change
//! is said at once, and not by a denial of every call.

use std::time::Duration;

use sentinel_client::api::StandingRequest;
use sentinel_client::{Error, Problem};
use sentinel_core::name::UpstreamName;

use super::wrap::Governed;
use crate::client::name;
use crate::failure::{Failure, Outcome};

/// Time that the control plane gets. Clients do not wait long for a server that starts.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest name of a server.
const LONGEST: usize = 32;

/// Finds out whether the control plane lets `server` be wrapped.
///
/// # Errors
/// When it refuses that. One that does not respond, or not in time, refuses nothing: until it
/// responds, every call is denied.
pub(super) async fn introduce(governed: &Governed, server: &str) -> Outcome {
    let upstream: UpstreamName = name("--server", server)?;
    let request = StandingRequest {
        agent: governed.agent.clone(),
        purpose: None,
        context: None,
        tools: Vec::new(),
    };
    let asked = governed.client.standing(&governed.tenant, &upstream, &request);
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Err(Error::Refused(problem))) if is_lasting(&problem) => {
            Err(refusal(governed, server, &problem))
        }
        _ => Ok(()),
    }
}

/// Whether the control plane would say the same again.
fn is_lasting(problem: &Problem) -> bool {
    let passes = matches!(problem.status, 408 | 425 | 429);
    // Without a code it is from something else, such as a proxy.
    (400..500).contains(&problem.status) && !passes && problem.code.is_some()
}

fn refusal(governed: &Governed, server: &str, problem: &Problem) -> Failure {
    let tenant = &governed.tenant;
    let code = problem.code.as_deref().unwrap_or_default();
    let failure = Failure::new(format!("cannot wrap `{server}`: {}", problem.detail))
        .detail(format!("code {code}, tenant `{tenant}`"));
    match code {
        "upstream_not_wrapped" => {
            let url = governed.client.url().as_str().trim_end_matches('/');
            failure
                .help(format!("wrap it under another name: --server {}", another(server)))
                .help(format!("or have the client connect to {url}/mcp/{tenant}/{server}"))
        }
        "wrap_not_allowed" => failure
            .help(format!(
                "an administrator adds it: sentinel upstream add --tenant {tenant} --name {server} \
                 --wrapped"
            ))
            .help("or sets `gateway_wrap: true` in the configuration of the control plane"),
        "unauthenticated" | "invalid_key" => failure
            .help("give a key of role agent with --key-file, or as SENTINEL_API_KEY")
            .help("`sentinel key create --role agent` makes one"),
        "unknown_tenant" => failure.help("name the tenant with --tenant or SENTINEL_TENANT"),
        _ => failure,
    }
}

/// A name like that of the server, for one that runs on this machine.
fn another(server: &str) -> String {
    const SUFFIX: &str = "-local";
    let stem: String = server.chars().take(LONGEST - SUFFIX.len()).collect();
    format!("{}{SUFFIX}", stem.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_is_a_name() {
        for server in ["time", "a", &"ab-".repeat(10), &"x".repeat(32)] {
            let name = another(server);
            assert!(name.parse::<UpstreamName>().is_ok(), "{name}");
            assert_ne!(name, *server);
        }
    }
}
