//! The columns of models that NeuralForecast saved, and the words of those that are categories.
use crate::frame::{Exogenous, plain};
use serde_json::{Map, Value};

/// A list of names among the settings.
pub(super) fn names(map: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = map.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// The columns of a model, from its settings and the folder's.
pub(super) fn columns(config: &Map<String, Value>, settings: &Map<String, Value>) -> Result<Exogenous, String> {
    let of = |kind: &str| names(settings, &format!("{kind}_exog_list"));
    let plain = Exogenous { hist: of("hist"), futr: of("futr"), stat: of("stat"), ..Exogenous::default() };
    let named = of("cat");
    let mut exogenous = plain.with_categories(&named);
    let has_own_width = settings.get("cat_emb_dim").is_some_and(|rule| rule.as_str() != Some("fastai"));
    if !named.is_empty() && has_own_width {
        return Err("its tables of categories have a width of their own (cat_emb_dim); only fastai's is read".into());
    }
    for category in &mut exogenous.categories {
        category.words = words(config, settings, &category.name)?;
    }
    exogenous.check()?;
    Ok(exogenous)
}

/// The words of a column in the order of their numbers, which begin with 1.
fn words(config: &Map<String, Value>, settings: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let all = config.get("categorical_vocab_").and_then(|all| all.get(name)).and_then(Value::as_object);
    let Some(all) = all else { return Err(format!("the words of column {name:?} were not saved")) };
    let mut pairs: Vec<(Option<u64>, String)> = match all.get("items").and_then(Value::as_array) {
        // Words that are numbers are kept as pairs.
        Some(items) => items.iter().map(|pair| (pair[1].as_u64(), text(&pair[0]))).collect(),
        None => all.iter().map(|(word, number)| (number.as_u64(), word.clone())).collect(),
    };
    pairs.sort();
    if !pairs.iter().map(|(number, _)| *number).eq((1..=pairs.len() as u64).map(Some)) {
        return Err(format!("the words of column {name:?} are not numbered from 1 on"));
    }
    let declared = settings.get("categorical_cardinalities").and_then(|all| all.get(name)).and_then(Value::as_u64);
    match declared == Some(pairs.len() as u64) {
        true => Ok(pairs.into_iter().map(|(_, word)| plain(&word).into_owned()).collect()),
        false => Err(format!(
            "column {name:?} was declared with {} words and trained on {}: an unseen word would be the mean of rows that were never trained",
            declared.map_or_else(|| "no".to_owned(), |n| n.to_string()),
            pairs.len()
        )),
    }
}
