//! TimeLLM from a folder with a language model to forecasts. What it computes is held against NeuralForecast's module in `src/golden.rs`, its tokens and sentences against others' in `src/families/llm`.
use mayfly_forecast::{ExplainMethod, ExplainOptions, Forecaster, FrameOptions, Model, SeriesFrame, UpdateOptions};
use mayfly_format::model_file::{ModelFile, NanPolicy, ReadOptions, Tensor, TensorData, TensorFile};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const WIDTH: usize = 8;
const VOCABULARY: usize = 420;

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The tensors of a GPT-2 of two blocks, with noise for weights.
fn weights(prefix: &str) -> Vec<Tensor> {
    let d = WIDTH;
    let mut shapes = vec![("wte.weight".to_owned(), vec![VOCABULARY, d]), ("wpe.weight".into(), vec![256, d])];
    for i in 0..2 {
        for (name, i_o) in
            [("attn.c_attn", [d, 3 * d]), ("attn.c_proj", [d, d]), ("mlp.c_fc", [d, 4 * d]), ("mlp.c_proj", [4 * d, d])]
        {
            shapes.push((format!("h.{i}.{name}.weight"), i_o.to_vec()));
            shapes.push((format!("h.{i}.{name}.bias"), vec![i_o[1]]));
        }
        for name in ["ln_1", "ln_2"] {
            shapes.extend(["weight", "bias"].map(|part| (format!("h.{i}.{name}.{part}"), vec![d])));
        }
    }
    shapes.extend(["weight", "bias"].map(|part| (format!("ln_f.{part}"), vec![d])));
    let mut rng = mayfly_base::Rng::new(3);
    let mut tensor = |(name, shape): (String, Vec<usize>)| {
        let middle = if name.contains("ln_") && name.ends_with("weight") { 1.0 } else { 0.0 };
        let values = (0..shape.iter().product()).map(|_| middle + rng.between(-0.5, 0.5)).collect();
        Tensor { name: format!("{prefix}{name}"), shape, data: TensorData::F32(values) }
    };
    // What files have besides: a mask, and a head whose weight is that of the tokens.
    let mask =
        Tensor { name: format!("{prefix}h.0.attn.bias"), shape: vec![1, 1, 1, 1], data: TensorData::F32(vec![1.0]) };
    shapes.into_iter().map(&mut tensor).chain([mask]).collect()
}

fn config() -> Value {
    json!({
        "model_type": "gpt2", "vocab_size": VOCABULARY, "n_positions": 256, "n_ctx": 256, "n_embd": WIDTH, "n_layer": 2, "n_head": 2,
        "n_inner": null, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "resid_pdrop": 0.1, "eos_token_id": 0
    })
}

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

fn write_weights(folder: &Path, tensors: Vec<Tensor>) {
    TensorFile { tensors, ..TensorFile::default() }.write(folder.join("model.safetensors"), NanPolicy::Refuse).unwrap();
}

/// A folder with a language model.
fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    write(&path, "config.json", &config());
    write(&path, "tokenizer.json", &read("tokenizer.json")["tokenizer"]);
    write(&path, "tokenizer_config.json", &json!({ "eos_token": "<|endoftext|>" }));
    write_weights(&path, weights(""));
    (dir, path)
}

fn model(llm: &Path) -> Model {
    let settings = json!({
        "llm": llm.display().to_string(), "patch_len": 4, "stride": 2, "d_ff": 5, "d_llm": WIDTH, "d_model": 4, "n_heads": 2, "top_k": 3,
        "prompt_prefix": "Shoes. ", "windows_batch_size": 6, "learning_rate": 1e-2
    });
    Model::new("timellm").unwrap().with_all(settings.as_object().unwrap()).unwrap().input_size(12)
}

fn frame(ids: &[&str]) -> SeriesFrame {
    let (mut all, mut ds, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        let begin = id.bytes().map(f32::from).sum::<f32>();
        for t in 0..40 {
            all.push((*id).to_owned());
            ds.push(t.to_string());
            let size = if *id == "tiny" { 1e-3 } else { 10.0 };
            y.push(size * ((t as f32 * 0.8 + begin).sin() + 0.1 * t as f32));
        }
    }
    SeriesFrame::from_columns(&all, &ds, &y, &FrameOptions::default()).unwrap()
}

fn fitted(model: Model, frame: &SeriesFrame) -> Forecaster {
    let mut forecaster = Forecaster::new(4).model(model).val_size(4);
    forecaster.fit(frame, &mut ()).unwrap();
    forecaster
}

fn forecasts(forecaster: &Forecaster, frame: Option<&SeriesFrame>) -> Vec<f32> {
    forecaster.predict(frame, None).unwrap().column("TimeLLM").unwrap().to_vec()
}

fn near(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs()))
}

/// The tensors of a trained model, as its file has them.
fn tensors(forecaster: &Forecaster) -> Vec<Tensor> {
    ModelFile::parse("f", &forecaster.to_bytes().unwrap(), &ReadOptions::default()).unwrap().tensors
}

#[test]
fn a_trained_model_needs_its_folder_no_more() {
    let (dir, path) = folder();
    let all = frame(&["a", "b", "tiny"]);
    let forecaster = fitted(model(&path), &all);
    let want = forecasts(&forecaster, None);
    assert!(want.iter().all(|v| v.is_finite()));
    drop(dir);
    assert!(!path.exists());
    let file = tempfile::NamedTempFile::new().unwrap();
    forecaster.save(file.path()).unwrap();
    let mut again = Forecaster::load(file.path()).unwrap();
    assert_eq!(forecasts(&again, None), want);
    // And goes on from its weights, but does not begin anew.
    let more = UpdateOptions { steps: 2, ..UpdateOptions::default() };
    again.update(&all, &more, &mut ()).unwrap();
    assert_ne!(forecasts(&again, None), want);
    let error = again.fit(&all, &mut ()).unwrap_err().to_string();
    assert!(error.contains("there is no such folder"), "{error}");
}

/// Sentences are of one length, so that it does not matter whose others are.
#[test]
fn a_forecast_is_the_same_alone_and_among_others() {
    let (_dir, path) = folder();
    let forecaster = fitted(model(&path), &frame(&["a", "b", "tiny"]));
    let among = forecasts(&forecaster, Some(&frame(&["a", "b", "tiny"])));
    for (id, want) in ["a", "b", "tiny"].iter().zip(among.chunks_exact(4)) {
        let alone = forecasts(&forecaster, Some(&frame(&[id])));
        assert!(near(&alone, want), "{id}: {alone:?}, not {want:?}");
    }
    // Behind the horizon forecasts are fed back, with sentences about them.
    let long = forecaster.predict(None, Some(10)).unwrap();
    assert_eq!(long.column("TimeLLM").unwrap().len(), 30);
}

/// Training moves what is learnt, and nothing of the language model.
#[test]
fn the_language_model_stays_as_it_was_read() {
    let (_dir, path) = folder();
    write_weights(&path, weights("transformer."));
    let (first, last) =
        (fitted(model(&path).with("max_steps", 1).unwrap(), &frame(&["a"])), fitted(model(&path), &frame(&["a"])));
    let (before, after) = (tensors(&first), tensors(&last));
    let given = weights("");
    let mut read = 0;
    for (before, after) in before.iter().zip(&after) {
        let name = before.name.strip_prefix("TimeLLM/").unwrap_or_default();
        if let Some(of) = name.strip_prefix("llm.").and_then(|name| given.iter().find(|tensor| tensor.name == name)) {
            assert_eq!((&before.data, &before.shape), (&of.data, &of.shape), "{name}");
            assert_eq!(before, after);
            read += 1;
        } else if matches!(before.data, TensorData::F32(_)) && !name.is_empty() {
            assert_ne!(before.data, after.data, "{name} does not learn");
        }
    }
    assert_eq!(read, given.len() - 1);
}

/// What the sentence says changes the forecast, and so does every part of what is read.
#[test]
fn what_is_read_matters() {
    let (_dir, path) = folder();
    let forecaster = fitted(model(&path), &frame(&["a", "b"]));
    let want = forecasts(&forecaster, None);
    let other = fitted(model(&path).with("prompt_prefix", "Boots. ").unwrap(), &frame(&["a", "b"]));
    assert!(!near(&forecasts(&other, None), &want));
    for name in
        ["llm.wte.weight", "llm.wpe.weight", "llm.h.0.attn.c_attn.weight", "llm.h.1.mlp.c_fc.bias", "llm.ln_f.weight"]
    {
        let mut file = ModelFile::parse("f", &forecaster.to_bytes().unwrap(), &ReadOptions::default()).unwrap();
        let tensor = file.tensors.iter_mut().find(|tensor| tensor.name.ends_with(name)).unwrap();
        let TensorData::F32(values) = &mut tensor.data else { panic!("{name}") };
        values.iter_mut().enumerate().for_each(|(i, v)| *v += 0.3 * (i as f32).sin());
        let file = ModelFile::parse("f", &file.to_bytes(NanPolicy::Refuse).unwrap(), &ReadOptions::default()).unwrap();
        assert!(!near(&forecasts(&Forecaster::from_file("f", file).unwrap(), None), &want), "{name}");
    }
}

/// The sentence is taken as given: attributions are those of the values, and add up.
#[test]
fn explanations_add_up() {
    let (_dir, path) = folder();
    let forecaster = fitted(model(&path), &frame(&["a", "b"]));
    let options = ExplainOptions { points: Some(256), ..ExplainOptions::default() };
    let explanations = forecaster.explain(None, &options).unwrap();
    let want = forecasts(&forecaster, None);
    for (one, want) in explanations.models[0].forecasts.iter().zip(&want) {
        assert!((one.forecast - want).abs() < 1e-3 * (1.0 + want.abs()), "{} {want}", one.forecast);
        assert!(one.attributions.iter().any(|a| a.abs() > 1e-4));
        let (sum, all) = one.attributions.iter().fold((0.0, 0.0), |(sum, all), a| (sum + a, all + a.abs()));
        let gap = one.forecast - one.baseline.unwrap() - sum;
        assert!(gap.abs() < 0.02 * all + 1e-3, "{gap} of {all}");
    }
    let permuted = ExplainOptions { method: ExplainMethod::Permutation, ..ExplainOptions::default() };
    assert_eq!(forecaster.explain(None, &permuted).unwrap().models[0].forecasts.len(), 8);
}

#[test]
fn folders_that_do_not_do_are_refused() {
    let fit = |model: Model| Forecaster::new(4).model(model).fit(&frame(&["a"]), &mut ()).unwrap_err().to_string();
    let says = |error: String, words: &[&str]| {
        assert!(words.iter().all(|word| error.contains(word)), "{error}\nwithout one of {words:?}");
    };
    says(fit(Model::new("TimeLLM").unwrap()), &["llm is not given", "hf download"]);
    let damaged = |damage: &dyn Fn(&Path), words: &[&str]| {
        let (_dir, path) = folder();
        damage(&path);
        says(fit(model(&path)), words);
    };
    let without = |name: &'static str| move |path: &Path| std::fs::remove_file(path.join(name)).unwrap();
    damaged(&without("config.json"), &["config.json is missing"]);
    damaged(&without("model.safetensors"), &["model.safetensors is missing"]);
    damaged(&without("tokenizer.json"), &["vocab.json is missing", "tokenizer.json"]);
    damaged(
        &|path| {
            without("model.safetensors")(path);
            std::fs::write(path.join("pytorch_model.bin"), "x").unwrap();
        },
        &["pytorch_model.bin", "save_pretrained"],
    );
    let with = |key: &'static str, value: Value| {
        move |path: &Path| {
            let mut all = config();
            all[key] = value.clone();
            write(path, "config.json", &all);
        }
    };
    damaged(&with("model_type", json!("bert")), &["\"bert\"", "gpt2"]);
    damaged(&with("n_head", json!(3)), &["n_embd is 8", "n_head, 3"]);
    damaged(&with("n_layer", json!(3)), &["no tensor \"h.2.ln_1.weight\""]);
    damaged(&with("n_positions", json!(255)), &["wpe.weight", "[255, 8]"]);
    damaged(&with("vocab_size", json!(300)), &["the number 419", "300"]);
    damaged(&with("n_embd", json!(16)), &["d_llm is 8", "16 values"]);
    damaged(&with("activation_function", json!("swish")), &["config.json", "swish"]);
    damaged(&with("scale_attn_by_inverse_layer_idx", json!(true)), &["scale_attn_by_inverse_layer_idx"]);
    damaged(&|path| std::fs::write(path.join("config.json"), "{").unwrap(), &["config.json"]);
    damaged(&|path| std::fs::write(path.join("model.safetensors"), "no").unwrap(), &["model.safetensors"]);
    let tokenizer = |key: &'static str, value: Value| {
        move |path: &Path| {
            let mut all = read("tokenizer.json")["tokenizer"].clone();
            *all.pointer_mut(key).unwrap() = value.clone();
            write(path, "tokenizer.json", &all);
        }
    };
    damaged(&tokenizer("/model/type", json!("WordPiece")), &["WordPiece", "byte-level BPE"]);
    damaged(&tokenizer("/pre_tokenizer/add_prefix_space", json!(true)), &["add_prefix_space"]);
    damaged(&tokenizer("/model/merges/0", json!("abc")), &["\"abc\" is no pair"]);
    damaged(&tokenizer("/model/vocab", json!({ "a": 0 })), &["has no token"]);
    damaged(&tokenizer("/model/vocab/a", json!(-1)), &["the number -1"]);
    let endless = |path: &Path| {
        let mut all = read("tokenizer.json")["tokenizer"].clone();
        all["added_tokens"] = json!([]);
        all["model"]["vocab"].as_object_mut().unwrap().remove("<|endoftext|>");
        write(path, "tokenizer.json", &all);
    };
    damaged(&endless, &["\"<|endoftext|>\""]);
}

#[test]
fn settings_that_do_not_do_are_refused() {
    let (_dir, path) = folder();
    let fit = |model: Model| Forecaster::new(4).model(model).fit(&frame(&["a"]), &mut ()).unwrap_err().to_string();
    let says = |error: String, words: &[&str]| {
        assert!(words.iter().all(|word| error.contains(word)), "{error}\nwithout one of {words:?}");
    };
    let set = |name: &str, value: Value| model(&path).with(name, value);
    says(fit(set("top_k", json!(13)).unwrap()), &["13 lags"]);
    says(fit(set("patch_len", json!(15)).unwrap()), &["patches of 15"]);
    says(
        fit(set("prompt_prefix", json!("long ".repeat(300))).unwrap()),
        &["language model that sees 256", "prompt_prefix"],
    );
    says(fit(model(&path).local()), &["language model once for each series"]);
    says(set("d_ff", json!(9)).unwrap_err().to_string(), &["d_ff is 9", "d_llm"]);
    says(set("llm_num_hidden_layers", json!(6)).unwrap_err().to_string(), &["llm_num_hidden_layers"]);
    let loss = mayfly_forecast::ForecastLoss::intervals(&[80.0]);
    says(fit(model(&path).loss(loss)), &["losses that compare points"]);
    says(fit(model(&path).loss(mayfly_forecast::Distribution::Poisson.into())), &["losses that compare points"]);
}

/// A vocabulary and merges in files of their own are the same tokeniser; the weights may be named instead of the folder.
#[test]
fn folders_have_other_forms() {
    let (_dir, path) = folder();
    let want = forecasts(&fitted(model(&path), &frame(&["a"])), None);
    let all = read("tokenizer.json")["tokenizer"].clone();
    std::fs::remove_file(path.join("tokenizer.json")).unwrap();
    write(&path, "vocab.json", &all["model"]["vocab"]);
    let pair = |pair: &Value| {
        pair.as_array().map_or_else(
            || pair.as_str().unwrap().to_owned(),
            |two| two.iter().map(|t| t.as_str().unwrap()).collect::<Vec<_>>().join(" "),
        )
    };
    let merges: Vec<String> = all["model"]["merges"].as_array().unwrap().iter().map(pair).collect();
    std::fs::write(path.join("merges.txt"), format!("#version: 0.2\n{}\n", merges.join("\n"))).unwrap();
    let again = fitted(model(&path.join("model.safetensors")), &frame(&["a"]));
    assert_eq!(forecasts(&again, None), want);
}

/// Files that lost what turns text into tokens, or have another's, are refused by name.
#[test]
fn damaged_files_are_refused() {
    let (_dir, path) = folder();
    let bytes = fitted(model(&path), &frame(&["a"])).to_bytes().unwrap();
    let says = |damage: &dyn Fn(&mut Vec<Tensor>), word: &str| {
        let mut file = ModelFile::parse("f", &bytes, &ReadOptions::default()).unwrap();
        damage(&mut file.tensors);
        let error = Forecaster::from_file("f", file).unwrap_err().to_string();
        assert!(error.contains("TimeLLM/llm.tokenizer") && error.contains(word), "{error}");
    };
    let place = |tensors: &[Tensor]| tensors.iter().position(|tensor| tensor.name == "TimeLLM/llm.tokenizer").unwrap();
    says(&|tensors| tensors.retain(|tensor| tensor.name != "TimeLLM/llm.tokenizer"), "is missing");
    says(
        &|tensors| {
            let at = place(tensors);
            tensors[at].data = TensorData::U8(b"{}".to_vec());
        },
        "its vocabulary",
    );
    says(
        &|tensors| {
            let at = place(tensors);
            let TensorData::U8(bytes) = &tensors[at].data else { panic!("no bytes") };
            let text = String::from_utf8(bytes.clone()).unwrap().replace("\"end\":0", "\"end\":5000");
            tensors[at].data = TensorData::U8(text.into_bytes());
        },
        "the number 5000",
    );
}
