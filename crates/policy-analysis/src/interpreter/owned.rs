//! Which places in data belong to a policy, so that no one else puts anything there: data would win
//! over rules, and of two values at one place one would be lost.

use regorus::Value;
use sentinel_core::policy_data::DataPath;

/// The places of one policy.
#[derive(Debug, Clone)]
pub struct Owned {
    /// Nothing may be put within these, nor above them, since that would replace them.
    areas: Vec<(Vec<String>, &'static str)>,
    /// What the policy itself brings.
    data: Value,
}

impl Owned {
    /// `packages` of the rules and, where a manifest states them, `roots` of everything.
    pub(super) fn new(packages: Vec<Vec<String>>, roots: Vec<Vec<String>>, data: Value) -> Self {
        let packages = packages.into_iter().map(|package| (package, "the package"));
        let roots = roots.into_iter().map(|root| (root, "the root"));
        Self { areas: packages.chain(roots).collect(), data }
    }

    /// To whom `path` belongs, in words; `None` when it is free.
    #[must_use]
    pub fn owner(&self, path: &DataPath) -> Option<String> {
        let parts = path.parts();
        let meets = |area: &&(Vec<String>, &str)| area.0.iter().zip(parts).all(|(a, b)| a == b);
        if let Some((area, what)) = self.areas.iter().find(meets) {
            return Some(format!("{what} `/{}` of the policy in force", area.join("/")));
        }
        let mut at = &self.data;
        for (depth, part) in parts.iter().enumerate() {
            let above = || parts.get(..depth).unwrap_or_default().join("/");
            let Ok(object) = at.as_object() else {
                return Some(format!("the data `/{}` of the policy in force", above()));
            };
            at = object.get(&Value::from(part.as_str()))?;
        }
        Some(format!("the data `{path}` of the policy in force"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_has_is_its_own_and_the_rest_is_free() {
        let data = r#"{"limits": {"acme": {"search": 5}, "open": {}}, "list": [1]}"#;
        let package = vec!["sentinel".to_owned(), "policy".to_owned()];
        let owned = Owned::new(vec![package], vec![], Value::from_json_str(data).unwrap());
        let owner = |path: &str| owned.owner(&path.parse().unwrap());
        for path in ["/sentinel", "/sentinel/policy", "/sentinel/policy/allow/x"] {
            assert!(owner(path).unwrap().contains("package `/sentinel/policy`"), "{path}");
        }
        for path in ["/limits", "/limits/acme", "/limits/acme/search", "/limits/open", "/list"] {
            assert!(owner(path).unwrap().contains("data"), "{path}");
        }
        assert!(owner("/limits/acme/search/x").unwrap().contains("`/limits/acme/search`"));
        assert!(owner("/list/0").unwrap().contains("`/list`"));
        for path in ["/limits/acme/index", "/limits/open/x", "/other", "/sentinel/other"] {
            assert_eq!(owner(path), None, "{path}");
        }
        let rooted = |root: Vec<String>| Owned::new(vec![], vec![root], Value::new_object());
        assert!(rooted(vec![]).owner(&"/any/thing".parse().unwrap()).is_some());
        let limits = rooted(vec!["limits".to_owned()]);
        assert!(limits.owner(&"/limits/free/as/air".parse().unwrap()).is_some());
        assert!(limits.owner(&"/other".parse().unwrap()).is_none());
    }
}
