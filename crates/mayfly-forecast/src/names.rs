//! Names that were nearly right.

/// Names that are listed, at most: more than there are families.
const SHOWN: usize = 60;

/// "did you mean …? There are …"
pub(crate) fn nearest(name: &str, known: &[&str]) -> String {
    let lower = name.to_lowercase();
    let near = known.iter().map(|k| (distance(&lower, &k.to_lowercase()), *k)).min();
    let shown = known[..known.len().min(SHOWN)].join(", ");
    let all = match known.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    };
    match near {
        Some((d, k)) if d <= (lower.chars().count() / 2).max(1) => format!("did you mean {k}? There are {all}"),
        _ => format!("there are {all}"),
    }
}

/// How many letters must be changed, added or taken away (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            left = (diagonal + usize::from(x != *y)).min(above + 1).min(left + 1);
            (diagonal, *cell) = (above, left);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        for (a, b, want) in
            [("", "", 0), ("", "abc", 3), ("nhits", "nhits", 0), ("nhit", "nhits", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), want, "{a} {b}");
        }
    }

    #[test]
    fn only_near_names_are_offered() {
        assert!(nearest("NHTIS", &["DLinear", "NHITS"]).starts_with("did you mean NHITS?"));
        assert_eq!(nearest("patchtst", &["DLinear", "MLP"]), "there are DLinear, MLP");
    }
}
