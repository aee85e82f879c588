//! Every family against NeuralForecast's own module: outputs and gradients from the same parameters. The files in `tests/golden` are written by `bench/python/nf_golden.py`.
use crate::families::{Build, FAMILIES, Family, Implicit, PLACE, Use, Vocabularies, embedded, spec, torch_parameter};
use crate::windows::{Asks, BACK_LEN, Counts, FUTR, HIST, INPUT_MASK, PROMPT, RowShape, SHARES, STAT, Scaler};
use mayfly_format::model_file::{ReadOptions, TensorData, TensorFile};
use mayfly_graph::Role;
use mayfly_nn::{Algorithm, BatchRows, CustomLoss, CustomOp, Dims, Loss, Network, Sgd, Shape, TrainConfig, Trainer};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What a file holds.
struct Golden {
    file: String,
    family: &'static Family,
    settings: Map<String, Value>,
    shape: RowShape,
    /// Words of each column of categories.
    words: Vocabularies,
    /// The shares that outputs are quantiles of, where a loss has any quantile.
    quantiles: Vec<f64>,
    tensors: BTreeMap<String, Vec<f32>>,
}

/// Families that NeuralForecast does not have. Ridge is NLinear's network with other weights.
const OURS: [&str; 1] = ["Ridge"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(path: &std::path::Path) -> Golden {
    let file = TensorFile::read(path, &ReadOptions::default()).unwrap();
    let facts: Value = serde_json::from_str(&file.metadata["golden"]).unwrap();
    let number = |name: &str| facts[name].as_u64().unwrap() as usize;
    let values = |data: TensorData| if let TensorData::F32(values) = data { values } else { panic!("not f32") };
    let family = Family::by_name(facts["family"].as_str().unwrap()).unwrap();
    let sizes = |kind: &str| -> Vec<usize> {
        let list = facts["words"][kind].as_array();
        list.into_iter().flatten().map(|n| n.as_u64().unwrap() as usize).collect()
    };
    let words = Vocabularies { hist: sizes("hist"), futr: sizes("futr"), stat: sizes("stat") };
    let counts = Counts {
        hist: number("hist"),
        futr: number("futr"),
        stat: number("stat"),
        hist_words: words.hist.len(),
        futr_words: words.futr.len(),
    };
    let shape = RowShape {
        series: facts.get("series").map_or(1, |n| n.as_u64().unwrap() as usize),
        input_size: number("input_size"),
        h: number("h"),
        outputs: number("outputs"),
        reads_mask: family.takes.input_mask,
        scaler: Scaler::Identity,
        counts,
        asks: Asks::default(),
        prompt: facts.get("prompt").map_or(0, |n| n.as_u64().unwrap() as usize),
    };
    Golden {
        file: path.file_stem().unwrap().to_string_lossy().into_owned(),
        family,
        settings: facts["settings"].as_object().unwrap().clone(),
        shape,
        words,
        quantiles: serde_json::from_value(facts["quantiles"].clone()).unwrap_or_default(),
        tensors: file.tensors.into_iter().map(|tensor| (tensor.name, values(tensor.data))).collect(),
    }
}

fn all() -> Vec<Golden> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// `Σ prediction · target`, so that the gradient is that of any functional of the output.
#[derive(Debug)]
struct Functional;

impl CustomOp for Functional {
    fn name(&self) -> &'static str {
        "functional"
    }

    fn shape(&self, _: &[Shape]) -> Result<Shape, String> {
        Shape::batched(&[]).map_err(|e| e.to_string())
    }

    fn forward(&self, rows: &mut [f32], inputs: &[&[f32]], _: &[Dims]) {
        let n = inputs[0].len() / rows.len();
        let rows_of = |i: usize| inputs[i].chunks_exact(n);
        for (row, (p, t)) in rows.iter_mut().zip(rows_of(0).zip(rows_of(1))) {
            *row = p.iter().zip(t).map(|(p, t)| p * t).sum();
        }
    }

    fn backward(&self, which: usize, d: &mut [f32], drows: &[f32], inputs: &[&[f32]], _: &[f32], _: &[Dims]) {
        let n = d.len() / drows.len();
        d.iter_mut().enumerate().for_each(|(i, d)| *d = drows[i / n] * inputs[1 - which][i]);
    }
}

/// Whether values are as wanted, by the largest of those wanted.
fn near(got: &[f32], want: &[f32], tolerance: f32) -> bool {
    let largest = want.iter().fold(0.0_f32, |most, v| most.max(v.abs())).max(1e-6);
    got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() <= tolerance * largest)
}

impl Golden {
    fn build(&self) -> Arc<dyn Build> {
        (self.family.settings)(&self.settings).unwrap_or_else(|error| panic!("{}: {error}", self.file))
    }

    /// The network with the file's parameters; every one of them is used.
    fn network(&self, build: Arc<dyn Build>) -> Result<Network, String> {
        let build = embedded(build, &self.words);
        let spec = spec(self.family, build, self.shape, Use::Forecasts);
        let network = Network::new(spec.clone(), 1).map_err(|error| error.to_string())?;
        let mut left: BTreeSet<&str> = self.tensors.keys().filter_map(|name| name.strip_prefix("param/")).collect();
        let mut params = vec![0.0; network.params().len()];
        for info in network.layout() {
            let name = info.name.strip_prefix(PLACE).unwrap();
            let values = self.param(name).ok_or_else(|| format!("no {name} in the file"))?;
            left.remove(name);
            if values.len() != info.range().len() {
                return Err(format!("{name} has {} values in the file, {} here", values.len(), info.range().len()));
            }
            params[info.range()].copy_from_slice(&values);
        }
        if !left.is_empty() {
            return Err(format!("{left:?} of the file are not used"));
        }
        Network::from_parts(spec, &params, None).map_err(|error| error.to_string())
    }

    fn param(&self, name: &str) -> Option<Vec<f32>> {
        torch_parameter(name, &mut |name| {
            let tensor = |kind: &str| self.tensors.get(&format!("{kind}/{name}"));
            tensor("param").or(tensor("buffer")).cloned()
        })
    }

    /// Inputs besides the past, in the order of the network.
    fn extras(&self) -> Vec<(&'static str, &[f32])> {
        let names = [
            (INPUT_MASK, self.shape.reads_mask),
            (HIST, self.shape.counts.hist > 0),
            (FUTR, self.shape.counts.futr > 0),
            (STAT, self.shape.counts.stat > 0),
            (PROMPT, self.shape.prompt > 0),
        ];
        let there = names.into_iter().filter(|(_, there)| *there);
        there.map(|(name, _)| (name, self.tensors[&format!("input/{name}")].as_slice())).collect()
    }

    /// What differs from NeuralForecast, if anything.
    fn difference(&self, family: Arc<dyn Build>) -> Option<String> {
        let build = match self.quantiles.is_empty() {
            true => family,
            false => Arc::new(Implicit { family, quantiles: self.quantiles.clone() }),
        };
        let network = match self.network(build.clone()) {
            Ok(network) => network,
            Err(what) => return Some(what),
        };
        let x = &self.tensors["input/insample_y"];
        let output = network.predict_named(x, &self.extras()).unwrap();
        if !near(&output, &self.tensors["output"], 1e-4) {
            return Some(format!("outputs {output:?}, not {:?}", self.tensors["output"]));
        }
        if let Some(what) = self.difference_of_parts(&network, x) {
            return Some(what);
        }
        if let Some(what) = self.difference_of_choices(&network, x) {
            return Some(what);
        }
        let layout = network.layout().to_vec();
        let gradient = self.gradient(self.for_training(network, build));
        for info in layout.iter().filter(|info| info.role == Role::Weight) {
            let name = info.name.strip_prefix(PLACE).unwrap();
            let (got, want) = (&gradient[info.range()], &self.tensors[&format!("grad/{name}")]);
            let largest = self.tensors.iter().filter(|(name, _)| name.starts_with("grad/"));
            let largest = largest.flat_map(|(_, values)| values).fold(0.0_f32, |most, v| most.max(v.abs()));
            // Gradients that cancel (a bias before batch norm) are rounding.
            let is_nothing = got.iter().chain(want).all(|v| v.abs() < 1e-5 * largest);
            if !is_nothing && !near(got, want, 1e-3) {
                return Some(format!("the gradient of {name} is {got:?}, not {want:?}"));
            }
        }
        None
    }

    /// What differs in the parts that outputs are sums of, where the file has them.
    fn difference_of_parts(&self, network: &Network, x: &[f32]) -> Option<String> {
        let want = self.tensors.get("parts")?;
        let spec = spec(self.family, self.build(), self.shape, Use::Parts);
        let network = Network::from_parts(spec, network.params(), None).unwrap();
        let parts = network.predict_named(x, &self.extras()).unwrap();
        (!near(&parts, want, 1e-4)).then(|| format!("parts {parts:?}, not {want:?}"))
    }

    /// What differs in the weights by which the network chooses, where the file has them.
    fn difference_of_choices(&self, network: &Network, x: &[f32]) -> Option<String> {
        let want = self.tensors.get("choices")?;
        let spec = spec(self.family, self.build(), self.shape, Use::Choices);
        let network = Network::from_parts(spec, network.params(), None).unwrap();
        let choices = network.predict_named(x, &self.extras()).unwrap();
        (!near(&choices, want, 1e-4)).then(|| format!("choices {choices:?}, not {want:?}"))
    }

    /// The network that is trained: another one where shares are drawn.
    fn for_training(&self, network: Network, build: Arc<dyn Build>) -> Network {
        if self.quantiles.is_empty() {
            return network;
        }
        let shape = RowShape { asks: Asks { shares: true, ..self.shape.asks }, ..self.shape };
        Network::from_parts(spec(self.family, build, shape, Use::Training), network.params(), None).unwrap()
    }

    fn gradient(&self, network: Network) -> Vec<f32> {
        let config = TrainConfig {
            algorithm: Algorithm::Sgd(Sgd::default()),
            loss: Loss::Custom(CustomLoss::new(Functional)),
            batch: BatchRows::Full,
            threads: 1,
            ..TrainConfig::default()
        };
        let mut trainer = Trainer::new(network, config).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        trainer.set_gradient_hook(Some(Box::new(move |info, grads| {
            // The trainer's is the mean over rows, the file's the sum.
            *sink.lock().unwrap() = grads.iter().map(|g| g * info.rows as f32).collect();
            Ok(())
        })));
        let mut extras: Vec<&[f32]> = self.extras().into_iter().map(|(_, values)| values).collect();
        let rows = self.tensors["functional"].len() / (self.shape.series * self.shape.h * self.shape.outputs);
        let nothing = vec![0.0; rows * self.shape.series * self.shape.h.max(BACK_LEN)];
        if !self.quantiles.is_empty() {
            // What the loss alone reads comes first, and is not read by this one.
            let [known, back] = [self.shape.h, BACK_LEN].map(|len| &nothing[..rows * self.shape.series * len]);
            let shares = self.tensors[&format!("input/{SHARES}")].as_slice();
            extras = [known, back].into_iter().chain(extras).chain([shares]).collect();
        }
        trainer.step_with(&self.tensors["input/insample_y"], &extras, &self.tensors["functional"], None).unwrap();
        drop(trainer);
        Arc::try_unwrap(seen).unwrap().into_inner().unwrap()
    }
}

#[test]
fn every_family_is_neural_forecasts() {
    let goldens = all();
    for family in FAMILIES.iter().filter(|family| !OURS.contains(&family.name)) {
        assert!(goldens.iter().any(|golden| golden.family.name == family.name), "no golden file of {}", family.name);
        let of = || goldens.iter().filter(|golden| golden.family.name == family.name).map(|golden| golden.shape.counts);
        let kinds = [of().any(|c| c.hist > 0), of().any(|c| c.futr > 0), of().any(|c| c.stat > 0)];
        let takes = [family.takes.hist, family.takes.futr, family.takes.stat];
        assert_eq!(kinds, takes, "hist, futr and static columns of {}", family.name);
    }
    // Categories are put in front of a family, of any that takes them alike; some of each kind of family have files.
    let with_words: Vec<&Golden> = goldens.iter().filter(|golden| golden.words != Vocabularies::default()).collect();
    assert!(with_words.len() >= 9 && with_words.iter().all(|golden| golden.family.takes.cat));
    let wrong: Vec<String> =
        goldens.iter().filter_map(|g| Some(format!("{}: {}", g.file, g.difference(g.build())?))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Families of stacks have files with the parts of their forecasts; a part exchanged is noticed.
#[test]
fn parts_are_neural_forecasts() {
    let goldens = all();
    let families = FAMILIES.iter().filter(|family| !(family.settings)(&Map::new()).unwrap().parts().is_empty());
    let names: Vec<&str> = families.map(|family| family.name).collect();
    assert_eq!(names, ["NHITS", "NBEATS", "NBEATSx"]);
    for name in names {
        let of: Vec<&Golden> = goldens.iter().filter(|golden| golden.family.name == name).collect();
        assert!(of.iter().any(|golden| golden.tensors.contains_key("parts")), "no parts of {name}");
    }
    let mut golden = read(&folder().join("nbeats.safetensors"));
    golden.tensors.get_mut("parts").unwrap().rotate_right(golden.shape.h);
    assert!(golden.difference(golden.build()).is_some_and(|what| what.starts_with("parts")));
}

/// A family built by another one's builder is noticed, whatever the sizes are.
#[test]
fn exchanged_builders_are_noticed() {
    let goldens = all();
    for golden in &goldens {
        for other in FAMILIES.iter().filter(|other| other.name != golden.family.name) {
            // NBEATSx without exogenous columns is NBEATS.
            let same = ["NBEATS", "NBEATSx"];
            if OURS.contains(&other.name) && golden.family.name == "NLinear" {
                continue;
            }
            if same.contains(&other.name) && same.contains(&golden.family.name) {
                continue;
            }
            let Ok(build) = (other.settings)(&golden.settings) else { continue };
            assert!(golden.difference(build).is_some(), "{} as {}", golden.file, other.name);
        }
    }
}

/// With dropout, attention is written out in training; where next to nothing is dropped its gradients are those of the attention in one piece.
#[test]
fn attention_written_out_is_attention() {
    for mut golden in all().into_iter().filter(|golden| golden.family.name == "VanillaTransformer") {
        golden.settings.insert("dropout".into(), 1e-7.into());
        assert_eq!(golden.difference(golden.build()), None, "{}", golden.file);
    }
}

#[test]
fn wrong_values_are_refused() {
    assert!(near(&[1.0, 2.0], &[1.0, 2.0001], 1e-4));
    assert!(!near(&[1.0, 2.0], &[1.0, 2.001], 1e-4));
    assert!(!near(&[1.0], &[1.0, 2.0], 1e-4));
    assert!(!near(&[f32::NAN], &[1.0], 1e-4));
    // One weight moved by a thousandth changes an output by more than is let through.
    let mut golden = read(&folder().join("nlinear.safetensors"));
    golden.tensors.get_mut("param/linear.weight").unwrap()[5] += 4e-3;
    assert!(golden.difference(golden.build()).is_some());
}
