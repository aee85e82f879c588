//! The Fourier transforms against their definition.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::{Isa, reference};
use support::{Numbers, Shifted, isas};

type Kernel = fn(Isa, &mut [f32], &[f32], &[f32], &mut [f32], usize, usize);
type Reference = fn(&mut [f64], &[f64]);

fn table(n: usize) -> Vec<f32> {
    let mut table = vec![f32::NAN; k::rfft_table_len(n)];
    k::rfft_table(&mut table, n);
    assert!(table.iter().all(|v| v.is_finite()));
    table
}

fn spectrum_len(n: usize) -> usize {
    2 * (n / 2 + 1)
}

/// The root of the mean square of a row.
fn rms(row: &[f64]) -> f64 {
    (row.iter().map(|v| v * v).sum::<f64>() / row.len() as f64).sqrt()
}

/// Runs a transform of rows of `from` to rows of `to` values.
fn check(name: &str, kernel: Kernel, reference: Reference, n: usize, rows: usize, [from, to]: [usize; 2]) {
    let x = Shifted::new(&Numbers::new(n as u64).vec(rows * from, -1.0, 1.0), n % 16);
    let mut want = vec![0.0; rows * to];
    let wide = x.get().iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    for (want, x) in want.chunks_exact_mut(to).zip(wide.chunks_exact(from)) {
        reference(want, x);
    }
    let table = table(n);
    for isa in isas() {
        // Scratch memory is not read before it is written.
        let mut scratch = vec![f32::NAN; k::rfft_scratch_len(n)];
        let mut y = Shifted::output(rows * to, (n + 3) % 16);
        kernel(isa, y.get_mut(), x.get(), &table, &mut scratch, rows, n);
        y.check_guards();
        for (r, (got, want)) in y.get().chunks(to).zip(want.chunks(to)).enumerate() {
            let slack = 2e-6 * rms(want) + 1e-9;
            for (i, (got, want)) in got.iter().zip(want).enumerate() {
                let off = (f64::from(*got) - want).abs();
                assert!(
                    off <= slack,
                    "{name} of {n} on {isa:?}, row {r}, {i}: {got}, want {want}, off {off:e} > {slack:e}"
                );
            }
        }
    }
}

fn check_all(n: usize, rows: usize) {
    let (real, spectrum) = (n, spectrum_len(n));
    check("rfft", k::rfft_fwd, reference::rfft, n, rows, [real, spectrum]);
    check("irfft", k::irfft_fwd, reference::irfft, n, rows, [spectrum, real]);
    check("drfft", k::rfft_bwd, reference::rfft_bwd, n, rows, [spectrum, real]);
    check("dirfft", k::irfft_bwd, reference::irfft_bwd, n, rows, [real, spectrum]);
}

#[test]
fn every_length_up_to_257() {
    for n in 1..=257 {
        check_all(n, 2);
    }
}

#[test]
fn large_lengths() {
    for n in [1000, 1024, 1031, 1458, 2187, 3125, 2 * 1031] {
        check_all(n, 1);
    }
}

#[test]
fn every_number_of_rows() {
    for rows in 0..=40 {
        check_all(24, rows);
        check_all(14, rows);
    }
}

#[test]
fn there_and_back() {
    let mut numbers = Numbers::new(9);
    for n in [8, 30, 77, 4096, 5000, 4099] {
        let (x, table) = (numbers.vec(3 * n, -1.0, 1.0), table(n));
        for isa in isas() {
            let mut scratch = vec![0.0; k::rfft_scratch_len(n)];
            let (mut y, mut z) = (vec![0.0; 3 * spectrum_len(n)], vec![0.0; 3 * n]);
            k::rfft_fwd(isa, &mut y, &x, &table, &mut scratch, 3, n);
            k::irfft_fwd(isa, &mut z, &y, &table, &mut scratch, 3, n);
            let worst = x.iter().zip(&z).map(|(x, z)| (x - z).abs()).fold(0.0, f32::max);
            assert!(worst < 4e-6, "{n} on {isa:?}: {worst:e}");
        }
    }
}

/// `<y, F x> = <F* y, x>`: the gradients are the adjoints.
#[test]
fn gradients_are_adjoints() {
    let mut numbers = Numbers::new(10);
    for n in [1, 2, 12, 15, 22] {
        let (x, y, table) = (numbers.vec(n, -1.0, 1.0), numbers.vec(spectrum_len(n), -1.0, 1.0), table(n));
        for isa in isas() {
            let mut scratch = vec![0.0; k::rfft_scratch_len(n)];
            for (forward, backward) in [(k::rfft_fwd as Kernel, k::rfft_bwd as Kernel), (k::irfft_bwd, k::irfft_fwd)] {
                let (mut fx, mut by) = (vec![0.0; spectrum_len(n)], vec![0.0; n]);
                forward(isa, &mut fx, &x, &table, &mut scratch, 1, n);
                backward(isa, &mut by, &y, &table, &mut scratch, 1, n);
                let (left, right) = (reference::dot(&y, &fx), reference::dot(&by, &x));
                assert!((left - right).abs() < 1e-5 * (1.0 + left.abs()), "{n} on {isa:?}: {left} {right}");
            }
        }
    }
}
