//! Walks over expressions of the model: which names they read, and in which order things that
//! depend on each other can be evaluated.
//!
//! Walks into a called function are not made: a function reads its arguments and constants only.

use super::builtin::Builtin;
use super::{Expr, ExprKind, Let, Ref};

/// Calls `visit` for the expression and every part of it, outside in.
pub fn visit<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    visit(expr);
    for part in parts(expr) {
        self::visit(part, visit);
    }
}

/// The direct parts of an expression.
pub fn parts(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Error | ExprKind::Number { .. } | ExprKind::Bool(_) | ExprKind::Ref(_) => {
            Vec::new()
        }
        ExprKind::Neg(a) | ExprKind::Not(a) => vec![a],
        ExprKind::Binary { lhs, rhs, .. } => vec![lhs, rhs],
        ExprKind::If {
            cond,
            then,
            otherwise,
        } => vec![cond, then, otherwise],
        ExprKind::Builtin { args, .. } | ExprKind::Call { args, .. } => args.iter().collect(),
    }
}

/// Replaces every name of an expression.
pub fn rename(expr: &mut Expr, new: &dyn Fn(Ref) -> Ref) {
    match &mut expr.kind {
        ExprKind::Ref(name) => *name = new(*name),
        ExprKind::Error | ExprKind::Number { .. } | ExprKind::Bool(_) => {}
        ExprKind::Neg(a) | ExprKind::Not(a) => rename(a, new),
        ExprKind::Binary { lhs, rhs, .. } => {
            rename(lhs, new);
            rename(rhs, new);
        }
        ExprKind::If {
            cond,
            then,
            otherwise,
        } => {
            for part in [cond, then, otherwise] {
                rename(part, new);
            }
        }
        ExprKind::Builtin { args, .. } | ExprKind::Call { args, .. } => {
            for arg in args {
                rename(arg, new);
            }
        }
    }
}

/// Replaces the names of an expression that `by` has a value for.
pub fn replace(expr: &mut Expr, by: &dyn Fn(Ref) -> Option<ExprKind>) {
    match &mut expr.kind {
        ExprKind::Ref(name) => {
            if let Some(kind) = by(*name) {
                expr.kind = kind;
            }
        }
        ExprKind::Error | ExprKind::Number { .. } | ExprKind::Bool(_) => {}
        ExprKind::Neg(a) | ExprKind::Not(a) => replace(a, by),
        ExprKind::Binary { lhs, rhs, .. } => {
            replace(lhs, by);
            replace(rhs, by);
        }
        ExprKind::If {
            cond,
            then,
            otherwise,
        } => {
            for part in [cond, then, otherwise] {
                replace(part, by);
            }
        }
        ExprKind::Builtin { args, .. } | ExprKind::Call { args, .. } => {
            for arg in args {
                replace(arg, by);
            }
        }
    }
}

/// The names that an expression reads itself, in order, repeated as written.
pub fn refs(expr: &Expr) -> Vec<Ref> {
    let mut found = Vec::new();
    visit(expr, &mut |e| {
        if let ExprKind::Ref(name) = e.kind {
            found.push(name);
        }
    });
    found
}

/// Like [`refs`], but what a `detach` or the condition of an `if` hides from the backward is left out.
pub fn differentiable_refs(expr: &Expr) -> Vec<Ref> {
    let mut found = Vec::new();
    collect_differentiable(expr, &mut found);
    found
}

fn collect_differentiable(expr: &Expr, found: &mut Vec<Ref>) {
    match &expr.kind {
        ExprKind::Ref(name) => found.push(*name),
        ExprKind::Builtin { function, .. }
            if function.is_flat() || *function == Builtin::Detach => {}
        ExprKind::If {
            then, otherwise, ..
        } => {
            collect_differentiable(then, found);
            collect_differentiable(otherwise, found);
        }
        ExprKind::Binary { op, .. } if op.is_comparison() => {}
        ExprKind::Error
        | ExprKind::Number { .. }
        | ExprKind::Bool(_)
        | ExprKind::Neg(_)
        | ExprKind::Not(_)
        | ExprKind::Binary { .. }
        | ExprKind::Builtin { .. }
        | ExprKind::Call { .. } => {
            for part in parts(expr) {
                collect_differentiable(part, found);
            }
        }
    }
}

/// The names that an expression reads itself or through `let`s, without the lets, each once, sorted.
pub fn deep_refs(expr: &Expr, lets: &[Let]) -> Vec<Ref> {
    expand(refs(expr), lets, refs)
}

/// [`deep_refs`] of what the backward sees.
pub fn deep_differentiable_refs(expr: &Expr, lets: &[Let]) -> Vec<Ref> {
    expand(differentiable_refs(expr), lets, differentiable_refs)
}

fn expand(direct: Vec<Ref>, lets: &[Let], of: fn(&Expr) -> Vec<Ref>) -> Vec<Ref> {
    let mut needed = vec![false; lets.len()];
    let mut found = Vec::new();
    let mut take = |names: Vec<Ref>, needed: &mut Vec<bool>| {
        for name in names {
            match name.as_let() {
                // Without the lets at hand the name is looked up by whoever asks.
                Some(i) if i < needed.len() => needed[i] = true,
                Some(_) | None => found.push(name),
            }
        }
    };
    take(direct, &mut needed);
    // Lets read earlier ones only, so one pass from the last to the first finds all.
    for i in (0..lets.len()).rev() {
        if needed[i] {
            take(of(&lets[i].value), &mut needed);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Which lets an expression needs, through other lets too, in an order of evaluation.
pub fn needed_lets(expr: &Expr, lets: &[Let]) -> Vec<usize> {
    let mut needed = vec![false; lets.len()];
    let take = |names: Vec<Ref>, needed: &mut Vec<bool>| {
        for name in names {
            if let Some(slot) = name.as_let().and_then(|i| needed.get_mut(i)) {
                *slot = true;
            }
        }
    };
    take(refs(expr), &mut needed);
    for i in (0..lets.len()).rev() {
        if needed[i] {
            take(refs(&lets[i].value), &mut needed);
        }
    }
    (0..lets.len()).filter(|&i| needed[i]).collect()
}

/// An order in which each element comes after what it depends on, or a cycle.
///
/// Elements without a relation keep their order. Written without recursion: chains may be long.
///
/// # Errors
///
/// The elements of one cycle, in the order of dependence.
pub fn topological(dependencies: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; dependencies.len()];
    let mut order = Vec::with_capacity(dependencies.len());
    for root in 0..dependencies.len() {
        if marks[root] != Mark::New {
            continue;
        }
        marks[root] = Mark::Open;
        let mut path = vec![(root, 0)];
        while let Some(top) = path.last_mut() {
            let (node, next) = *top;
            top.1 += 1;
            let Some(&child) = dependencies[node].get(next) else {
                marks[node] = Mark::Done;
                order.push(node);
                path.pop();
                continue;
            };
            match marks[child] {
                Mark::Done => {}
                Mark::New => {
                    marks[child] = Mark::Open;
                    path.push((child, 0));
                }
                Mark::Open => {
                    let nodes = path.iter().map(|&(n, _)| n);
                    return Err(nodes.skip_while(|&n| n != child).collect());
                }
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topological_order_or_a_cycle() {
        assert_eq!(topological(&[vec![1], vec![], vec![0]]), Ok(vec![1, 0, 2]));
        assert_eq!(topological(&[vec![], vec![2], vec![1]]), Err(vec![1, 2]));
        assert_eq!(topological(&[vec![0]]), Err(vec![0]));
        // A chain that would overflow a recursive walk.
        let chain: Vec<Vec<usize>> = (0..200_000)
            .map(|i| if i == 199_999 { vec![] } else { vec![i + 1] })
            .collect();
        assert_eq!(topological(&chain).map(|o| o[0]), Ok(199_999));
    }
}
