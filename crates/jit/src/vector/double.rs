//! Single-precision functions computed in double precision, half a register at a time: the result is
//! rounded once, and the `f64` mathematics serves both.

use cranelift_codegen::ir::{self, Endianness, InstBuilder, MemFlagsData, types};

use super::{Code, Shape};
use crate::abi::Precision;

/// The bytes of the upper half of a register, then of the upper half of another.
const UPPER: [u8; 16] = [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31];
/// The bytes of the lower half of a register, then of the lower half of another.
const LOWER: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];

impl Code<'_> {
    /// A function of `f32` registers that is written for `f64`.
    pub(crate) fn in_double(
        &mut self,
        args: &[ir::Value],
        function: impl Fn(&mut Self, &[ir::Value]) -> ir::Value,
    ) -> ir::Value {
        let single = self.shape;
        let lower: Vec<ir::Value> = args.iter().map(|&x| self.promoted(x)).collect();
        let upper: Vec<ir::Value> = args
            .iter()
            .map(|&x| {
                let x = self.joined(x, x, UPPER);
                self.promoted(x)
            })
            .collect();
        let halves = [lower, upper].map(|half| {
            self.shape = Shape::new(Precision::F64);
            self.forget();
            let result = function(self, &half);
            self.shape = single;
            self.pos.ins().fvdemote(result)
        });
        self.forget();
        let [lower, upper] = halves;
        self.joined(lower, upper, LOWER)
    }

    /// The lower two lanes in double precision.
    fn promoted(&mut self, x: ir::Value) -> ir::Value {
        self.pos.ins().fvpromote_low(x)
    }

    /// The bytes of two registers of `f32` picked by a constant.
    fn joined(&mut self, a: ir::Value, b: ir::Value, bytes: [u8; 16]) -> ir::Value {
        let access = MemFlagsData::new().with_endianness(Endianness::Little);
        let [a, b] = [a, b].map(|x| self.pos.ins().bitcast(types::I8X16, access, x));
        let picked = bytes.as_slice().into();
        let mask = self.pos.func.dfg.immediates.push(picked);
        let bytes = self.pos.ins().shuffle(a, b, mask);
        self.pos.ins().bitcast(types::F32X4, access, bytes)
    }
}
