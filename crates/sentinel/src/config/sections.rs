//! The sections of the configuration. To add one, write its file, and add it to both lists here.

mod audit_archive;
mod checks;
mod database;
pub(crate) mod gateway;
mod gateway_limits;
mod health;
pub(crate) mod keys;
mod limits;
mod listen;
mod logging;
mod payloads;
mod policy;
mod redis;
mod transparency;

use serde_json::Value;

use super::problems::Problems;
use super::rules;
use super::section::Section;

pub(crate) use self::listen::loopback_hosts;
pub(crate) use self::redis::OnRedisLoss;
pub(crate) use self::transparency::DEFAULT_LOG_ORIGIN;

macro_rules! sections {
    ($($name:ident: $section:ty),+ $(,)?) => {
        /// The configuration of a server: a field for each section.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(crate) struct Config {
            $(pub(crate) $name: $section,)+
        }

        /// What the sections make.
        #[derive(Debug)]
        pub(crate) struct Built {
            $(pub(crate) $name: <$section as Section>::Built,)+
        }

        impl Config {
            /// Reads every section. Fields that no section has are ignored.
            ///
            /// # Errors
            /// When a value is not of the type of its field.
            pub(super) fn read(given: &config::Config) -> Result<Self, config::ConfigError> {
                Ok(Self { $($name: given.clone().try_deserialize()?,)+ })
            }

            /// The JSON Schema of each section.
            pub(super) fn schemas() -> Vec<Value> {
                vec![$(schemars::schema_for!($section).to_value(),)+]
            }

            /// The values of each section, as JSON.
            ///
            /// # Errors
            /// None: every section can be written.
            #[cfg(test)]
            pub(super) fn values(&self) -> serde_json::Result<Vec<Value>> {
                Ok(vec![$(serde_json::to_value(&self.$name)?,)+])
            }

            /// Checks everything that can be checked without opening the store, and makes what the
            /// sections describe.
            ///
            /// # Errors
            /// Every problem found.
            pub(crate) fn build(&self) -> Result<Built, Problems> {
                let mut problems = Problems::default();
                $(let $name = self.$name.build(&mut problems);)+
                $(self.$name.check(&mut problems);
                  self.$name.bounds(&mut problems);)+
                rules::check(self, &mut problems);
                match ($($name,)+) {
                    ($(Some($name),)+) if problems.is_empty() => Ok(Built { $($name),+ }),
                    _ => Err(problems),
                }
            }
        }
    };
}

sections! {
    audit_archive: audit_archive::AuditArchive,
    checks: checks::Checks,
    database: database::DatabaseSection,
    gateway: gateway::GatewaySection,
    gateway_limits: gateway_limits::GatewayLimits,
    health: health::Health,
    keys: keys::Keys,
    limits: limits::LimitsSection,
    listen: listen::Listen,
    logging: logging::Logging,
    payloads: payloads::Payloads,
    policy: policy::Policy,
    redis: redis::Redis,
    transparency: transparency::TransparencySection,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::schema::schema;

    fn read(field: &str, value: u64) -> Config {
        let given = config::Config::builder().set_override(field, value).unwrap().build().unwrap();
        Config::read(&given).unwrap()
    }

    fn is_out_of_range(field: &str, value: u64) -> bool {
        let prefix = format!("`{field}: {value}` is out of range");
        let config = read(field, value);
        let problems = config.build().err();
        problems.is_some_and(|problems| problems.iter().any(|each| each.what == prefix))
    }

    #[test]
    fn every_bound_that_the_schema_states_is_kept_to() {
        let mut bounded = 0;
        for (field, schema) in schema()["properties"].as_object().unwrap() {
            let Some(most) = schema["maximum"].as_u64() else { continue };
            bounded += 1;
            assert!(is_out_of_range(field, most + 1), "{field}");
            assert!(!is_out_of_range(field, most), "{field}");
            let least = schema["minimum"].as_u64().unwrap_or(0);
            assert!(!is_out_of_range(field, least), "{field}");
            assert!(least == 0 || is_out_of_range(field, least - 1), "{field}");
        }
        assert!(bounded > 20, "{bounded} of {}", json!(schema()["properties"]));
    }
}
