//! The part of the interpreter's syntax tree that vetting looks at.
//!
//! The interpreter keeps its syntax tree to itself but prints it as JSON; these types mirror that
//! form. They leave out the numbers of expressions and the like, which are not needed here.

pub(crate) mod depend;
pub(crate) mod loops;
pub(crate) mod names;
mod span;
mod walk;

use serde::Deserialize;

pub use self::span::Span;
pub(crate) use self::walk::{Reference, Step};
use crate::error::AnalysisError;
use crate::finding::{Finding, Lint};
use crate::interpreter::InterpreterError;

/// The syntax trees of an engine's policies.
pub(crate) fn files(engine: &regorus::Engine) -> Result<Vec<File>, AnalysisError> {
    let tree = engine
        .get_ast_as_json()
        .map_err(|error| InterpreterError::new(&format!("no syntax tree: {error}")))?;
    serde_json::from_str(&tree).map_err(|error| {
        let detail = error.to_string();
        let deep = detail.contains("recursion limit");
        if deep {
            let message = "expressions are nested too deeply";
            AnalysisError::Refused(vec![Finding::new(Lint::TooDeep, message)])
        } else {
            InterpreterError::new(&detail).into()
        }
    })
}

impl Finding {
    /// Sets the place, with the line as it is in one of `files`.
    #[must_use]
    pub(crate) fn at(self, files: &[File], file: &str, span: Span) -> Self {
        let contents = files.iter().find(|candidate| candidate.source.file == file);
        let text = contents.map_or("", |file| file.source.contents.as_str());
        self.in_text(file, text, span)
    }
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
