//! RNN, LSTM and GRU over sequences.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::{Act, Isa, reference};
use support::{Numbers, Shifted, assert_within, isas, wide};

/// `[b, t, h]`: every width up to 70 and some beyond, every number of sequences, and lengths.
fn shapes() -> Vec<[usize; 3]> {
    let mut all: Vec<[usize; 3]> = (0..=70).map(|h| [1 + h % 3, 3, h]).collect();
    all.extend((0..=70).step_by(3).flat_map(|s| [[s, 2, 5], [5, s, 3], [1, s, 17]]));
    all.extend([127, 128, 129, 255, 256, 257].map(|h| [1, 2, h]));
    all.extend([[0, 3, 4], [4, 4, 40], [13, 2, 33]]);
    all
}

/// A recurrent layer over `[b, t, gates · h]`.
struct Case {
    dims: [usize; 3],
    xw: Shifted,
    w: Shifted,
    dy: Shifted,
}

impl Case {
    fn new(numbers: &mut Numbers, at: usize, dims: [usize; 3], gates: usize) -> Case {
        let [b, t, h] = dims;
        // Weights small enough that errors do not grow from step to step.
        let spread = 1.0 / (h as f32).sqrt().max(1.0);
        Case {
            dims,
            xw: Shifted::new(&numbers.vec(b * t * gates * h, -2.0, 2.0), at % 4),
            w: Shifted::new(&numbers.vec(gates * h * h, -spread, spread), (at + 1) % 4),
            dy: Shifted::new(&numbers.vec(b * t * h, -1.0, 1.0), (at + 2) % 4),
        }
    }

    /// Applies `f` to each sequence of `x [b, t, width]` and joins the results.
    fn each(&self, width: usize, x: &[f32], mut f: impl FnMut(usize, &[f64]) -> Vec<f64>) -> Vec<f64> {
        let [b, t, _] = self.dims;
        (0..b).flat_map(|i| f(i, &wide(&x[i * t * width..(i + 1) * t * width]))).collect()
    }

    /// Part `i` of `b` equal ones.
    fn part<'a>(&self, x: &'a [f64], i: usize) -> &'a [f64] {
        let n = x.len() / self.dims[0];
        &x[i * n..(i + 1) * n]
    }

    /// Runs a kernel into a guarded output with exactly the scratch it asks for.
    fn run(&self, len: usize, scratch: usize, f: impl FnOnce(&mut [f32], &mut [f32])) -> Shifted {
        let mut out = Shifted::output(len, 1 + self.dims[2] % 4);
        let mut scratch = Shifted::output(scratch, 3);
        f(out.get_mut(), scratch.get_mut());
        out.check_guards();
        scratch.check_guards();
        out
    }

    fn close(&self, what: &str, isa: Isa, got: &Shifted, want: &[f64]) {
        let what = format!("{what} {:?} on {isa:?}", self.dims);
        assert_within(&what, got.get(), want, want.iter().map(|w| 4e-6 + 4e-6 * w.abs()));
    }
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|v| *v as f32).collect()
}

#[test]
fn rnn_in_every_shape() {
    let mut numbers = Numbers::new(1);
    for (at, dims) in shapes().into_iter().enumerate() {
        let ([b, t, h], c) = (dims, Case::new(&mut numbers, at, dims, 1));
        let w = wide(c.w.get());
        let y = if h == 0 { vec![] } else { c.each(h, c.xw.get(), |_, xw| reference::rnn_fwd(xw, &w, Act::Tanh, h)) };
        let dy = wide(c.dy.get());
        let d: Vec<f64> = match h {
            0 => vec![],
            _ => (0..b).flat_map(|i| reference::rnn_tanh_bwd(c.part(&dy, i), c.part(&y, i), &w, h)).collect(),
        };
        let saved = Shifted::new(&narrow(&y), 2);
        for isa in isas() {
            let scratch = k::rnn_scratch_len(b, h);
            let got = c.run(b * t * h, scratch, |y, s| {
                k::rnn_fwd(isa, y, c.xw.get(), c.w.get(), Act::Tanh, s, b, t, h);
            });
            c.close("rnn", isa, &got, &y);
            let got = c.run(b * t * h, scratch, |d, s| {
                k::rnn_bwd(isa, d, c.dy.get(), saved.get(), c.w.get(), Act::Tanh, s, b, t, h);
            });
            c.close("gradient of rnn", isa, &got, &d);
        }
    }
}

#[test]
fn lstm_in_every_shape() {
    let mut numbers = Numbers::new(2);
    for (at, dims) in shapes().into_iter().enumerate() {
        let ([b, t, h], c) = (dims, Case::new(&mut numbers, at, dims, 4));
        let (w, dy) = (wide(c.w.get()), wide(c.dy.get()));
        let ws = if h == 0 { vec![] } else { c.each(4 * h, c.xw.get(), |_, xw| reference::lstm_fwd(xw, &w, h)) };
        let d: Vec<f64> = match h {
            0 => vec![],
            _ => (0..b).flat_map(|i| reference::lstm_bwd(c.part(&dy, i), c.part(&ws, i), &w, h)).collect(),
        };
        let saved = Shifted::new(&narrow(&ws), 2);
        for isa in isas() {
            let scratch = k::lstm_scratch_len(b, h);
            let got =
                c.run(b * t * 6 * h, scratch, |ws, s| k::lstm_fwd(isa, ws, c.xw.get(), c.w.get(), None, s, b, t, h));
            c.close("lstm", isa, &got, &ws);
            let got = c.run(b * t * 4 * h, scratch, |d, s| {
                k::lstm_bwd(isa, d, c.dy.get(), saved.get(), c.w.get(), None, s, b, t, h);
            });
            c.close("gradient of lstm", isa, &got, &d);
        }
    }
}

#[test]
fn gru_in_every_shape() {
    let mut numbers = Numbers::new(3);
    for (at, dims) in shapes().into_iter().enumerate() {
        let ([b, t, h], c) = (dims, Case::new(&mut numbers, at, dims, 3));
        let b_hn = Shifted::new(&numbers.vec(h, -1.0, 1.0), 3);
        let (w, dy, bias) = (wide(c.w.get()), wide(c.dy.get()), wide(b_hn.get()));
        let ws = if h == 0 { vec![] } else { c.each(3 * h, c.xw.get(), |_, xw| reference::gru_fwd(xw, &w, &bias, h)) };
        let d: Vec<f64> = match h {
            0 => vec![],
            _ => (0..b).flat_map(|i| reference::gru_bwd(c.part(&dy, i), c.part(&ws, i), &w, h)).collect(),
        };
        let saved = Shifted::new(&narrow(&ws), 2);
        for isa in isas() {
            let scratch = k::gru_scratch_len(b, h);
            let got = c.run(b * t * 5 * h, scratch, |ws, s| {
                k::gru_fwd(isa, ws, c.xw.get(), c.w.get(), b_hn.get(), None, s, b, t, h);
            });
            c.close("gru", isa, &got, &ws);
            let got = c.run(b * t * 4 * h, scratch, |d, s| {
                k::gru_bwd(isa, d, c.dy.get(), saved.get(), c.w.get(), None, s, b, t, h);
            });
            c.close("gradient of gru", isa, &got, &d);
        }
    }
}

/// `Σ dy · y` where `y` are the last `h` of each row.
fn objective(ws: &[f64], dy: &[f64], row: usize, h: usize) -> f64 {
    ws.chunks(row).zip(dy.chunks(h)).map(|(ws, dy)| ws[row - h..].iter().zip(dy).map(|(y, d)| y * d).sum::<f64>()).sum()
}

/// The gradients of the references are slopes of the references.
#[test]
fn reference_gradients_are_slopes() {
    const STEP: f64 = 1e-5;
    let mut numbers = Numbers::new(4);
    for (t, h) in [(1, 3), (4, 1), (5, 4)] {
        let mut draw = |n: usize| wide(&numbers.vec(n, -1.0, 1.0));
        let (dy, w, bias, xw) = (draw(t * h), draw(4 * h * h), draw(h), draw(4 * t * h));
        type Forward<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;
        let check = |name: &str,
                     gates: usize,
                     row: usize,
                     forward: Forward<'_>,
                     d: &dyn Fn(&[f64]) -> Vec<f64>,
                     drow: usize| {
            let x = &xw[..gates * t * h];
            let d = d(&forward(x));
            for i in 0..x.len() {
                let at = |by: f64| {
                    let mut x = x.to_vec();
                    x[i] += by;
                    objective(&forward(&x), &dy, row * h, h)
                };
                let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
                let got = d[i / (gates * h) * drow * h + i % (gates * h)];
                assert!((slope - got).abs() < 1e-8, "{name}: {got} at {i}, the slope is {slope}");
            }
        };
        let (w1, w3) = (&w[..h * h], &w[..3 * h * h]);
        check(
            "rnn",
            1,
            1,
            &|x| reference::rnn_fwd(x, w1, Act::Tanh, h),
            &|y| reference::rnn_tanh_bwd(&dy, y, w1, h),
            1,
        );
        check("lstm", 4, 6, &|x| reference::lstm_fwd(x, &w, h), &|ws| reference::lstm_bwd(&dy, ws, &w, h), 4);
        check("gru", 3, 5, &|x| reference::gru_fwd(x, w3, &bias, h), &|ws| reference::gru_bwd(&dy, ws, w3, h), 4);
        // The bias within the reset gate receives the fourth part.
        let (ws, biased) = (reference::gru_fwd(&xw[..3 * t * h], w3, &bias, h), |j: usize, by: f64| {
            let mut bias = bias.clone();
            bias[j] += by;
            objective(&reference::gru_fwd(&xw[..3 * t * h], w3, &bias, h), &dy, 5 * h, h)
        });
        let dg = reference::gru_bwd(&dy, &ws, w3, h);
        for j in 0..h {
            let slope = (biased(j, STEP) - biased(j, -STEP)) / (2.0 * STEP);
            let got: f64 = (0..t).map(|step| dg[step * 4 * h + 3 * h + j]).sum();
            assert!((slope - got).abs() < 1e-8, "gru bias: {got} at {j}, the slope is {slope}");
        }
    }
}

/// Saturated gates give exact zeros and ones, never NaN; a NaN stays in its sequence.
#[test]
fn extremes() {
    let [b, t, h] = [3, 4, 21];
    for isa in isas() {
        for x in [3e38, -3e38, 0.0, 1e-42] {
            let mut ws = vec![0.0; b * t * 6 * h];
            let mut scratch = vec![f32::NAN; k::lstm_scratch_len(b, h)];
            k::lstm_fwd(isa, &mut ws, &vec![x; b * t * 4 * h], &vec![0.5; 4 * h * h], None, &mut scratch, b, t, h);
            assert!(ws.iter().all(|v| v.is_finite()), "lstm of {x:e} on {isa:?}");
            let mut ws = vec![0.0; b * t * 5 * h];
            let mut scratch = vec![f32::NAN; k::gru_scratch_len(b, h)];
            let (w, bias) = (vec![0.5; 3 * h * h], vec![1.0; h]);
            k::gru_fwd(isa, &mut ws, &vec![x; b * t * 3 * h], &w, &bias, None, &mut scratch, b, t, h);
            assert!(ws.iter().all(|v| v.is_finite()), "gru of {x:e} on {isa:?}");
        }
        let mut xw = vec![0.5; b * t * h];
        xw[t * h + 2] = f32::NAN; // the second sequence, first step
        let mut y = vec![0.0; b * t * h];
        let mut scratch = vec![f32::NAN; k::rnn_scratch_len(b, h)];
        k::rnn_fwd(isa, &mut y, &xw, &vec![0.1; h * h], Act::Tanh, &mut scratch, b, t, h);
        let (first, rest) = y.split_at(t * h);
        let (second, third) = rest.split_at(t * h);
        assert!(first.iter().chain(third).all(|v| v.is_finite()), "a NaN left its sequence on {isa:?}");
        assert!(second[h..].iter().all(|v| v.is_nan()), "a NaN was lost on {isa:?}");
    }
}

/// A sequence in two parts, the second from the state that the first leaves, is the whole: forwards, and backwards through the state.
#[test]
fn a_layer_goes_on_from_a_state() {
    let mut numbers = Numbers::new(9);
    for (b, t, cut, h) in [(1, 5, 2, 3), (3, 4, 1, 17), (2, 6, 5, 33), (4, 2, 1, 8)] {
        for isa in isas() {
            lstm_in_parts(isa, &mut numbers, (b, t, cut, h));
            gru_in_parts(isa, &mut numbers, (b, t, cut, h));
        }
    }
}

/// Steps `from..to` of `x [b, t, n]`.
fn steps(x: &[f32], t: usize, n: usize, from: usize, to: usize) -> Vec<f32> {
    x.chunks_exact(t * n).flat_map(|x| x[from * n..to * n].to_vec()).collect()
}

fn assert_close(what: &str, got: &[f32], want: &[f32]) {
    assert_within(what, got, &wide(want), want.iter().map(|w| 4e-6 + 4e-6 * f64::from(w.abs())));
}

fn lstm_in_parts(isa: Isa, numbers: &mut Numbers, (b, t, cut, h): (usize, usize, usize, usize)) {
    let (xw, w) = (numbers.vec(b * t * 4 * h, -2.0, 2.0), numbers.vec(4 * h * h, -0.3, 0.3));
    let dy = numbers.vec(b * t * h, -1.0, 1.0);
    let mut scratch = vec![0.0; k::lstm_scratch_len(b, h)];
    let mut forward = |xw: &[f32], start: Option<&[f32]>, t: usize| {
        let mut ws = vec![9.0; b * t * 6 * h];
        k::lstm_fwd(isa, &mut ws, xw, &w, start, &mut scratch, b, t, h);
        ws
    };
    let whole = forward(&xw, None, t);
    let first = forward(&steps(&xw, t, 4 * h, 0, cut), None, cut);
    let state: Vec<f32> = first.chunks_exact(cut * 6 * h).flat_map(|ws| ws[ws.len() - 2 * h..].to_vec()).collect();
    let second = forward(&steps(&xw, t, 4 * h, cut, t), Some(&state), t - cut);
    assert_close("the second part", &second, &steps(&whole, t, 6 * h, cut, t));

    let mut backward = |dy: &[f32], ws: &[f32], start: Option<k::StartBwd<'_>>, t: usize| {
        let mut dxw = vec![9.0; b * t * 4 * h];
        k::lstm_bwd(isa, &mut dxw, dy, ws, &w, start, &mut scratch, b, t, h);
        dxw
    };
    let want = backward(&dy, &whole, None, t);
    let mut dstate = vec![9.0; 2 * b * h];
    let start = k::StartBwd { start: &state, dcell: &[], dstart: &mut dstate };
    let got = backward(&steps(&dy, t, h, cut, t), &second, Some(start), t - cut);
    assert_close("its gradient", &got, &steps(&want, t, 4 * h, cut, t));
    // What the state hands back stands at the last step of the first part.
    let (mut dy, mut dcell) = (steps(&dy, t, h, 0, cut), vec![0.0; b * cut * h]);
    for r in 0..b {
        let last = (r * cut + cut - 1) * h..(r * cut + cut) * h;
        dcell[last.clone()].copy_from_slice(&dstate[2 * r * h..(2 * r + 1) * h]);
        dy[last].iter_mut().zip(&dstate[(2 * r + 1) * h..]).for_each(|(dy, d)| *dy += d);
    }
    let (zeros, mut nowhere) = (vec![0.0; 2 * b * h], vec![9.0; 2 * b * h]);
    let start = k::StartBwd { start: &zeros, dcell: &dcell, dstart: &mut nowhere };
    let got = backward(&dy, &first, Some(start), cut);
    assert_close("the gradient through the state", &got, &steps(&want, t, 4 * h, 0, cut));
}

fn gru_in_parts(isa: Isa, numbers: &mut Numbers, (b, t, cut, h): (usize, usize, usize, usize)) {
    let (xw, w) = (numbers.vec(b * t * 3 * h, -2.0, 2.0), numbers.vec(3 * h * h, -0.3, 0.3));
    let (bias, dy) = (numbers.vec(h, -1.0, 1.0), numbers.vec(b * t * h, -1.0, 1.0));
    let mut scratch = vec![0.0; k::gru_scratch_len(b, h)];
    let mut forward = |xw: &[f32], start: Option<&[f32]>, t: usize| {
        let mut ws = vec![9.0; b * t * 5 * h];
        k::gru_fwd(isa, &mut ws, xw, &w, &bias, start, &mut scratch, b, t, h);
        ws
    };
    let whole = forward(&xw, None, t);
    let first = forward(&steps(&xw, t, 3 * h, 0, cut), None, cut);
    let state: Vec<f32> = first.chunks_exact(cut * 5 * h).flat_map(|ws| ws[ws.len() - h..].to_vec()).collect();
    let second = forward(&steps(&xw, t, 3 * h, cut, t), Some(&state), t - cut);
    assert_close("the second part", &second, &steps(&whole, t, 5 * h, cut, t));

    let mut backward = |dy: &[f32], ws: &[f32], start: Option<k::StartBwd<'_>>, t: usize| {
        let mut gates = vec![9.0; b * t * 4 * h];
        k::gru_bwd(isa, &mut gates, dy, ws, &w, start, &mut scratch, b, t, h);
        gates
    };
    let want = backward(&dy, &whole, None, t);
    let mut dstate = vec![9.0; b * h];
    let start = k::StartBwd { start: &state, dcell: &[], dstart: &mut dstate };
    let got = backward(&steps(&dy, t, h, cut, t), &second, Some(start), t - cut);
    assert_close("its gradient", &got, &steps(&want, t, 4 * h, cut, t));
    let mut dy = steps(&dy, t, h, 0, cut);
    for (r, d) in dstate.chunks_exact(h).enumerate() {
        dy[(r * cut + cut - 1) * h..][..h].iter_mut().zip(d).for_each(|(dy, d)| *dy += d);
    }
    let got = backward(&dy, &first, None, cut);
    assert_close("the gradient through the state", &got, &steps(&want, t, 4 * h, 0, cut));
}
