//! What a language model is told of a window: a sentence with figures of it, as numbers of tokens (Jin et al. 2024).
use super::bpe::Tokenizer;
use std::sync::Arc;

/// Bytes, and so tokens, of the longest number that is written, with the space before it.
const LONGEST_NUMBER: usize = 24;
/// Added to a variance.
const EPS: f32 = 1e-5;

/// Writes the sentences of windows of one size, all of one length: what is short is filled up with the token that ends texts.
#[derive(Clone, PartialEq, Debug)]
pub struct Prompter {
    tokenizer: Arc<Tokenizer>,
    /// The tokens before the first number, which are those of every window.
    head: Vec<u32>,
    len: usize,
    lags: usize,
}

/// What a sentence says of a window.
struct Figures {
    min: f32,
    max: f32,
    median: f32,
    rises: bool,
    lags: Vec<usize>,
}

impl Prompter {
    pub(in crate::families) fn new(
        tokenizer: Arc<Tokenizer>,
        prefix: Option<&str>,
        sizes: [usize; 2],
        lags: usize,
    ) -> Prompter {
        let head = tokenizer.encode(&head(prefix, sizes));
        let digits = sizes[0].to_string().len();
        // Numbers never share a token with what stands around them, so that a sentence has at most these.
        let fixed = [", max value", ", median value", "]<|<end_prompt>|>"].map(|text| tokenizer.encode(text).len());
        let trend = [true, false].map(|rises| tokenizer.encode(&behind_median(rises)).len());
        let numbers = 3 * LONGEST_NUMBER + lags * (digits + 2);
        let len = head.len() + numbers + fixed.iter().sum::<usize>() + trend.into_iter().fold(0, usize::max);
        Prompter { tokenizer, head, len, lags }
    }

    /// Tokens of every sentence.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes the sentences of windows of `size` values, one behind another.
    pub(crate) fn tell(&self, windows: &[f32], size: usize, ids: &mut [f32]) {
        for (window, ids) in windows.chunks_exact(size.max(1)).zip(ids.chunks_exact_mut(self.len.max(1))) {
            let behind = self.tokenizer.encode(&tail(&Figures::of(&normed(window), self.lags)));
            let sentence = self.head.iter().copied().chain(behind);
            let filled = sentence.chain(std::iter::repeat(self.tokenizer.end()));
            // Numbers of tokens are below 2²⁴.
            ids.iter_mut().zip(filled).for_each(|(to, id)| *to = id as f32);
        }
    }
}

/// The sentence up to the first number.
fn head(prefix: Option<&str>, [input_size, h]: [usize; 2]) -> String {
    // NeuralForecast writes Python's word for nothing where there is no prefix.
    let prefix = prefix.unwrap_or("None");
    format!(
        "<|start_prompt|>{prefix}Task description: forecast the next {h} steps given the previous {input_size} steps information; Input statistics: min value"
    )
}

fn tail(figures: &Figures) -> String {
    let Figures { min, max, median, rises, lags } = figures;
    let (min, max, median) = (written(*min), written(*max), written(*median));
    let between = behind_median(*rises);
    let lags = lags.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    format!(" {min}, max value {max}, median value {median}{between}{lags}]<|<end_prompt>|>")
}

/// It says five whatever their number is, as NeuralForecast does.
fn behind_median(rises: bool) -> String {
    let trend = if rises { "upward" } else { "downward" };
    format!(", the trend of input is {trend}, top 5 lags are : [")
}

/// A window less its mean, by its deviation.
fn normed(window: &[f32]) -> Vec<f32> {
    let n = window.len().max(1) as f64;
    let mean = window.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = window.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    let (mean, deviation) = (mean as f32, (variance as f32 + EPS).sqrt());
    window.iter().map(|v| (v - mean) / deviation).collect()
}

impl Figures {
    fn of(values: &[f32], lags: usize) -> Figures {
        let mut sorted = values.to_vec();
        sorted.sort_by(f32::total_cmp);
        let at = |i: usize| sorted.get(i).copied().unwrap_or(0.0);
        let last = sorted.len().saturating_sub(1);
        Figures {
            min: at(0),
            max: at(last),
            median: at(last / 2), // the lower middle value
            rises: values.last() > values.first(),
            lags: strongest(&echoes(values), lags),
        }
    }
}

/// How much a window is itself, later: the transform of its power. As in NeuralForecast a window of odd length loses a value on the way back.
fn echoes(values: &[f32]) -> Vec<f64> {
    let l = values.len();
    if l.is_multiple_of(2) {
        let product =
            |lag: usize| -> f64 { (0..l).map(|i| f64::from(values[i]) * f64::from(values[(i + lag) % l])).sum() };
        return mirrored(l, product);
    }
    let angle = |n: usize, i: usize| 2.0 * std::f64::consts::PI * (i % n) as f64 / n as f64;
    let power = |k: usize| {
        let of = |wave: fn(f64) -> f64| -> f64 {
            values.iter().enumerate().map(|(i, v)| f64::from(*v) * wave(angle(l, i * k))).sum()
        };
        of(libm::cos).powi(2) + of(libm::sin).powi(2)
    };
    let (n, powers) = (l - 1, (0..=l / 2).map(power).collect::<Vec<f64>>());
    // All frequencies but the first and the last stand for two.
    let times = |k: usize| if k == 0 || k == n / 2 { 1.0 } else { 2.0 };
    mirrored(n, |lag| powers.iter().enumerate().map(|(k, p)| times(k) * p * libm::cos(angle(n.max(1), k * lag))).sum())
}

/// A function of lags that goes back as it came.
fn mirrored(n: usize, of: impl Fn(usize) -> f64) -> Vec<f64> {
    let half: Vec<f64> = (0..=n / 2).map(of).collect();
    (0..n).map(|lag| half[lag.min(n - lag)]).collect()
}

/// The lags with the largest values. Every lag is as strong as its mirror image: the smaller one comes first; in NeuralForecast rounding decides.
fn strongest(echoes: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..echoes.len()).collect();
    order.sort_by(|a, b| echoes[*b].total_cmp(&echoes[*a]));
    order.truncate(count);
    order
}

/// A number as Python writes it: the fewest digits that mean this number of 64 bits, with an exponent where it is very small or large.
fn written(value: f32) -> String {
    let value = f64::from(value);
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { format!("{value:.1}") } else { value.to_string().to_lowercase() };
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(-4..=15) => {
            let plain = value.to_string();
            if plain.contains('.') { plain } else { format!("{plain}.0") }
        }
        Ok(power) => format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs()),
        Err(_) => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::super::bpe::tests::fixture;
    use super::super::folder::of_json;
    use super::*;
    use serde_json::Value;

    #[test]
    fn numbers_are_as_python_writes_them() {
        for (value, want) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.10000000149011612"),
            (-1.537_774_3, "-1.5377743244171143"),
            (1e-4, "9.999999747378752e-05"),
            (2e-4, "0.00019999999494757503"),
            (1.401_298_5e-45, "1.401298464324817e-45"),
            (1e16, "1.0000000272564224e+16"),
            (123_456_790.0, "123456792.0"),
            (8_388_608.5, "8388608.0"),
            (f32::INFINITY, "inf"),
        ] {
            assert_eq!(written(value), want);
            assert!(written(value).len() < LONGEST_NUMBER);
        }
    }

    #[test]
    fn lags_are_those_of_a_window_of_even_and_odd_length() {
        let wave = |n: usize| -> Vec<f32> { (0..n).map(|i| [1.0, 0.0, -1.0, 0.5][i % 4]).collect() };
        assert_eq!(strongest(&echoes(&wave(16)), 5), [0, 4, 8, 12, 1]);
        // The mirror image has the same bits.
        let values: Vec<f32> = (0..15_u8).map(|i| (f32::from(i) * 1.7).sin()).collect();
        let odd = echoes(&values);
        assert_eq!(odd.len(), 14);
        assert!((1..14).all(|lag| odd[lag] == odd[14 - lag]));
        assert!(echoes(&[]).is_empty() && echoes(&[1.0]).is_empty());
    }

    /// Sentences and tokens of windows that NeuralForecast's own code wrote and Hugging Face's tokenizers read. Which of two lags that are equally strong comes first, or at all, rounding decides there.
    #[test]
    fn sentences_are_neural_forecasts() {
        let fixture = fixture();
        let tokenizer = Arc::new(of_json(&fixture["tokenizer"], "<|endoftext|>").unwrap());
        let prompts = fixture["prompts"].as_array().unwrap();
        assert!(prompts.len() >= 6);
        for prompt in prompts {
            let numbers = |name: &str| -> Vec<f32> {
                prompt[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
            };
            let size = |name: &str| prompt[name].as_u64().unwrap() as usize;
            let window = numbers("normed");
            let mut figures = Figures::of(&window, size("top_k"));
            let theirs: Vec<usize> = numbers("lags").iter().map(|lag| *lag as usize).collect();
            let either = |lags: &[usize]| -> Vec<usize> {
                let n = window.len() / 2 * 2;
                let mut all: Vec<usize> = lags.iter().map(|lag| (*lag).min(n - lag)).collect();
                all.sort_unstable();
                all
            };
            assert_eq!(either(&figures.lags), either(&theirs));
            figures.lags = theirs;
            let sizes = [window.len(), size("h")];
            let text = head(prompt["prefix"].as_str(), sizes) + &tail(&figures);
            assert_eq!(text, prompt["text"].as_str().unwrap());
            let ids: Vec<u32> =
                prompt["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
            assert_eq!(tokenizer.encode(&text), ids, "{text}");
            // A sentence is its tokens, filled up to one length.
            let prompter = Prompter::new(tokenizer.clone(), prompt["prefix"].as_str(), sizes, size("top_k"));
            let mut told = vec![-1.0; prompter.len()];
            prompter.tell(&numbers("window"), window.len(), &mut told);
            let told: Vec<u32> = told.iter().map(|id| *id as u32).collect();
            assert!(told.len() >= ids.len() && told.starts_with(&prompter.head));
            assert_eq!(tokenizer.encode(&head(prompt["prefix"].as_str(), sizes)), prompter.head);
            assert_eq!(told.last(), Some(&tokenizer.end()), "{text}");
        }
    }

    /// Whatever a window is, its sentence is not longer than all are.
    #[test]
    fn no_sentence_is_too_long() {
        let tokenizer: Value = fixture()["tokenizer"].clone();
        let tokenizer = Arc::new(of_json(&tokenizer, "<|endoftext|>").unwrap());
        let prompter = Prompter::new(tokenizer.clone(), Some("Sales of <|endoftext|> shops'll. "), [997, 24], 9);
        let numbers = [f32::MIN_POSITIVE, -f32::MIN_POSITIVE, -1.234_567_9e-5, -0.000_123_456_79, 1e30, -123.456_79];
        for value in numbers {
            let lags = vec![996; 9];
            let figures = Figures { min: value, max: value, median: value, rises: value > 0.0, lags };
            let behind = tokenizer.encode(&tail(&figures)).len();
            assert!(prompter.head.len() + behind <= prompter.len(), "{value}");
        }
    }
}
