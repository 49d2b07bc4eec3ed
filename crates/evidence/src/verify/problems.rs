/// Problems of one kind that are shown.
const SHOWN: usize = 5;

/// One thing that was checked, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    /// What was found to be so, for when nothing is wrong.
    pub passed: String,
    /// The first few problems; none when it passed.
    pub problems: Vec<String>,
    /// How many more problems there are.
    pub more: u64,
}

impl Check {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What is wrong with one thing, so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    shown: Vec<String>,
    more: u64,
}

impl Problems {
    pub(super) fn add(&mut self, problem: String) {
        if self.shown.len() < SHOWN {
            self.shown.push(problem);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    pub(super) fn check(self, name: &'static str, passed: String) -> Check {
        Check { name, passed, problems: self.shown, more: self.more }
    }
}

/// Why a bundle is not good evidence, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsound(pub(super) String);

impl From<&str> for Unsound {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}

impl std::fmt::Display for Unsound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
