//! Where past months of decisions go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;
use crate::environment;
use crate::parts::archiving::Archiving;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct AuditArchive {
    /// Where past months of decisions are archived: `file:///absolute/directory` that all servers
    /// share, or `s3://bucket/folder` with credentials in the usual `AWS_…` variables. A month is
    /// removed from PostgreSQL only after its archive was read back and compared. Without it every
    /// decision stays in the database.
    pub(crate) audit_archive_url: Option<String>,
    /// Months of decisions that stay in PostgreSQL besides the current one when
    /// `audit_archive_url` is set; 12 by default.
    #[schemars(range(min = 1, max = 1200))]
    pub(crate) audit_keep_months: Option<u32>,
}

impl Section for AuditArchive {
    type Built = Option<Archiving>;

    fn build(&self, problems: &mut Problems) -> Option<Option<Archiving>> {
        problems.keep(self.archiving())
    }
}

impl AuditArchive {
    fn archiving(&self) -> Result<Option<Archiving>, Problem> {
        let Some(url) = &self.audit_archive_url else {
            return match self.audit_keep_months {
                None => Ok(None),
                Some(months) => Err(Problem::new(
                    format!(
                        "`audit_keep_months: {months}` without `audit_archive_url` does nothing"
                    ),
                    "set `audit_archive_url` to where older months go, or remove \
                     `audit_keep_months`",
                )),
            };
        };
        let archiving = Archiving::of(url, self.audit_keep_months, environment::variables());
        archiving.map(Some).map_err(|error| {
            Problem::new(
                format!("`audit_archive_url` cannot be used: {error}"),
                "set `audit_archive_url: file:///var/lib/sentinel/archive` to a directory that \
                 exists, or `audit_archive_url: s3://bucket/folder`",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(url: Option<&str>, keep: Option<u32>) -> Result<Option<Archiving>, Problem> {
        AuditArchive { audit_archive_url: url.map(str::to_owned), audit_keep_months: keep }
            .archiving()
    }

    #[test]
    fn an_archive_is_somewhere_or_nothing_is_removed() {
        assert!(built(None, None).unwrap().is_none());
        let dir = tempfile::tempdir().unwrap();
        let url = url::Url::from_directory_path(dir.path()).unwrap().to_string();
        assert_eq!(built(Some(&url), None).unwrap().unwrap().keep_months, 12);
        assert_eq!(built(Some("s3://b/f"), Some(1)).unwrap().unwrap().keep_months, 1);
        for (url, keep, why) in [
            (None, Some(3), "without `audit_archive_url` does nothing"),
            (Some("file:///no/such/directory"), None, "`/no/such/directory` does not exist"),
            (Some("file://host/directory"), None, "names a machine"),
            (Some("relative/directory"), None, "not an address"),
            (Some("https://b.s3.amazonaws.com/"), None, "neither with `file:///` nor"),
            (Some("s3:///folder"), None, "names no bucket"),
            (Some("s3://key:hunter2@bucket/"), None, "belong into the environment"),
            (Some("s3://bucket/?secret=hunter2"), None, "belong into the environment"),
        ] {
            let problem = built(url, keep).unwrap_err();
            assert!(problem.what.contains(why), "{problem:?}");
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
        let none = AuditArchive { audit_keep_months: Some(0), ..AuditArchive::default() };
        let problems = none.checked().unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.what.contains("out of range")),
            "{problems:?}"
        );
    }
}
