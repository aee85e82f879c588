//! Parameters by the names of NeuralForecast's state dict.

/// A parameter of ours from tensors of torch's: running means and variances stand in one of ours, `NAME.running`.
pub(crate) fn torch_parameter(name: &str, get: &mut dyn FnMut(&str) -> Option<Vec<f32>>) -> Option<Vec<f32>> {
    let Some(of) = name.strip_suffix(".running") else { return get(name) };
    if let Some(values) = get(of) {
        return Some(values);
    }
    let mean = get(&format!("{of}.running_mean"))?;
    Some([mean, get(&format!("{of}.running_var"))?].concat())
}
