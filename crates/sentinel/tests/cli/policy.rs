//! `sentinel policy`: the shipped policies, and broken ones.

use serde_json::Value;

use crate::support::{Folder, run};

fn shipped() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/shipped")
}

#[test]
fn the_shipped_policies_are_sound_and_their_tests_pass() {
    let checked = run(&["policy", "check", shipped(), "--json"]).exits(0).json();
    assert!(checked["revision"].is_string());
    let tested = run(&["policy", "test", shipped()]).exits(0);
    assert!(tested.stdout.contains(" passed, 0 failed"), "{tested:?}");
    let results = run(&["policy", "test", shipped(), "--json"]).exits(0).json();
    assert!(results.as_array().unwrap().iter().all(|test| test["outcome"] == "PASS"));
}

#[test]
fn an_input_is_evaluated() {
    let folder = Folder::new();
    let input = folder.file(
        "input.json",
        r#"{"tenant":"platform-eng","tool":"langsmith-docs-search","action":"invoke",
            "purpose":"documentation_lookup","usage":0,"context":{},"arguments":{}}"#,
    );
    let decision = run(&["policy", "eval", shipped(), "--input", &input]).exits(0).json();
    assert_eq!(decision["allow"], true);
    let undefined = ["policy", "eval", shipped(), "--rule=data.nothing", "--input", &input];
    let undefined = run(&undefined).exits(1);
    assert!(undefined.stdout.contains("undefined"), "{undefined:?}");
    let json = run(&["policy", "eval", shipped(), "--json", "--input", &input]).exits(0).json();
    assert_eq!(json["result"]["allow"], true);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let folder = Folder::new();
    folder.file("broken/p.rego", "package sentinel.policy\nallow if {");
    let broken = folder.path().join("broken");
    let refused = run(&["policy", "check", broken.to_str().unwrap()]).exits(1);
    assert!(refused.stdout.contains("--> p.rego:2:11"), "{refused:?}");
    assert!(refused.stdout.contains("error[invalid_file]"), "{refused:?}");
    folder.file("failing/p.rego", "package sentinel.policy\ndefault allow := false\n");
    folder.file("failing/p_test.rego", "package sentinel.policy_test\ntest_no if false\n");
    let failing = folder.path().join("failing");
    let failed = run(&["policy", "test", failing.to_str().unwrap()]).exits(1);
    assert!(failed.stdout.contains("FAIL") && failed.stdout.contains("test_no"), "{failed:?}");
    run(&["policy", "check", "/nonexistent"]).exits(1);
}

#[test]
fn v0_is_stated_to_every_command_or_refused_with_its_place() {
    let folder = Folder::new();
    let text = "package sentinel.policy\n\ndefault allow = false\n\nallow { input.usage < 5 }\n";
    folder.file("v0/p.rego", text);
    let test = "package sentinel.policy_test\n\n\
        test_a { data.sentinel.policy.allow with input as {\"usage\": 4} }\n";
    folder.file("v0/p_test.rego", test);
    let input = folder.file("input.json", "{\"usage\": 1}");
    let dir = folder.path().join("v0").to_str().unwrap().to_owned();
    let refused = run(&["policy", "check", &dir]).exits(1);
    assert!(refused.stdout.contains("error[rego_version]"), "{refused:?}");
    assert!(refused.stdout.contains("--> p.rego:5:7"), "{refused:?}");
    assert!(refused.stdout.contains("--v0-compatible"), "{refused:?}");
    let state = "--v0-compatible";
    run(&["policy", "check", &dir, state]).exits(0);
    run(&["policy", "test", &dir, state]).exits(0);
    run(&["policy", "bench", &dir, state, "--evaluations", "10"]).exits(0);
    let rule = "--rule=data.sentinel.policy.allow";
    let eval = ["policy", "eval", &dir, "--input", &input, rule];
    run(&eval).exits(1);
    let stated: Vec<&str> = eval.into_iter().chain([state]).collect();
    assert_eq!(run(&stated).exits(0).stdout.trim(), "true");
    let bundle = folder.path().join("b.tar.gz").to_str().unwrap().to_owned();
    run(&["policy", "bundle", "build", &dir, "-o", &bundle]).exits(1);
    run(&["policy", "bundle", "build", &dir, "-o", &bundle, state]).exits(0);
    // The bundle states it from then on.
    run(&["policy", "check", &bundle]).exits(0);
    let shown = run(&["policy", "bundle", "inspect", &bundle, "--json"]).exits(0).json();
    assert_eq!(shown["rego_version"], 0);
}

#[test]
fn the_vetting_process_answers_in_one_line() {
    let answered = run(&["policy", "vet-child", shipped()]).exits(0);
    let verdict: Value = serde_json::from_str(answered.stdout.trim_end()).unwrap();
    assert_eq!((answered.stdout.lines().count(), &verdict["error"]), (1, &Value::Null));
}

#[test]
fn coverage_has_a_threshold_and_results_are_written_as_junit() {
    let folder = Folder::new();
    folder.file(
        "p/p.rego",
        "package sentinel.policy\n\ndefault allow := false\n\nallow if input.a\n",
    );
    folder.file("p/other.rego", "package other\n\nx if input.a\n");
    let test = "package sentinel.policy_test\n\nimport data.sentinel.policy\n\n\
        test_yes if policy.allow with input as {\"a\": true}\n\ntest_no if {\n\tpolicy.allow\n}\n";
    folder.file("p/p_test.rego", test);
    let dir = folder.path().join("p").to_str().unwrap().to_owned();
    let junit = folder.path().join("junit.xml");
    let failed = run(&["policy", "test", &dir, "--junit", junit.to_str().unwrap()]).exits(1);
    assert!(failed.stdout.contains("line 8 does not hold"), "{failed:?}");
    let xml = std::fs::read_to_string(junit).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{xml}");
    let one = run(&["policy", "test", &dir, "--run", "yes$", "--threshold", "10"]).exits(0);
    assert!(one.stdout.contains("1 passed, 0 failed"), "{one:?}");
    assert!(one.stdout.contains("other.rego  not evaluated: 3"), "{one:?}");
    let low = run(&["policy", "test", &dir, "--run", "yes$", "--threshold", "100"]).exits(1);
    assert!(low.stderr.contains("not 100 %"), "{low:?}");
    run(&["policy", "test", &dir, "--run", "nothing"]).exits(1);
}

#[test]
fn an_evaluation_is_explained() {
    let folder = Folder::new();
    let input = folder.file("input.json", r#"{"tenant":"demo","tool":"rm","usage":0}"#);
    let told = run(&["policy", "eval", shipped(), "--explain", "--input", &input]).exits(0);
    assert!(
        told.stdout.contains("data.allowlist[input.tenant][input.tool] = undefined"),
        "{told:?}"
    );
}

#[test]
fn recorded_decisions_are_replayed_from_a_file() {
    let folder = Folder::new();
    let mut lines = String::new();
    for index in 0..3000 {
        let purpose = if index % 3 == 0 { "curiosity" } else { "scheduling" };
        let record = serde_json::json!({
            "id": index.to_string(), "tenant": "demo", "tool": "mcp-server-time",
            "decision": "allow", "code": "allowed", "reasons": [], "purpose": purpose,
            "action": "call", "argument_hash": "00", "event_metadata": {},
            "created_at": format!("2026-11-24T10:{:02}:00Z", index / 60),
        });
        lines.push_str(&format!("{record}\n"));
    }
    lines.push_str("{}\n");
    let file = folder.file("decisions.ndjson", &lines);
    let args = ["policy", "replay", shipped(), "--decisions", &file];
    let all = run(&[&args[..], &["--json"]].concat()).exits(1).json();
    assert_eq!(
        (&all["total"]["replayed"], &all["total"]["newly_denied"]),
        (&3000.into(), &1000.into())
    );
    assert_eq!(all["total"]["unreadable"], 1);
    assert_eq!(all["by_tool"][0]["counts"]["newly_denied"], 1000);
    assert_eq!(all["examples"].as_array().unwrap().len(), 3);
    let part = [&args[..], &["--json", "--from=2026-11-24T10:10:00Z", "--to=2026-11-24T10:20:00Z"]];
    assert_eq!(run(&part.concat()).exits(1).json()["total"]["replayed"], 600);
    let told = run(&args).exits(1);
    assert!(told.stdout.contains("newly denied  0"), "{told:?}");
    assert!(told.stderr.contains("not a decision: 1 of 3001 lines"), "{told:?}");

    let sound = folder.file("sound.ndjson", lines.trim_end_matches("{}\n"));
    let args = ["policy", "replay", shipped(), "--decisions", &sound];
    run(&args).exits(0);
    let none = run(&[&args[..], &["--tenant=absent"]].concat()).exits(1);
    assert!(none.stderr.contains("none of the 3000 decisions matches"), "{none:?}");
    assert!(!none.stdout.contains("a second"), "{none:?}");
    run(&[&args[..], &["--deny-changes"]].concat()).exits(1);
    let same = [&args[..], &["--deny-changes", "--to=2026-11-24T10:00:00Z"]].concat();
    assert!(run(&same).exits(1).stderr.contains("no decision was replayed"));
}

#[test]
fn what_is_no_decision_is_not_replayed() {
    let folder = Folder::new();
    for garbage in ["", "{\"a\": 1}\n[1]\n", "not json\n", "{}\n", "\u{1}\u{2}\n"] {
        let file = folder.file("garbage", garbage);
        for more in [&[][..], &["--tenant=demo"][..], &["--json"][..]] {
            let args = ["policy", "replay", shipped(), "--decisions", &file];
            let told = run(&[&args[..], more].concat()).exits(1);
            let lines = garbage.lines().count();
            let expected = format!("none of the {lines} lines is a decision");
            assert!(told.stderr.contains(&expected), "{told:?}");
            assert!(told.stderr.contains("sentinel decisions --export"), "{told:?}");
            assert!(!told.stdout.contains("a second"), "{told:?}");
        }
    }
}

#[test]
fn an_input_is_read_as_strictly_as_the_server_does() {
    let folder = Folder::new();
    for input in [r#"{"tenant": "demo", "tenant": "other"}"#, "[1]", "3", "{"] {
        let file = folder.file("input.json", input);
        let told = run(&["policy", "eval", shipped(), "--input", &file]).exits(1);
        assert!(told.stderr.contains("cannot read the input"), "{told:?}");
        assert_eq!(told.stdout, "");
    }
}

#[test]
fn rules_are_measured_and_scans_are_told() {
    let folder = Folder::new();
    let rules = "package sentinel.policy\n\ndefault allow := false\n\nallow if {\n\t\
        some tool in data.tools\n\ttool == input.tool\n}\n";
    folder.file("p/p.rego", rules);
    folder.file("p/data.json", r#"{"tools": ["a", "b"]}"#);
    let dir = folder.path().join("p").to_str().unwrap().to_owned();
    let inputs = folder.file("inputs.ndjson", "{\"tool\": \"b\"}\n{\"tool\": \"x\"}\n");
    let args = ["policy", "bench", &dir, "--evaluations", "20", "--input", &inputs];
    let told = run(&args).exits(0);
    let scan = "p.rego:5: `data.sentinel.policy.allow` goes through `data.tools`";
    assert!(told.stdout.contains(scan), "{told:?}");
    let json = run(&[&args[..], &["--json", "--deny-scans"]].concat()).exits(1).json();
    assert_eq!(
        (&json["inputs"], &json["rules"][0]["evaluations"]),
        (&Value::from(2), &Value::from(20))
    );
    let recorded = r#"{"tenant":"demo","tool":"mcp-server-time","code":"allowed"}"#;
    let decisions = folder.file("decisions.ndjson", &format!("{recorded}\n{{}}\n"));
    let args = ["policy", "bench", shipped(), "--evaluations", "20", "--decisions", &decisions];
    let json = run(&[&args[..], &["--json"]].concat()).exits(0).json();
    assert_eq!((&json["inputs"], &json["scans"]), (&Value::from(1), &serde_json::json!([])));
    run(&["policy", "bench", shipped(), "--evaluations", "20", "--deny-scans"]).exits(0);
}

#[test]
fn the_wrong_kind_of_file_is_told_with_what_to_give() {
    let folder = Folder::new();
    let rego = folder.file("p.rego", "package sentinel.policy\ndefault allow := false\n");
    let bundle = folder.path().join("b.tar.gz").to_str().unwrap().to_owned();
    run(&["policy", "bundle", "build", shipped(), "-o", &bundle]).exits(0);
    let input = folder.file("input.json", "{}");
    for (args, file, help) in [
        (&["policy", "check"][..], &rego, "not a single .rego file"),
        (&["policy", "eval", "--input", &input], &rego, "not a single .rego file"),
        (&["policy", "eval", "--input", &input], &bundle, "give the directory of the policy"),
        (&["policy", "test"], &bundle, "give the directory of the policy"),
        (&["policy", "bench"], &bundle, "give the directory of the policy"),
        (&["policy", "rollout", "start"], &bundle, "give the directory of the policy"),
        (&["policy", "bundle", "build"], &bundle, "give the directory of the policy"),
        (&["policy", "bundle", "inspect"], &shipped().to_owned(), "give a bundle"),
    ] {
        let told = run(&[args, &[file.as_str()]].concat()).exits(2);
        assert!(told.stderr.contains(help) && !told.stderr.contains("os error"), "{told:?}");
    }
    run(&["policy", "check", &bundle]).exits(0);
    run(&["policy", "bundle", "build", shipped(), "-o", &bundle, "--revision", ""]).exits(2);
    let stream = run(&["policy", "bundle", "build", shipped(), "-o", "-"]).exits(2);
    assert!(stream.stderr.contains("not to standard output"), "{stream:?}");
}
