//! Vector code: what writes instructions for a register full of lanes, and the mathematics that is
//! written with it.
//!
//! Knows of registers, constants and functions of reals; it does not know of kernels, rows or loops
//! (`lower.rs`). Every function covers the whole range of its precision without a branch (infinities,
//! NaN and denormals included), except that the sine of a huge argument takes another way.
//! `functions.rs` makes callable functions of them.

mod constants;
mod double;
mod draws;
mod erf;
mod exp;
mod halves;
mod log;
mod pair;
mod power;
mod rounding;
mod sigmoid;
mod sine;

use std::collections::BTreeMap;

use cranelift_codegen::cursor::FuncCursor;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{self, Block, InstBuilder, Type, types};

use crate::abi::Precision;
use crate::target::Machine;
use constants::Constant;

/// The types of a register full of lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The precision of reals.
    pub(crate) precision: Precision,
    /// One real.
    pub(crate) element: Type,
    /// A register of reals.
    pub(crate) reals: Type,
    /// A register of integers as wide as the reals; a boolean is one of them, all ones or all zeros.
    pub(crate) masks: Type,
    /// The lanes in a register.
    pub(crate) lanes: u8,
}

impl Shape {
    /// The registers of a precision.
    pub(crate) fn new(precision: Precision) -> Shape {
        match precision {
            Precision::F32 => Shape {
                precision,
                element: types::F32,
                reals: types::F32X4,
                masks: types::I32X4,
                lanes: 4,
            },
            Precision::F64 => Shape {
                precision,
                element: types::F64,
                reals: types::F64X2,
                masks: types::I64X2,
                lanes: 2,
            },
        }
    }
}

/// What writes vector instructions at the current place of a function.
pub(crate) struct Code<'f> {
    /// The place.
    pub(crate) pos: FuncCursor<'f>,
    /// The registers.
    pub(crate) shape: Shape,
    /// What the machine has instructions for.
    pub(crate) machine: Machine,
    /// The block before the loop, for what is kept in registers.
    setup: Block,
    /// Whether the place is in the loop that is worth keeping constants for.
    pub(crate) hoist: bool,
    /// Constants made before the loop.
    kept: BTreeMap<Constant, ir::Value>,
    /// Constants made since [`Code::forget`].
    local: BTreeMap<Constant, ir::Value>,
}

impl<'f> Code<'f> {
    /// Code at a place whose block dominates all that follows.
    pub(crate) fn new(
        pos: FuncCursor<'f>,
        setup: Block,
        precision: Precision,
        machine: Machine,
    ) -> Code<'f> {
        Code {
            pos,
            shape: Shape::new(precision),
            machine,
            setup,
            hoist: false,
            kept: BTreeMap::new(),
            local: BTreeMap::new(),
        }
    }

    /// Constants are made anew from here on, unless they are kept in registers.
    pub(crate) fn forget(&mut self) {
        self.local.clear();
    }

    /// `a·b + c`, rounded once where the machine can.
    pub(crate) fn mul_add(&mut self, a: ir::Value, b: ir::Value, c: ir::Value) -> ir::Value {
        if self.machine.fused {
            self.pos.ins().fma(a, b, c)
        } else {
            let product = self.pos.ins().fmul(a, b);
            self.pos.ins().fadd(product, c)
        }
    }

    /// `c − a·b`, rounded once where the machine can.
    pub(crate) fn mul_sub(&mut self, a: ir::Value, b: ir::Value, c: ir::Value) -> ir::Value {
        if self.machine.fused {
            let minus = self.pos.ins().fneg(a);
            self.pos.ins().fma(minus, b, c)
        } else {
            let product = self.pos.ins().fmul(a, b);
            self.pos.ins().fsub(c, product)
        }
    }

    /// A polynomial by Horner's rule, highest power first.
    pub(crate) fn polynomial(&mut self, x: ir::Value, coefficients: &[f64]) -> ir::Value {
        let mut sum = self.real(coefficients[0]);
        for &coefficient in &coefficients[1..] {
            let coefficient = self.real(coefficient);
            sum = self.mul_add(sum, x, coefficient);
        }
        sum
    }

    /// `a < b ? a : b`: the form that x86-64 has one instruction for.
    pub(crate) fn min(&mut self, a: ir::Value, b: ir::Value) -> ir::Value {
        let less = self.pos.ins().fcmp(FloatCC::LessThan, a, b);
        self.choose(less, a, b)
    }

    /// `a > b ? a : b`.
    pub(crate) fn max(&mut self, a: ir::Value, b: ir::Value) -> ir::Value {
        let less = self.pos.ins().fcmp(FloatCC::LessThan, b, a);
        self.choose(less, a, b)
    }

    /// `x` moved into a range; NaN stays.
    pub(crate) fn clamp(&mut self, x: ir::Value, low: f64, high: f64) -> ir::Value {
        let (low, high) = (self.real(low), self.real(high));
        let x = self.max(low, x);
        self.min(high, x)
    }

    /// `c ? a : b` for a mask.
    pub(crate) fn choose(&mut self, c: ir::Value, a: ir::Value, b: ir::Value) -> ir::Value {
        let c = self.as_reals(c);
        self.pos.ins().bitselect(c, a, b)
    }

    /// `x` where a mask is true, else +0.
    pub(crate) fn masked(&mut self, c: ir::Value, x: ir::Value) -> ir::Value {
        let bits = self.as_bits(x);
        let bits = self.pos.ins().band(c, bits);
        self.as_reals(bits)
    }

    /// `|a|`.
    pub(crate) fn abs(&mut self, a: ir::Value) -> ir::Value {
        let bits = self.as_bits(a);
        let magnitude = self.magnitude_bits();
        let bits = self.pos.ins().band(bits, magnitude);
        self.as_reals(bits)
    }

    /// The magnitude of one and the sign of another.
    pub(crate) fn with_sign(&mut self, magnitude: ir::Value, sign: ir::Value) -> ir::Value {
        let mask = self.sign_bits();
        let sign = self.as_bits(sign);
        let sign = self.pos.ins().band(sign, mask);
        let magnitude = self.as_bits(magnitude);
        let bits = self.pos.ins().bor(magnitude, sign);
        self.as_reals(bits)
    }

    /// The first of two for `f32`, the second for `f64`.
    pub(crate) fn either<T>(&self, single: T, double: T) -> T {
        match self.shape.precision {
            Precision::F32 => single,
            Precision::F64 => double,
        }
    }

    /// The bits of the mantissa of a real.
    pub(crate) fn mantissa_bits(&self) -> i64 {
        self.either(23, 52)
    }

    /// A register shifted left by a number of bits.
    pub(crate) fn shift_left(&mut self, x: ir::Value, places: i64) -> ir::Value {
        let places = self.pos.ins().iconst(types::I32, places);
        self.pos.ins().ishl(x, places)
    }

    /// A register shifted right by a number of bits, zeros coming in.
    pub(crate) fn shift_right(&mut self, x: ir::Value, places: i64) -> ir::Value {
        let places = self.pos.ins().iconst(types::I32, places);
        self.pos.ins().ushr(x, places)
    }
}
