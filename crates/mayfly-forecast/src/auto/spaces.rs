//! The spaces of all families: those of NeuralForecast's Auto models, for the settings that change something here. It has none for TimeLLM.
use super::space::{MULTIPLIER, Range, Space};
use crate::families::Family;
use serde_json::{Value, json};

impl Space {
    /// The space that NeuralForecast's Auto models search for this family.
    pub fn of(family: &Family) -> Space {
        let own = if family.takes.multivariate { together(family.name) } else { alone(family.name) };
        let ranges = shared(family).into_iter().chain(own);
        Space(ranges.map(|(name, range)| (name.to_owned(), range)).collect())
    }
}

type Named = (&'static str, Range);

fn choice<T: Into<Value>>(name: &'static str, values: impl IntoIterator<Item = T>) -> Named {
    (name, Range::Choice(values.into_iter().map(Into::into).collect()))
}

fn ints(name: &'static str, least: i64, most: i64) -> Named {
    (name, Range::Int([least, most, 1]))
}

/// What all families search, in the ranges of their kind.
fn shared(family: &Family) -> Vec<Named> {
    if family.name == "Ridge" {
        return vec![choice(MULTIPLIER, [1, 2, 3, 4, 5]), choice("scaler_type", ["identity", "robust", "standard"])];
    }
    let is_recurrent = matches!(family.name, "RNN" | "LSTM" | "GRU" | "TCN" | "DilatedRNN");
    let mixes = matches!(family.name, "TSMixer" | "TSMixerx");
    let rates = match family.name {
        "TiDE" => [1e-5, 1e-2],
        _ if mixes => [1e-4, 1e-2],
        _ => [1e-4, 1e-1],
    };
    let horizons: &[i64] = match family.name {
        _ if is_recurrent => &[-1, 4, 16, 64],
        "StemGNN" => &[1, 2, 3, 4],
        "PatchTST" => &[1, 2, 3],
        _ if mixes => &[1, 2, 3, 4],
        _ => &[1, 2, 3, 4, 5],
    };
    let mut ranges = vec![
        ("learning_rate", Range::Log(rates)),
        choice(MULTIPLIER, horizons.iter().copied()),
        ints("random_seed", 1, 19),
        steps(family.name),
    ];
    let batches: &[i64] = match family.name {
        _ if is_recurrent => &[16, 32],
        "TimesNet" => &[32, 64, 128],
        _ => &[32, 64, 128, 256],
    };
    ranges.push(choice("batch_size", batches.iter().copied()));
    if !is_recurrent {
        let scalers: &[&str] = match family.name {
            "DeepAR" => &["robust", "minmax1"],
            "TimesNet" => &["robust", "standard"],
            _ => &["identity", "robust", "standard"],
        };
        ranges.push(choice("scaler_type", scalers.iter().copied()));
    }
    if !is_recurrent && !family.takes.multivariate {
        let windows: &[i64] = match family.name {
            "TimesNet" => &[32, 64, 128, 256],
            "TimeLLM" => &[8, 16, 32], // each is read by a language model
            _ => &[128, 256, 512, 1024],
        };
        ranges.push(choice("windows_batch_size", windows.iter().copied()));
    }
    ranges
}

fn steps(family: &str) -> Named {
    match family {
        "NHITS" | "DLinear" | "NLinear" | "TiDE" | "DeepNPTS" | "KAN" => ("max_steps", Range::Int([500, 1500, 100])),
        "RNN" | "LSTM" | "GRU" | "TCN" | "DilatedRNN" | "MLP" | "MLPMultivariate" | "NBEATS" | "NBEATSx"
        | "XLinear" => choice("max_steps", [500, 1000]),
        "PatchTST" => choice("max_steps", [500, 1000, 5000]),
        "TimeLLM" => choice("max_steps", [5, 20, 100]),
        _ => choice("max_steps", [500, 1000, 2000]),
    }
}

/// What a recurrent family searches besides; none of others.
fn recurrent(family: &str) -> Option<Vec<Named>> {
    let narrow = [16, 32, 64, 128];
    Some(match family {
        "RNN" | "LSTM" | "GRU" => vec![
            choice("encoder_hidden_size", narrow),
            ints("encoder_n_layers", 1, 3),
            choice("decoder_hidden_size", narrow),
        ],
        "TCN" => vec![choice("encoder_hidden_size", narrow), choice("decoder_hidden_size", [32, 64])],
        "DilatedRNN" => vec![
            choice("cell_type", ["LSTM", "GRU"]),
            choice("encoder_hidden_size", narrow),
            choice("dilations", [json!([[1, 2], [4, 8]]), json!([[1, 2, 4, 8]])]),
            choice("decoder_hidden_size", narrow),
        ],
        "DeepAR" => vec![
            choice("lstm_hidden_size", [32, 64, 128, 256]),
            ints("lstm_n_layers", 1, 3),
            ("lstm_dropout", Range::Uniform([0.0, 0.5])),
        ],
        "xLSTM" => vec![
            choice("encoder_hidden_size", narrow),
            ints("encoder_n_blocks", 1, 3),
            ("encoder_dropout", Range::Uniform([0.0, 0.99])),
            choice("decoder_hidden_size", narrow),
        ],
        _ => return None,
    })
}

/// What a family that looks at one series at a time searches besides.
fn alone(family: &str) -> Vec<Named> {
    let (wide, medium) = ([256, 512, 1024], [64, 128, 256]);
    match family {
        "BiTCN" => vec![choice("hidden_size", [16, 32]), ("dropout", Range::Uniform([0.0, 0.99]))],
        "MLP" => vec![choice("hidden_size", wide), ints("num_layers", 2, 5)],
        "NHITS" => vec![
            choice("n_pool_kernel_size", [[2, 2, 1], [1; 3], [2; 3], [4; 3], [8, 4, 1], [16, 8, 1]].map(|k| json!(k))),
            choice(
                "n_freq_downsample",
                [[168, 24, 1], [24, 12, 1], [180, 60, 1], [60, 8, 1], [40, 20, 1], [1; 3]].map(|k| json!(k)),
            ),
        ],
        "Ridge" => vec![("alpha", Range::Log([1e-4, 10.0]))],
        "DLinear" => vec![choice("moving_avg_window", [11, 25, 51])],
        "TiDE" => vec![
            choice("hidden_size", wide),
            choice("decoder_output_dim", [8, 16, 32]),
            choice("temporal_decoder_dim", [32, 64, 128]),
            ints("num_encoder_layers", 1, 3),
            ints("num_decoder_layers", 1, 3),
            choice("temporal_width", [4, 8, 16]),
            choice("dropout", [0.0, 0.1, 0.2, 0.3, 0.5]),
            choice("layernorm", [true, false]),
        ],
        "DeepNPTS" => vec![
            choice("hidden_size", [16, 32, 64]),
            ("dropout", Range::Uniform([0.0, 0.99])),
            choice("n_layers", [1, 2, 4]),
        ],
        "KAN" => vec![
            choice("grid_size", [5, 10, 15]),
            choice("spline_order", [2, 3, 4]),
            choice("hidden_size", [64, 128, 256, 512]),
        ],
        "TFT" | "VanillaTransformer" | "Informer" | "Autoformer" => {
            vec![choice("hidden_size", medium), choice("n_head", [4, 8])]
        }
        "FEDformer" => vec![choice("hidden_size", medium)],
        "PatchTST" => vec![
            choice("hidden_size", [16, 128, 256]),
            choice("n_heads", [4, 16]),
            choice("patch_len", [16, 24]),
            choice("revin", [false, true]),
        ],
        "TimeLLM" => vec![choice("patch_len", [8, 16]), choice("d_model", [16, 32])],
        "TimesNet" => vec![choice("hidden_size", [32, 64, 128]), choice("conv_hidden_size", [32, 64, 128])],
        other => recurrent(other).unwrap_or_default(),
    }
}

/// What a family that looks at all series searches besides.
fn together(family: &str) -> Vec<Named> {
    let (wide, medium) = ([256, 512, 1024], [64, 128, 256]);
    match family {
        "MLPMultivariate" => vec![choice("hidden_size", wide), ints("num_layers", 2, 5)],
        "iTransformer" => vec![choice("hidden_size", medium), choice("n_heads", [4, 8])],
        "TimeXer" => vec![choice("hidden_size", [128, 256, 512]), choice("n_heads", [4, 8])],
        "StemGNN" => vec![choice("multi_layer", [3, 5, 7])],
        "TSMixer" | "TSMixerx" => vec![
            choice("n_block", [1, 2, 4, 6, 8]),
            choice("ff_dim", [32, 64, 128]),
            ("dropout", Range::Uniform([0.0, 0.99])),
        ],
        "SOFTS" | "SOFTSSharp" => softs(family),
        "TimeMixer" => {
            vec![choice("d_model", [16, 32, 64]), choice("d_ff", [16, 32, 64]), choice("down_sampling_layers", [1, 2])]
        }
        "RMoK" => vec![
            choice("taylor_order", [3, 4, 5]),
            choice("jacobi_degree", [4, 5, 6]),
            choice("wavelet_function", ["mexican_hat", "morlet", "dog", "meyer", "shannon"]),
        ],
        "XLinear" => vec![choice("hidden_size", medium), choice("use_norm", [true, false])],
        _ => Vec::new(),
    }
}

fn softs(family: &str) -> Vec<Named> {
    let mut ranges = vec![choice("hidden_size", [64, 128, 256, 512]), choice("d_core", [64, 128, 256, 512])];
    if family == "SOFTSSharp" {
        ranges.push(choice("pe_keep_prob", [0.25, 0.5, 0.75, 1.0]));
    }
    ranges
}
