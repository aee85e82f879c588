//! How large the frequencies of an error are (FreDF: Wang et al., "Learning to Forecast in the Frequency Domain", ICLR 2025).
use mayfly_kernels::{Isa, rfft_bwd, rfft_fwd, rfft_scratch_len, rfft_table, rfft_table_len};

/// Fourier transforms of rows of `h` values.
#[derive(Debug)]
pub(super) struct Spectrum {
    h: usize,
    table: Vec<f32>,
    isa: Isa,
}

impl Spectrum {
    pub(super) fn new(h: usize) -> Spectrum {
        let mut table = vec![0.0; rfft_table_len(h)];
        rfft_table(&mut table, h);
        Spectrum { h, table, isa: Isa::detect() }
    }

    fn of(&self, errors: &[f32]) -> Vec<f32> {
        let mut spectrum = vec![0.0; 2 * (self.h / 2 + 1)];
        let mut scratch = vec![0.0; rfft_scratch_len(self.h)];
        rfft_fwd(self.isa, &mut spectrum, errors, &self.table, &mut scratch, 1, self.h);
        spectrum
    }

    /// The mean amplitude.
    pub(super) fn size(&self, errors: &[f32]) -> f32 {
        let spectrum = self.of(errors);
        let sum: f32 = spectrum.chunks_exact(2).map(|z| z[0].hypot(z[1])).sum();
        sum / (self.h / 2 + 1) as f32
    }

    /// Its slopes along the errors.
    pub(super) fn slopes(&self, errors: &[f32]) -> Vec<f32> {
        let mut spectrum = self.of(errors);
        let count = (self.h / 2 + 1) as f32;
        for z in spectrum.chunks_exact_mut(2) {
            let size = z[0].hypot(z[1]);
            z.iter_mut().for_each(|part| *part = if size > 0.0 { *part / (size * count) } else { 0.0 });
        }
        let mut slopes = vec![0.0; self.h];
        let mut scratch = vec![0.0; rfft_scratch_len(self.h)];
        rfft_bwd(self.isa, &mut slopes, &spectrum, &self.table, &mut scratch, 1, self.h);
        slopes
    }
}
