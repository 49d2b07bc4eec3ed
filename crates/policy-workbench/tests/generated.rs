//! Generated policies, against a real OPA: what vetting admits means the same to both
//! engines, whatever the construct, the builtin and the input.
//!
//! `SENTINEL_GENERATED=100000x10` makes so many policies and inputs of each,
//! `SENTINEL_GENERATED_SEED=7` makes others, and `SENTINEL_GENERATED_ONLY=123` shows one of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod support;

#[path = "generated/answer.rs"]
mod answer;
#[path = "generated/brief.rs"]
mod brief;
#[path = "generated/catalogue.rs"]
mod catalogue;
#[path = "generated/compare.rs"]
mod compare;
#[path = "generated/condition.rs"]
mod condition;
#[path = "generated/inputs.rs"]
mod inputs;
#[path = "generated/maker.rs"]
mod maker;
#[path = "generated/ours.rs"]
mod ours;
#[path = "generated/policies.rs"]
mod policies;
#[path = "generated/rng.rs"]
mod rng;
#[path = "generated/rules.rs"]
mod rules;
#[path = "generated/shrink.rs"]
mod shrink;
#[path = "generated/table.rs"]
mod table;
#[path = "generated/text.rs"]
mod text;
#[path = "generated/theirs.rs"]
mod theirs;
#[path = "generated/types.rs"]
mod types;
#[path = "generated/vetting.rs"]
mod vetting;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use catalogue::Builtin;
use compare::{Difference, Fault, compare};
use ours::Ours;
use table::Table;
use text::Policy;
use theirs::Opa;
use vetting::{Verdict, Vetting};

const POLICIES: usize = 2_000;
const INPUTS: usize = 5;
const SEED: u64 = 20_261_128;
/// Of policies that one OPA takes together.
const BATCH: usize = 250;
const THREADS: usize = 2;
/// Differences that are made smaller; the others are counted.
const SHRUNK: usize = 3;
/// Differences whose rules are shown.
const BRIEF: usize = 200;
/// Evaluation has a stated stack in a server, and so it has here.
const STACK: usize = 16 * 1024 * 1024;

/// How much is to be done.
#[derive(Debug, Clone, Copy)]
struct Plan {
    policies: usize,
    inputs: usize,
    seed: u64,
    only: Option<usize>,
    shrunk: usize,
}

impl Plan {
    fn read() -> Self {
        let number = |name: &str| {
            std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"))
        };
        let size = std::env::var("SENTINEL_GENERATED").ok();
        let (policies, inputs) = size.map_or((POLICIES, INPUTS), |size| {
            let (policies, inputs) = size.split_once('x').expect("POLICIESxINPUTS");
            (policies.parse().unwrap(), inputs.parse().unwrap())
        });
        let small = |value: u64| usize::try_from(value).unwrap();
        Self {
            policies,
            inputs,
            seed: number("SENTINEL_GENERATED_SEED").unwrap_or(SEED),
            only: number("SENTINEL_GENERATED_ONLY").map(small),
            shrunk: number("SENTINEL_GENERATED_SHRUNK").map_or(SHRUNK, small),
        }
    }
}

/// Not by `print!`, which shows nothing of a test that passes.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Which builtins vetting admits with literal arguments, and why it refuses the others.
fn admitted(all: &[Builtin], vetting: &mut Vetting) -> (Vec<Builtin>, BTreeMap<String, String>) {
    let (mut admitted, mut refused) = (Vec::new(), BTreeMap::new());
    for builtin in all {
        let mut why = String::new();
        let mut maker = maker::Maker::new(rng::Rng::new(SEED, 0), &[]);
        let sound = (0..4).any(|_| {
            let call = maker.literal_statement(builtin);
            let policy = policies::probe(0, builtin.deprecated, &call);
            match vetting.vet(&policy.files()) {
                Verdict::Admitted => true,
                Verdict::Refused(codes) => {
                    why = codes.join(", ");
                    false
                }
            }
        });
        if sound {
            admitted.push(builtin.clone());
        } else {
            refused.insert(builtin.name.clone(), why);
        }
    }
    (admitted, refused)
}

/// What one thread found.
#[derive(Debug, Default)]
struct Found {
    table: Table,
    differences: Vec<Difference>,
}

fn batch(plan: Plan, from: usize, builtins: &[Builtin], vetting: &mut Vetting, found: &mut Found) {
    let numbers = from..(from + BATCH).min(plan.policies);
    let mut policies = Vec::new();
    for number in numbers {
        let policy = policies::make(plan.seed, number, builtins, plan.inputs);
        let verdict = vetting.vet(&policy.files());
        found.table.vetted(&policy, &verdict);
        if verdict == Verdict::Admitted {
            policies.push(policy);
        }
    }
    let (mut opa, refused) = Opa::start(&policies.iter().collect::<Vec<_>>());
    for policy in &policies {
        let why = refused.iter().find(|(number, _)| *number == policy.number);
        if let Some((_, why)) = why {
            let why: String = why.chars().take(90).collect();
            // OPA infers types, vetting does not: such policies are counted, and are few.
            if !why.starts_with("rego_type_error") {
                found.differences.extend(allowed_although_refused(policy));
            }
            *found.table.not_compiled.entry(why).or_default() += 1;
            continue;
        }
        let (pairs, differences) =
            compare(policy, |rule, input| opa.ask(policy, rule, &input.document));
        found.table.compared(policy, &pairs);
        found.differences.extend(differences);
    }
}

/// OPA does not take the policy, so whatever it allows is allowed by mistake.
fn allowed_although_refused(policy: &Policy) -> Option<Difference> {
    let ours = Ours::new(policy).ok()?;
    let input = policy.inputs.iter().find(|input| ours.decide(&input.document) == Some(true))?;
    Some(Difference {
        fault: Fault::AllowedWhereOpaRefuses,
        policy: policy.clone(),
        input: input.clone(),
        rule: "the decision of the server".to_owned(),
        ours: answer::Answer::Value(true.into()),
        theirs: answer::Answer::Failed("OPA's compiler refuses the policy".to_owned()),
    })
}

fn run(plan: Plan, builtins: &[Builtin]) -> Found {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Found::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let work = || {
                let (mut vetting, mut found) = (Vetting::new(), Found::default());
                loop {
                    let from = next.fetch_add(BATCH, Ordering::Relaxed);
                    if from >= plan.policies {
                        break;
                    }
                    batch(plan, from, builtins, &mut vetting, &mut found);
                }
                let mut all = all.lock().unwrap();
                all.table.add(found.table);
                all.differences.extend(found.differences);
            };
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap();
        }
    });
    all.into_inner().unwrap()
}

fn show(difference: &Difference, plan: Plan) {
    say(&format!(
        "\n===== {:?}: policy {} of seed {}, rule {}",
        difference.fault, difference.policy.number, plan.seed, difference.rule
    ));
    say(&difference.policy.listing());
    say(&format!("--- input\n{}", difference.input.document));
    say(&format!("--- here\n{}\n--- OPA\n{}", difference.ours, difference.theirs));
    say(&format!(
        "--- again: SENTINEL_GENERATED={}x{} SENTINEL_GENERATED_SEED={} SENTINEL_GENERATED_ONLY={} \
         cargo test -p sentinel-policy --test generated",
        plan.policies, plan.inputs, plan.seed, difference.policy.number
    ));
}

/// Shows one policy whole, and what both say of it.
fn show_one(plan: Plan, number: usize, builtins: &[Builtin]) -> Vec<Difference> {
    let policy = policies::make(plan.seed, number, builtins, plan.inputs);
    say(&policy.listing());
    let verdict = Vetting::new().vet(&policy.files());
    say(&format!("{verdict:?}"));
    if verdict != Verdict::Admitted {
        return Vec::new();
    }
    compare(&policy, |rule, input| theirs::one(&policy, rule, &input.document)).1
}

fn check(table: &Table, builtins: &[Builtin]) {
    let pairs = &table.pairs;
    assert!(table.admitted * 100 >= table.made * 40, "too few policies pass vetting");
    assert!(pairs.allowed_by_opa * 100 >= pairs.all * 20, "too few pairs are allows in OPA");
    assert!(pairs.flawed * 3 >= pairs.all, "too few inputs lack or mistype a field");
    let not_compiled: usize = table.not_compiled.values().sum();
    assert!(not_compiled * 100 <= table.admitted * 4, "too many policies that OPA refuses");
    let builtins = builtins.iter().map(|builtin| builtin.name.as_str());
    let missing: Vec<_> =
        builtins.filter(|name| !table.rows.contains_key(*name)).map(str::to_owned).collect();
    assert!(missing.is_empty(), "never generated: {missing:?}");
    let rows = table.rows.iter();
    let zero: Vec<_> = rows.filter(|(_, row)| row.admitted == 0 || row.allowed == 0).collect();
    assert!(zero.is_empty(), "never admitted, or never allowed: {zero:?}");
}

#[test]
fn generated_policies_are_decided_as_opa_decides_them() {
    let plan = Plan::read();
    say(&format!("{} policies x {} inputs, seed {}", plan.policies, plan.inputs, plan.seed));
    let began = std::time::Instant::now();
    let mut vetting = Vetting::new();
    let (builtins, refused) = admitted(&catalogue::all(), &mut vetting);
    let found = match plan.only {
        Some(number) => {
            Found { differences: show_one(plan, number, &builtins), ..Found::default() }
        }
        None => run(plan, &builtins),
    };
    say(&found.table.text(&refused));
    say(&format!("in {} s", began.elapsed().as_secs()));
    let mut differences = found.differences;
    differences.sort_by_key(|difference| (difference.fault, difference.policy.number));
    let mut seen = std::collections::BTreeSet::new();
    differences.retain(|difference| seen.insert(difference.policy.number));
    for difference in differences.iter().take(BRIEF) {
        for text in brief::brief(difference) {
            say(&format!("policy {}:\n{text}", difference.policy.number));
        }
    }
    for difference in differences.iter().take(plan.shrunk) {
        show(&shrink::shrink(difference, &mut vetting), plan);
    }
    let numbers: Vec<_> = differences.iter().map(|found| found.policy.number).collect();
    assert!(differences.is_empty(), "{} policies differ: {numbers:?}", differences.len());
    if plan.only.is_none() {
        check(&found.table, &builtins);
    }
}
