//! TimeLLM: patches of a window, told in words of a language model that is read and not learnt, behind a sentence about the window (Jin et al. 2024).
use super::block::{check_counts, check_dropout};
use super::cx::ForecastCx;
use super::llm::{Folder, Gpt2, Prompter, Tokenizer, enclosed, from_enclosed};
use super::settings::{self, Build, Given, Pretrained};
use crate::error::{ForecastError, Result};
use mayfly_graph::NodeId;
use mayfly_nn::Act;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Words that patches are told in, each a mixture of all tokens.
const WORDS: usize = 1024;

/// TimeLLM's own settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeLlm {
    /// Values of a patch.
    pub patch_len: usize,
    /// Values between the beginnings of two patches.
    pub stride: usize,
    /// Width of a head of the attention over words, and values of the language model's vectors that the forecast sees.
    pub d_ff: usize,
    /// Lags that the sentence names.
    pub top_k: usize,
    /// Width of the language model's vectors.
    pub d_llm: usize,
    /// Width of a patch before it is told in words.
    pub d_model: usize,
    /// Heads of the attention over words.
    pub n_heads: usize,
    /// The folder of a GPT-2 as Hugging Face's libraries write it, or the `model.safetensors` in it.
    pub llm: Option<String>,
    /// Sizes of the language model; read from the folder before a training.
    pub llm_config: Option<Gpt2>,
    /// What the sentence begins with: what series these are.
    pub prompt_prefix: Option<String>,
    /// Share of values dropped in training: of patches, of the attention's weights, and of the forecast. Nothing is dropped within the language model.
    pub dropout: f32,
    #[serde(skip)]
    tokenizer: Option<Arc<Tokenizer>>,
}

impl Default for TimeLlm {
    fn default() -> Self {
        TimeLlm {
            patch_len: 16,
            stride: 8,
            d_ff: 128,
            top_k: 5,
            d_llm: 768,
            d_model: 32,
            n_heads: 8,
            llm: None,
            llm_config: None,
            prompt_prefix: None,
            dropout: 0.1,
            tokenizer: None,
        }
    }
}

impl Build for TimeLlm {
    fn build(&self, cx: &mut ForecastCx<'_, '_>) -> mayfly_nn::Result<NodeId> {
        let l = cx.input_size;
        let (Some(llm), Some(prompt)) = (&self.llm_config, cx.prompt) else {
            return Err(cx.refuse("no language model; llm names its folder"));
        };
        self.check_window(cx)?;
        let series = cx.reshape(cx.x, &[1, l])?;
        let (x, moments) = cx.normalised(series, None)?;
        let x = cx.reshape(x, &[l])?;
        let patches = self.patches(cx, x)?;
        let count = cx.cx.dims(patches)?.first().copied().unwrap_or(1);

        let table = llm.words(cx)?;
        let told = cx.cx.graph().embed(prompt, table)?;
        let words = self.words(cx, table)?;
        let seen = self.in_words(cx, patches, words)?;
        let all = cx.joined(&[told, seen], 1)?;
        let all = llm.read(cx, all)?;

        let before = cx.cx.dims(told)?.first().copied().unwrap_or(0);
        let y = cx.rows_of(all, before, count)?;
        let y = cx.part_of_rows(y, 0, self.d_ff)?;
        let y = cx.transposed(y)?;
        let y = cx.as_row(y)?;
        let y = cx.dense("output_projection.linear", y, cx.h)?;
        let y = cx.dropped(y, self.dropout)?;
        let y = cx.reshape(y, &[1, cx.h])?;
        let y = cx.restored(y, &moments)?;
        cx.as_row(y)
    }

    fn config(&self) -> Value {
        settings::as_json(self)
    }

    fn check(&self) -> Result<()> {
        check_counts(&[
            ("patch_len", self.patch_len),
            ("stride", self.stride),
            ("d_ff", self.d_ff),
            ("top_k", self.top_k),
            ("d_llm", self.d_llm),
            ("d_model", self.d_model),
            ("n_heads", self.n_heads),
        ])?;
        if self.d_ff > self.d_llm {
            let want = format!(
                "the forecast sees so many of the {} values of the language model's vectors (d_llm)",
                self.d_llm
            );
            return Err(ForecastError::option("d_ff", self.d_ff, want));
        }
        if let Some(llm) = &self.llm_config {
            llm.check()?;
            self.check_width(llm)?;
        }
        check_dropout("dropout", self.dropout)
    }

    fn pretrained(&self) -> Option<&dyn Pretrained> {
        Some(self)
    }
}

impl Pretrained for TimeLlm {
    fn is_named(&self) -> bool {
        self.llm.is_some()
    }

    fn check_ready(&self) -> Result<()> {
        self.folder().map(drop)
    }

    fn read(&self) -> Result<Arc<dyn Build>> {
        let folder = self.folder()?;
        let config = folder.config()?;
        self.check_width(&config)?;
        let tokenizer = Some(Arc::new(folder.tokenizer(&config)?));
        Ok(Arc::new(TimeLlm { llm_config: Some(config), tokenizer, ..self.clone() }))
    }

    fn parameters(&self) -> Result<Given> {
        let folder = self.folder()?;
        let config = folder.config()?;
        let all = folder.parameters(&config)?;
        Ok(all.into_iter().map(|(name, values)| (format!("llm.{name}"), values)).collect())
    }

    fn prompter(&self, input_size: usize, h: usize) -> Option<Arc<Prompter>> {
        let tokenizer = self.tokenizer.clone()?;
        Some(Arc::new(Prompter::new(tokenizer, self.prompt_prefix.as_deref(), [input_size, h], self.top_k)))
    }

    fn enclosed(&self) -> Vec<u8> {
        self.tokenizer.as_deref().map(enclosed).unwrap_or_default()
    }

    fn with_enclosed(&self, bytes: &[u8]) -> std::result::Result<Arc<dyn Build>, String> {
        let tokenizer = from_enclosed(bytes)?;
        match self.llm_config.as_ref().map(|llm| llm.vocab_size) {
            Some(known) if (tokenizer.largest() as usize) < known => {
                Ok(Arc::new(TimeLlm { tokenizer: Some(Arc::new(tokenizer)), ..self.clone() }))
            }
            Some(known) => {
                Err(format!("a token has the number {}, and the language model knows {known}", tokenizer.largest()))
            }
            None => Err("the sizes of its language model (llm_config) are missing".to_owned()),
        }
    }
}

impl TimeLlm {
    fn folder(&self) -> Result<Folder> {
        match &self.llm {
            Some(llm) => Folder::open(llm),
            None => {
                let want = "TimeLLM reads a language model: name the folder of a GPT-2 (config.json, model.safetensors, tokenizer.json), such as `hf download openai-community/gpt2 --local-dir gpt2` makes";
                Err(ForecastError::option("llm", "not given", want))
            }
        }
    }

    fn check_width(&self, llm: &Gpt2) -> Result<()> {
        match llm.n_embd == self.d_llm {
            true => Ok(()),
            false => {
                let want =
                    format!("the vectors of the language model have {} values (n_embd): it must be that", llm.n_embd);
                Err(ForecastError::option("d_llm", self.d_llm, want))
            }
        }
    }

    /// Refuses windows that have no patch, or fewer lags than are named.
    fn check_window(&self, cx: &ForecastCx<'_, '_>) -> mayfly_nn::Result<()> {
        let l = cx.input_size;
        if cx.outputs != 1 {
            return Err(cx.refuse("a loss with several outputs a step; TimeLLM takes point losses (mae, mse, huber)"));
        }
        if self.patch_len > l + self.stride {
            return Err(cx.refuse(format!(
                "patches of {} values in a window of {l} and a stride of {}; take a smaller patch_len or a larger input_size",
                self.patch_len, self.stride
            )));
        }
        if self.top_k > l / 2 * 2 {
            return Err(cx.refuse(format!("{} lags of a window of {l} values; take a smaller top_k", self.top_k)));
        }
        Ok(())
    }

    /// `[batch, input_size] → [batch, patches, d_model]`. The last value stands in for a stride of values behind the window.
    fn patches(&self, cx: &mut ForecastCx<'_, '_>, x: NodeId) -> mayfly_nn::Result<NodeId> {
        let (l, len) = (cx.input_size, self.patch_len);
        let count = (l + self.stride - len) / self.stride + 1;
        let places: Vec<usize> =
            (0..len).flat_map(|i| (0..count).map(move |p| p * self.stride + i)).map(|at| at.min(l - 1)).collect();
        let x = cx.pick(x, &places)?;
        let x = cx.reshape(x, &[len, count])?;
        let weight = cx.circular_weight("patch_embedding.value_embedding.tokenConv", len, self.d_model)?;
        let x = cx.ring_conv_of(x, weight, None, 1)?;
        let x = cx.transposed(x)?;
        cx.dropped(x, self.dropout)
    }

    /// Mixtures of what tokens are: `[vocab_size, d_llm] → [WORDS, d_llm]`.
    fn words(&self, cx: &mut ForecastCx<'_, '_>, table: NodeId) -> mayfly_nn::Result<NodeId> {
        let tokens = cx.cx.graph().shape(table)?.dims().first().copied().unwrap_or(1);
        let mapping = cx.declare("mapping_layer", tokens, WORDS)?;
        let turned = cx.cx.graph().transpose(table, &[1, 0])?;
        let words = cx.apply(turned, mapping)?;
        Ok(cx.cx.graph().transpose(words, &[1, 0])?)
    }

    /// Patches as what they see of the words: `[batch, patches, d_model] → [batch, patches, d_llm]`. Words are the same in every row, and are no part of the batch.
    fn in_words(&self, cx: &mut ForecastCx<'_, '_>, patches: NodeId, words: NodeId) -> mayfly_nn::Result<NodeId> {
        let (each, all) = (self.d_ff, self.d_ff * self.n_heads);
        let queries = cx.dense("reprogramming_layer.query_projection", patches, all)?;
        let keys = cx.declare("reprogramming_layer.key_projection", self.d_llm, all)?;
        let values = cx.declare("reprogramming_layer.value_projection", self.d_llm, all)?;
        let (keys, values) = (cx.apply(words, keys)?, cx.apply(words, values)?);
        let values = cx.cx.graph().transpose(values, &[1, 0])?;
        let scale = Act::Affine { mul: 1.0 / (each as f32).sqrt(), add: 0.0 };
        let mut heads = Vec::with_capacity(self.n_heads);
        for head in 0..self.n_heads {
            let q = cx.cut(queries, 2, head * each, each)?;
            let q = cx.act(q, scale)?;
            let k = cx.cx.graph().slice(keys, 1, head * each, each)?;
            let v = cx.cx.graph().slice(values, 0, head * each, each)?;
            let scores = cx.linear(q, k, None)?;
            let shares = cx.softmax(scores)?;
            let shares = cx.dropped(shares, self.dropout)?;
            heads.push(cx.linear(shares, v, None)?);
        }
        let seen = cx.joined(&heads, 2)?;
        cx.dense("reprogramming_layer.out_projection", seen, self.d_llm)
    }
}
