//! The folder of a language model as Hugging Face's libraries write it: configuration, tokeniser, weights.
use super::blocks::Gpt2;
use super::bpe::{Tokenizer, Vocabulary};
use crate::error::{ForecastError, Result};
use mayfly_format::model_file::{ReadOptions, TensorData, TensorFile};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
/// GPT-2's token between texts, where nothing else is said.
const END: &str = "<|endoftext|>";
/// The largest text that is read: vocabularies have a few megabytes.
const MOST_BYTES: u64 = 256 << 20;
/// What names of parameters have before them, depending on what was saved.
const PREFIXES: [&str; 3] = ["transformer.", "llm.", "model.llm."];
/// Settings of GPT-2 that change what it computes, and what they must be.
const FIXED: [(&str, bool); 4] = [
    ("scale_attn_weights", true),
    ("scale_attn_by_inverse_layer_idx", false),
    ("add_cross_attention", false),
    ("reorder_and_upcast_attn", false),
];

/// A folder with a language model.
pub(in crate::families) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder, by its path or that of the weights in it, if it has what is needed.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub(in crate::families) fn open(llm: &str) -> Result<Folder> {
        let given = Path::new(llm);
        let is_weights = given.is_file() && given.extension().is_some_and(|end| end == "safetensors");
        let above = given.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let path = if is_weights { above } else { given };
        let folder = Folder { path: path.to_owned() };
        if !folder.path.is_dir() {
            return Err(folder.bad(format!(
                "there is no such folder; llm is the folder of a GPT-2 with {CONFIG}, {WEIGHTS} and tokenizer.json, such as `hf download openai-community/gpt2 --local-dir gpt2` makes"
            )));
        }
        folder.needs(CONFIG, "it says what sizes the language model has")?;
        if !folder.has(WEIGHTS) {
            let what = match ["pytorch_model.bin", "model.safetensors.index.json", "tf_model.h5"]
                .iter()
                .find(|name| folder.has(name))
            {
                Some(found) => format!(
                    "{WEIGHTS} is missing and {found}, which is there, is not read: save the model in one file with save_pretrained(…, safe_serialization=True, max_shard_size=\"100GB\")"
                ),
                None => format!("{WEIGHTS} is missing: it holds the weights of the language model"),
            };
            return Err(folder.bad(what));
        }
        if !folder.has("tokenizer.json") {
            folder
                .needs("vocab.json", "with merges.txt, or tokenizer.json in their place, it turns text into tokens")?;
            folder
                .needs("merges.txt", "with vocab.json, or tokenizer.json in their place, it turns text into tokens")?;
        }
        Ok(folder)
    }

    fn has(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    fn needs(&self, name: &str, why: &str) -> Result<()> {
        if self.has(name) { Ok(()) } else { Err(self.bad(format!("{name} is missing: {why}"))) }
    }

    fn bad(&self, what: impl Into<String>) -> ForecastError {
        ForecastError::BadFile { file: self.path.display().to_string(), what: what.into() }
    }

    fn text(&self, name: &str) -> Result<String> {
        let path = self.path.join(name);
        let read = || -> std::io::Result<String> {
            match std::fs::metadata(&path)?.len() {
                n if n > MOST_BYTES => {
                    Err(std::io::Error::other(format!("it has {n} bytes, at most {MOST_BYTES} are read")))
                }
                _ => std::fs::read_to_string(&path),
            }
        };
        read().map_err(|error| self.bad(format!("{name}: {error}")))
    }

    fn json(&self, name: &str) -> Result<Value> {
        let text = self.text(name)?;
        serde_json::from_str(&text)
            .map_err(|source| ForecastError::Json { what: self.path.join(name).display().to_string(), source })
    }

    /// Sizes of the language model.
    pub(in crate::families) fn config(&self) -> Result<Gpt2> {
        let all = self.json(CONFIG)?;
        let kind = all.get("model_type").and_then(Value::as_str).unwrap_or("none");
        if kind != "gpt2" {
            return Err(self.bad(format!(
                "{CONFIG} is of the kind {kind:?}; models of GPT-2's shape (\"gpt2\") are read, DistilGPT-2 among them"
            )));
        }
        let other =
            |(name, want): &(&str, bool)| all.get(*name).and_then(Value::as_bool).is_some_and(|got| got != *want);
        if let Some((name, want)) = FIXED.iter().find(|fixed| other(fixed)) {
            return Err(self.bad(format!("{CONFIG} has {name} as {}; {want} is read", !want)));
        }
        let config: Gpt2 = serde_json::from_value(all)
            .map_err(|source| ForecastError::Json { what: self.path.join(CONFIG).display().to_string(), source })?;
        config.check().map_err(|error| self.bad(format!("{CONFIG}: {error}")))?;
        Ok(config)
    }

    /// Its tokeniser, all of whose tokens the model knows.
    pub(in crate::families) fn tokenizer(&self, config: &Gpt2) -> Result<Tokenizer> {
        let end = self.end()?;
        let (name, read) = match self.has("tokenizer.json") {
            true => ("tokenizer.json", of_json(&self.json("tokenizer.json")?, &end)),
            false => ("vocab.json", of_lists(&self.json("vocab.json")?, &self.text("merges.txt")?, &end)),
        };
        let tokenizer = read.map_err(|what| self.bad(format!("{name}: {what}")))?;
        match tokenizer.largest() as usize {
            most if most >= config.vocab_size => Err(self.bad(format!(
                "{name} has a token of the number {most}, and the model knows {} ({CONFIG}): they do not belong together",
                config.vocab_size
            ))),
            _ => Ok(tokenizer),
        }
    }

    /// The text of the token that stands behind a text.
    fn end(&self) -> Result<String> {
        for name in ["tokenizer_config.json", "special_tokens_map.json"] {
            if !self.has(name) {
                continue;
            }
            let all = self.json(name)?;
            let end = all.get("eos_token").map(|end| end.get("content").unwrap_or(end));
            if let Some(text) = end.and_then(Value::as_str) {
                return Ok(text.to_owned());
            }
        }
        Ok(END.to_owned())
    }

    /// The parameters, by name behind `llm.`.
    pub(in crate::families) fn parameters(&self, config: &Gpt2) -> Result<BTreeMap<String, Vec<f32>>> {
        let tensors = TensorFile::read(self.path.join(WEIGHTS), &ReadOptions::default())?.tensors;
        let plain =
            |name: &str| PREFIXES.iter().find_map(|prefix| name.strip_prefix(*prefix)).unwrap_or(name).to_owned();
        let mut tensors: BTreeMap<String, _> = tensors.into_iter().map(|t| (plain(&t.name), t)).collect();
        let mut all = BTreeMap::new();
        for (name, dims) in config.parameters() {
            let Some(tensor) = tensors.remove(&name) else {
                return Err(self.bad(format!(
                    "{WEIGHTS} has no tensor {name:?} (nor with transformer. before it), which {CONFIG} asks for"
                )));
            };
            if tensor.shape != dims {
                return Err(self
                    .bad(format!("{WEIGHTS}: {name:?} has the shape {:?}; {CONFIG} asks for {dims:?}", tensor.shape)));
            }
            let values = match tensor.data {
                TensorData::F32(values) => values,
                TensorData::F64(values) => values.into_iter().map(|v| v as f32).collect(),
                TensorData::BF16(bits) => bits.into_iter().map(|b| f32::from_bits(u32::from(b) << 16)).collect(),
                other => {
                    return Err(self.bad(format!(
                        "{WEIGHTS}: {name:?} is of {}; F32, F64 and BF16 are read",
                        other.dtype().name()
                    )));
                }
            };
            all.insert(name, values);
        }
        Ok(all)
    }
}

/// The tokeniser of a `tokenizer.json`.
pub(super) fn of_json(all: &Value, end: &str) -> Result<Tokenizer, String> {
    let part = |name: &str| all.get(name).unwrap_or(&Value::Null);
    let kind = |part: &Value| part.get("type").and_then(Value::as_str).unwrap_or("none").to_owned();
    let model = part("model");
    let on = |value: &Value, name: &str| value.get(name).and_then(Value::as_bool) == Some(true);
    let text = |name: &str| model.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    // What a text goes through, and whether that is what GPT-2's does.
    let before = part("pre_tokenizer");
    let bad = [
        (kind(model) != "BPE", format!("its model is {}; GPT-2's byte-level BPE is read", kind(model))),
        (!part("normalizer").is_null(), "it changes texts before (normalizer); GPT-2's does not".to_owned()),
        (
            kind(before) != "ByteLevel" || on(before, "add_prefix_space") || before.get("use_regex") == Some(&Value::Bool(false)),
            format!("it cuts texts as {before}; GPT-2's ByteLevel without add_prefix_space is read"),
        ),
        (
            !["none", "ByteLevel"].contains(&kind(part("post_processor")).as_str()),
            format!("it adds tokens ({}); GPT-2's adds none", kind(part("post_processor"))),
        ),
        (
            on(model, "ignore_merges") || text("continuing_subword_prefix") || text("end_of_word_suffix"),
            "it marks parts of words or takes whole words (ignore_merges, continuing_subword_prefix, end_of_word_suffix); GPT-2's does not".to_owned(),
        ),
    ];
    if let Some((_, what)) = bad.into_iter().find(|(is_bad, _)| *is_bad) {
        return Err(what);
    }
    let merges = model.get("merges").and_then(Value::as_array).ok_or("it has no list of merges")?;
    let merges = merges.iter().map(pair).collect::<Result<Vec<_>, String>>()?;
    let mut specials = BTreeMap::new();
    for token in part("added_tokens").as_array().into_iter().flatten() {
        let content = token.get("content").and_then(Value::as_str).ok_or("an added token has no content")?;
        if ["single_word", "lstrip", "rstrip"].iter().any(|name| on(token, name)) {
            return Err(format!("the added token {content:?} looks at what stands around it, which is not read"));
        }
        specials.insert(content.to_owned(), number(token.get("id").unwrap_or(&Value::Null), content)?);
    }
    let tokens = tokens(model.get("vocab").unwrap_or(&Value::Null))?;
    with_end(tokens, merges, specials, end)
}

/// The tokeniser of a `vocab.json` and a `merges.txt`.
fn of_lists(vocab: &Value, merges: &str, end: &str) -> Result<Tokenizer, String> {
    let lines = merges.lines().filter(|line| !line.starts_with("#version") && !line.trim().is_empty());
    let merges = lines.map(|line| pair(&Value::from(line))).collect::<Result<Vec<_>, String>>()?;
    with_end(tokens(vocab)?, merges, BTreeMap::new(), end)
}

fn with_end(
    tokens: BTreeMap<String, u32>,
    merges: Vec<(String, String)>,
    mut specials: BTreeMap<String, u32>,
    end: &str,
) -> Result<Tokenizer, String> {
    let Some(id) = specials.get(end).or_else(|| tokens.get(end)).copied() else {
        return Err(format!("the token {end:?}, which stands behind texts, is not in it"));
    };
    specials.insert(end.to_owned(), id);
    Tokenizer::new(Vocabulary { tokens, merges, specials, end: id })
}

fn tokens(vocab: &Value) -> Result<BTreeMap<String, u32>, String> {
    let all = vocab.as_object().ok_or("it has no vocabulary of tokens by name")?;
    all.iter().map(|(token, id)| Ok((token.clone(), number(id, token)?))).collect()
}

fn number(id: &Value, token: &str) -> Result<u32, String> {
    let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
    number.ok_or_else(|| format!("the token {token:?} has the number {id}"))
}

/// Two tokens that are joined: a list of two, or a line with a space between.
fn pair(value: &Value) -> Result<(String, String), String> {
    let found = match value {
        Value::String(line) => line.trim_end_matches(['\r', '\n']).split_once(' '),
        Value::Array(two) => match &two[..] {
            [Value::String(left), Value::String(right)] => Some((left.as_str(), right.as_str())),
            _ => None,
        },
        _ => None,
    };
    let found = found.filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '));
    found.map(|(l, r)| (l.to_owned(), r.to_owned())).ok_or_else(|| format!("{value} is no pair of tokens"))
}

/// A tokeniser as a model's file holds it.
pub(in crate::families) fn enclosed(tokenizer: &Tokenizer) -> Vec<u8> {
    serde_json::to_vec(tokenizer.vocabulary()).unwrap_or_default()
}

/// The tokeniser of what [`enclosed`] gave.
pub(in crate::families) fn from_enclosed(bytes: &[u8]) -> Result<Tokenizer, String> {
    let vocabulary: Vocabulary = serde_json::from_slice(bytes).map_err(|error| format!("its vocabulary: {error}"))?;
    Tokenizer::new(vocabulary)
}
