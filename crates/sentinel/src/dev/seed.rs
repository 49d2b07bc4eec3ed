//! The sample tools of `sentinel dev`.

use sentinel_core::name::NameError;
use sentinel_core::principal::Principal;
use sentinel_core::tenant::TenantSpec;
use sentinel_core::tool::ToolSpec;
use sentinel_service::{ServiceError, Services};
use serde_json::json;

use crate::failure::{OrFail as _, Outcome};

struct Sample {
    tenant: &'static str,
    tenant_name: &'static str,
    tool: &'static str,
    url: &'static str,
    owner: &'static str,
    scopes: &'static [&'static str],
    description: &'static str,
    data_class: &'static str,
}

/// Why a sample cannot be registered.
#[derive(Debug, thiserror::Error)]
enum SampleError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Url(#[from] url::ParseError),
}

/// The seed's tools. The addresses are of a domain that never resolves.
const SAMPLES: [Sample; 4] = [
    Sample {
        tenant: "platform-eng",
        tenant_name: "Platform Engineering",
        tool: "langsmith-docs-search",
        url: "https://docs-search.platform-eng.example/mcp",
        owner: "platform-eng@example.com",
        scopes: &["docs:read"],
        description: "Searches the product documentation",
        data_class: "public",
    },
    Sample {
        tenant: "secops",
        tenant_name: "Security Operations",
        tool: "incident-response-runbook",
        url: "https://runbooks.secops.example/mcp",
        owner: "secops@example.com",
        scopes: &["runbook:read", "runbook:execute"],
        description: "Reads and runs the runbooks of incident response",
        data_class: "restricted",
    },
    Sample {
        tenant: "support",
        tenant_name: "Customer Support",
        tool: "customer-profile-api",
        url: "https://profiles.support.example/mcp",
        owner: "support@example.com",
        scopes: &["customer:read"],
        description: "Looks up the profile of a customer",
        data_class: "personal",
    },
    Sample {
        tenant: "finops",
        tenant_name: "Finance Operations",
        tool: "finance-ledger-writer",
        url: "https://ledger.finops.example/mcp",
        owner: "finops@example.com",
        scopes: &["ledger:read", "ledger:write"],
        description: "Writes entries into the general ledger",
        data_class: "financial",
    },
];

/// Registers the sample tools that do not exist yet, and returns `tenant/tool` of the new ones.
///
/// # Errors
/// When the store cannot be written.
pub(crate) async fn seed(services: &Services, actor: &Principal) -> Outcome<Vec<String>> {
    let mut new = Vec::new();
    for sample in &SAMPLES {
        let name = format!("{}/{}", sample.tenant, sample.tool);
        let doing = || format!("cannot register the sample tool `{name}`");
        let (tenant, tool) = sample.specs().or_fail(doing)?;
        match services.registry.register(actor, tenant, tool).await {
            Ok(_) => new.push(name),
            // Also when it was retired: a sample that was removed stays removed.
            Err(ServiceError::Conflict { .. }) => {}
            Err(error) => return Err(error).or_fail(doing),
        }
    }
    Ok(new)
}

impl Sample {
    fn specs(&self) -> Result<(TenantSpec, ToolSpec), SampleError> {
        let tenant =
            TenantSpec { slug: self.tenant.parse()?, display_name: self.tenant_name.parse()? };
        let metadata = [
            ("sample".to_owned(), json!(true)),
            ("description".to_owned(), json!(self.description)),
            ("data_class".to_owned(), json!(self.data_class)),
        ];
        let tool = ToolSpec {
            name: self.tool.parse()?,
            url: url::Url::parse(self.url)?,
            owner: self.owner.parse()?,
            scopes: self.scopes.iter().map(|&scope| scope.to_owned()).collect(),
            metadata: metadata.into_iter().collect(),
            healthcheck: None,
        };
        Ok((tenant, tool))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_can_be_registered() {
        for sample in &SAMPLES {
            sample.specs().unwrap();
        }
    }
}
