//! FANN 2.2 in C: `fann_run`, `fann_train`, `fann_train_epoch`, as a C program calls them.

mod library;

use crate::cases::{Activation, Optimiser, Work};
use crate::contest::{Contestant, time};
use crate::data;
use crate::net::{CHECK_STEPS, Net};
use anyhow::{Context, Result, bail, ensure};
use library::{Ann, Api, Data, ERROR_LINEAR, LINEAR, SIGMOID, SIGMOID_SYMMETRIC, TRAIN_INCREMENTAL, TRAIN_RPROP};
use std::ffi::CString;
use std::path::Path;
use std::time::Duration;

pub fn contestant(work: Work) -> Result<Box<dyn Contestant>> {
    Ok(match work {
        Work::Infer { dims, activation, rows, .. } => Box::new(Infer::new(&Net::new(dims, activation), rows)?),
        Work::Step { dims, activation, rows, .. } => Box::new(Step::new(&Net::new(dims, activation), rows)?),
        Work::Rprop { data, hidden } => Box::new(Rprop::new(data, hidden)?),
        Work::Gemm { .. } => bail!("FANN has no matrix product"),
    })
}

/// A FANN network and the library it lives in.
struct Network {
    api: Api,
    ann: Ann,
}

impl Drop for Network {
    fn drop(&mut self) {
        // SAFETY: `ann` came from FANN and is given back once.
        unsafe { (self.api.destroy)(self.ann) }
    }
}

impl Network {
    /// FANN's tanh is `tanh(steepness * sum)`, so a steepness of 1 is everybody's tanh; outputs are linear.
    fn new(net: &Net) -> Result<Self> {
        ensure!(net.activation == Activation::Tanh, "FANN has no relu");
        let network = Self::with_weights(net)?;
        let (api, ann) = (&network.api, network.ann);
        // SAFETY: `ann` is a live network of this library.
        unsafe {
            (api.set_hidden_activation)(ann, SIGMOID_SYMMETRIC);
            (api.set_output_activation)(ann, LINEAR);
            (api.set_hidden_steepness)(ann, 1.0);
            (api.set_output_steepness)(ann, 1.0);
            (api.set_error_function)(ann, ERROR_LINEAR);
            (api.set_algorithm)(ann, TRAIN_INCREMENTAL);
        }
        Ok(network)
    }

    /// FANN sets weights one by one, each time searching the whole network: its own file is the way in for all at once.
    fn with_weights(net: &Net) -> Result<Self> {
        let api = Api::load()?;
        let dims: Vec<u32> = net.dims.iter().map(|&d| d as u32).collect();
        // SAFETY: the array has as many entries as said.
        let fresh = unsafe { (api.create)(dims.len() as u32, dims.as_ptr()) };
        ensure!(!fresh.is_null(), "FANN could not create {dims:?}");
        let fresh = Self { api, ann: fresh };
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("start.net");
        let name = c_path(&file)?;
        // SAFETY: a live network and a path that ends in zero.
        ensure!(unsafe { (fresh.api.save)(fresh.ann, name.as_ptr()) } == 0, "FANN could not save a network");
        std::fs::write(&file, with_weights(&std::fs::read_to_string(&file)?, net)?)?;
        let api = Api::load()?;
        // SAFETY: a path that ends in zero.
        let ann = unsafe { (api.load)(name.as_ptr()) };
        ensure!(!ann.is_null(), "FANN could not read its own file back");
        Ok(Self { api, ann })
    }

    /// Outputs for every row of `x`.
    fn outputs(&self, net: &Net, x: &[f32]) -> Vec<f64> {
        let row = |row: &[f32]| {
            // SAFETY: the row has the network's inputs, and FANN returns its outputs, which live until the next call.
            let y = unsafe { std::slice::from_raw_parts((self.api.run)(self.ann, row.as_ptr()), net.outputs()) };
            y.iter().map(|&v| f64::from(v)).collect::<Vec<_>>()
        };
        x.chunks(net.inputs()).flat_map(row).collect()
    }
}

fn c_path(path: &Path) -> Result<CString> {
    Ok(CString::new(path.to_str().context("the path is not UTF-8")?)?)
}

/// Puts our weights into the text of a network that FANN saved: `(from, weight)` pairs, neuron by neuron, bias last.
fn with_weights(text: &str, net: &Net) -> Result<String> {
    let head = "connections (connected_to_neuron, weight)=";
    let (before, pairs) = text.split_once(head).context("FANN's file has no connections")?;
    let rows = net.layers.iter().flat_map(|l| l.weights.chunks(l.inputs).zip(&l.bias));
    let mut weights = rows.flat_map(|(w, b)| w.iter().chain([b]));
    let mut out = format!("{before}{head}");
    for pair in pairs.trim().trim_end_matches(") ").split('(').skip(1) {
        let from = pair.split(',').next().context("FANN's file has a connection without a start")?;
        let weight = weights.next().context("FANN's network has more connections than ours")?;
        out += &format!("({from}, {weight:.9e}) ");
    }
    ensure!(weights.next().is_none(), "FANN's network has fewer connections than ours");
    Ok(out + "\n")
}

struct Infer {
    net: Net,
    fann: Network,
    x: Vec<f32>,
}

impl Infer {
    fn new(net: &Net, rows: usize) -> Result<Self> {
        Ok(Self { fann: Network::new(net)?, x: net.data(rows).0, net: net.clone() })
    }
}

impl Contestant for Infer {
    fn how(&self) -> String {
        "fann_run, f32, tanh by FANN_SIGMOID_SYMMETRIC".into()
    }

    fn answer(&mut self) -> Result<Vec<f64>> {
        Ok(self.fann.outputs(&self.net, &self.x))
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        let (run, ann, width) = (self.fann.api.run, self.fann.ann, self.net.inputs());
        time(calls, || {
            for row in self.x.chunks_exact(width) {
                // SAFETY: the row has the network's inputs.
                std::hint::black_box(unsafe { run(ann, row.as_ptr()) });
            }
            Ok(())
        })
    }
}

struct Step {
    net: Net,
    fann: Network,
    x: Vec<f32>,
    t: Vec<f32>,
}

impl Step {
    fn new(net: &Net, rows: usize) -> Result<Self> {
        ensure!(rows == 1, "FANN's incremental training takes one row at a time");
        let (x, t) = net.data(rows);
        let fann = Network::new(net)?;
        // FANN descends half the sum of squares, everyone else here the mean.
        // SAFETY: a live network.
        unsafe { (fann.api.set_learning_rate)(fann.ann, Optimiser::Sgd.rate() * 2.0 / net.outputs() as f32) };
        Ok(Self { net: net.clone(), fann, x, t })
    }
}

impl Contestant for Step {
    fn how(&self) -> String {
        "fann_train, incremental, no momentum, linear error, f32, tanh".into()
    }

    fn answer(&mut self) -> Result<Vec<f64>> {
        self.round(CHECK_STEPS as u64)?;
        Ok(self.fann.outputs(&self.net, &self.x))
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        let (train, ann) = (self.fann.api.train, self.fann.ann);
        // SAFETY: one row of inputs and one of targets.
        time(calls, || {
            unsafe { train(ann, self.x.as_ptr(), self.t.as_ptr()) };
            Ok(())
        })
    }
}

/// iRPROP− on a data set, FANN's own defaults: tanh error function, steepness 0.5.
struct Rprop {
    fann: Network,
    data: Data,
}

impl Rprop {
    fn new(name: &str, hidden: usize) -> Result<Self> {
        let path = data::path(name)?;
        let table = data::read(&path)?;
        let net = Net::new(&[table.inputs, hidden, table.outputs], Activation::Tanh);
        let fann = Network::with_weights(&net)?;
        let name = c_path(&path)?;
        // SAFETY: a path that ends in zero; a live network.
        let data = unsafe {
            (fann.api.set_hidden_activation)(fann.ann, SIGMOID_SYMMETRIC);
            (fann.api.set_output_activation)(fann.ann, SIGMOID);
            (fann.api.set_algorithm)(fann.ann, TRAIN_RPROP);
            (fann.api.read_data)(name.as_ptr())
        };
        ensure!(!data.is_null(), "FANN could not read {}", path.display());
        Ok(Self { fann, data })
    }
}

impl Drop for Rprop {
    fn drop(&mut self) {
        // SAFETY: `data` came from FANN and is given back once.
        unsafe { (self.fann.api.destroy_data)(self.data) }
    }
}

impl Contestant for Rprop {
    fn how(&self) -> String {
        "fann_train_epoch, FANN_TRAIN_RPROP, tanh hidden, sigmoid out, tanh error, f32".into()
    }

    /// Mean square error of the first epochs.
    fn answer(&mut self) -> Result<Vec<f64>> {
        // SAFETY: a live network and live data of the same shape.
        Ok((0..data::CHECK_EPOCHS)
            .map(|_| f64::from(unsafe { (self.fann.api.train_epoch)(self.fann.ann, self.data) }))
            .collect())
    }

    fn round(&mut self, calls: u64) -> Result<Duration> {
        let (epoch, ann, data) = (self.fann.api.train_epoch, self.fann.ann, self.data);
        time(calls, || {
            // SAFETY: as above.
            unsafe { epoch(ann, data) };
            Ok(())
        })
    }
}
