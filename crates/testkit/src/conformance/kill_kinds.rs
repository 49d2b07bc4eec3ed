//! Kills of every kind: for a time, of principals, scopes and tags, of the platform, of self-tests.

use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::audit::DecisionFilter;
use sentinel_core::commit::Outcome;
use sentinel_core::control::ControlState;
use sentinel_core::decision::ReasonCode;
use sentinel_core::id::KillId;
use sentinel_core::kill::{Kill, KillScope, RestoreOrder};
use sentinel_core::page::Page;
use sentinel_core::ports::Restored;
use sentinel_core::principal::{ApiKey, Role};
use sentinel_core::self_test;
use sentinel_core::tool::ToolChange;
use uuid::Uuid;

use super::kills::restore;
use super::{Scene, Shared, commit, epoch, recorded};
use crate::build;

/// Every form that a kill can have.
pub async fn every_form_of_kill_comes_back_as_stored(store: Shared) {
    let scene = Scene::new(store).await;
    let (some, label) = (Some(scene.tenant.id), || build::name("Läbel"));
    let scopes = [
        KillScope::Principal { tenant_id: None, principal: label() },
        KillScope::Principal { tenant_id: some, principal: label() },
        KillScope::ToolScope { tenant_id: None, scope: label() },
        KillScope::ToolScope { tenant_id: some, scope: label() },
        KillScope::ToolTag { tenant_id: None, tag: label() },
        KillScope::ToolTag { tenant_id: some, tag: label() },
    ];
    let mut expected = Vec::new();
    for (place, scope) in (1..).zip(scopes) {
        let mut kill = build::kill(scope);
        kill.by_platform = place % 2 == 0;
        kill.starts_at = (place % 3 == 0).then_some(FAR);
        kill.expires_at = (place % 3 < 2).then_some(FURTHER);
        kill.epoch = scene.store.kill(kill.clone()).await.unwrap();
        expected.insert(0, kill);
    }
    let listed = scene.store.kills(None, false, Page::first(10)).await.unwrap().items;
    assert_eq!(listed, expected);
    let in_force = scene.store.kills(None, true, Page::first(10)).await.unwrap().items;
    assert_eq!(in_force.len(), 4, "those that are to come are not in force");
    let control = scene.control().await;
    assert_eq!(control.kills().all().count(), 6);
    assert_eq!(control.kills().in_force().count(), 4);
}

/// Times that no clock says yet.
const FAR: Timestamp = Timestamp::constant(4_102_444_800, 0);
const FURTHER: Timestamp = Timestamp::constant(4_102_444_900, 0);
/// A time that every clock says to be over.
const LONG_AGO: Timestamp = Timestamp::constant(1_577_836_800, 0);

pub async fn an_agent_is_killed_in_every_letter_case(store: Shared) {
    let scene = Scene::new(store).await;
    let tenant_id = scene.tenant.id;
    let agent = || build::name("Bot-A");
    for scope in [KillScope::Agent(agent()), KillScope::TenantAgent { tenant_id, agent: agent() }] {
        let stale = scene.check().await;
        scene.store.kill(build::kill(scope.clone())).await.unwrap();
        let fresh = scene.check().await;
        for check in [&stale, &fresh] {
            for name in ["Bot-A", "bot-a", "BOT-A", "bOt-a"] {
                let record = scene.record(&check.clone().agent(name)).await;
                assert_eq!(record.code, ReasonCode::Killed, "{name}");
                assert_eq!(record.agent, Some(build::name(name)), "as the caller writes it");
            }
            assert!(scene.record(&check.clone().agent("bot-ab")).await.allow);
        }
        // Restored in another letter case than it was killed in.
        let other = match scope {
            KillScope::Agent(_) => KillScope::Agent(build::name("bOT-a")),
            _ => KillScope::TenantAgent { tenant_id, agent: build::name("bOT-a") },
        };
        let Restored::Done { kills, .. } = restore(&scene, &other).await else { panic!() };
        assert_eq!(kills.len(), 1);
        assert_eq!(kills[0].scope, scope, "and shown as it was killed");
    }
}

pub async fn a_kill_of_a_principal_stops_the_one_it_names(store: Shared) {
    let scene = Scene::new(store).await;
    let key = ApiKey { name: build::name("Alice Ä"), ..build::key(Role::Agent) };
    let other = ApiKey { name: build::name("Bob"), ..build::key(Role::Agent) };
    for key in [&key, &other] {
        scene.store.create_key(key.clone()).await.unwrap();
    }
    let names = [format!("key:{}", key.id), key.id.to_string(), "alice ä".to_owned()];
    for tenant_id in [None, Some(scene.tenant.id)] {
        for name in &names {
            let principal = build::name(&name.to_uppercase());
            let scope = KillScope::Principal { tenant_id, principal };
            let (stale, elsewhere) = (scene.check().await.principal(&key), scene.check().await);
            scene.store.kill(build::kill(scope.clone())).await.unwrap();
            assert_eq!(scene.record(&stale).await.code, ReasonCode::Killed, "{name}");
            let fresh = scene.check().await.principal(&key);
            assert_eq!(scene.record(&fresh).await.code, ReasonCode::Killed, "{name}");
            assert!(scene.record(&elsewhere.principal(&other)).await.allow);
            restore(&scene, &scope).await;
            assert!(scene.record(&stale).await.allow);
        }
    }
    let stranger = build::tenant("stranger");
    scene.store.create_tenant(stranger.clone()).await.unwrap();
    let (tenant_id, principal) = (Some(stranger.id), build::name("alice ä"));
    scene.store.kill(build::kill(KillScope::Principal { tenant_id, principal })).await.unwrap();
    assert!(scene.record(&scene.check().await.principal(&key)).await.allow, "not in this tenant");
}

pub async fn a_kill_of_a_scope_or_tag_stops_the_tools_that_have_it_or_get_it(store: Shared) {
    let scene = Scene::new(store).await;
    let other = scene.add_tool("plain").await;
    for tenant_id in [None, Some(scene.tenant.id)] {
        let pays = KillScope::ToolScope { tenant_id, scope: build::name("PAYMENTS") };
        let pci = KillScope::ToolTag { tenant_id, tag: build::name("pci") };
        for scope in [pays, pci] {
            scene.store.kill(build::kill(scope.clone())).await.unwrap();
            let before = build::check(&scene.control().await, "acme", "plain");
            assert!(scene.record(&before).await.allow, "it does not have it");
            let change = match scope {
                KillScope::ToolScope { .. } => ToolChange {
                    scopes: Some(vec!["read".to_owned(), "payments".to_owned()]),
                    ..build::change()
                },
                _ => ToolChange {
                    metadata: Some(build::object(serde_json::json!({"tags": ["x", "PCI"]}))),
                    ..build::change()
                },
            };
            scene.store.update_tool(other.id, change, build::NOW).await.unwrap();
            let after = build::check(&scene.control().await, "acme", "plain");
            assert_eq!(scene.record(&after).await.code, ReasonCode::Killed, "{scope:?}");
            // What was decided before it had it rests on another tool.
            let done = commit(&scene.store, before.batch()).await;
            assert!(matches!(done.outcomes[..], [Outcome::Superseded]), "{:?}", done.outcomes);
            // The tool by itself cannot be restored while the wider kill covers it.
            let tool = build::scope_of(&other);
            scene.store.kill(build::kill(tool.clone())).await.unwrap();
            assert!(matches!(restore(&scene, &tool).await, Restored::StillCovered(_)));
            for scope in [&scope, &tool] {
                assert!(matches!(restore(&scene, scope).await, Restored::Done { .. }));
            }
            let none = ToolChange {
                scopes: Some(Vec::new()),
                metadata: Some(serde_json::Map::new()),
                ..build::change()
            };
            scene.store.update_tool(other.id, none, build::NOW).await.unwrap();
        }
    }
}

pub async fn a_scheduled_kill_stops_from_its_start_on(store: Shared) {
    let scene = Scene::new(store).await;
    let scope = build::scope_of(&scene.tool);
    let kill = Kill { starts_at: Some(FAR), ..build::kill(scope.clone()) };
    let stale = scene.check().await;
    scene.store.kill(kill.clone()).await.unwrap();
    let fresh = scene.check().await;
    let second = jiff::SignedDuration::from_secs(1);
    for check in [&stale, &fresh] {
        let just_before = check.clone().at(FAR.checked_sub(second).unwrap());
        assert!(scene.record(&just_before).await.allow);
        let record = scene.record(&check.clone().at(FAR)).await;
        assert_eq!(record.code, ReasonCode::Killed, "by the time of the decision");
        // By the clock of the store, for a replica whose own is behind.
        let mut batch = just_before.batch();
        batch.at(FAR);
        let done = commit(&scene.store, batch).await;
        let record = recorded(done.outcomes.into_iter().next().unwrap());
        assert_eq!(record.code, ReasonCode::Killed, "by another clock");
    }
    assert!(fresh.clone().at(build::NOW).batch().needs_time(), "so its clock is asked for");
    // Nothing begins early, and a restore takes back what is to come.
    assert!(scene.store.turn_kills(vec![kill.id], build::after(60)).await.unwrap().is_empty());
    let Restored::Done { kills, .. } = restore(&scene, &scope).await else { panic!() };
    assert_eq!(kills[0].id, kill.id);
    assert!(scene.record(&scene.check().await.at(FAR)).await.allow);
}

pub async fn a_scheduled_kill_begins_once_and_under_an_epoch_of_its_own(store: Shared) {
    let scene = Scene::new(store).await;
    let scope = build::scope_of(&scene.tool);
    let kill = Kill { starts_at: Some(LONG_AGO), ..build::kill(scope) };
    scene.store.kill(kill.clone()).await.unwrap();
    let before = epoch(&scene.store).await;
    let begun = scene.store.turn_kills(Vec::new(), build::NOW).await.unwrap();
    assert_eq!(begun.iter().map(|kill| kill.id).collect::<Vec<_>>(), [kill.id]);
    assert_eq!(begun[0].epoch.0, before.0 + 1);
    assert!(begun[0].is_in_force());
    assert!(scene.store.turn_kills(Vec::new(), build::NOW).await.unwrap().is_empty());
    assert_eq!(epoch(&scene.store).await.0, before.0 + 1);
    // Once begun, no clock that goes back makes it undone.
    let check = scene.check().await.at(Timestamp::constant(0, 0));
    assert_eq!(scene.record(&check).await.code, ReasonCode::Killed);
}

pub async fn a_kill_expires_only_when_that_is_written_down(store: Shared) {
    let scene = Scene::new(store).await;
    let scope = build::scope_of(&scene.tool);
    let expired = Kill { expires_at: Some(LONG_AGO), ..build::kill(scope.clone()) };
    let lasting = Kill { expires_at: Some(FAR), ..build::kill(scope.clone()) };
    scene.store.kill(expired.clone()).await.unwrap();
    // The clock of who decides ends nothing.
    let late = scene.check().await.at(FURTHER);
    assert_eq!(scene.record(&late).await.code, ReasonCode::Killed);
    assert!(scene.store.turn_kills(Vec::new(), FURTHER).await.unwrap().is_empty(), "not asked for");
    scene.store.kill(lasting.clone()).await.unwrap();
    let before = epoch(&scene.store).await;
    let over = vec![expired.id, lasting.id];
    let ended = scene.store.turn_kills(over.clone(), build::NOW).await.unwrap();
    assert_eq!(ended.iter().map(|kill| kill.id).collect::<Vec<_>>(), [expired.id]);
    assert_eq!(ended[0].restored_by.as_deref(), Some(Kill::EXPIRY));
    assert_eq!(epoch(&scene.store).await.0, before.0 + 1);
    assert!(scene.store.turn_kills(over, build::NOW).await.unwrap().is_empty());
    assert_eq!(scene.record(&scene.check().await).await.code, ReasonCode::Killed, "the other");
    restore(&scene, &scope).await;
    assert!(scene.record(&scene.check().await).await.allow);
}

pub async fn what_the_platform_killed_only_the_platform_restores(store: Shared) {
    let scene = Scene::new(store).await;
    let tenant_id = scene.tenant.id;
    let bound = |scope: &KillScope| RestoreOrder {
        by_platform: false,
        ..build::restore(scope.clone(), build::after(60))
    };
    let label = || build::name("read");
    let narrow = [
        KillScope::Tenant(tenant_id),
        KillScope::TenantAgent { tenant_id, agent: build::name("bot") },
        build::scope_of(&scene.tool),
        KillScope::Principal { tenant_id: Some(tenant_id), principal: label() },
        KillScope::ToolScope { tenant_id: Some(tenant_id), scope: label() },
        KillScope::ToolTag { tenant_id: Some(tenant_id), tag: label() },
    ];
    for scope in narrow {
        let own = Kill { by_platform: false, ..build::kill(scope.clone()) };
        let platform = build::kill(scope.clone());
        let coming = Kill { starts_at: Some(FAR), ..build::kill(scope.clone()) };
        scene.store.kill(own.clone()).await.unwrap();
        let Restored::Done { kills, .. } = scene.store.restore(bound(&scope)).await.unwrap() else {
            panic!("its own is a tenant's to restore")
        };
        assert_eq!(kills.len(), 1);
        for platform in [platform, coming] {
            // Beside one of its own, whichever came first.
            for kills in [[&own, &platform], [&platform, &own]] {
                let ids = [KillId(Uuid::now_v7()), KillId(Uuid::now_v7())];
                for (kill, id) in kills.into_iter().zip(ids) {
                    scene.store.kill(Kill { id, ..kill.clone() }).await.unwrap();
                }
                let before = epoch(&scene.store).await;
                let refused = scene.store.restore(bound(&scope)).await.unwrap();
                let Restored::NotYours(named) = refused else { panic!("{scope:?}: {refused:?}") };
                assert!(named.by_platform);
                assert_eq!(epoch(&scene.store).await, before, "nothing was changed");
                let done = restore(&scene, &scope).await;
                let Restored::Done { kills, .. } = done else { panic!("{done:?}") };
                assert_eq!(kills.len(), 2);
            }
        }
    }
}

pub async fn a_self_test_is_in_no_listing_and_costs_one_epoch(store: Shared) {
    let scene = Scene::new(store).await;
    let (tenant, tool) = self_test::subjects([1; 32], build::NOW).unwrap();
    scene.store.register_tool(tenant.clone(), tool.clone()).await.unwrap();
    let (run, gone) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let kill = |run, number, at| Kill {
        created_at: at,
        by_platform: false,
        ..build::kill(KillScope::TenantAgent {
            tenant_id: self_test::TENANT,
            agent: self_test::agent(run, number).unwrap(),
        })
    };
    let mut last = scene.store.kill(kill(gone, 0, build::NOW)).await.unwrap();
    for number in 0..5 {
        let at = build::after(i64::try_from(number).unwrap() * 60);
        let next = scene.store.kill(kill(run, number, at)).await.unwrap();
        assert_eq!(next.0, last.0 + 1);
        last = next;
        let control = scene.control().await;
        let open: Vec<_> = control.kills().all().map(|kill| kill.scope.agent().cloned()).collect();
        assert_eq!(open.len(), 2, "the one of now, and that of the replica that is gone");
        assert!(open.contains(&self_test::agent(run, number)));
        assert_eq!(control.kills().in_force().count(), 0);
    }
    let check = build::check(&scene.control().await, self_test::SLUG, self_test::CANARY);
    let agent = self_test::agent(run, 4).unwrap();
    let record = scene.record(&check.agent(agent.as_str())).await;
    assert_eq!(record.code, ReasonCode::Killed);
    // Hours later that of the replica that is gone is over, and the others are forgotten.
    scene.store.kill(kill(run, 5, build::after(3 * 3600))).await.unwrap();
    let fresh =
        Arc::new(ControlState::default().after(
            scene.store.control_changes(sentinel_core::epoch::Epoch::default()).await.unwrap(),
        ));
    assert_eq!(fresh.kills().all().count(), 1);
    let page = || Page::first(100);
    assert!(scene.store.kills(None, false, page()).await.unwrap().items.is_empty());
    assert!(scene.store.kills(Some(tenant.id), false, page()).await.unwrap().items.is_empty());
    let tenants = scene.store.tenants(page()).await.unwrap().items;
    assert_eq!(tenants, std::slice::from_ref(&scene.tenant));
    for of in [None, Some(tenant.id)] {
        let tools = scene.store.tools(of, page()).await.unwrap().items;
        assert!(tools.iter().all(|(listed, _)| listed.id != tool.id));
    }
    let filter = DecisionFilter::default();
    let all = DecisionFilter { self_tests: true, ..DecisionFilter::default() };
    assert!(scene.store.decisions(filter, page()).await.unwrap().items.is_empty());
    let all = scene.store.decisions(all, page()).await.unwrap().items;
    assert_eq!(all.len(), 1);
    assert!(all[0].is_self_test());
    assert!(scene.counters().await.is_empty(), "no quota was used");
}

pub async fn every_store_knows_of_one_replica_at_least(store: Shared) {
    assert!(store.replicas().await.unwrap() >= 1);
}
