//! The keys of random numbers: Threefry on whole numbers, as `ir::draws` defines it.
//!
//! The numbers themselves are made by the kernels, from the key of a neuron and the word of the step. Both are
//! reals to a kernel; here they are their bits.

use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_module::{FuncId, Linkage};
use rheobase_ir::draws::{PARITY, ROTATIONS, ROUNDS, real, word};

use super::Object;
use super::writer::{Writer, define as function};
use crate::JitError;

/// `threefry(key, first, second)`: a hash of two words under a key of 64 bits, as one number of 64 bits.
pub(super) fn threefry(object: &mut Object) -> Result<FuncId, JitError> {
    let params = [types::I64, types::I32, types::I32];
    let signature = object.signature(&params, Some(types::I64));
    let symbol = format!("rheo_{}_threefry", object.name);
    function(object, &symbol, Linkage::Local, signature, |w, params| {
        let [low, high] = words(w, params[0]);
        let parity = w.pos.ins().iconst(types::I32, i64::from(PARITY));
        let third = w.pos.ins().bxor(low, high);
        let third = w.pos.ins().bxor(third, parity);
        let keys = [low, high, third];
        let mut x = [1, 2].map(|p| params[p]);
        for (x, key) in x.iter_mut().zip(keys) {
            *x = w.pos.ins().iadd(*x, key);
        }
        for round in 0..ROUNDS {
            x[0] = w.pos.ins().iadd(x[0], x[1]);
            let places = i64::from(ROTATIONS[round % ROTATIONS.len()]);
            let turned = w.pos.ins().rotl_imm_u(x[1], places);
            x[1] = w.pos.ins().bxor(turned, x[0]);
            if round % 4 == 3 {
                let injection = round / 4 + 1;
                x[0] = w.pos.ins().iadd(x[0], keys[injection % 3]);
                let key = w
                    .pos
                    .ins()
                    .iadd_imm_s(keys[(injection + 1) % 3], injection as i64);
                x[1] = w.pos.ins().iadd(x[1], key);
            }
        }
        let [low, high] = x.map(|x| w.pos.ins().uextend(types::I64, x));
        let high = w.pos.ins().ishl_imm_u(high, 32);
        Some(w.pos.ins().bor(low, high))
    })
}

/// The two halves of 64 bits, the lower one first.
pub(super) fn words(w: &mut Writer<'_>, x: Value) -> [Value; 2] {
    let high = w.pos.ins().ushr_imm_u(x, 32);
    [x, high].map(|x| w.pos.ins().ireduce(types::I32, x))
}

/// The bits of the real that stands for a word.
pub(super) fn real_bits(w: &mut Writer<'_>, x: Value) -> Value {
    let mask = i64::from(word(real(u32::MAX)));
    w.pos.ins().band_imm_s(x, mask)
}
