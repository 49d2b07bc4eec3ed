//! What vetting has to say about a policy: a lint with a stable code, and the place it is about.

use serde::{Deserialize, Serialize};

use crate::syntax::Span;

/// Longer messages and lines of source are cut: they come from a policy that has not been vetted.
const MAX_TEXT: usize = 600;

/// Whether a policy with the finding may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The policy is refused.
    Error,
    /// The policy is loaded, and the finding is reported.
    Warning,
}

macro_rules! lints {
    ($($name:ident $code:literal $severity:ident, $why:literal, $fix:literal;)+) => {
        /// What vetting looks for. The codes are stable: a program may switch on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Lint {
            $(#[doc = $why] #[serde(rename = $code)] $name,)+
        }

        impl Lint {
            /// All of them, those that refuse a policy first.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)+ }
            }

            /// Why it matters.
            #[must_use]
            pub fn why(self) -> &'static str {
                match self { $(Self::$name => $why,)+ }
            }

            /// How to fix it.
            #[must_use]
            pub fn fix(self) -> &'static str {
                match self { $(Self::$name => $fix,)+ }
            }
        }
    };
}

lints! {
    InvalidFile "invalid_file" Error,
        "A policy, data file or manifest cannot be read as what it should be.",
        "correct the file; of two equal keys in JSON one would win silently, so they are refused, too";
    RegoVersion "rego_version" Error,
        "The file is not Rego v1, and nothing states that it is v0: read as the other version a text may mean something else, such as a rule without its condition.",
        "write it as v1 (`opa fmt --v0-v1 --write`), or state the version: `\"rego_version\": 0` in `.manifest`, `--v0-compatible`, `policy_v0_compatible: true`";
    RuleWithoutBody "rule_without_body" Error,
        "A rule that has neither a condition nor a value would always hold; OPA takes a function of literal arguments so, and the embedded engine does not.",
        "give it a value, `is_open(\"docs\") := true`, or a condition, `is_open(tool) if tool == \"docs\"`";
    NoDecision "no_decision" Error,
        "The policy defines neither `data.sentinel.policy.decision` nor `data.sentinel.policy.allow`, so it would deny everything.",
        "define `decision` or `allow` in `package sentinel.policy`";
    Recursion "recursion" Error,
        "Rules that refer to themselves overflow the interpreter's stack, which would abort the whole process.",
        "break the cycle; walk graphs with `graph.reachable` over data";
    AmbiguousName "ambiguous_name" Error,
        "A name that is called, or imported, is also that of a variable, a rule or a builtin; the embedded engine and OPA take it as different things.",
        "give one of them another name";
    UnsafeVariable "unsafe_variable" Error,
        "A variable is looked up by its own value, which the embedded engine refuses whenever it comes to evaluate it, so that every such check would be denied.",
        "look the member up, `x := set[_]` or `some x in set`";
    TooDeep "too_deep" Error,
        "Expressions, or a chain of rules, are nested so deeply that evaluating them may overflow the stack.",
        "give intermediate results names of their own, and shorten the chain of rules";
    DataShadowsRule "data_shadows_rule" Error,
        "Data at the path of a package wins over its rules: `{\"sentinel\": {\"policy\": {\"allow\": true}}}` would allow everything.",
        "move the data to a path that no package has, such as `data.allowlist`";
    UnboundedBuiltin "unbounded_builtin" Error,
        "No time limit interrupts the function, and its cost depends on its arguments: a range up to a number from `input` takes all memory.",
        "use literals where the message says so, or a comparison instead of an enumeration";
    RefusedBuiltin "refused_builtin" Error,
        "The function reaches out of the policy (network, environment, keys) or is not available; a stub of it would be undefined, and `not` of undefined is true.",
        "have the caller pass what is needed in `input.context`, or put it into data";
    UnknownFunction "unknown_function" Error,
        "There is no such function; `not` of a call that is undefined would be true.",
        "correct the name, or import the package that defines it";
    NegativeAllow "negative_allow" Error,
        "A condition that holds when a set of complaints is empty fails open: a complaint that cannot be computed (a missing field, an undefined argument of `sprintf`) is not in the set.",
        "allow by the conditions that must hold, with `default allow := false`; keep the complaints for the reasons of a deny";
    TooSlow "too_slow" Error,
        "The policy takes longer than a second for a usual call.",
        "look up by index (`data.allowlist[input.tenant][input.tool]`) instead of iterating";
    MalformedDecision "malformed_decision" Error,
        "For usual calls the policy gives something other than a decision, so every check would be denied.",
        "give `{\"allow\": …, \"reasons\": […], \"obligations\": […], \"quota\": {…}}` with known obligations only";
    FailingTest "failing_test" Error,
        "A test of the policy itself does not hold, so it does something else than its author meant.",
        "run `sentinel policy test`, and fix the policy or the test";
    VettingFailed "vetting_failed" Error,
        "The vetting process did not survive the policy: it took too long, too much memory, or crashed.",
        "look for deeply nested literals, which can take very long to parse, and for rules that enumerate";
    InvalidBundle "invalid_bundle" Error,
        "The file is not a bundle, exceeds a limit, or has an entry with a path that may lead elsewhere.",
        "build it with `sentinel policy bundle build` or `opa build`";
    BundleSignature "bundle_signature" Error,
        "The bundle is not signed by a trusted key, or is not what was signed.",
        "sign it with `sentinel policy bundle sign` and the key whose public half is configured; a signed bundle needs that key to be configured";
    DeltaBundle "delta_bundle" Error,
        "A delta bundle (`patch.json`) changes data that is already there. It cannot be signed, and one with an empty list of changes would remove all of it.",
        "serve a snapshot: `sentinel policy bundle build` makes one";
    Rollback "rollback" Error,
        "The bundle is older than one that was in force, or has its revision with other contents: an old bundle may be replayed to bring back what it allowed.",
        "publish the policy under a new, higher revision";
    NegatedCall "negated_call" Error,
        "When an argument of a negated call is undefined, `not` holds here and does not in OPA: `not blocked(input.agent)` would allow a call without an agent.",
        "require the argument in the same body (`input.agent`), or give the call a rule of its own and negate that: `ok if f(input.x)`, then `not ok`; with `import future.keywords.not` OPA reads it as it is read here";
    DiffersFromOpa "differs_from_opa" Error,
        "OPA evaluates the shape differently from the embedded engine, so the policy would decide here what it does not decide in OPA.",
        "write it as the message says";
    UnsupportedSyntax "unsupported_syntax" Error,
        "The interpreter does not know the syntax, or reads something else in it.",
        "write it without: a rule of its own for a body or an alternative, `sprintf` or `concat` for a text with values in it";
    UncheckedComparison "unchecked_comparison" Warning,
        "Values of different types compare, too: `null < 10` is true, so a field of a wrong type passes the limit.",
        "add `is_number(…)` (or `is_string(…)`) of the same field to the same body";
    UsageWithoutQuota "usage_without_quota" Warning,
        "What policy sees of the usage is the count as of the last commit, so calls that are decided at the same time all pass the limit. Only a quota is counted exactly.",
        "state the limit in the decision, too: `\"quota\": {\"limit\": 10, \"window\": \"1d\"}`";
    UndefinedInMessage "undefined_in_message" Warning,
        "An undefined argument makes the call undefined, and the whole reason is dropped when the field is missing.",
        "use `object.get(input, \"field\", \"\")`, or require the field in the same body";
    AllowByAbsence "allow_by_absence" Warning,
        "`allow` has only negated conditions: an input that is empty, or not understood, is allowed.",
        "add the condition that must hold, such as `data.allowlist[input.tenant][input.tool] == true`";
    NoDefault "no_default" Warning,
        "Without a default the rule is undefined where no body holds. That is a deny here, but others who query it see nothing.",
        "add `default allow := false` or `default decision := {\"allow\": false}`";
    DefaultAllow "default_allow" Warning,
        "The default allows: whatever the policy does not understand is allowed.",
        "`default allow := false`, and rules that allow";
    UnknownInputField "unknown_input_field" Warning,
        "`input` never has the field, so the condition never holds, and its negation always does.",
        "use a documented field of `input`; what callers add is in `input.context` and `input.arguments`";
    NeverMatches "never_matches" Warning,
        "No input has this value: it breaks the rules for such names, so the comparison never holds.",
        "write the name as it is registered";
    WholeSet "whole_set" Warning,
        "The lookup builds the whole set first: a tenant with many tools pays for all of them in each decision.",
        "index data instead: `data.allowlist[input.tenant][input.tool] == true`";
}

/// One thing that vetting found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    #[serde(rename = "code")]
    pub lint: Lint,
    pub message: String,
    /// The file within the policy; `None` when it is about all of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub place: Option<Place>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// In characters, within the line.
    pub length: u32,
    /// The line, as it is written.
    pub source: String,
}

impl Finding {
    /// Whether it refuses the policy.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.lint.severity() == Severity::Error
    }

    /// A finding about the whole policy. Longer messages are cut.
    pub fn new(lint: Lint, message: impl Into<String>) -> Self {
        let mut message = message.into();
        cut(&mut message);
        Self { lint, message, file: None, place: None }
    }

    /// Sets the file, without a place in it.
    #[must_use]
    pub fn of_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Sets the place, in a file with this text.
    #[must_use]
    pub fn in_text(mut self, file: &str, text: &str, span: Span) -> Self {
        let span = from_start(text, span);
        let line = usize::try_from(span.line.saturating_sub(1)).unwrap_or_default();
        let mut source = text.lines().nth(line).unwrap_or_default().to_owned();
        cut(&mut source);
        let meant = text.get(span.start..span.end).and_then(|text| text.lines().next());
        let length = meant.map_or(1, |text| text.chars().count().max(1));
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.place = Some(Place { line: span.line, column: span.col, length, source });
        self.of_file(file)
    }

    /// Takes the place from the front of an interpreter's message: `3:7: expecting expression`.
    pub(crate) fn with_place_of(self, file: &str, text: &str, detail: &str) -> Self {
        let mut parts = detail.trim_start().splitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.trim().parse::<u32>().ok());
        let (Some(line), Some(col)) = (number(), number()) else { return self.of_file(file) };
        let Some(message) = parts.next().map(str::trim) else { return self.of_file(file) };
        let span = Span { line, col, ..Span::default() };
        Self { message: message.to_owned(), ..self }.in_text(file, text, span)
    }
}

/// The interpreter gives an expression the place of its operator; its bytes are those of all of it.
fn from_start(text: &str, span: Span) -> Span {
    let Some(before) = text.get(..span.start).filter(|_| span.end > span.start) else {
        return span;
    };
    let line = before.matches('\n').count() + 1;
    let col = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
    Span { line: number(line), col: number(col), ..span }
}

fn cut(text: &mut String) {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push('…');
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(place) = &self.place {
                write!(f, "{}:{}:", place.line, place.column)?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.message)
    }
}
