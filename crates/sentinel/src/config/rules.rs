//! Rules about fields of several sections.

use super::Config;
use super::problems::Problems;
use super::sections::OnRedisLoss;

/// Reports every rule that is broken.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    archive(config, problems);
    counting(config, problems);
}

/// Only PostgreSQL has months that can be archived.
fn archive(config: &Config, problems: &mut Problems) {
    if config.database.is_sqlite() && config.audit_archive.audit_archive_url.is_some() {
        problems.add(
            "`audit_archive_url` is for PostgreSQL, and `database_url` names SQLite",
            "remove `audit_archive_url`; `sentinel decisions --export FILE` copies decisions",
        );
    }
}

/// Servers that each count rate limits for themselves have to know how many they are: otherwise
/// each of them would grant the whole limit.
fn counting(config: &Config, problems: &mut Problems) {
    let redis = &config.redis;
    if !config.database.is_postgres() || redis.replicas.is_some() {
        return;
    }
    let fix = "set `replicas` (or SENTINEL_REPLICAS) to the number of servers, 1 for a single one";
    if redis.redis_url.is_none() && !config.checks.rate_limits.is_empty() {
        problems.add(
            "`rate_limits` without `redis_url` are counted by each server for itself, and \
             `replicas` does not say how many there are",
            format!("{fix}; or set `redis_url`, where they count together"),
        );
    }
    if redis.redis_url.is_some() && redis.on_redis_loss == OnRedisLoss::LocalShare {
        problems.add(
            "`on_redis_loss: local_share` divides rate limits by `replicas`, which is not set",
            fix,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(database_url: &str) -> Config {
        let mut config = Config::default();
        config.database.database_url = Some(database_url.to_owned());
        config
    }

    fn broken(config: &Config) -> Vec<String> {
        let mut problems = Problems::default();
        check(config, &mut problems);
        problems.iter().map(|problem| problem.what.clone()).collect()
    }

    #[test]
    fn servers_that_count_for_themselves_know_how_many_they_are() {
        let mut config = on("postgres://u@localhost/d");
        assert!(broken(&config).is_empty());
        config.checks.rate_limits = vec!["agent:100/1s".to_owned()];
        let found = broken(&config);
        assert!(found.len() == 1 && found[0].contains("`rate_limits` without `redis_url`"));
        config.redis.replicas = Some(1);
        assert!(broken(&config).is_empty());
        config.redis.replicas = None;
        config.redis.redis_url = Some("redis://127.0.0.1".to_owned());
        assert!(broken(&config).is_empty());
        config.redis.on_redis_loss = OnRedisLoss::LocalShare;
        let found = broken(&config);
        assert!(found.len() == 1 && found[0].contains("local_share"), "{found:?}");
        config.redis.replicas = Some(3);
        assert!(broken(&config).is_empty());
    }

    #[test]
    fn only_postgresql_has_months_to_archive() {
        for (database, expected) in [("sqlite:///x/y.db", 1), ("postgres://u@localhost/d", 0)] {
            let mut config = on(database);
            config.audit_archive.audit_archive_url = Some("s3://bucket/folder".to_owned());
            let found = broken(&config);
            assert_eq!(found.len(), expected, "{found:?}");
            assert!(found.iter().all(|what| what.contains("names SQLite")), "{found:?}");
        }
    }
}
