//! Shapes that mean something else to OPA than to the interpreter: negations whose arguments may be
//! undefined, and what [`super::shapes`] lists. OPA is right, so they are refused.

use crate::finding::Lint;
use crate::lint::certain::{Certain, Names, World};
use crate::lint::found::Found;
use crate::lint::shapes;
use crate::lint::shapes::Negation;
use crate::syntax::depend::Facts;
use crate::syntax::{AssignOp, Body, CompareOp, Expr, File, Head, Literal, Query, Rule, Statement};

/// Looks at all rules of all files.
pub(crate) fn check<'f>(
    files: &'f [File],
    facts: &Facts<'_>,
    data: &regorus::Value,
    found: &mut Found<'f>,
) {
    let world = World::of(files, &facts.replaced, data);
    shapes::heads(files, found);
    for file in files {
        found.file = &file.source.file;
        shapes::imports(file, found);
        let names = Names::of(file);
        for rule in &file.ast.rules {
            let mut certain = Certain::new(&world, &names);
            if let Rule::Spec { head: Head::Func { args, .. }, .. } = rule {
                certain.bind(args);
            }
            match rule {
                Rule::Default { value, .. } => inside(value, &certain, found),
                Rule::Spec { head, bodies, .. } => one_rule(head, bodies, &certain, found),
            }
        }
    }
}

fn one_rule<'a>(head: &'a Head, bodies: &'a [Body], certain: &Certain<'a>, found: &mut Found<'_>) {
    let mut exprs: Vec<&Expr> = head.value().into_iter().collect();
    if bodies.is_empty() {
        exprs.drain(..).for_each(|expr| value(expr, certain, found));
    }
    for Body { assign, query: body } in bodies {
        exprs.extend(assign.iter().map(|assign| &assign.value));
        let certain = certain.within(body);
        query(body, &certain, found);
        exprs.drain(..).for_each(|expr| value(expr, &certain, found));
    }
}

fn query<'a>(body: &'a Query, certain: &Certain<'a>, found: &mut Found<'_>) {
    shapes::only_prints(body, found);
    for statement in &body.stmts {
        one_statement(statement, &certain.under(&statement.with_mods), found);
    }
}

fn one_statement<'a>(statement: &'a Statement, certain: &Certain<'a>, found: &mut Found<'_>) {
    for with in &statement.with_mods {
        value(&with.replacement, certain, found);
    }
    match &statement.literal {
        Literal::SomeVars { .. } => {}
        Literal::SomeIn { key, value: item, collection } => {
            for expr in key.iter().chain([item, collection]) {
                value(expr, certain, found);
            }
        }
        Literal::Expr { expr } => {
            if let Some(operands) = shapes::walk_statement(expr) {
                operands.iter().for_each(|operand| value(operand, certain, found));
            } else {
                inside(expr, certain, found);
            }
        }
        Literal::NotExpr { expr } => {
            negated(expr, certain, found);
            inside(expr, certain, found);
        }
        Literal::Every { key, value: item, domain, query: body } => {
            value(domain, certain, found);
            let mut inner = certain.within(body);
            inner.bind_names(key.iter().chain([item]));
            query(body, &inner, found);
        }
    }
}

/// An expression that is a condition of its own: what it holds is looked at.
fn inside<'a>(expr: &'a Expr, certain: &Certain<'a>, found: &mut Found<'_>) {
    if let Some(operands) = shapes::schema_match(expr) {
        operands.iter().for_each(|operand| value(operand, certain, found));
        return;
    }
    shapes::call(expr, found);
    shapes::keyed_membership(expr, found);
    expr.operands().into_iter().for_each(|child| value(child, certain, found));
    if let Some((body, terms)) = expr.comprehension() {
        let inner = certain.within(body);
        query(body, &inner, found);
        terms.into_iter().for_each(|term| value(term, &inner, found));
    }
}

/// An expression whose value is used.
fn value<'a>(expr: &'a Expr, certain: &Certain<'a>, found: &mut Found<'_>) {
    if let Expr::Membership { span, key, value: item, collection } = expr {
        let operands = key.as_deref().into_iter().chain([item.as_ref(), collection.as_ref()]);
        let missing = operands.into_iter().find(|operand| !certain.is_certain(operand));
        if missing.is_some() {
            let message = "the value of `… in …` is `false` here when an operand is missing, and \
                           undefined in OPA; make it a condition of its own, or use `object.get`";
            found.add(Lint::DiffersFromOpa, *span, message);
        }
    }
    inside(expr, certain, found);
}

/// `not startswith(input.agent, "a")`: what OPA evaluates before the negation must have a value.
fn negated<'a>(expr: &'a Expr, certain: &Certain<'a>, found: &mut Found<'_>) {
    if let Some(span) = certain.unbound(expr) {
        let message = "a variable that gets its value within `not` is refused by OPA; give it its \
                       value before, or give the condition a rule of its own";
        found.add(Lint::DiffersFromOpa, span, message);
    }
    if let Expr::Assign { op: AssignOp::Eq, lhs, rhs } = expr
        && [lhs, rhs].into_iter().any(|side| certain.has_variable(side))
    {
        let message = "`=` within `not` may set the variable here; compare with `==`";
        found.add(Lint::DiffersFromOpa, expr.span().or(lhs.span()).unwrap_or_default(), message);
    }
    if certain.negation() == Negation::OfBody {
        shapes::negated_body(expr, found);
        return;
    }
    let mut before = Vec::new();
    match expr {
        Expr::Compare { op: CompareOp::Eq, lhs, rhs, .. }
        | Expr::Assign { op: AssignOp::Eq | AssignOp::ColEq, lhs, rhs } => {
            term(lhs, &mut before);
            term(rhs, &mut before);
        }
        Expr::Call { params, .. } => params.iter().for_each(|param| operand(param, &mut before)),
        Expr::Compare { .. }
        | Expr::Arith { .. }
        | Expr::Bin { .. }
        | Expr::Unary { .. }
        | Expr::Membership { .. } => {
            expr.children().into_iter().for_each(|child| operand(child, &mut before));
        }
        other => term(other, &mut before),
    }
    let Some(missing) = before.into_iter().find(|expr| !certain.is_certain(expr)) else { return };
    let span = missing.span().or_else(|| expr.span()).unwrap_or_default();
    let what = found.text(span);
    let message = if what.is_empty() {
        "`not` of something that may be undefined".to_owned()
    } else {
        format!("`not` holds when `{what}` is undefined")
    };
    found.add(Lint::NegatedCall, span, message);
}

/// A side of an equation, or all that is negated: a reference may be undefined, its indices not.
fn term<'e>(expr: &'e Expr, before: &mut Vec<&'e Expr>) {
    match expr {
        Expr::Var { .. }
        | Expr::ArrayCompr { .. }
        | Expr::SetCompr { .. }
        | Expr::ObjectCompr { .. } => {}
        Expr::RefDot { .. } | Expr::RefBrack { .. } => indices(expr, before),
        other => operand(other, before),
    }
}

/// An argument.
fn operand<'e>(expr: &'e Expr, before: &mut Vec<&'e Expr>) {
    match expr {
        Expr::Array { .. } | Expr::Set { .. } | Expr::Object { .. } => {
            expr.children().into_iter().for_each(|child| operand(child, before));
        }
        Expr::RefDot { .. } | Expr::RefBrack { .. } => {
            indices(expr, before);
            before.push(expr);
        }
        Expr::Call { params, .. } => {
            params.iter().for_each(|param| operand(param, before));
            before.push(expr);
        }
        other => before.push(other),
    }
}

fn indices<'e>(expr: &'e Expr, before: &mut Vec<&'e Expr>) {
    let (reference, start) = expr.reference();
    match reference {
        Some(reference) => reference.dynamic().for_each(|step| operand(step, before)),
        None => {
            start.into_iter().for_each(|start| operand(start, before));
            expr.dynamic_steps().into_iter().for_each(|step| operand(step, before));
        }
    }
}
