//! Models of every kind, ready to answer.
use super::{ModelKind, fold};
use crate::error::{NnError, Result};
use crate::fann;
use crate::model::Model;
use crate::onnx::{self, ExportOptions, ImportOptions, InputShape};
use mayfly_format::data::{Encoder, InputEncoding};
use mayfly_format::fann_net::{FannFile, FannScaling};
use mayfly_format::onnx::ModelProto;
use std::path::Path;

/// What a file leaves open.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Shape of the input of an ONNX model, where the file leaves sizes free.
    pub shape: Option<InputShape>,
    /// Which output of an ONNX model is taken; the first that can be imported otherwise.
    pub output: Option<String>,
}

/// A model with all that belongs to it: the encoder that makes inputs of raw rows, or FANN's scaling parameters.
///
/// ```no_run
/// use mayfly_nn::tabular::Predictor;
/// let net = Predictor::load("brain.trained")?; // Mayfly's, FANN's or ONNX: the content says which
/// let answers = net.predict(&[5.1, 3.5, 1.4, 0.2])?;
/// # Ok::<(), mayfly_nn::NnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Predictor {
    /// The network.
    pub model: Model,
    /// How raw rows become inputs; files of other programs have none.
    pub encoder: Option<Encoder>,
    /// FANN's scaling, which is applied by [`Predictor::predict`].
    scaling: Option<FannScaling>,
    /// What a user ought to know about how the file was read.
    notes: Vec<String>,
}

impl Predictor {
    /// A model with its encoder, if it has one. FANN's scaling parameters are taken from its metadata.
    ///
    /// # Errors
    /// Scaling parameters that are none.
    pub fn new(model: Model, encoder: Option<Encoder>) -> Result<Predictor> {
        let scaling = if encoder.is_some() { None } else { fann::scaling(&model)? };
        Ok(Predictor { model, encoder, scaling, notes: Vec::new() })
    }

    /// Reads a model file of any kind.
    ///
    /// # Errors
    /// A file that cannot be read, is of no known kind, or holds what cannot be run.
    pub fn load(path: impl AsRef<Path>) -> Result<Predictor> {
        Self::load_with(path, &LoadOptions::default())
    }

    /// Reads a model file of any kind, with what the file leaves open.
    ///
    /// # Errors
    /// As for [`Predictor::load`], and a shape for a file that is not ONNX.
    pub fn load_with(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Predictor> {
        let path = path.as_ref();
        let kind = ModelKind::of_file(path)?;
        if kind != ModelKind::Onnx && (options.shape.is_some() || options.output.is_some()) {
            let what = "only an ONNX model leaves the shape of its input or its output open".to_owned();
            return Err(NnError::BadModel { file: path.display().to_string(), what });
        }
        match kind {
            ModelKind::Native => {
                let model = Model::load(path)?;
                let encoder = model.data_encoder()?;
                Self::new(model, encoder)
            }
            ModelKind::Fann => Self::fann(&FannFile::read(path)?),
            ModelKind::Onnx => Self::onnx(&ModelProto::read(path)?, options),
        }
    }

    fn fann(file: &FannFile) -> Result<Predictor> {
        let mut loaded = Self::new(fann::from_file(file)?, None)?;
        if let Some(point) = file.version.decimal_point() {
            loaded.notes.push(format!(
                "a fixed-point network (FANN_FIX, {point} binary digits after the point): run as the network of real numbers that it stands for, on inputs that are real numbers"
            ));
        }
        Ok(loaded)
    }

    /// Of several outputs the first that can be imported is taken, which a note says.
    fn onnx(proto: &ModelProto, options: &LoadOptions) -> Result<Predictor> {
        let wanted =
            ImportOptions { output: options.output.clone(), shape: options.shape.clone(), ..Default::default() };
        let error = match onnx::import(proto, &wanted) {
            Ok(imported) => return Self::new(imported.model, None),
            Err(error) => error,
        };
        let outputs = &proto.graph()?.output;
        let names = outputs.iter().map(|o| &o.name).filter(|_| outputs.len() > 1 && options.output.is_none());
        for name in names {
            let options = ImportOptions { output: Some(name.clone()), ..wanted.clone() };
            if let Ok(imported) = onnx::import(proto, &options) {
                let mut loaded = Self::new(imported.model, None)?;
                loaded.notes.push(format!("several outputs; {name:?} is taken"));
                return Ok(loaded);
            }
        }
        Err(error)
    }

    /// What a user ought to know about how the file was read: which output was taken, what a number format means.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// FANN's scaling parameters, if the network has some and no encoder.
    pub fn scaling(&self) -> Option<&FannScaling> {
        self.scaling.as_ref()
    }

    /// What the classes are called: the encoder says so or, of a model of another program, its metadata. Empty when numbers are predicted.
    pub fn labels(&self) -> Vec<String> {
        match &self.encoder {
            Some(encoder) => encoder.labels().to_vec(),
            None => self.model.other.get("labels").and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default(),
        }
    }

    /// The outputs for rows of inputs: those of the encoder, or raw numbers where the model has none. FANN's scaling is applied on both sides,
    /// as its `fann_scale_input` and `fann_descale_output` do it.
    ///
    /// # Errors
    /// Values that do not make up whole rows.
    pub fn predict(&self, x: &[f32]) -> Result<Vec<f32>> {
        let Some(scaling) = &self.scaling else { return self.model.predict(x) };
        let mut x = x.to_vec();
        scaling.scale_inputs(&mut x);
        let mut y = self.model.predict(&x)?;
        scaling.descale_outputs(&mut y);
        Ok(y)
    }

    /// Writes the model as a file of some kind; what is given back ought to be said to the user.
    ///
    /// FANN's and ONNX's networks take raw numbers: scaling goes into them. FANN's own scaling parameters stay what they are in a `.net`.
    ///
    /// # Errors
    /// What the format has no words for, and what the operating system refuses.
    pub fn save(&self, path: impl AsRef<Path>, kind: ModelKind) -> Result<Vec<String>> {
        let path = path.as_ref();
        match kind {
            ModelKind::Native => self.model.save(path).map(|()| Vec::new()),
            ModelKind::Fann => self.save_fann(path),
            ModelKind::Onnx => self.save_onnx(path),
        }
    }

    fn save_fann(&self, path: &Path) -> Result<Vec<String>> {
        let mut file = fann::to_file(&self.model)?;
        let mut notes = Vec::new();
        if let Some(encoder) = &self.encoder {
            file.scaling = None; // the encoder stands in its place
            fann::fold_inputs(&mut file, &fold::inputs(encoder))?;
            notes.extend(one_hot(encoder));
            if let Some(scale) = fold::outputs(encoder)
                && !fann::fold_outputs(&mut file, &scale)?
            {
                let unscale = |(scale, shift): (&f32, &f32)| format!("× {scale} + {shift}");
                let how: Vec<String> = scale.scale.iter().zip(&scale.shift).map(unscale).collect();
                notes.push(format!("outputs are scaled; the target's units are {}", how.join(", ")));
            }
        }
        file.write(path)?;
        Ok(notes)
    }

    fn save_onnx(&self, path: &Path) -> Result<Vec<String>> {
        let mut options = ExportOptions { labels: self.labels(), ..ExportOptions::default() };
        let mut notes = Vec::new();
        if let Some(encoder) = &self.encoder {
            options.inputs = Some(fold::inputs(encoder));
            options.outputs = fold::outputs(encoder);
            notes.extend(one_hot(encoder));
        } else if let Some(scaling) = &self.scaling {
            options.inputs = Some(fold::fann(&scaling.input));
            options.outputs = Some(fold::fann(&scaling.output));
        }
        onnx::export(&self.model.network, &options)?.write(path)?;
        Ok(notes)
    }
}

/// Which inputs are not the numbers of the file, if some are not.
fn one_hot(encoder: &Encoder) -> Option<String> {
    let has_categories = encoder.inputs().iter().any(|c| matches!(c.encoding, InputEncoding::OneHot { .. }));
    has_categories.then(|| {
        format!(
            "takes {} numbers a row; a category is 1 in its place and 0 in those of its column's others: {}",
            encoder.input_width(),
            encoder.input_names().join(", ")
        )
    })
}
