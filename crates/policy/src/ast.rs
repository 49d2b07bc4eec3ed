//! The part of the interpreter's syntax tree that vetting looks at.
//!
//! The interpreter keeps its syntax tree to itself but prints it as JSON; these types mirror that
//! form. They say nothing about numbers of expressions and the like, which nobody here needs.

use serde::Deserialize;

use crate::error::LoadError;
use crate::finding::{Finding, Lint};

/// The syntax trees of an engine's policies.
pub(crate) fn files(engine: &regorus::Engine) -> Result<Vec<File>, LoadError> {
    let tree = engine
        .get_ast_as_json()
        .map_err(|error| LoadError::Evaluation(format!("no syntax tree: {error}")))?;
    serde_json::from_str(&tree).map_err(|error| {
        let detail = error.to_string();
        let deep = detail.contains("recursion limit");
        if deep {
            let message = "expressions are nested too deeply";
            LoadError::Refused(vec![Finding::new(Lint::TooDeep, message)])
        } else {
            LoadError::Evaluation(detail)
        }
    })
}

/// One policy file.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub source: Source,
    pub ast: Module,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Source {
    pub file: String,
    pub contents: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Module {
    pub package: Package,
    /// What `__target__` names, which only this interpreter knows.
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default)]
    pub imports: Vec<Import>,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub refr: Expr,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Import {
    pub refr: Expr,
    #[serde(rename = "as", default)]
    pub alias: Option<Span>,
}

/// A place in a file: line and column from 1, and byte offsets.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Span {
    pub line: u32,
    pub col: u32,
    pub start: usize,
    pub end: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) enum Rule {
    Spec { span: Span, head: Head, bodies: Vec<Body> },
    Default { span: Span, refr: Expr, args: Vec<Expr>, value: Expr },
}

#[derive(Debug, Deserialize)]
pub(crate) enum Head {
    Compr { refr: Expr, assign: Option<Assign> },
    Set { refr: Expr, key: Option<Expr> },
    Func { refr: Expr, args: Vec<Expr>, assign: Option<Assign> },
}

impl Head {
    /// What the rule is called, with the keys of its last part.
    pub(crate) fn refr(&self) -> &Expr {
        match self {
            Self::Compr { refr, .. } | Self::Set { refr, .. } | Self::Func { refr, .. } => refr,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Assign {
    pub value: Expr,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    pub assign: Option<Assign>,
    pub query: Query,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    pub stmts: Vec<Statement>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Statement {
    pub literal: Literal,
    #[serde(default)]
    pub with_mods: Vec<With>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct With {
    pub refr: Expr,
    #[serde(rename = "as")]
    pub replacement: Expr,
}

#[derive(Debug, Deserialize)]
pub(crate) enum Literal {
    SomeVars { vars: Vec<Span> },
    SomeIn { key: Option<Expr>, value: Expr, collection: Expr },
    Expr { expr: Expr },
    NotExpr { expr: Expr },
    Every { key: Option<Span>, value: Span, domain: Expr, query: Query },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum AssignOp {
    /// `=`
    Eq,
    /// `:=`
    ColEq,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum CompareOp {
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    Ne,
}

/// An expression. Boxes are needed only where an expression holds another directly.
#[derive(Debug, Deserialize)]
pub(crate) enum Expr {
    String {
        value: String,
    },
    RawString {
        value: String,
    },
    Number {
        value: serde_json::Value,
    },
    Bool {
        value: bool,
    },
    Null {},
    Var {
        span: Span,
        value: String,
    },
    Array {
        items: Vec<Expr>,
    },
    Set {
        items: Vec<Expr>,
    },
    Object {
        fields: Vec<(serde::de::IgnoredAny, Expr, Expr)>,
    },
    ArrayCompr {
        term: Box<Expr>,
        query: Query,
    },
    SetCompr {
        term: Box<Expr>,
        query: Query,
    },
    ObjectCompr {
        key: Box<Expr>,
        value: Box<Expr>,
        query: Query,
    },
    Call {
        span: Span,
        fcn: Box<Expr>,
        params: Vec<Expr>,
    },
    #[serde(rename = "UnaryExpr")]
    Unary {
        expr: Box<Expr>,
    },
    RefDot {
        span: Span,
        refr: Box<Expr>,
        field: (Span, String),
    },
    RefBrack {
        span: Span,
        refr: Box<Expr>,
        index: Box<Expr>,
    },
    #[serde(rename = "BinExpr")]
    Bin {
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    #[serde(rename = "BoolExpr")]
    Compare {
        span: Span,
        op: CompareOp,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    #[serde(rename = "ArithExpr")]
    Arith {
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    #[serde(rename = "AssignExpr")]
    Assign {
        op: AssignOp,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    Membership {
        span: Span,
        key: Option<Box<Expr>>,
        value: Box<Expr>,
        collection: Box<Expr>,
    },
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
    /// The expression as a reference; `None` when it is no reference or starts with no variable.
    /// The expressions that a reference without a variable starts with are in `start`.
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

    /// The expressions directly inside, but for those of a comprehension.
    pub(crate) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Array { items } | Self::Set { items } => items.iter().collect(),
            Self::Object { fields } => fields.iter().flat_map(|(_, k, v)| [k, v]).collect(),
            // The function's name is no expression of its own.
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

    /// Where it stands, for the kinds of expressions that findings point at.
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
