//! How many loops a statement or a term opens. All that follows is evaluated inside of them, so
//! each takes stack, however flat the text is.

use crate::syntax::{Expr, Literal, Query, Statement};

/// The loops of one statement: `some … in`, each index that may be a variable, and `walk`.
pub(crate) fn loops(statement: &Statement) -> usize {
    let within = match &statement.literal {
        Literal::SomeVars { .. } => 0,
        Literal::SomeIn { key, value, collection } => {
            1 + key.iter().chain([value, collection]).map(of).sum::<usize>()
        }
        Literal::Expr { expr } | Literal::NotExpr { expr } => of(expr),
        Literal::Every { domain, .. } => of(domain),
    };
    within + statement.with_mods.iter().map(|with| of(&with.replacement)).sum::<usize>()
}

/// The loops of what a rule or a comprehension yields, which is evaluated inside all others.
pub(crate) fn loops_of(terms: &[&Expr]) -> usize {
    terms.iter().copied().map(of).sum()
}

/// A comprehension has loops of its own.
fn of(expr: &Expr) -> usize {
    let own = match expr {
        Expr::Call { fcn, .. } => {
            usize::from(fcn.reference().0.is_some_and(|reference| reference.root == "walk"))
        }
        Expr::RefBrack { index, .. } => usize::from(binds(index)),
        _ => 0,
    };
    own + expr.parts().into_iter().map(of).sum::<usize>()
}

/// Whether an index may take several values.
fn binds(index: &Expr) -> bool {
    match index {
        Expr::Var { .. } => true,
        Expr::Array { .. } | Expr::Object { .. } => index.children().into_iter().any(binds),
        _ => false,
    }
}

/// Whether a variable is an index in an expression.
pub(crate) fn is_index(expr: &Expr, variable: &str) -> bool {
    let own = match expr {
        Expr::RefBrack { index, .. } => {
            matches!(index.as_ref(), Expr::Var { value, .. } if value == variable)
        }
        _ => false,
    };
    own || expr.parts().into_iter().any(|part| is_index(part, variable))
}

/// Whether a statement has a variable anywhere.
pub(crate) fn mentions(statement: &Statement, variable: &str) -> bool {
    let has = |expr: &Expr| mentioned(expr, variable);
    let literal = match &statement.literal {
        // Which ones is not asked: it binds something.
        Literal::SomeVars { .. } => true,
        Literal::SomeIn { key, value, collection } => {
            key.iter().chain([value, collection]).any(has)
        }
        Literal::Expr { expr } | Literal::NotExpr { expr } => has(expr),
        Literal::Every { domain, query, .. } => has(domain) || in_query(query, variable),
    };
    literal || statement.with_mods.iter().any(|with| has(&with.replacement))
}

fn in_query(query: &Query, variable: &str) -> bool {
    query.stmts.iter().any(|statement| mentions(statement, variable))
}

fn mentioned(expr: &Expr, variable: &str) -> bool {
    let own = matches!(expr, Expr::Var { value, .. } if value == variable);
    let inner = expr.comprehension().is_some_and(|(query, terms)| {
        in_query(query, variable) || terms.into_iter().any(|term| mentioned(term, variable))
    });
    own || inner || expr.parts().into_iter().any(|part| mentioned(part, variable))
}
