//! Which windows series have: arithmetic, nothing is stored per window.

/// What a window is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WindowSpec {
    /// Values that a forecast sees.
    pub input_size: usize,
    /// Values that it forecasts.
    pub h: usize,
    /// Steps between windows of a series.
    pub step_size: usize,
    /// Whether windows may begin as far before their series as one value of it is left.
    pub start_padding: bool,
    /// Shares of a window's inputs and targets that must be there.
    pub availability: [f64; 2],
}

/// The windows of some series, numbered series by series and in the order of time.
///
/// A window is named by its cut: how many values of its series lie before its targets. With `T*` the longest series, and at least `input_size + 1`, there are the cuts
/// `input_size − (T* − T) + k · step_size` that leave at least one input and one target, or the shares that the spec asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct WindowList {
    step: usize,
    /// The first cut of each series.
    firsts: Vec<usize>,
    /// Windows of all series before each, and behind the last of all.
    ends: Vec<usize>,
}

impl WindowList {
    /// The windows of series of these lengths.
    pub fn new(lens: impl ExactSizeIterator<Item = usize> + Clone, spec: &WindowSpec) -> WindowList {
        let WindowSpec { input_size, h, step_size, start_padding, availability } = *spec;
        let step = step_size.max(1);
        let share = |share: f64, of: usize| ((share * of as f64).floor() as usize).clamp(1, of.max(1));
        let (inputs, targets) = (share(availability[0], input_size), share(availability[1], h));
        let longest = lens.clone().max().unwrap_or(0).max(input_size + 1);
        let padding = if start_padding { input_size.saturating_sub(1) } else { 0 };
        let mut list = WindowList { step, firsts: Vec::with_capacity(lens.len()), ends: vec![0] };
        for len in lens {
            // Values that stand before the series, so that all end together.
            let before = longest - len + padding;
            // The least k with input_size − before + k · step ≥ inputs.
            let missing = (inputs + before).saturating_sub(input_size);
            let first = input_size + missing.div_ceil(step) * step - before;
            let count = (len + 1).checked_sub(targets + first).map_or(0, |room| room.div_ceil(step));
            list.firsts.push(first);
            list.ends.push(list.total() + count);
        }
        list
    }

    /// All windows.
    pub fn total(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The windows of one series.
    pub fn count(&self, series: usize) -> usize {
        match (self.ends.get(series), self.ends.get(series + 1)) {
            (Some(start), Some(end)) => end - start,
            _ => 0,
        }
    }

    /// The cut of a series' i-th window.
    pub fn cut(&self, series: usize, i: usize) -> usize {
        self.firsts.get(series).map_or(0, |first| first + i * self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// NeuralForecast's way: every series padded with zeros left to the longest and right by h, unfolded, and windows kept that have enough real values.
    fn unfolded(lens: &[usize], spec: &WindowSpec) -> Vec<Vec<usize>> {
        let WindowSpec { input_size, h, step_size, start_padding, availability } = *spec;
        let padding = if start_padding { input_size - 1 } else { 0 };
        let longest = lens.iter().copied().max().unwrap().max(input_size + 1);
        let enough = |real: usize, share: f64, of: usize| real >= ((share * of as f64).floor() as usize).max(1);
        lens.iter()
            .map(|len| {
                let left = longest - len + padding;
                let real: Vec<bool> = (0..left + len + h).map(|i| i >= left && i < left + len).collect();
                let starts = (0..=real.len() - input_size - h).step_by(step_size);
                let count = |part: &[bool]| part.iter().filter(|real| **real).count();
                starts
                    .filter(|start| {
                        let (inputs, targets) = real[*start..start + input_size + h].split_at(input_size);
                        enough(count(inputs), availability[0], input_size) && enough(count(targets), availability[1], h)
                    })
                    .map(|start| start + input_size - left)
                    .collect()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn cuts_are_those_of_a_naive_slicer(
            lens in prop::collection::vec(1_usize..40, 1..5),
            input_size in 1_usize..12,
            h in 1_usize..6,
            step_size in 1_usize..5,
            start_padding: bool,
            shares in [0.0_f64..1.0, 0.0_f64..1.0],
        ) {
            let spec = WindowSpec { input_size, h, step_size, start_padding, availability: shares };
            let list = WindowList::new(lens.iter().copied(), &spec);
            let got: Vec<Vec<usize>> =
                (0..lens.len()).map(|s| (0..list.count(s)).map(|i| list.cut(s, i)).collect()).collect();
            let want = unfolded(&lens, &spec);
            prop_assert_eq!(list.total(), want.iter().map(Vec::len).sum::<usize>());
            prop_assert_eq!(got, want);
        }
    }

    /// 132 months, 36 in: one window for every month that has 36 before it.
    #[test]
    fn a_year_held_back_of_twelve() {
        let spec = WindowSpec { input_size: 36, h: 12, step_size: 1, start_padding: false, availability: [0.0; 2] };
        let list = WindowList::new([132].into_iter(), &spec);
        assert_eq!((list.total(), list.cut(0, 0), list.cut(0, 95)), (96, 36, 131));
        let full = WindowSpec { availability: [1.0; 2], ..spec };
        assert_eq!(WindowList::new([132].into_iter(), &full).total(), 132 - 36 - 12 + 1);
    }

    #[derive(serde::Deserialize)]
    struct Case {
        lens: Vec<usize>,
        input_size: usize,
        h: usize,
        step_size: usize,
        start_padding: bool,
        availability: [f64; 2],
        /// Series and cut of each window.
        cuts: Vec<(usize, usize)>,
    }

    /// `tests/tables.json` is written by `bench/python/nf_tables.py`.
    #[test]
    fn windows_and_their_order_are_neural_forecasts() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables.json");
        let mut tables: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases: Vec<Case> = serde_json::from_value(tables["windows"].take()).unwrap();
        assert!(cases.len() >= 10 && cases.iter().all(|case| !case.cuts.is_empty()));
        for case in cases {
            let Case { input_size, h, step_size, start_padding, availability, .. } = case;
            let spec = WindowSpec { input_size, h, step_size, start_padding, availability };
            let list = WindowList::new(case.lens.iter().copied(), &spec);
            let of = |s: usize| (0..list.count(s)).map(|i| (s, list.cut(s, i))).collect::<Vec<_>>();
            let got: Vec<(usize, usize)> = (0..case.lens.len()).flat_map(of).collect();
            assert_eq!(got, case.cuts, "{:?} {spec:?}", case.lens);
        }
    }
}
