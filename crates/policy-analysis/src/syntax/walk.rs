//! Ways through the syntax tree: references, and what is inside an expression.

use std::collections::BTreeSet;

use super::{Expr, File, Head, Query, Span};

impl File {
    /// What is written at a place.
    pub(crate) fn text(&self, span: Span) -> &str {
        self.source.contents.get(span.start..span.end).unwrap_or_default()
    }
}

impl Head {
    /// What the rule is called, with the keys of its last part.
    pub(crate) fn refr(&self) -> &Expr {
        match self {
            Self::Compr { refr, .. } | Self::Set { refr, .. } | Self::Func { refr, .. } => refr,
        }
    }

    /// The parts of its name that are known from the text.
    pub(crate) fn name(&self) -> Vec<String> {
        let (reference, _) = self.refr().reference();
        let name = reference.iter().flat_map(|reference| {
            std::iter::once(reference.root.to_owned()).chain(reference.known())
        });
        name.collect()
    }

    /// What the rule yields; its keys are in its name.
    pub(crate) fn value(&self) -> Option<&Expr> {
        match self {
            Self::Compr { assign, .. } | Self::Func { assign, .. } => {
                assign.as_ref().map(|assign| &assign.value)
            }
            Self::Set { key, .. } => key.as_ref(),
        }
    }
}

/// One step of a reference.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// Known from the text.
    Name(&'a str),
    /// Known only when it is evaluated.
    Dynamic(&'a Expr),
}

/// A reference taken apart: `data.a[x].b` has the root `data` and three steps.
#[derive(Debug)]
pub(crate) struct Reference<'a> {
    pub root: &'a str,
    pub span: Span,
    pub steps: Vec<Step<'a>>,
}

impl<'a> Reference<'a> {
    /// The steps that are known from the text, up to the first that is not.
    pub(crate) fn known(&self) -> impl Iterator<Item = String> {
        self.steps.iter().map_while(|step| match step {
            Step::Name(name) => Some((*name).to_owned()),
            Step::Dynamic(_) => None,
        })
    }

    /// The steps that are known only when they are evaluated.
    pub(crate) fn dynamic(&self) -> impl Iterator<Item = &'a Expr> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Name(_) => None,
            Step::Dynamic(expr) => Some(*expr),
        })
    }

    /// The reference as text, when all of it is known: `numbers.range`.
    pub(crate) fn dotted(&self) -> String {
        std::iter::once(self.root.to_owned()).chain(self.known()).collect::<Vec<_>>().join(".")
    }
}

impl Expr {
    /// The expression as a reference, when it is one that starts with a variable. Otherwise what
    /// the reference starts with, which is the expression itself when it is not a reference.
    pub(crate) fn reference<'a>(&'a self) -> (Option<Reference<'a>>, Option<&'a Expr>) {
        let mut steps = Vec::new();
        let mut at = self;
        loop {
            match at {
                Self::RefDot { refr, field, .. } => {
                    steps.push(Step::Name(&field.1));
                    at = refr;
                }
                Self::RefBrack { refr, index, .. } => {
                    steps.push(match index.as_ref() {
                        Self::String { value } | Self::RawString { value } => Step::Name(value),
                        other => Step::Dynamic(other),
                    });
                    at = refr;
                }
                Self::Var { span, value } => {
                    steps.reverse();
                    let root = value.as_str();
                    return (Some(Reference { root, span: *span, steps }), None);
                }
                other => return (None, Some(other)),
            }
        }
    }

    /// The expressions directly inside, but for those of a comprehension.
    pub(crate) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Array { items } | Self::Set { items } => items.iter().collect(),
            Self::Object { fields } => fields.iter().flat_map(|(_, k, v)| [k, v]).collect(),
            // The function's name is not an expression of its own.
            Self::Call { params, .. } => params.iter().collect(),
            Self::Unary { expr } => vec![expr],
            Self::Bin { lhs, rhs }
            | Self::Compare { lhs, rhs, .. }
            | Self::Arith { lhs, rhs }
            | Self::Assign { lhs, rhs, .. } => vec![lhs, rhs],
            Self::Membership { key, value, collection, .. } => {
                key.as_deref().into_iter().chain([value.as_ref(), collection.as_ref()]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// All expressions directly inside, the parts of references included, but for those of a
    /// comprehension.
    pub(crate) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::RefDot { refr, .. } => vec![refr],
            Self::RefBrack { refr, index, .. } => vec![refr, index],
            other => other.children(),
        }
    }

    /// The expressions directly inside that have values of their own, but for those of a
    /// comprehension: of a reference the steps that are not known from the text, and what it starts
    /// with unless that is a variable.
    pub(crate) fn operands(&self) -> Vec<&Self> {
        let (reference, start) = self.reference();
        if let Some(reference) = reference {
            return reference.dynamic().collect();
        }
        match self {
            Self::RefDot { .. } | Self::RefBrack { .. } => {
                start.into_iter().chain(self.dynamic_steps()).collect()
            }
            other => other.children(),
        }
    }

    /// The steps of a reference that starts with something else than a variable: `f(x)[y]`.
    pub(crate) fn dynamic_steps(&self) -> Vec<&Expr> {
        let mut found = Vec::new();
        let mut at = self;
        loop {
            match at {
                Self::RefDot { refr, .. } => at = refr,
                Self::RefBrack { refr, index, .. } => {
                    found.push(index.as_ref());
                    at = refr;
                }
                _ => return found,
            }
        }
    }

    /// Whether all of it is written out: no variable, reference, call or comprehension.
    pub(crate) fn is_literal(&self) -> bool {
        match self {
            Self::String { .. }
            | Self::RawString { .. }
            | Self::Number { .. }
            | Self::Bool { .. }
            | Self::Null {} => true,
            Self::Array { .. } | Self::Set { .. } | Self::Object { .. } => {
                self.children().into_iter().all(Self::is_literal)
            }
            _ => false,
        }
    }

    /// Whether a variable is used in it, comprehensions aside.
    pub(crate) fn mentions(&self, variable: &str) -> bool {
        matches!(self, Self::Var { value, .. } if value == variable)
            || self.parts().into_iter().any(|part| part.mentions(variable))
    }

    /// Adds the variables in it, comprehensions aside. `_` is one only as a step.
    pub(crate) fn variables<'a>(&'a self, found: &mut BTreeSet<&'a str>) {
        match self {
            Self::Var { value, .. } => drop(found.insert(value.as_str())),
            other => other.parts().into_iter().for_each(|part| part.variables(found)),
        }
    }

    /// The query of a comprehension, and the terms evaluated in it.
    pub(crate) fn comprehension(&self) -> Option<(&Query, Vec<&Self>)> {
        match self {
            Self::ArrayCompr { term, query } | Self::SetCompr { term, query } => {
                Some((query, vec![term]))
            }
            Self::ObjectCompr { key, value, query } => Some((query, vec![key, value])),
            _ => None,
        }
    }

    /// Where it is, for the kinds of expressions that findings point at.
    pub(crate) fn span(&self) -> Option<Span> {
        match self {
            Self::Var { span, .. }
            | Self::Call { span, .. }
            | Self::Compare { span, .. }
            | Self::RefDot { span, .. }
            | Self::RefBrack { span, .. }
            | Self::Membership { span, .. } => Some(*span),
            _ => None,
        }
    }
}
