//! From a FANN file to a network.
use super::{Extras, KEY};
use crate::activation::Activation;
use crate::error::{NnError, Result};
use crate::layers::{ColumnActivations, Dense, Reads};
use crate::model::Model;
use crate::network::{Mask, Network};
use crate::spec::NetworkSpec;
use mayfly_format::fann_net::{FannConnection, FannFile, FannNeuron, FannTopology};
use mayfly_graph::{Act, FannAct};
use std::ops::Range;
use std::path::Path;

/// Reads a `.net` file of FANN 2.
///
/// # Errors
/// A file that cannot be read, or is none of FANN's.
pub fn read(path: impl AsRef<Path>) -> Result<Model> {
    from_file(&FannFile::read(path)?)
}

/// The network of a FANN file.
///
/// Outputs are those of `fann_run`: the file's scaling parameters are kept, and applied by [`Predictor`](crate::tabular::Predictor) alone.
///
/// # Errors
/// A file whose fields contradict each other, or a layer whose neurons have connections that cannot be told apart.
pub fn from_file(file: &FannFile) -> Result<Model> {
    file.check()?;
    let mut layers = Layers::new(file);
    let own: Vec<&[FannConnection]> = file.connections_by_neuron().collect();
    for range in file.layers().skip(1) {
        layers.push(range, &own)?;
    }
    let Layers { spec, params, exists, .. } = layers;
    let mask = exists.contains(&false).then(|| Mask::new(exists));
    let mut model = Model::new(Network::from_parts(spec, &params, mask)?);
    let extras =
        Extras { training: file.training.clone(), cascade: file.cascade.clone(), scaling: file.scaling.clone() };
    let extras = serde_json::to_string(&extras)
        .map_err(|source| NnError::Json { what: "FANN's training parameters", source })?;
    model.other.insert(KEY.to_owned(), extras);
    Ok(model)
}

/// Where the value of a neuron is found.
#[derive(Clone, Copy)]
enum Source {
    /// Column of everything so far.
    Column(usize),
    /// A bias neuron: its value is 1.
    One,
}

/// The network so far.
struct Layers<'a> {
    file: &'a FannFile,
    spec: NetworkSpec,
    params: Vec<f32>,
    exists: Vec<bool>,
    /// One for each neuron so far.
    sources: Vec<Source>,
    /// Values so far, and of these the ones of the layer before.
    columns: usize,
    previous: Range<usize>,
}

impl<'a> Layers<'a> {
    fn new(file: &'a FannFile) -> Self {
        let inputs = file.input_count();
        Layers {
            file,
            spec: NetworkSpec::new(&[inputs]),
            params: Vec::new(),
            exists: Vec::new(),
            sources: (0..inputs).map(Source::Column).chain([Source::One]).collect(),
            columns: inputs,
            previous: 0..inputs,
        }
    }

    fn push(&mut self, range: Range<usize>, own: &[&[FannConnection]]) -> Result<()> {
        let is_bias = |n: &usize| self.file.neurons[*n].inputs == 0;
        let units: Vec<usize> = range.clone().filter(|n| !is_bias(n)).collect();
        if units.is_empty() {
            let what = format!("layer {} has no neuron with connections", self.spec.layers.len() + 1);
            return Err(NnError::BadModel { file: "the FANN network".to_owned(), what });
        }
        let reads_all = self.file.topology == FannTopology::Shortcut
            || units.iter().flat_map(|n| own[*n]).any(|c| match self.sources[c.source as usize] {
                Source::Column(column) => !self.previous.contains(&column),
                Source::One => false,
            });
        let read = if reads_all { 0..self.columns } else { self.previous.clone() };
        self.weights(&units, own, &read);
        self.layer(&units, if reads_all { Reads::AllPrevious } else { Reads::Previous });
        let first = self.columns;
        let mut next = first;
        for n in range {
            self.sources.push(if self.file.neurons[n].inputs == 0 { Source::One } else { Source::Column(next) });
            next += usize::from(self.file.neurons[n].inputs > 0);
        }
        (self.columns, self.previous) = (next, first..next);
        Ok(())
    }

    /// The weight matrix `[units, read]`, then the biases. Several connections between the same two neurons add up.
    fn weights(&mut self, units: &[usize], own: &[&[FannConnection]], read: &Range<usize>) {
        let mut weight = vec![0.0f64; units.len() * read.len()];
        let mut weight_exists = vec![false; weight.len()];
        let (mut bias, mut bias_exists) = (vec![0.0f64; units.len()], vec![false; units.len()]);
        for (row, n) in units.iter().enumerate() {
            for connection in own[*n] {
                let (values, exists, at) = match self.sources[connection.source as usize] {
                    Source::Column(c) => (&mut weight, &mut weight_exists, row * read.len() + c - read.start),
                    Source::One => (&mut bias, &mut bias_exists, row),
                };
                values[at] += connection.weight;
                exists[at] = true;
            }
        }
        self.params.extend(weight.into_iter().chain(bias).map(|w| w as f32));
        self.exists.extend(weight_exists.into_iter().chain(bias_exists));
    }

    fn layer(&mut self, units: &[usize], reads: Reads) {
        let acts: Vec<Activation> = units.iter().map(|n| activation(&self.file.neurons[*n])).collect();
        let same = acts.iter().all(|a| *a == acts[0]);
        let dense = Dense::new(units.len(), if same { acts[0] } else { Activation::IDENTITY });
        self.spec.layers.push(Dense { reads, ..dense }.into());
        if !same {
            self.spec.layers.push(ColumnActivations(acts).into());
        }
    }
}

fn activation(neuron: &FannNeuron) -> Activation {
    let function = FannAct::ALL[neuron.activation.code() as usize];
    Activation::Act(Act::Fann(function, neuron.steepness as f32))
}
