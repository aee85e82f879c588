//! Several surveys as one.

use std::collections::HashMap;

use super::survey::{Figures, InputSurvey, Survey, TargetSurvey};
use super::{LeftOut, Reason};
use crate::data::schema::{ColumnKind, Names};
use crate::error::{FormatError, Result};
use crate::limits::DataLimits;

/// What to do where columns are of two kinds.
const KIND_HINT: &str = "say what it is (--kinds COLUMN=number, category or ignore), or mend the column";

impl Survey {
    /// The survey of all these files as if they were one. Counts, extremes, categories and classes are exact; means and deviations differ from those of one file by rounding.
    ///
    /// Columns are matched by name, and those of the first are in the order of the inputs. A column that has no value in a file is what it is
    /// in the others; one that is left out anywhere is left out. `label` of each is what messages call it.
    ///
    /// # Errors
    /// [`FormatError::MissingColumn`], and [`FormatError::Disagreement`] where a column is numbers here and categories there; with both labels.
    pub fn merge<'a>(surveys: impl IntoIterator<Item = (&'a str, &'a Self)>) -> Result<Option<Self>> {
        let mut merged: Option<(&str, Survey)> = None;
        for (label, survey) in surveys {
            survey.check(label)?;
            match &mut merged {
                None => merged = Some((label, survey.clone())),
                Some((first, all)) => Pair { first, label }.add(all, survey)?,
            }
        }
        Ok(merged.map(|(_, all)| all))
    }
}

/// What a column is in one of the places.
enum Found<'a> {
    Input(&'a InputSurvey),
    LeftOut(&'a LeftOut),
    Target,
}

/// What messages call the first of the places, and the one that is added.
struct Pair<'a> {
    first: &'a str,
    label: &'a str,
}

impl Pair<'_> {
    fn add(&self, all: &mut Survey, other: &Survey) -> Result<()> {
        self.refuse_other_forms(all, other)?;
        let ours = all.column_names();
        if let Some(column) = other.inputs.iter().find(|input| !ours.contains(&input.name)) {
            return Err(missing(self.first, &column.name, all));
        }
        self.add_inputs(all, other)?;
        self.add_left_out(all, other, ours.len());
        all.inputs.sort_by_key(|input| input.position);
        all.left_out.sort_by_key(|left| left.position);
        self.add_targets(&mut all.targets, &other.targets)?;
        all.rows += other.rows;
        all.training_rows += other.training_rows;
        all.decimal = all.decimal.or(other.decimal);
        Ok(())
    }

    /// What is an input in one of them, or in both.
    fn add_inputs(&self, all: &mut Survey, other: &Survey) -> Result<()> {
        let theirs = columns_of(other);
        for input in std::mem::take(&mut all.inputs) {
            match theirs.get(input.name.as_str()) {
                Some(Found::Input(other)) => all.inputs.extend(self.together(input, other, &mut all.left_out)?),
                Some(Found::LeftOut(left)) if left.is_empty() => all.inputs.push(input),
                Some(Found::LeftOut(left)) => {
                    self.refuse_words(&input, left, self.label, self.first)?;
                    all.left_out.push(LeftOut { position: input.position, ..(*left).clone() });
                }
                Some(Found::Target) | None => return Err(missing(self.label, &input.name, other)),
            }
        }
        for left in std::mem::take(&mut all.left_out) {
            match theirs.get(left.name.as_str()) {
                Some(Found::Input(input)) if left.is_empty() => {
                    all.inputs.push(InputSurvey { position: left.position, ..(*input).clone() });
                }
                Some(Found::Input(input)) => {
                    self.refuse_words(input, &left, self.first, self.label)?;
                    all.left_out.push(left);
                }
                _ => all.left_out.push(left),
            }
        }
        Ok(())
    }

    /// What is left out at the other: for a reason that counts, or a column that only it has, behind the `known` ones.
    fn add_left_out(&self, all: &mut Survey, other: &Survey, known: usize) {
        for left in &other.left_out {
            let ours = all.left_out.iter_mut().find(|ours| ours.name == left.name);
            match ours {
                Some(ours) if ours.is_empty() => ours.reason = left.reason,
                Some(_) => {}
                None if all.inputs.iter().any(|input| input.name == left.name) => {}
                None => all.left_out.push(LeftOut { position: known + left.position, ..left.clone() }),
            }
        }
    }

    /// Columns by name and columns by position do not go together, nor do other targets.
    fn refuse_other_forms(&self, all: &Survey, other: &Survey) -> Result<()> {
        let named = |names| if names == Names::Given { "by names" } else { "by position" };
        if all.names != other.names {
            let hint = "give all files a line of names, or none";
            return self.disagree("how columns are told apart", named(all.names), named(other.names), hint);
        }
        let (ours, theirs) = (all.target_names(), other.target_names());
        if ours != theirs {
            let hint = "name the target (--target)";
            return self.disagree("the target", &ours.join(", "), &theirs.join(", "), hint);
        }
        if all.missing_tokens != other.missing_tokens {
            let shown = |tokens: &Option<Vec<String>>| tokens.as_ref().map_or("the usual".into(), |all| all.join(", "));
            let (a, b) = (shown(&all.missing_tokens), shown(&other.missing_tokens));
            return self.disagree("the marker of missing values", &a, &b, "use the same markers everywhere");
        }
        Ok(())
    }

    fn disagree<T>(&self, what: &str, first: &str, second: &str, hint: &'static str) -> Result<T> {
        Err(FormatError::Disagreement {
            file: self.label.to_owned(),
            what: what.to_owned(),
            got: second.to_owned(),
            other: self.first.to_owned(),
            other_got: first.to_owned(),
            hint,
        })
    }

    /// One column of both, unless it has more categories than are told apart.
    fn together(
        &self,
        mut ours: InputSurvey,
        theirs: &InputSurvey,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Option<InputSurvey>> {
        let column = format!("column \"{}\"", ours.name);
        match (&mut ours.figures, &theirs.figures) {
            (Figures::Numbers(a), Figures::Numbers(b)) if ours.kind == theirs.kind => a.merge(*b),
            (Figures::Categories(a), Figures::Categories(b)) => {
                a.add(b);
                if a.names.len() > DataLimits::default().categories {
                    let (name, position) = (ours.name, ours.position);
                    left_out.push(LeftOut { name, position, reason: Reason::TooManyValues });
                    return Ok(None);
                }
            }
            _ => return self.disagree(&column, &kind_words(&ours.kind), &kind_words(&theirs.kind), KIND_HINT),
        }
        ours.missing += theirs.missing;
        Ok(Some(ours))
    }

    /// Numbers that are words elsewhere are a mistake; row numbers are not, nor are categories of which a place has few.
    fn refuse_words(&self, input: &InputSurvey, left: &LeftOut, label: &str, other: &str) -> Result<()> {
        let words = matches!(left.reason, Reason::Text | Reason::Date | Reason::TooManyValues);
        if !words || input.kind == ColumnKind::Categorical {
            return Ok(());
        }
        Err(FormatError::Disagreement {
            file: label.to_owned(),
            what: format!("column \"{}\"", input.name),
            got: left.reason.text().to_owned(),
            other: other.to_owned(),
            other_got: kind_words(&input.kind),
            hint: KIND_HINT,
        })
    }

    fn add_targets(&self, ours: &mut TargetSurvey, theirs: &TargetSurvey) -> Result<()> {
        match (ours, theirs) {
            (TargetSurvey::Categories(a), TargetSurvey::Categories(b)) => a.add(b),
            (
                TargetSurvey::Numbers { moments, values, one_hot },
                TargetSurvey::Numbers { moments: other, values: other_values, one_hot: other_one_hot },
            ) => {
                moments.iter_mut().zip(other).for_each(|(a, b)| a.merge(*b));
                values.merge(other_values);
                one_hot.merge(other_one_hot);
            }
            (TargetSurvey::Categories(_), _) => {
                return self.disagree("the target", "a category", "a number", KIND_HINT);
            }
            (TargetSurvey::Numbers { .. }, _) => {
                return self.disagree("the target", "a number", "a category", KIND_HINT);
            }
        }
        Ok(())
    }
}

fn columns_of(survey: &Survey) -> HashMap<&str, Found<'_>> {
    let inputs = survey.inputs.iter().map(|input| (input.name.as_str(), Found::Input(input)));
    let left_out = survey.left_out.iter().map(|left| (left.name.as_str(), Found::LeftOut(left)));
    let targets = survey.target_columns.iter().map(|target| (target.name.as_str(), Found::Target));
    inputs.chain(left_out).chain(targets).collect()
}

fn missing(label: &str, column: &str, survey: &Survey) -> FormatError {
    FormatError::MissingColumn { file: label.to_owned(), column: column.to_owned(), present: survey.column_names() }
}

fn kind_words(kind: &ColumnKind) -> String {
    match kind {
        ColumnKind::Grid(shape) => format!("a grid of shape {shape:?}"),
        kind => kind.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Encoder, FitOptions, InputEncoding, ScaledColumn, TargetEncoding};
    use super::*;
    use crate::data::{Input, OpenOptions, open};

    fn options() -> FitOptions {
        FitOptions { targets: vec!["kind".into()], ..FitOptions::default() }
    }

    fn survey_with(text: &str, options: &FitOptions) -> Survey {
        let mut source = open(Input::from_bytes("part.csv", text.as_bytes()), &OpenOptions::default()).unwrap();
        Survey::take(source.as_mut(), options).unwrap()
    }

    fn survey(text: &str) -> Survey {
        survey_with(text, &options())
    }

    fn merged(texts: &[&str]) -> Result<Survey> {
        let surveys: Vec<(String, Survey)> =
            texts.iter().enumerate().map(|(i, text)| (format!("node {i}"), survey(text))).collect();
        Ok(Survey::merge(surveys.iter().map(|(label, survey)| (label.as_str(), survey)))?.expect("some"))
    }

    fn encoder(texts: &[&str]) -> Result<Encoder> {
        merged(texts)?.encoder("all", &options())
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1.0)
    }

    /// Equal but for the rounding of means and deviations.
    fn assert_alike(a: &Encoder, b: &Encoder) {
        assert_eq!((a.training_rows(), a.left_out()), (b.training_rows(), b.left_out()));
        assert_eq!(a.inputs().len(), b.inputs().len());
        for (a, b) in a.inputs().iter().zip(b.inputs()) {
            assert_eq!((&a.name, a.position, a.missing), (&b.name, b.position, b.missing));
            match (&a.encoding, &b.encoding) {
                (
                    InputEncoding::Number { shift, scale, fill },
                    InputEncoding::Number { shift: s, scale: c, fill: f },
                ) => assert!(close(*shift, *s) && close(*scale, *c) && close(*fill, *f), "{a:?} {b:?}"),
                (a, b) => assert_eq!(a, b),
            }
        }
        match (a.targets(), b.targets()) {
            (TargetEncoding::Numbers { columns: a }, TargetEncoding::Numbers { columns: b }) => {
                let alike = |(a, b): (&ScaledColumn, &ScaledColumn)| {
                    a.name == b.name && close(a.shift, b.shift) && close(a.scale, b.scale)
                };
                assert!(a.iter().zip(b).all(alike), "{a:?} {b:?}");
            }
            (a, b) => assert_eq!(a, b),
        }
    }

    #[test]
    #[should_panic(expected = "Number")]
    fn another_mean_is_not_alike() {
        let parts = ["size,kind\n1,a\n3,b\n", "size,kind\n1,a\n3.00001,b\n"];
        assert_alike(&encoder(&parts[..1]).unwrap(), &encoder(&parts[1..]).unwrap());
    }

    const HEAD: &str = "size,colour,weight,kind\n";

    fn row() -> impl Strategy<Value = String> {
        let number = || prop_oneof![4 => (-1000..1000_i32).prop_map(|n| format!("{}", f64::from(n) / 8.0)), 1 => Just(String::new())];
        let word = |words: &'static [&'static str]| prop::sample::select(words);
        (number(), word(&["red", "blue", "green", "grey"]), number(), word(&["x", "y", "z"]))
            .prop_map(|(size, colour, weight, kind)| format!("{size},{colour},{weight},{kind}\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn parts_make_the_encoder_of_the_whole(rows in prop::collection::vec((row(), 0..4_usize), 30..80)) {
            let whole: String = HEAD.to_owned() + &rows.iter().map(|(row, _)| row.as_str()).collect::<String>();
            let part = |n: usize| -> String {
                HEAD.to_owned() + &rows.iter().filter(|(_, of)| *of == n).map(|(row, _)| row.as_str()).collect::<String>()
            };
            let parts: Vec<String> = (0..4).map(part).filter(|part| part.len() > HEAD.len()).collect();
            let texts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let want = survey(&whole).encoder("all", &options()).unwrap();
            assert_alike(&encoder(&texts).unwrap(), &want);
            let backwards: Vec<&str> = texts.into_iter().rev().collect();
            assert_alike(&encoder(&backwards).unwrap(), &want);
        }
    }

    #[test]
    fn one_file_has_the_encoder_of_itself_to_the_bit() {
        let text = "size,colour,kind\n0.1,red,a\n0.7,blue,b\n,red,b\n0.3,red,a\n";
        let mut source = open(Input::from_bytes("part.csv", text.as_bytes()), &OpenOptions::default()).unwrap();
        assert_eq!(encoder(&[text]).unwrap(), Encoder::fit(source.as_mut(), &options()).unwrap());
    }

    #[test]
    fn classes_categories_and_numbers_that_only_one_place_has_are_known() {
        let parts = ["size,colour,kind\n1,red,a\n2,red,a\n", "size,colour,kind\n,blue,b\n,blue,b\n"];
        let encoder = encoder(&parts).unwrap();
        assert_eq!((encoder.labels(), encoder.class_counts()), (&["a".to_owned(), "b".into()][..], &[2, 2][..]));
        assert_eq!(encoder.input_names(), ["size", "colour=blue", "colour=red"]);
        assert_eq!(encoder.inputs()[0].missing, 2);
        let backwards = super::tests::encoder(&[parts[1], parts[0]]).unwrap();
        assert_eq!(backwards.input_names(), ["size", "colour=blue", "colour=red"]);
    }

    #[test]
    fn numbers_are_classes_by_the_rows_of_all_places() {
        let part = |class: u32| {
            let rows: String = (0..10).map(|i| format!("{i},{class}\n")).collect();
            format!("size,kind\n{rows}")
        };
        let parts = [part(0), part(1), part(2)];
        let encoder = encoder(&parts.each_ref().map(String::as_str)).unwrap();
        assert_eq!((encoder.labels().len(), encoder.class_counts()), (3, &[10, 10, 10][..]));
    }

    #[test]
    fn what_is_left_out_anywhere_is_left_out() {
        let many: String = (0..2400).map(|i| format!("{i},w{},{}\n", i % 600, i % 2)).collect();
        let more: String = (0..2400).map(|i| format!("{i},v{},{}\n", i % 600, i % 2)).collect();
        let parts = [format!("size,word,kind\n{many}"), format!("size,word,kind\n{more}")];
        let merged = merged(&parts.each_ref().map(String::as_str)).unwrap();
        let left: Vec<(&str, Reason)> =
            merged.left_out().iter().map(|left| (left.name.as_str(), left.reason)).collect();
        assert!(left.contains(&("word", Reason::TooManyValues)), "{left:?}");
        assert_eq!(merged.column_names(), ["size", "word", "kind"]);
    }

    #[test]
    fn a_place_with_few_rows_reads_columns_as_another_does() {
        let first = survey("size,word,empty,kind\n1,u,,a\n2,v,,a\n3,u,,b\n4,v,,b\n5,u,,b\n6,v,,b\n");
        let take = |text: &str| {
            let mut source = open(Input::from_bytes("b.csv", text.as_bytes()), &first.open_options())?;
            Survey::take(source.as_mut(), &options())
        };
        let error = take("kind,empty,word,size\na,1,x,u\nb,2,y,v\n").unwrap_err();
        assert!(error.to_string().contains("(size)"), "{error}");
        let second = take("kind,empty,word,size\na,1,x,7\nb,2,y,8\n").unwrap();
        let all = Survey::merge([("a", &first), ("b", &second)]).unwrap().unwrap().encoder("all", &options()).unwrap();
        assert_eq!(all.input_names(), ["size", "word=u", "word=v", "word=x", "word=y", "empty"]);
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_both_places() {
        let refused = |a: &str, b: &str| merged(&[a, b]).unwrap_err().to_string();
        let good = "size,kind\n1,a\n2,b\n";
        assert_eq!(
            refused(good, "weight,kind\n1,a\n"),
            "node 0: no column \"weight\"; the file has \"size\", \"kind\""
        );
        assert_eq!(
            refused("size,weight,kind\n1,2,a\n", good),
            "node 1: no column \"weight\"; the file has \"size\", \"kind\""
        );
        assert_eq!(
            refused(good, "size,kind\nred,a\nblue,b\nred,b\nblue,a\nred,a\n"),
            format!("node 1: column \"size\" is categorical, and numeric at node 0; {KIND_HINT}")
        );
        assert_eq!(
            refused(good, "size,kind\n1,7\n2,8\n"),
            format!("node 1: the target is a number, and a category at node 0; {KIND_HINT}")
        );
        let other = survey_with(good, &FitOptions { targets: vec!["size".into()], ..options() });
        let error = Survey::merge([("a", &survey(good)), ("b", &other)]).unwrap_err().to_string();
        assert_eq!(error, "b: the target is size, and kind at a; name the target (--target)");
    }

    #[test]
    fn what_no_file_looks_like_is_refused() {
        let good = survey("size,colour,kind\n1,red,a\n2,blue,b\n");
        good.check("a").unwrap();
        let refused = |change: &dyn Fn(&mut Survey)| {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(bad.check("x").is_err(), "{bad:?}");
            assert!(Survey::merge([("good", &good), ("x", &bad)]).is_err());
        };
        refused(&|bad| bad.training_rows = 3);
        refused(&|bad| (bad.rows, bad.training_rows) = (u64::MAX, u64::MAX));
        refused(&|bad| bad.inputs[1].name = "size".into());
        refused(&|bad| bad.inputs[0].kind = ColumnKind::Categorical);
        refused(&|bad| bad.inputs[0].kind = ColumnKind::Grid(vec![usize::MAX, 2, 3]));
        refused(&|bad| bad.inputs[0].kind = ColumnKind::Grid(vec![1 << 20, 1 << 20]));
        refused(&|bad| bad.inputs[0].missing = u64::MAX);
        refused(&|bad| bad.inputs[0].position = usize::MAX);
        refused(&|bad| match &mut bad.inputs[1].figures {
            Figures::Categories(all) => all.counts = vec![u64::MAX, 2],
            Figures::Numbers(_) => unreachable!(),
        });
        refused(&|bad| match &mut bad.targets {
            TargetSurvey::Categories(all) => all.counts = vec![1],
            TargetSurvey::Numbers { .. } => unreachable!(),
        });
        let mut infinite = good.clone();
        let mut moments = super::super::stats::Moments::default();
        moments.add(f64::INFINITY);
        infinite.inputs[0].figures = Figures::Numbers(moments);
        assert!(infinite.check("x").is_err());
    }
}
