//! `mayfly convert`: between the native format, FANN's, ONNX and drawings, by extension.
use super::args::{ConvertArgs, ConvertTo};
use super::dot::dot;
use crate::support::exit::Usage;
use crate::support::input::{Input, is_dash};
use crate::support::model::{Kind, Loaded};
use crate::support::output::{Extensions, Files, Output};
use crate::support::ui::Ui;
use anyhow::Result;
use mayfly_nn::onnx::ExportOptions;
use mayfly_nn::tabular::ModelKind;
use mayfly_nn::{Mode, Model};
use serde_json::json;

const ANY: Extensions =
    Extensions::Only { what: "a model or a drawing", are: &["mayfly", "safetensors", "net", "onnx", "dot"] };

/// Converts a model file.
pub fn convert(args: &ConvertArgs, ui: Ui) -> Result<()> {
    let mut files = Files::reading([("the model", &*args.from)])?;
    let output = files.writing("OUT", &args.to, ANY)?;
    files.refuse_json(ui)?;
    let kind = kind_of(args)?;
    let from = Input::open(&args.from)?;
    let loaded = Loaded::read_with(&from, &args.open.options())?;
    let name = args.from.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    write(&loaded, kind, &output, &name, ui)?;
    files.result(ui, &format!("{output} written"), &json!({ "model": output.to_string() }))
}

/// What the extension says or, where there is none, `--to`.
fn kind_of(args: &ConvertArgs) -> Result<Kind> {
    let asked = args.format.map(|format| match format {
        ConvertTo::Mayfly => Kind::Model(ModelKind::Native),
        ConvertTo::Net => Kind::Model(ModelKind::Fann),
        ConvertTo::Onnx => Kind::Model(ModelKind::Onnx),
        ConvertTo::Dot => Kind::Dot,
    });
    match (Kind::of(&args.to), asked) {
        (Ok(named), Some(asked)) if named != asked => {
            Err(Usage(format!("{}: --to asks for another format than the name says", args.to.display())).into())
        }
        (_, Some(asked)) => Ok(asked),
        (Err(_), None) if is_dash(&args.to) => {
            Err(Usage("OUT -: say which format goes to standard output: --to mayfly, net, onnx or dot".into()).into())
        }
        (named, None) => named,
    }
}

/// Whether a format has words for such a network; whatever it has learnt.
pub fn check_format(model: &Model, kind: Kind) -> Result<()> {
    match kind {
        Kind::Model(ModelKind::Native) | Kind::Dot => Ok(()),
        Kind::Model(ModelKind::Fann) => Ok(mayfly_nn::fann::to_file(model).map(drop)?),
        Kind::Model(ModelKind::Onnx) => {
            Ok(mayfly_nn::onnx::export(&model.network, &ExportOptions::default()).map(drop)?)
        }
    }
}

/// Writes a model in a format. `name` is what a drawing is called.
pub fn write(loaded: &Loaded, kind: Kind, output: &Output, name: &str, ui: Ui) -> Result<()> {
    match kind {
        Kind::Model(kind) => output.save(|path| loaded.write(path, kind, ui)),
        Kind::Dot => {
            let text = dot(&loaded.model.network.spec().lower(Mode::Inference)?.graph, name);
            output.write(|out| Ok(out.write_all(text.as_bytes())?))
        }
    }
}
