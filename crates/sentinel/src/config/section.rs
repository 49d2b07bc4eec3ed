//! What a section of the configuration can do.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problems::Problems;

/// A section of the configuration: fields that belong together, and what is made from them. In the
/// file all fields are at the top level, so no two sections may have a field of the same name.
///
/// A section knows no other. A rule about fields of several sections is in
/// [`rules`](super::rules).
pub(crate) trait Section: Default + Serialize + DeserializeOwned + JsonSchema {
    /// What the section makes.
    type Built;

    /// Reports values that cannot be used, whether or not anything is made from them.
    fn check(&self, _problems: &mut Problems) {}

    /// Reports numbers outside of what the schema states, so that no other place states it.
    fn bounds(&self, problems: &mut Problems) {
        let schema = schemars::schema_for!(Self).to_value();
        match serde_json::to_value(self) {
            Ok(values) => problems.outside(&schema, &values),
            Err(error) => problems.add(
                format!("the configuration cannot be read back: {error}"),
                "report this as a fault of Sentinel",
            ),
        }
    }

    /// Makes what the section describes. `None` only after the reason was reported.
    fn build(&self, problems: &mut Problems) -> Option<Self::Built>;

    /// Checks this section alone, and makes what it describes.
    ///
    /// # Errors
    /// Every problem found in it.
    fn checked(&self) -> Result<Self::Built, Problems> {
        let mut problems = Problems::default();
        let built = self.build(&mut problems);
        self.check(&mut problems);
        self.bounds(&mut problems);
        match built {
            Some(built) if problems.is_empty() => Ok(built),
            _ => Err(problems),
        }
    }
}
