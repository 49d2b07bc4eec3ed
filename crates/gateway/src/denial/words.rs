//! The words of denials, by code.

/// Words by which clients recognise other failures than a deny, and act on that.
pub const AVOIDED: [&str; 3] = ["not found", "unauthorized", "authentication"];
/// What is written in their place.
const INSTEAD: [&str; 3] = ["missing", "not permitted", "sign-in"];

/// Longest reason that is told, in bytes.
const MAX_REASON: usize = 600;

/// How a deny of one code is put.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) lead: &'static str,
    /// Whether and when to repeat the call.
    pub(super) again: &'static str,
    /// What helps.
    pub(super) remedy: &'static str,
    /// Whether the same call may be allowed later, without a change by a person.
    pub(super) passes: bool,
}

const NEVER: &str = "Repeating this call will not help: do not retry it.";
const LATER: &str = "Do not retry at once.";

const fn stays(lead: &'static str, remedy: &'static str) -> Words {
    Words { lead, again: NEVER, remedy, passes: false }
}

const fn passes(lead: &'static str, remedy: &'static str) -> Words {
    Words { lead, again: LATER, remedy, passes: true }
}

/// The words for a code; those of an unknown one say no more than that it was denied.
pub(super) fn of(code: &str) -> Words {
    of_policy(code).or_else(|| of_control(code)).or_else(|| of_gateway(code)).unwrap_or_else(|| {
        stays("Denied", "Go on without it, or ask a person who administers Sentinel.")
    })
}

fn of_policy(code: &str) -> Option<Words> {
    const ADMINISTRATOR: &str = "Tell the user: an administrator has to look at the policy.";
    Some(match code {
        "policy_denied" => stays(
            "Denied by policy",
            "Take another way that the policy allows, or ask the user to have it changed.",
        ),
        "no_policy" => stays("Denied because no policy is loaded", ADMINISTRATOR),
        "policy_undefined" => stays("Denied because the policy does not cover it", ADMINISTRATOR),
        "policy_error" => stays("Denied because the policy failed", ADMINISTRATOR),
        "policy_malformed" => stays("Denied because the policy gave no decision", ADMINISTRATOR),
        "unknown_obligation" => {
            stays("Denied because of a condition that cannot be met", ADMINISTRATOR)
        }
        "policy_timeout" => passes(
            "Denied because the policy took too long",
            "Simpler arguments may help; else tell the user.",
        ),
        "policy_unavailable" | "policy_circuit_open" => passes(
            "Denied because the policy cannot be asked at the moment",
            "It may work in a minute; go on with something else until then.",
        ),
        "quota_exceeded" => passes(
            "Denied by a quota",
            "Go on without this tool, or ask the user to have the quota raised.",
        ),
        "rate_limited" => passes("Denied by a rate limit", "Make fewer calls of this tool."),
        "rate_limiter_unavailable" => passes(
            "Denied because a rate limit cannot be counted at the moment",
            "It may work in a minute; go on with something else until then.",
        ),
        _ => return None,
    })
}

fn of_control(code: &str) -> Option<Words> {
    const LIST: &str = "Use a tool of the current list.";
    const KEY: &str = "Tell the user: the key of this client does not permit it.";
    const REVIEW: &str = "Go on without this tool, or ask the user to have an operator review it.";
    Some(match code {
        "killed" => stays(
            "Stopped by an operator",
            "Stop this line of work and tell the user; only an operator can lift it.",
        ),
        "unknown_tool" => stays("Denied because the tool is not registered", LIST),
        "tool_retired" => stays("Denied because the tool was retired", LIST),
        "upstream_removed" => stays("Denied because the server of the tool was removed", LIST),
        "unknown_tenant" => stays("Denied because the tenant is not known", KEY),
        "tenant_forbidden" | "agent_forbidden" => stays("Denied to this key", KEY),
        "key_revoked" => stays("Denied because the key was revoked", KEY),
        "no_permit" => stays(
            "Denied because the call bypassed Sentinel",
            "Tell the user: the tool can be called only through Sentinel.",
        ),
        "agent_required" => stays(
            "Denied because the call names no agent",
            "Tell the user: the client has to be configured with the name of its agent.",
        ),
        "upstream_not_wrapped" => stays(
            "Denied because another server is registered under the name of this one",
            "Tell the user: the server has to be wrapped under another name, with `--server NAME`.",
        ),
        "wrap_not_allowed" => stays(
            "Denied because the server is not registered",
            "Tell the user: an administrator has to add it, with `sentinel upstream add --wrapped`.",
        ),
        "tool_drift" => stays("Denied because the tool has changed since it was approved", REVIEW),
        "tool_unapproved" => stays("Denied because the tool is not approved yet", REVIEW),
        "tool_name_collision" | "tool_name_invalid" | "tool_name_shadowing" => {
            stays("Denied because of the name of the tool", REVIEW)
        }
        "tool_malformed" | "tool_schema_broken" => {
            stays("Denied because the definition of the tool is broken", REVIEW)
        }
        "call_id_spent" | "permit_used" => {
            stays("Denied because this call was made before", "Use the result of the first call.")
        }
        _ => return None,
    })
}

fn of_gateway(code: &str) -> Option<Words> {
    const SOON: &str = "It may work in a minute; go on with something else until then.";
    Some(match code {
        "permit_expired" => passes("Not made, because it waited too long", SOON),
        "overloaded" | "deadline_exceeded" => passes("Denied because of too much load", SOON),
        "extension_not_governed" => stays(
            "Denied because it belongs to an extension that is not governed",
            "Go on without it.",
        ),
        "registry_unavailable" => passes("Denied because the tool could not be registered", SOON),
        "upstream_unavailable" | "upstream_timeout" | "upstream_busy" | "upstream_protocol" => {
            passes("Not made, because the server of the tool does not work at the moment", SOON)
        }
        "store_unavailable" => passes("Denied because no decision could be recorded", SOON),
        "control_plane_unavailable" => {
            passes("Denied because Sentinel cannot be reached to decide it", SOON)
        }
        "records_full" => passes(
            "Denied because the outcomes of earlier calls could not be recorded",
            "Tell the user: Sentinel has to be reachable before more calls are made.",
        ),
        "invalid_call" => stays("Denied because the call is malformed", "Correct the call."),
        "repeated_call" => passes(
            "Not made again",
            "Find out whether the first call was carried out before you repeat it.",
        ),
        _ => return None,
    })
}

/// Text of a policy or an operator as it is told: bounded, on one line, without words that clients
/// would misread, and without a full stop, since the sentence goes on.
pub(super) fn plain(text: &str) -> String {
    let mut plain: String = text
        .chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect();
    plain.truncate(plain.floor_char_boundary(MAX_REASON));
    // Replacing one may bring another about.
    while let Some((at, length, instead)) = first_avoided(&plain) {
        plain.replace_range(at..at + length, instead);
    }
    plain.trim().trim_end_matches('.').to_owned()
}

fn first_avoided(text: &str) -> Option<(usize, usize, &'static str)> {
    let lower = text.to_ascii_lowercase();
    let pairs = AVOIDED.iter().zip(INSTEAD);
    pairs.into_iter().find_map(|(word, with)| Some((lower.find(word)?, word.len(), with)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sentinel_core::decision::ReasonCode;
    use sentinel_core::id::DecisionId;

    use super::super::{failed, result, text};
    use super::*;
    use crate::authority::Denied;

    fn denied(code: &str, reason: &str) -> Denied {
        Denied {
            code: code.to_owned(),
            reason: reason.to_owned(),
            decision: Some(DecisionId(uuid::Uuid::nil())),
            retry_after: None,
        }
    }

    #[test]
    fn every_reason_code_has_words_of_its_own() {
        let known = |code: &str| of_policy(code).or_else(|| of_control(code)).is_some();
        for (code, _) in ReasonCode::ALL {
            assert!(*code == ReasonCode::Allowed || known(code.as_str()), "{}", code.as_str());
            assert!(!code.is_transient() || of(code.as_str()).passes, "{}", code.as_str());
        }
    }

    #[test]
    fn a_denial_begins_with_the_decision_and_says_not_to_retry() {
        let text = text(&denied("policy_denied", "writes need an approval."));
        assert!(
            text.starts_with("Denied by policy: writes need an approval. Repeating this call"),
            "{text}"
        );
        assert!(text.contains("code policy_denied, decision 00000000-"), "{text}");
        for (code, _) in ReasonCode::ALL {
            let text = super::super::text(&denied(code.as_str(), "why"));
            assert!(text.contains("do not retry") || text.contains("Do not"), "{text}");
        }
    }

    #[test]
    fn a_deny_that_passes_says_when() {
        let wait = std::time::Duration::from_millis(11_001);
        let limited = Denied { retry_after: Some(wait), ..denied("rate_limited", "too many") };
        let text = text(&limited);
        assert!(text.contains("Do not repeat it before 12 seconds have passed."), "{text}");
        assert!(text.ends_with("retry after 12 seconds)"), "{text}");
        let meta = &result(&limited)["_meta"]["sentinel/denial"];
        assert_eq!(meta["retry_after_ms"], 11_001);
    }

    #[test]
    fn a_denial_is_an_error_result_with_one_text_and_no_structure() {
        let result = result(&denied("killed", "killed (tool): incident 4711"));
        assert_eq!(result["isError"], true);
        assert_eq!(result["content"].as_array().unwrap().len(), 1);
        assert!(!result.contains_key("structuredContent"));
        assert_eq!(result["_meta"]["sentinel/denial"]["code"], "killed");
        let authorization = &result["_meta"]["authorization"];
        assert_eq!(authorization["reason"], "insufficient_authorization");
        assert_eq!(authorization["authorizationContextId"], uuid::Uuid::nil().to_string());
        assert_eq!(failed("x")["content"][0]["type"], "text");
    }

    proptest! {
        /// Whatever a policy or an operator writes as reason.
        #[test]
        fn no_text_has_words_that_clients_misread(
            index in 0..ReasonCode::ALL.len(),
            parts in prop::collection::vec(
                prop_oneof![
                    Just("Not Found".to_owned()), Just("UNAUTHORIZED".to_owned()),
                    Just("authentication".to_owned()), Just("not ununauthorizedauthorized".to_owned()),
                    Just("not not foundfound".to_owned()), Just("\n\u{7}".to_owned()), ".{0,80}",
                ],
                0..12,
            ),
        ) {
            let (code, _) = ReasonCode::ALL[index];
            let text = text(&denied(code.as_str(), &parts.concat())).to_ascii_lowercase();
            for word in AVOIDED {
                prop_assert!(!text.contains(word), "{}", text);
            }
            prop_assert!(text.len() < 1500 && !text.contains(char::is_control), "{}", text);
        }
    }
}
