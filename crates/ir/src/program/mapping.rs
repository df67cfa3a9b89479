//! Functions that weights go through before they are used: ternary weights, bounds that are smooth, signs.
//!
//! The *raw* weight is what is drawn, trained and saved; the *mapped* one is what spikes meet. The function may
//! also read the mapped weight that was in use before, which is 0 at first: that is how hysteresis is said.
//! Gradients go back by the derivative of the function at the raw weight, its own one if it declares one
//! (a straight-through estimator declares 1); nothing goes back through what was in use before.

use std::fmt;

use crate::autodiff::tangent;
use crate::builder::Builder;
use crate::kernel::{Kernel, Role, Slot};
use crate::passes::optimise;
use crate::types::Rate;
use crate::verify::{VerifyError, verify};

/// What turns raw weights into mapped ones, one by one.
#[derive(Clone, PartialEq)]
pub struct WeightMap {
    /// Reads [`WeightMap::raw`] and perhaps [`WeightMap::before`], writes [`WeightMap::mapped`]. Its name is that
    /// of the function.
    pub function: Kernel,
}

impl fmt::Debug for WeightMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The kernel is to be printed as text.
        write!(f, "WeightMap({})", self.function.name)
    }
}

impl WeightMap {
    /// The raw weight.
    pub fn raw() -> Slot {
        Slot::new(Role::Param, "raw")
    }

    /// The mapped weight that was in use before.
    pub fn before() -> Slot {
        Slot::new(Role::Param, "before")
    }

    /// The mapped weight.
    pub fn mapped() -> Slot {
        Slot::new(Role::Derived, "mapped")
    }

    /// The derivative of the mapped weight by the raw one.
    pub fn slope() -> Slot {
        Slot::new(Role::Derived, "slope")
    }

    /// Whether it looks at what was in use before.
    pub fn has_memory(&self) -> bool {
        self.function.input(&WeightMap::before()).is_some()
    }

    /// The function together with its derivative, [`WeightMap::slope`].
    ///
    /// # Errors
    ///
    /// The function breaks a rule of the verifier: a mistake of the compiler.
    pub fn with_slope(&self) -> Result<Kernel, VerifyError> {
        verify(&self.function)?;
        let mut b = Builder::new(self.function.name.clone());
        for node in &self.function.nodes {
            b.set_origin(node.origin);
            b.push(node.clone());
        }
        b.set_origin(None);
        for output in &self.function.outputs {
            let one = b.real(1.0);
            let seeds = self.function.input(&WeightMap::raw()).map(|raw| (raw, one));
            let slope = tangent(&mut b, output.value, seeds.as_slice());
            let slope = slope.unwrap_or_else(|| b.real(0.0));
            b.output(WeightMap::mapped(), output.value, Rate::Lane);
            b.output(WeightMap::slope(), slope, Rate::Lane);
        }
        let mut kernel = b.finish();
        optimise(&mut kernel);
        verify(&kernel)?;
        Ok(kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Arg, Executor};
    use crate::interp::Interpreter;
    use crate::kernel::Access;
    use crate::text::parse;

    /// Mapped weights and slopes at raw ones; `before` is the same for all.
    fn run(text: &str, raw: &[f64], before: f64) -> [Vec<f64>; 2] {
        let function = parse(text).expect("a kernel");
        let kernel = WeightMap { function }.with_slope().expect("valid");
        let (mut mapped, mut slope) = (vec![0.0; raw.len()], vec![0.0; raw.len()]);
        let before = vec![before; raw.len()];
        let interpreter = Interpreter::new(kernel).expect("runs");
        let signature = Executor::<f64>::signature(&interpreter).to_vec();
        let mut written = [&mut mapped, &mut slope].into_iter();
        let mut args: Vec<Arg<'_, f64>> = signature
            .iter()
            .map(|p| match p.access {
                Access::Read if p.slot == WeightMap::raw() => Arg::Real(raw),
                Access::Read => Arg::Real(&before),
                Access::Write | Access::Update => Arg::RealMut(written.next().expect("two")),
            })
            .collect();
        interpreter.call(raw.len(), &mut args).expect("fits");
        drop((args, written));
        [mapped, slope]
    }

    #[test]
    fn the_slope_of_a_smooth_function_is_its_derivative() {
        let text =
            "kernel f {\n v0 = in real param raw\n v1 = tanh v0\n out derived mapped = v1\n}";
        let raw = [-2.0, -0.3, 0.0, 0.7];
        let [mapped, slope] = run(text, &raw, 0.0);
        for ((w, y), dy) in raw.iter().zip(mapped).zip(slope) {
            assert!((y - w.tanh()).abs() < 1e-15);
            assert!((dy - (1.0 - w.tanh().powi(2))).abs() < 1e-15);
        }
    }

    #[test]
    fn a_constant_has_slope_zero() {
        let text = "kernel f {\n v0 = const 3.0\n out derived mapped = v0\n}";
        assert_eq!(run(text, &[1.0, 2.0], 0.0), [vec![3.0; 2], vec![0.0; 2]]);
    }

    #[test]
    fn nothing_goes_back_through_what_was_in_use_before() {
        let text = "kernel f {
  v0 = in real param raw
  v1 = in real param before
  v2 = mul v0, v1
  out derived mapped = v2
}";
        assert_eq!(run(text, &[1.0, 2.0], 5.0), [vec![5.0, 10.0], vec![5.0; 2]]);
    }
}
