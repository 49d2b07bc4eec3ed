//! `sentinel kill`: stops something at once.

use sentinel_client::api::{KillReached, KillRequest, KillTarget};
use sentinel_core::principal::Role;

use crate::client::{Connection, OrExplain as _, name, name_if};
use crate::failure::{Failure, Outcome};
use crate::output::{self, shown};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Why; kept, and shown to every caller that is denied by it.
    #[arg(long)]
    reason: String,
    /// Comes into force at this time, such as 2026-11-22T10:00:00Z; at once when left out.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Ends by itself at this time; only by a restore when left out.
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    #[command(flatten)]
    connection: Connection,
}

/// What a kill or a restore is about.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Target")]
pub(crate) struct Target {
    /// Slug of the tenant; alone, all of it.
    #[arg(long)]
    tenant: Option<String>,
    /// Name of a tool of the tenant.
    #[arg(long, requires = "tenant", group = "narrow")]
    tool: Option<String>,
    /// An agent, within the tenant or everywhere, in any letter case.
    #[arg(long, group = "narrow")]
    agent: Option<String>,
    /// Who calls, within the tenant or everywhere: the identifier that decisions have, the id of a
    /// key or its name.
    #[arg(long, group = "narrow")]
    principal: Option<String>,
    /// The tools that have this scope, within the tenant or everywhere.
    #[arg(long, group = "narrow")]
    tool_scope: Option<String>,
    /// The tools that have this tag (`metadata.tags`), within the tenant or everywhere.
    #[arg(long, group = "narrow")]
    tool_tag: Option<String>,
    /// Everything.
    #[arg(long, conflicts_with_all = ["tenant", "narrow"])]
    global: bool,
}

impl Target {
    /// What the request names.
    ///
    /// # Errors
    /// When nothing is named, or a name breaks the rules.
    pub(crate) fn named(&self) -> Outcome<KillTarget> {
        if self.global {
            return Ok(KillTarget::global());
        }
        let named = [&self.tenant, &self.agent, &self.principal, &self.tool_scope, &self.tool_tag];
        if named.iter().all(|name| name.is_none()) {
            let message = "nothing is named: give --tenant, --tool with it, --agent, --principal, \
                 --tool-scope, --tool-tag, or --global";
            return Err(Failure::usage(message));
        }
        Ok(KillTarget {
            scope: None,
            tenant_slug: name_if("--tenant", self.tenant.as_ref())?,
            tool_name: name_if("--tool", self.tool.as_ref())?,
            agent: name_if("--agent", self.agent.as_ref())?,
            principal: name_if("--principal", self.principal.as_ref())?,
            tool_scope: name_if("--tool-scope", self.tool_scope.as_ref())?,
            tool_tag: name_if("--tool-tag", self.tool_tag.as_ref())?,
        })
    }

    /// The target in words.
    pub(crate) fn words(&self) -> String {
        let narrow = [
            ("tool", &self.tool),
            ("agent", &self.agent),
            ("principal", &self.principal),
            ("tools with scope", &self.tool_scope),
            ("tools with tag", &self.tool_tag),
        ];
        let narrow = narrow.into_iter().find_map(|(kind, name)| Some((kind, name.as_ref()?)));
        match (&self.tenant, narrow) {
            (Some(tenant), Some((kind @ "tool", name))) => {
                format!("{kind} `{name}` of tenant `{tenant}`")
            }
            (Some(tenant), Some((kind, name))) => format!("{kind} `{name}` in tenant `{tenant}`"),
            (Some(tenant), None) => format!("tenant `{tenant}`"),
            (None, Some((kind, name))) => format!("{kind} `{name}`"),
            (None, None) => "everything".to_owned(),
        }
    }
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    let target = args.target.named()?;
    let request = KillRequest {
        starts_at: args.from,
        expires_at: args.until,
        ..KillRequest::new(target, name("--reason", &args.reason)?)
    };
    let client = args.connection.client(Role::Operator)?;
    let answer = client.api.kill(&request).await.or_explain(&client)?;
    if json {
        return output::json(&answer);
    }
    output::line(&format!(
        "{}  {}",
        output::styled(output::RED, if args.from.is_some() { "to be killed" } else { "killed" }),
        output::printable(&args.target.words())
    ))?;
    output::fields(&[
        ("kill", shown(answer.kill_id.as_ref())),
        ("epoch", answer.epoch.to_string()),
        ("affects", affected(&answer.affected_tools)),
        ("reached", reached(&answer.reached)),
    ])
}

/// What a kill reached, in words.
fn reached(reached: &KillReached) -> String {
    let counts = [
        (reached.replicas, "replica"),
        (Some(reached.streams), "stream"),
        (reached.permits, "permit"),
        (Some(reached.calls), "call"),
    ];
    let words = counts.map(|(count, what)| match count {
        Some(1) => format!("1 {what}"),
        Some(count) => format!("{count} {what}s"),
        None => format!("unknown {what}s"),
    });
    let words = words.join(", ");
    let words = match reached.calls_unconfirmed {
        0 => words,
        left => format!("{words} ({left} of them not confirmed to have ended)"),
    };
    match reached.calls_elsewhere {
        Some(0) | None => words,
        Some(calls) => format!("{words}; told those who make {calls} more with permits"),
    }
}

/// The tools that an answer names, in words.
pub(crate) fn affected(tools: &[String]) -> String {
    match tools.len() {
        0 => "no tool yet".to_owned(),
        1..=8 => tools.join(", "),
        many => format!("{many} tools"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kill_reached_is_counted_in_words() {
        let none = KillReached {
            replicas: None,
            streams: 0,
            permits: Some(1),
            calls: 2,
            calls_unconfirmed: 0,
            calls_elsewhere: None,
        };
        assert_eq!(reached(&none), "unknown replicas, 0 streams, 1 permit, 2 calls");
        let one = KillReached { replicas: Some(1), streams: 1, permits: None, calls: 1, ..none };
        assert_eq!(reached(&one), "1 replica, 1 stream, unknown permits, 1 call");
        let left = KillReached { calls: 3, calls_unconfirmed: 2, ..none };
        let words = reached(&left);
        assert!(words.ends_with("3 calls (2 of them not confirmed to have ended)"), "{words}");
        let wrapped = KillReached { calls: 0, calls_elsewhere: Some(2), ..none };
        let words = reached(&wrapped);
        assert!(words.ends_with("0 calls; told those who make 2 more with permits"), "{words}");
    }
}
