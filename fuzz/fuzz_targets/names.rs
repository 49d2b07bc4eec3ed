//! Names: any text is refused or comes back unchanged, and a refusal repeats nothing harmful.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use sentinel_core::name::{
    Action, AgentName, CallId, DisplayName, NameError, Owner, Purpose, Reason, TenantSlug, ToolName,
};
use sentinel_core::policy_data::DataPath;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn check<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = NameError> + Display + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let encoded = serde_json::to_string(text).expect("text is json");
    match text.parse::<T>() {
        Ok(name) => {
            assert_eq!(name.to_string(), text);
            assert!(!text.trim().is_empty() && !text.contains(char::is_control));
            assert_eq!(serde_json::to_string(&name).expect("a name is json"), encoded);
            assert_eq!(serde_json::from_str::<T>(&encoded).ok().as_ref(), Some(&name));
            Some(name)
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.is_ascii() && message.len() < 160, "{message:?}");
            assert!(!message.contains(char::is_control), "{message:?}");
            assert!(error.position.is_none_or(|at| at < text.chars().count()), "{error:?}");
            assert!(serde_json::from_str::<T>(&encoded).is_err());
            None
        }
    }
}

fuzz_target!(|text: &str| {
    for path in [DataPath::from_address(text), text.parse::<DataPath>()].into_iter().flatten() {
        assert_eq!(path.to_string().parse().as_ref(), Ok(&path));
        assert!(path.parts().iter().all(|part| !part.is_empty() && !part.contains('\0')));
    }
    for graphic in [
        check::<TenantSlug>(text).is_some(),
        check::<AgentName>(text).is_some(),
        check::<Action>(text).is_some(),
        check::<Purpose>(text).is_some(),
        check::<CallId>(text).is_some(),
    ] {
        assert!(!graphic || text.bytes().all(|b| b.is_ascii_graphic()));
    }
    check::<Reason>(text);
    check::<DisplayName>(text);
    check::<Owner>(text);
    if let Some(tool) = check::<ToolName>(text) {
        assert!(!text.contains("..") && !text.contains("//") && !text.starts_with('/'));
        let skeleton = tool.skeleton();
        let upper: ToolName = text.to_ascii_uppercase().parse().expect("case is free");
        assert_eq!(upper.skeleton(), skeleton);
        assert!(skeleton.len() <= text.len() && !skeleton.is_empty());
    }
});
