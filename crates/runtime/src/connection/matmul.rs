//! Matrix products: gradients of spikes, and connections whose input is dense.
#![expect(
    unsafe_code,
    reason = "the matrix product of the gemm crate takes pointers and strides; bounds are checked here"
)]

use rheobase_ir::real::Real;

use crate::aligned::Aligned;

/// A row-major matrix, read as it is or with its axes exchanged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, R> {
    values: &'a [R],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, R> Matrix<'a, R> {
    /// A matrix of rows of this length.
    pub(crate) fn of_rows(values: &'a [R], columns: usize) -> Matrix<'a, R> {
        Matrix {
            values,
            rows: values.len() / columns.max(1),
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// The same with its axes exchanged.
    pub(crate) fn transposed(self) -> Matrix<'a, R> {
        Matrix {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// `out += a · b`, row-major.
///
/// # Panics
///
/// The sizes do not fit.
pub(crate) fn add_product<R: Real>(out: &mut [R], a: Matrix<'_, R>, b: Matrix<'_, R>) {
    product(out, a, b, true);
}

/// `out = a · b`, row-major.
///
/// # Panics
///
/// The sizes do not fit.
pub(crate) fn write_product<R: Real>(out: &mut [R], a: Matrix<'_, R>, b: Matrix<'_, R>) {
    if a.columns == 0 {
        out.fill(R::ZERO);
    }
    product(out, a, b, false);
}

/// The product, added to what is there or in place of it; nothing is done if it is a sum of no terms.
fn product<R: Real>(out: &mut [R], a: Matrix<'_, R>, b: Matrix<'_, R>, add: bool) {
    assert!(a.columns == b.rows && out.len() == a.rows * b.columns);
    assert!(a.values.len() >= a.rows * a.columns && b.values.len() >= b.rows * b.columns);
    if out.is_empty() || a.columns == 0 {
        return;
    }
    // SAFETY: the three slices are alive for the call. A matrix is made by `of_rows` and `transposed` only,
    // so its strides reach elements below `rows · columns`, which its slice holds by the assertion above;
    // `out` is row-major and holds `a.rows · b.columns` elements. It is borrowed mutably, so it overlaps
    // neither of the others.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            R::ONE,
            R::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The transpose of a matrix of `columns` columns, for products that read it at every step.
pub(crate) fn transpose<R: Real>(values: &[R], columns: usize, out: &mut Aligned<R>) {
    let rows = values.len() / columns.max(1);
    out.resize(values.len());
    for (i, row) in values.chunks_exact(columns.max(1)).enumerate() {
        for (j, &value) in row.iter().enumerate() {
            out[j * rows + i] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let (m, k, n) = (3, 5, 7);
        let a: Vec<f64> = (0..m * k).map(|i| i as f64 * 0.5 - 3.0).collect();
        let b: Vec<f64> = (0..k * n).map(|i| 1.0 / (i as f64 + 1.0)).collect();
        let (mut a_turned, mut b_turned) = (Aligned::new(), Aligned::new());
        transpose(&a, k, &mut a_turned);
        transpose(&b, n, &mut b_turned);
        let rows = Matrix::of_rows;
        for (left, right) in [
            (rows(&a, k), rows(&b, n)),
            (rows(&a_turned, m).transposed(), rows(&b, n)),
            (rows(&a, k), rows(&b_turned, k).transposed()),
        ] {
            let mut out = vec![1.0; m * n];
            add_product(&mut out, left, right);
            for i in 0..m {
                for j in 0..n {
                    let sum: f64 = (0..k).map(|x| a[i * k + x] * b[x * n + j]).sum();
                    assert!((out[i * n + j] - 1.0 - sum).abs() < 1e-12);
                }
            }
            let added = out.clone();
            out.fill(f64::NAN);
            write_product(&mut out, left, right);
            assert!(
                out.iter()
                    .zip(&added)
                    .all(|(x, y)| (x + 1.0 - y).abs() < 1e-12)
            );
        }
    }
}
