//! A training of rows that are in several places: what each place is like, and the network and the way to train it that follow from all.
use super::options::TrainOptions;
use super::settings::{Settings, refuse};
use super::weights::class_weights;
use crate::error::{NnError, Result};
use crate::network::Network;
use crate::train::TrainConfig;
use mayfly_format::data::{Encoder, FitOptions, Split, Survey, open};
use std::path::Path;

/// What is trained and how, before any row was read for it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The network before it has learnt anything.
    pub network: Network,
    /// How it is trained.
    pub config: TrainConfig,
    /// How raw rows become inputs.
    pub encoder: Encoder,
}

/// What a data file is like, all of whose rows are to be trained on.
///
/// # Errors
/// As [`train`](super::train), and [`TrainOptions::from`], whose columns are settled.
pub fn survey(path: impl AsRef<Path>, options: &TrainOptions) -> Result<Survey> {
    let settings = settings(options)?;
    let mut source = open(path.as_ref(), &settings.open)?;
    Ok(Survey::take(source.as_mut(), &all_rows(&settings))?)
}

/// As [`survey`], for a file whose columns are those of another. What [`TrainOptions::file`] says is said of this file.
///
/// # Errors
/// As [`survey`].
pub fn survey_like(path: impl AsRef<Path>, first: &Survey, options: &TrainOptions) -> Result<Survey> {
    let settings = settings(options)?;
    let mut source = open(path.as_ref(), &options.file.over(first.open_options()))?;
    // What is left out is said by how the file is opened: it need not have these columns.
    let fit = FitOptions {
        targets: first.target_names(),
        ignore: Vec::new(),
        identifiers: Vec::new(),
        ..all_rows(&settings)
    };
    Ok(Survey::take(source.as_mut(), &fit)?)
}

/// The network, and how it is trained, for rows of which this survey tells. `label` stands for their files in messages.
///
/// # Errors
/// As [`survey`], rows that are not learnable, and networks that grow or need the targets to be made.
pub fn plan(survey: Survey, label: &str, options: &TrainOptions) -> Result<Plan> {
    let settings = settings(options)?;
    let encoder = survey.encoder(label, &all_rows(&settings))?;
    plan_encoded(encoder, options, &settings)
}

/// As [`plan`], for rows that are encoded as others were, of about as many.
///
/// # Errors
/// As [`plan`], and options that say what columns are.
pub fn plan_like(encoder: Encoder, options: &TrainOptions) -> Result<Plan> {
    let given = [
        ("target", !options.target.is_empty()),
        ("ignore", !options.ignore.is_empty()),
        ("task", options.task.is_some()),
        ("id", !options.id.is_empty()),
        ("kinds", !options.kinds.is_empty()),
        ("positive", options.positive.is_some()),
    ];
    refuse(&given, "does not go with an encoder that is given: its columns are settled")?;
    plan_encoded(encoder, options, &settings(options)?)
}

fn plan_encoded(encoder: Encoder, options: &TrainOptions, settings: &Settings) -> Result<Plan> {
    let rows = usize::try_from(encoder.training_rows()).unwrap_or(usize::MAX);
    let mut config = settings.config(&encoder, rows).ok_or_else(needs_rows)?;
    if let Some(wanted) = &options.class_weights {
        let counts = || Ok(encoder.class_counts().to_vec());
        config.class_weights = Some(class_weights(wanted, encoder.labels(), counts)?);
    }
    Ok(Plan { network: settings.network(&encoder, [0.0; 2])?, config, encoder })
}

fn settings(options: &TrainOptions) -> Result<Settings> {
    if options.from.is_some() {
        return Err(NnError::misfit("from", "has its columns settled: there is nothing to find out"));
    }
    let settings = Settings::choose(options, None)?;
    if settings.is_fann() { Err(needs_rows()) } else { Ok(settings) }
}

fn needs_rows() -> NnError {
    let what = "cannot be cascade or one of FANN's algorithms, which need all rows in one place: choose adamw, adam, sgd or another one";
    NnError::misfit("algorithm", what)
}

/// No row is held out.
fn all_rows(settings: &Settings) -> FitOptions {
    FitOptions { split: Split { seed: settings.seed, ..Split::default() }, ..settings.fit.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tabular::{ClassWeights, Opened};

    fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> std::path::PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn rows(from: usize, to: usize) -> String {
        let row = |i: usize| format!("{},{},{}\n", i, ["red", "blue", "green"][i % 3], ["a", "b"][i / 7 % 2]);
        format!("size,colour,kind\n{}", (from..to).map(row).collect::<String>())
    }

    fn options() -> TrainOptions {
        TrainOptions { class_weights: Some(ClassWeights::Balanced), patience: Some(0), ..TrainOptions::default() }
    }

    #[test]
    fn a_file_in_parts_is_trained_as_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, a, b) = (rows(0, 15), rows(0, 7), rows(7, 15));
        let [whole, a, b] = [("w", whole), ("a", a), ("b", b)].map(|(name, text)| file(&folder, name, &text));
        let first = survey(&a, &options()).unwrap();
        let second = survey_like(&b, &first, &options()).unwrap();
        let all = Survey::merge([("a", &first), ("b", &second)]).unwrap().unwrap();
        let plan = plan(all, "all", &options()).unwrap();
        let want = Opened::open(&whole, &options()).unwrap().read().unwrap().into_parts().unwrap();
        assert_eq!((&plan.config, plan.network.spec()), (&want.plan.config, want.plan.network.spec()));
        assert_eq!(plan.network.params(), want.plan.network.params());
        assert_eq!(
            (plan.encoder.labels(), plan.encoder.class_counts()),
            (want.plan.encoder.labels(), want.plan.encoder.class_counts())
        );
        assert!(plan.config.class_weights.is_some_and(|weights| weights[0] != weights[1]));
    }

    #[test]
    fn one_class_in_a_place_is_learnable_with_others_and_not_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (file(&folder, "a", &rows(0, 7)), file(&folder, "b", &rows(7, 14)));
        let (a, b) = (survey(a, &options()).unwrap(), survey(b, &options()).unwrap());
        let alone = plan(a.clone(), "a", &options()).unwrap_err().to_string();
        assert!(alone.contains("the target \"kind\" has the same value, \"a\""), "{alone}");
        let all = Survey::merge([("a", &a), ("b", &b)]).unwrap().unwrap();
        plan(all, "all", &options()).unwrap();
    }

    #[test]
    fn networks_that_need_the_rows_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let all = survey(file(&folder, "w", &rows(0, 15)), &TrainOptions::default()).unwrap();
        for algorithm in ["cascade", "rprop"] {
            let options = TrainOptions { algorithm: Some(algorithm.into()), ..TrainOptions::default() };
            let looked = survey(folder.path().join("w"), &options).map(drop);
            for refused in [looked, plan(all.clone(), "all", &options).map(drop)] {
                let error = refused.unwrap_err().to_string();
                assert!(error.contains("need all rows in one place"), "{error}");
            }
        }
        let options = TrainOptions { from: Some("m.mayfly".into()), ..TrainOptions::default() };
        assert!(survey(file(&folder, "x", &rows(0, 15)), &options).unwrap_err().to_string().contains("from"));
        let encoder = plan(all, "all", &TrainOptions::default()).unwrap().encoder;
        let options = TrainOptions { target: vec!["size".into()], ..TrainOptions::default() };
        assert!(plan_like(encoder.clone(), &options).unwrap_err().to_string().contains("target"));
        assert_eq!(plan_like(encoder.clone(), &TrainOptions::default()).unwrap().encoder, encoder);
    }
}
