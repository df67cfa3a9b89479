//! The functions of one and of two numbers that an objective may use, with their derivatives.

use rheobase_ir::program::{Function, Pair};
use rheobase_ir::real;

/// The value at `a`.
pub(super) fn value(function: Function, a: f64) -> f64 {
    match function {
        Function::Neg => -a,
        Function::Abs => a.abs(),
        Function::Exp => a.exp(),
        Function::Expm1 => a.exp_m1(),
        Function::Log => a.ln(),
        Function::Log1p => a.ln_1p(),
        Function::Sqrt => a.sqrt(),
        Function::Sin => a.sin(),
        Function::Cos => a.cos(),
        Function::Tanh => a.tanh(),
        Function::Sigmoid => real::sigmoid(a),
        Function::Softplus => real::softplus(a),
        Function::Erf => real::erf(a),
        // Not `max`: a NaN must reach the loss.
        Function::Relu => {
            if a <= 0.0 {
                0.0
            } else {
                a
            }
        }
        Function::Detach => a,
    }
}

/// The derivative at `a`, where the function has the value `f`.
pub(super) fn slope(function: Function, a: f64, f: f64) -> f64 {
    match function {
        Function::Neg => -1.0,
        Function::Abs => real::sign(a),
        Function::Exp => f,
        Function::Expm1 => f + 1.0,
        Function::Log => 1.0 / a,
        Function::Log1p => 1.0 / (1.0 + a),
        Function::Sqrt => 0.5 / f,
        Function::Sin => a.cos(),
        Function::Cos => -a.sin(),
        Function::Tanh => 1.0 - f * f,
        Function::Sigmoid => f * (1.0 - f),
        Function::Softplus => real::sigmoid(a),
        Function::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-a * a).exp(),
        Function::Relu => {
            if a > 0.0 {
                1.0
            } else {
                0.0
            }
        }
        Function::Detach => 0.0,
    }
}

/// The value at `(a, b)`.
pub(super) fn pair_value(pair: Pair, a: f64, b: f64) -> f64 {
    match pair {
        Pair::Add => a + b,
        Pair::Sub => a - b,
        Pair::Mul => a * b,
        Pair::Div => a / b,
        Pair::Min if a < b || a.is_nan() => a,
        Pair::Max if a > b || a.is_nan() => a,
        Pair::Min | Pair::Max => b,
    }
}

/// The derivatives by `a` and by `b`.
pub(super) fn pair_slopes(pair: Pair, a: f64, b: f64) -> (f64, f64) {
    match pair {
        Pair::Add => (1.0, 1.0),
        Pair::Sub => (1.0, -1.0),
        Pair::Mul => (b, a),
        Pair::Div => (1.0 / b, -a / (b * b)),
        Pair::Min if a < b => (1.0, 0.0),
        Pair::Max if a > b => (1.0, 0.0),
        Pair::Min | Pair::Max => (0.0, 1.0),
    }
}

/// `a^exponent`.
pub(super) fn power_value(a: f64, exponent: f64) -> f64 {
    if exponent == 2.0 {
        a * a
    } else {
        real::pow(a, exponent)
    }
}

/// The derivative of `a^exponent` by `a`.
pub(super) fn power_slope(a: f64, exponent: f64) -> f64 {
    if exponent == 2.0 {
        2.0 * a
    } else {
        exponent * real::pow(a, exponent - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_derivatives() {
        let all = [
            Function::Neg,
            Function::Abs,
            Function::Exp,
            Function::Expm1,
            Function::Log,
            Function::Log1p,
            Function::Sqrt,
            Function::Sin,
            Function::Cos,
            Function::Tanh,
            Function::Sigmoid,
            Function::Softplus,
            Function::Erf,
            Function::Relu,
        ];
        let h = 1e-6;
        for function in all {
            for a in [0.3, 1.7] {
                let numeric = (value(function, a + h) - value(function, a - h)) / (2.0 * h);
                let exact = slope(function, a, value(function, a));
                assert!((numeric - exact).abs() < 1e-6, "{function:?} at {a}");
            }
        }
        for pair in [
            Pair::Add,
            Pair::Sub,
            Pair::Mul,
            Pair::Div,
            Pair::Min,
            Pair::Max,
        ] {
            for (a, b) in [(0.4, 1.3), (-2.0, -2.5)] {
                let (by_a, by_b) = pair_slopes(pair, a, b);
                let of = |a, b| pair_value(pair, a, b);
                let numeric_a = (of(a + h, b) - of(a - h, b)) / (2.0 * h);
                let numeric_b = (of(a, b + h) - of(a, b - h)) / (2.0 * h);
                assert!((numeric_a - by_a).abs() < 1e-6, "{pair:?} by a");
                assert!((numeric_b - by_b).abs() < 1e-6, "{pair:?} by b");
            }
        }
        for exponent in [2.0, 3.0, 0.5] {
            let of = |a| power_value(a, exponent);
            let numeric = (of(0.7 + h) - of(0.7 - h)) / (2.0 * h);
            assert!((numeric - power_slope(0.7, exponent)).abs() < 1e-6);
        }
    }
}
