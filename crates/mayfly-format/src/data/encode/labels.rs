//! Names of categories and classes: their order, and which of them are one.

use super::TargetEncoding;
use crate::data::number::number;
use crate::error::{FormatError, Result};

/// Pairs of words that mean yes and no; they are the same in any case.
const BOOLEANS: [[&str; 2]; 5] = [["false", "true"], ["no", "yes"], ["f", "t"], ["n", "y"], ["off", "on"]];

/// Whether these are the spellings of yes and no: of one pair, both of them or one.
pub(super) fn are_boolean<'a>(names: impl Iterator<Item = &'a String> + Clone) -> bool {
    let of = |pair: &[&str; 2]| names.clone().all(|name| pair.iter().any(|word| word.eq_ignore_ascii_case(name)));
    names.clone().next().is_some() && BOOLEANS.iter().any(of)
}

/// Categories in their stable order with their counts: as numbers if all are, else bytewise. Equal names are one, and so are spellings of
/// yes and no that differ in case, in lower case then.
pub(super) fn sorted(names: &[String], counts: &[u64]) -> (Vec<String>, Vec<u64>) {
    let counts = counts.iter().copied().chain(std::iter::repeat(0));
    let mixed = are_boolean(names.iter()) && names.len() > 2
        || differ_in_case_only(names).is_some() && are_boolean(names.iter());
    let spelt = |name: &String| if mixed { name.to_ascii_lowercase() } else { name.clone() };
    let mut pairs: Vec<(String, u64)> = names.iter().map(spelt).zip(counts).collect();
    let value = |name: &str| number(name.as_bytes());
    if pairs.iter().all(|(name, _)| value(name).is_some()) {
        let key = |name: &str| value(name).unwrap_or(f64::NAN); // all are numbers
        pairs.sort_by(|(a, _), (b, _)| key(a).total_cmp(&key(b)).then_with(|| a.cmp(b)));
    } else {
        pairs.sort();
    }
    pairs.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        earlier.1 += if same { later.1 } else { 0 };
        same
    });
    pairs.into_iter().unzip()
}

/// Two of the names that are the same but for the case of their letters.
pub(super) fn differ_in_case_only(names: &[String]) -> Option<(&str, &str)> {
    let mut seen = std::collections::HashMap::with_capacity(names.len());
    for name in names {
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            return Some((other, name));
        }
    }
    None
}

/// Makes the class with this label the second of two.
pub(super) fn put_positive_second(targets: &mut TargetEncoding, positive: &str) -> Result<()> {
    let wrong = |problem: String| Err(FormatError::Option { option: "positive", problem });
    let (labels, fixed) = match targets {
        TargetEncoding::Classes { labels, .. } => (labels, false),
        TargetEncoding::LargestColumn { columns, .. } => (columns, true),
        TargetEncoding::BinaryColumn { labels, .. } => (labels, true),
        TargetEncoding::Numbers { .. } => return wrong("the target is a number and has no classes".into()),
    };
    let shown = labels.iter().take(12).map(|label| format!("\"{label}\"")).collect::<Vec<_>>().join(", ");
    let at = labels.iter().position(|label| label == positive);
    match (at, labels.len()) {
        (Some(1), 2) => Ok(()),
        (Some(_), 2) if fixed => {
            wrong(format!("the outputs of this format stand in order: only \"{}\" can be it", labels[1]))
        }
        (Some(_), 2) => {
            if let TargetEncoding::Classes { labels, counts, .. } = targets {
                labels.reverse();
                counts.reverse();
            }
            Ok(())
        }
        (None, 2) => wrong(format!("there is no class \"{positive}\"; there are {shown}")),
        (_, count) => wrong(format!("of {count} classes none is the positive one; there are {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn spellings_of_yes_and_no_are_one_and_others_are_not() {
        let (labels, counts) = sorted(&names(&["True", "false", "TRUE", "true", "False"]), &[1, 2, 4, 8, 16]);
        assert_eq!((labels, counts), (names(&["false", "true"]), vec![18, 13]));
        assert_eq!(sorted(&names(&["Yes", "No"]), &[1, 2]), (names(&["No", "Yes"]), vec![2, 1]));
        assert_eq!(sorted(&names(&["Yes", "yes"]), &[1, 2]), (names(&["yes"]), vec![3]));
        assert_eq!(sorted(&names(&["Red", "red"]), &[1, 2]).0, names(&["Red", "red"]));
        assert_eq!(differ_in_case_only(&names(&["Red", "blue", "red"])), Some(("Red", "red")));
        assert_eq!(sorted(&names(&["10", "2", "01"]), &[]).0, names(&["01", "2", "10"]));
    }
}
