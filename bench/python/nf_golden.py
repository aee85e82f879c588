"""Writes the golden files of `mayfly-forecast`: what NeuralForecast's own modules compute.

    python3 -m venv venv && venv/bin/pip install neuralforecast==3.3.0 safetensors transformers==5.24.0 && venv/bin/pip install --no-deps xlstm==2.0.4
    venv/bin/python bench/python/nf_golden.py [NAME ...]

Each configuration is built small, every parameter and running statistic is overwritten with seeded noise, and a file
`crates/mayfly-forecast/tests/golden/NAME.safetensors` is written with the parameters by the names of the state dict,
the inputs of two windows, the output in evaluation mode (and what it is the sum of, for stacks), and the gradients of `sum(output * functional)` in training
mode without dropout. The metadata has the family, the sizes and the settings.

Multivariate families: three series, which are the first dimension behind the batch in the files (`[rows, series, time,
columns]`, outputs `[rows, series, h, outputs]`). With several outputs a step, families that bring each series back to its
own scale write their last dimension as outputs x series; NeuralForecast's losses then read it as series x outputs, which
gives a series the scale of another. The files have what the module computed for each series.

TimeLLM reads a GPT-2 of random weights, and tokens that stand in the file instead of those of its sentence, whose figures are
rounded in other ways elsewhere. `tokenizer` writes `crates/mayfly-forecast/tests/tokenizer.json`: a byte-level vocabulary that
Hugging Face's tokenizers trained, texts with their tokens, and windows with the sentences that NeuralForecast writes about them.
"""

import json
import pathlib
import sys
import types
import warnings

warnings.filterwarnings("ignore")

import neuralforecast.models as nf
import tokenizers
import torch
import transformers
from neuralforecast.losses.pytorch import MAE, IQLoss, MQLoss
from safetensors.torch import save_file
from xlstm.blocks.slstm.block import sLSTMBlockConfig
from xlstm.blocks.slstm.layer import sLSTMLayerConfig

# NeuralForecast asks for xLSTM's CUDA code, which machines without a GPU cannot build: its own cell in Python computes the same.
sys.modules["neuralforecast.models.xlstm"].sLSTMBlockConfig = lambda: sLSTMBlockConfig(slstm=sLSTMLayerConfig(backend="vanilla"))

L, H, ROWS = 16, 6, 2
# Batch norm over two rows is hardly more than a sign.
SERIES, MANY_ROWS = 3, 5
HERE = pathlib.Path(__file__).resolve().parents[2] / "crates/mayfly-forecast/tests/golden"

EXOGENOUS = {"hist": 2, "futr": 3, "stat": 2}
# Words of the column of categories that each kind has behind these where a case says `cat`.
WORDS = {"hist": 4, "futr": 3, "stat": 2}
UNITS = [[8, 8], [8, 8]]
STACKS = ["identity", "trend", "seasonality"]

# NAME: (family, settings, kinds of exogenous columns, `cat` among them for categories of every kind, outputs a step[, horizon])
CASES = {
    "dlinear": ("DLinear", {"moving_avg_window": 5}, "", 1),
    "dlinear_mq": ("DLinear", {"moving_avg_window": 5}, "", 3),
    "nlinear": ("NLinear", {}, "", 1),
    "nlinear_mq": ("NLinear", {}, "", 3),
    "mlp": ("MLP", {"hidden_size": 8}, "", 1),
    "mlp_exog": ("MLP", {"hidden_size": 8, "num_layers": 3}, "hist futr stat", 3),
    "nhits": ("NHITS", {"mlp_units": UNITS}, "", 1),
    "nhits_mq": ("NHITS", {"mlp_units": UNITS, "n_blocks": [2, 1, 1], "activation": "Tanh"}, "", 3),
    "nhits_exog": ("NHITS", {"mlp_units": UNITS, "n_pool_kernel_size": [5, 3, 1]}, "hist futr stat", 3),
    "nhits_average": ("NHITS", {"mlp_units": UNITS, "pooling_mode": "AvgPool1d", "n_pool_kernel_size": [5, 2, 1], "interpolation_mode": "nearest"}, "futr", 1),
    "nhits_cubic": ("NHITS", {"mlp_units": UNITS, "interpolation_mode": "cubic-1", "n_freq_downsample": [3, 2, 1]}, "", 1),
    "nbeats": ("NBEATS", {"mlp_units": UNITS}, "", 1),
    "nbeats_mq": ("NBEATS", {"mlp_units": UNITS, "n_blocks": [1, 2, 1], "activation": "SELU"}, "", 3),
    "nbeats_shared": ("NBEATS", {"mlp_units": UNITS, "n_blocks": [2, 1, 2], "shared_weights": True, "n_harmonics": 1}, "", 1),
    **{
        f"nbeats_{basis}": ("NBEATS", {"mlp_units": UNITS, "stack_types": ["trend"], "n_blocks": [1], "n_basis": 4, "basis": basis}, "", 1)
        for basis in ["legendre", "chebyshev", "changepoint", "piecewise_linear", "linear_hat", "spline"]
    },
    "nbeatsx": ("NBEATSx", {"mlp_units": UNITS}, "", 1),
    "nbeatsx_exog": ("NBEATSx", {"mlp_units": UNITS, "stack_types": STACKS + ["exogenous"], "n_blocks": [1, 1, 1, 2], "n_polynomials": 3}, "hist futr stat", 3),
    "nbeatsx_stat": ("NBEATSx", {"mlp_units": UNITS, "stack_types": ["exogenous", "identity"], "n_blocks": [1, 1]}, "stat", 1),
    "tide": ("TiDE", {"hidden_size": 8, "decoder_output_dim": 4, "temporal_decoder_dim": 8, "dropout": 0.0}, "", 3),
    "tide_exog": ("TiDE", {"hidden_size": 8, "decoder_output_dim": 4, "temporal_decoder_dim": 8, "dropout": 0.0, "num_encoder_layers": 2, "num_decoder_layers": 2}, "hist futr stat", 3),
    "tide_plain": ("TiDE", {"hidden_size": 8, "decoder_output_dim": 4, "temporal_decoder_dim": 8, "dropout": 0.0, "layernorm": False}, "hist futr", 1),
    **{
        name.lower() + kind: (name, {"encoder_hidden_size": 6, "decoder_hidden_size": 5, **settings}, exogenous, outputs)
        for name in ["RNN", "LSTM", "GRU"]
        for kind, settings, exogenous, outputs in [
            ("", {}, "", 1),
            ("_exog", {"decoder_layers": 3, "decoder_activation": "Tanh"}, "hist futr stat", 3),
            ("_plain", {"encoder_bias": False, "encoder_n_layers": 1, "decoder_layers": 1}, "futr", 1),
        ]
    },
    "rnn_recurrent": ("RNN", {"encoder_hidden_size": 4, "encoder_n_layers": 2, "recurrent": True}, "", 1, 1),
    "gru_recurrent": ("GRU", {"encoder_hidden_size": 4, "recurrent": True}, "hist futr stat", 3, 1),
    "lstm_recurrent": ("LSTM", {"encoder_hidden_size": 4, "recurrent": True}, "hist futr stat", 3, 1),
    "deepar": ("DeepAR", {"lstm_hidden_size": 4, "lstm_dropout": 0.0}, "", 3, 1),
    "deepar_exog": ("DeepAR", {"lstm_hidden_size": 4, "lstm_dropout": 0.0, "lstm_n_layers": 1, "decoder_hidden_layers": 2, "decoder_hidden_size": 5, "decoder_activation": "Tanh"}, "hist futr stat", 1, 1),
    "lstm_longer": ("LSTM", {"encoder_hidden_size": 4, "decoder_hidden_size": 5}, "futr", 1, 20),
    "tcn": ("TCN", {"encoder_hidden_size": 6, "decoder_hidden_size": 5}, "", 1),
    "tcn_exog": ("TCN", {"encoder_hidden_size": 6, "decoder_hidden_size": 5, "kernel_size": 3, "dilations": [1, 3], "decoder_layers": 3}, "hist futr stat", 3),
    "bitcn": ("BiTCN", {"hidden_size": 5, "dropout": 0.0}, "", 3),
    "bitcn_exog": ("BiTCN", {"hidden_size": 4, "dropout": 0.0}, "hist futr stat", 1),
    "vanilla": ("VanillaTransformer", {"hidden_size": 8, "n_head": 2, "conv_hidden_size": 6, "dropout": 0.0}, "", 1),
    "vanilla_exog": ("VanillaTransformer", {"hidden_size": 8, "n_head": 4, "conv_hidden_size": 6, "dropout": 0.0, "activation": "relu", "encoder_layers": 1, "decoder_layers": 2, "decoder_input_size_multiplier": 0.3}, "futr", 3),
    "kan": ("KAN", {"hidden_size": 5}, "", 1),
    "kan_exog": ("KAN", {"hidden_size": [5, 4], "n_hidden_layers": 2, "grid_size": 3, "spline_order": 2, "grid_range": [-2, 1]}, "hist futr stat", 3),
    **{
        f"dilatedrnn_{cell.lower()}": ("DilatedRNN", {"cell_type": cell, "dilations": dilations, "encoder_hidden_size": 4, "decoder_hidden_size": 5}, kinds, outputs)
        for cell, dilations, kinds, outputs in [
            ("LSTM", [[1, 2], [4, 8]], "", 1),
            ("GRU", [[3], [5, 1]], "hist futr stat", 3),
            ("RNN", [[2], [3]], "", 1),
            ("ResLSTM", [[1, 3], [2]], "futr", 1),
            ("AttentiveLSTM", [[2, 3]], "", 3),
        ]
    },
    "patchtst": ("PatchTST", {"hidden_size": 8, "n_heads": 2, "linear_hidden_size": 6, "patch_len": 4, "stride": 2, "dropout": 0.0}, "", 1),
    "patchtst_mq": ("PatchTST", {"hidden_size": 8, "n_heads": 4, "linear_hidden_size": 6, "patch_len": 5, "stride": 3, "dropout": 0.0, "encoder_layers": 2, "revin_subtract_last": False, "revin_affine": True, "activation": "relu"}, "", 3),
    "patchtst_plain": ("PatchTST", {"hidden_size": 8, "n_heads": 1, "linear_hidden_size": 6, "patch_len": 99, "dropout": 0.0, "revin": False, "res_attention": False, "batch_normalization": True, "learn_pos_embed": False}, "", 1),
    "tft": ("TFT", {"hidden_size": 8, "n_head": 2, "dropout": 0.0}, "", 1),
    "tft_exog": ("TFT", {"hidden_size": 8, "n_head": 4, "dropout": 0.0, "n_rnn_layers": 2}, "hist futr stat", 3),
    "tft_gru": ("TFT", {"hidden_size": 6, "n_head": 1, "dropout": 0.0, "n_rnn_layers": 2, "rnn_type": "gru", "grn_activation": "SELU"}, "hist stat", 1),
    "tft_one": ("TFT", {"hidden_size": 6, "n_head": 2, "dropout": 0.0, "n_rnn_layers": 2, "one_rnn_initial_state": True, "grn_activation": "Tanh"}, "stat", 1),
    "informer": ("Informer", {"hidden_size": 8, "n_head": 2, "conv_hidden_size": 6, "dropout": 0.0}, "", 1),
    "informer_exog": ("Informer", {"hidden_size": 8, "n_head": 4, "conv_hidden_size": 6, "dropout": 0.0, "factor": 1, "activation": "relu", "encoder_layers": 3, "decoder_layers": 2}, "futr", 3),
    "informer_plain": ("Informer", {"hidden_size": 8, "n_head": 2, "conv_hidden_size": 6, "dropout": 0.0, "factor": 2, "distil": False}, "", 1),
    "autoformer": ("Autoformer", {"hidden_size": 8, "n_head": 2, "conv_hidden_size": 6, "dropout": 0.0, "MovingAvg_window": 5}, "", 1),
    "autoformer_exog": ("Autoformer", {"hidden_size": 8, "n_head": 4, "conv_hidden_size": 6, "dropout": 0.0, "MovingAvg_window": 7, "factor": 1, "activation": "relu", "encoder_layers": 1, "decoder_layers": 2, "decoder_input_size_multiplier": 0.3}, "futr", 3),
    "fedformer": ("FEDformer", {"hidden_size": 16, "conv_hidden_size": 6, "dropout": 0.0, "MovingAvg_window": 5, "modes": 4}, "", 1),
    "fedformer_exog": ("FEDformer", {"hidden_size": 16, "conv_hidden_size": 6, "dropout": 0.0, "MovingAvg_window": 7, "activation": "relu", "encoder_layers": 1, "decoder_layers": 2}, "futr", 3),
    "xlstm": ("xLSTM", {"encoder_hidden_size": 6, "decoder_hidden_size": 5, "encoder_dropout": 0.0, "encoder_n_blocks": 1}, "", 1),
    "xlstm_exog": ("xLSTM", {"encoder_hidden_size": 4, "decoder_hidden_size": 5, "encoder_dropout": 0.0, "encoder_bias": False, "decoder_activation": "ELU", "decoder_layers": 3}, "hist futr stat", 3),
    "xlstm_slstm": ("xLSTM", {"encoder_hidden_size": 8, "decoder_hidden_size": 5, "encoder_dropout": 0.0, "encoder_n_blocks": 1, "backbone": "sLSTM"}, "", 1),
    "xlstm_slstm_exog": ("xLSTM", {"encoder_hidden_size": 4, "decoder_hidden_size": 5, "encoder_dropout": 0.0, "backbone": "sLSTM"}, "hist futr stat", 3),
    "timesnet": ("TimesNet", {"hidden_size": 4, "conv_hidden_size": 3, "top_k": 3, "num_kernels": 3, "dropout": 0.0}, "", 1),
    "timesnet_exog": ("TimesNet", {"hidden_size": 6, "conv_hidden_size": 4, "top_k": 5, "num_kernels": 2, "encoder_layers": 3, "dropout": 0.0}, "futr", 3),
    "timellm": ("TimeLLM", {"patch_len": 5, "stride": 3, "d_ff": 6, "d_llm": 16, "d_model": 4, "n_heads": 2, "top_k": 3, "prompt_prefix": "Sales. ", "dropout": 0.0}, "", 1),
    "mlpmultivariate": ("MLPMultivariate", {"hidden_size": 8}, "", 1),
    "mlpmultivariate_exog": ("MLPMultivariate", {"hidden_size": 8, "num_layers": 3}, "hist futr stat", 3),
    "tsmixer": ("TSMixer", {"ff_dim": 5, "dropout": 0.0}, "", 1),
    "tsmixer_mq": ("TSMixer", {"ff_dim": 5, "dropout": 0.0, "n_block": 1}, "", 3),
    "tsmixer_plain": ("TSMixer", {"ff_dim": 5, "dropout": 0.0, "revin": False}, "", 1),
    "tsmixerx": ("TSMixerx", {"ff_dim": 5}, "", 1),
    "tsmixerx_exog": ("TSMixerx", {"ff_dim": 5, "n_block": 3}, "hist futr stat", 3),
    "tsmixerx_plain": ("TSMixerx", {"ff_dim": 6, "revin": False, "n_block": 1}, "futr", 1),
    "itransformer": ("iTransformer", {"hidden_size": 8, "n_heads": 2, "d_ff": 6, "dropout": 0.0}, "", 3),
    "itransformer_exog": ("iTransformer", {"hidden_size": 8, "n_heads": 4, "d_ff": 6, "e_layers": 1, "dropout": 0.0, "use_norm": False}, "futr", 1),
    "softs": ("SOFTS", {"hidden_size": 8, "d_core": 5, "d_ff": 6, "dropout": 0.0}, "", 3),
    "softs_plain": ("SOFTS", {"hidden_size": 7, "d_core": 4, "d_ff": 6, "e_layers": 1, "dropout": 0.0, "use_norm": False}, "", 1),
    "softssharp": ("SOFTSSharp", {"hidden_size": 8, "d_core": 5, "d_ff": 6, "dropout": 0.0}, "", 1),
    "softssharp_mq": ("SOFTSSharp", {"hidden_size": 6, "d_core": 4, "d_ff": 6, "e_layers": 1, "pe_keep_prob": 0.25, "dropout": 0.0}, "", 3),
    "stemgnn": ("StemGNN", {"multi_layer": 1, "dropout_rate": 0.0}, "", 1),
    "timexer": ("TimeXer", {"hidden_size": 8, "n_heads": 2, "d_ff": 6, "patch_len": 4, "dropout": 0.0}, "", 1),
    "timexer_exog": ("TimeXer", {"hidden_size": 8, "n_heads": 4, "d_ff": 6, "patch_len": 8, "e_layers": 1, "dropout": 0.0}, "hist stat", 3),
    "timexer_plain": ("TimeXer", {"hidden_size": 8, "n_heads": 1, "d_ff": 6, "patch_len": 16, "dropout": 0.0, "use_norm": False}, "stat", 1),
    "timemixer": ("TimeMixer", {"d_model": 6, "d_ff": 6, "e_layers": 2, "moving_avg": 5, "dropout": 0.0}, "", 1),
    "timemixer_mq": ("TimeMixer", {"d_model": 6, "d_ff": 6, "e_layers": 1, "moving_avg": 3, "down_sampling_layers": 2, "down_sampling_method": "max", "dropout": 0.0}, "", 3),
    "timemixer_apart": ("TimeMixer", {"d_model": 6, "d_ff": 6, "e_layers": 2, "moving_avg": 5, "down_sampling_layers": 2, "channel_independence": 1, "dropout": 0.0, "use_norm": False}, "", 1),
    "xlinear": ("XLinear", {"hidden_size": 6, "temporal_ff": 7, "channel_ff": 3}, "", 1),
    "xlinear_exog": ("XLinear", {"hidden_size": 6, "temporal_ff": 7, "channel_ff": 6}, "hist futr stat", 3),
    "xlinear_plain": ("XLinear", {"hidden_size": 6, "temporal_ff": 7, "channel_ff": 3, "use_norm": False}, "futr", 1),
    "rmok": ("RMoK", {"dropout": 0.0}, "", 1),
    "rmok_mq": ("RMoK", {"dropout": 0.0, "taylor_order": 2, "jacobi_degree": 3, "wavelet_function": "morlet", "revin_affine": False}, "", 3),
    **{
        f"rmok_{wavelet}": ("RMoK", {"dropout": 0.0, "taylor_order": 1, "jacobi_degree": 1, "wavelet_function": wavelet}, "", 1)
        for wavelet in ["dog", "meyer", "shannon"]
    },
    # With the layer of IQLoss behind: names that end so.
    "mlp_iq": ("MLP", {"hidden_size": 8}, "", 1),
    "tsmixer_iq": ("TSMixer", {"ff_dim": 5, "dropout": 0.0, "n_block": 1}, "", 1),
    "deepnpts": ("DeepNPTS", {"hidden_size": 8, "dropout": 0.0}, "", 1),
    "mlp_cat": ("MLP", {"hidden_size": 8}, "hist futr stat cat", 1),
    "nhits_cat": ("NHITS", {"mlp_units": UNITS}, "hist futr stat cat", 1),
    "tide_cat": ("TiDE", {"hidden_size": 8, "decoder_output_dim": 4, "temporal_decoder_dim": 8, "dropout": 0.0}, "hist futr stat cat", 3),
    "gru_cat": ("GRU", {"encoder_hidden_size": 6, "decoder_hidden_size": 5}, "hist futr stat cat", 1),
    "lstm_cat": ("LSTM", {"encoder_hidden_size": 4, "recurrent": True}, "hist futr stat cat", 3, 1),
    "vanilla_cat": ("VanillaTransformer", {"hidden_size": 8, "n_head": 2, "conv_hidden_size": 6, "dropout": 0.0}, "futr cat", 1),
    "mlpmultivariate_cat": ("MLPMultivariate", {"hidden_size": 8}, "hist futr stat cat", 1),
    "tsmixerx_cat": ("TSMixerx", {"ff_dim": 5}, "hist futr stat cat", 1),
    "timexer_cat": ("TimeXer", {"hidden_size": 8, "n_heads": 2, "d_ff": 6, "patch_len": 4, "dropout": 0.0}, "hist stat cat", 1),
    "deepnpts_exog": ("DeepNPTS", {"hidden_size": 8, "dropout": 0.0, "batch_norm": False, "n_layers": 3}, "hist futr stat", 1),
}


def attentive(self, inputs, hidden):
    """What AttentiveLSTMLayer.forward means: NeuralForecast 3.3.0 gives `torch.cat` a tuple and fails."""
    outputs = []
    for _ in range(len(inputs)):
        hx, cx = (state.squeeze(0) for state in hidden)
        x = torch.cat((inputs, hx.repeat(len(inputs), 1, 1), cx.repeat(len(inputs), 1, 1)), dim=-1)
        beta = self.softmax(self.attn_layer(x))
        context = torch.bmm(beta.permute(1, 2, 0), inputs.permute(1, 0, 2)).squeeze(1)
        out, hidden = self.cell(context, hidden)
        outputs.append(out)
    return torch.stack(outputs), hidden


nf.dilated_rnn.AttentiveLSTMLayer.forward = attentive


class Drawn:
    """Numbers that modules draw at random, the same in every pass."""

    def __init__(self, seed):
        self.all, self.at = [], 0
        self.generator = torch.Generator().manual_seed(seed)

    def again(self):
        self.at = 0

    def randint(self, below, shape):
        if self.at == len(self.all):
            self.all.append(torch.randint(below, shape, generator=self.generator))
        self.at += 1
        return self.all[self.at - 1]

    def multinomial(self, ratio, _):
        """By numbers between 0 and 1, so that others can draw the same."""
        if self.at == len(self.all):
            self.all.append(torch.rand(len(ratio), generator=self.generator))
        self.at += 1
        return (ratio.cumsum(1) <= self.all[self.at - 1].unsqueeze(1)).sum(1, keepdim=True).clamp(max=ratio.shape[1] - 1)

    def rand(self, *_, **__):
        return torch.zeros(1)


class DrawnTorch:
    """torch, with numbers of `drawn`."""

    drawn = None

    def __getattr__(self, name):
        own = name in ["randint", "multinomial", "rand"]
        return getattr(self.drawn if own else torch, name)


nf.informer.torch = nf.softs.torch = nf.softssharp.torch = DrawnTorch()

# A language model of random weights in the place of one from a hub; `Told` turns its sentences into tokens.
LLM = transformers.GPT2Config(vocab_size=20, n_positions=40, n_embd=16, n_layer=2, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
PROMPT = 9


class Told:
    """A tokeniser that keeps what it is given: every sentence is the same number of tokens."""

    eos_token = "<|endoftext|>"

    def __call__(self, texts, **_):
        self.texts = texts
        ids = lambda text: [(ord(text[-7 * (i + 2)]) * (i + 3)) % LLM.vocab_size for i in range(PROMPT)]
        self.ids = torch.tensor([ids(text) for text in texts])
        return types.SimpleNamespace(input_ids=self.ids)


from_pretrained = lambda make: types.SimpleNamespace(from_pretrained=lambda *_, **__: make())
nf.timellm.AutoConfig = from_pretrained(lambda: LLM)
nf.timellm.AutoModel = from_pretrained(lambda: transformers.GPT2Model(LLM))
nf.timellm.AutoTokenizer = from_pretrained(Told)


# The quantiles that files of IQLoss have.
QUANTILES = [0.5, 0.1, 0.9]


def implicit(model, y, shares, quantiles):
    """What IQLoss makes of outputs: the quantiles that are asked for, or one for each drawn share."""
    if not quantiles:
        model.loss.has_predicted = False
        model.loss._sample_quantiles = lambda sample_size, device: shares.reshape(*sample_size, 1)
        return model.loss.domain_map(y)
    made = []
    for q in quantiles:
        model.loss.update_quantile([q])
        made.append(model.loss.domain_map(y))
    return torch.stack(made, dim=-1)


def columns_of(kinds):
    """The names of the columns of each kind; those of categories are the last."""
    words = ["words"] if "cat" in kinds.split() else []
    return {kind: [f"{kind}_{i}" for i in [*range(n), *words]] for kind, n in EXOGENOUS.items() if kind in kinds.split()}


def model_of(family, settings, kinds, outputs, h, is_implicit):
    names = columns_of(kinds)
    exogenous = {f"{kind}_exog_list": columns for kind, columns in names.items()}
    if "cat" in kinds.split():
        words = {f"{kind}_words": WORDS[kind] for kind in names}
        exogenous |= {"cat_exog_list": list(words), "categorical_cardinalities": words}
    loss = IQLoss() if is_implicit else MAE() if outputs == 1 else MQLoss(level=[80])
    assert loss.outputsize_multiplier == outputs
    many = {"n_series": SERIES} if getattr(nf, family).MULTIVARIATE else {}
    return getattr(nf, family)(h=h, input_size=L, loss=loss, valid_loss=loss, **settings, **exogenous, **many)


# Families that read their last dimension as series x outputs.
SERIES_FIRST = ["MLPMultivariate", "TimeMixer"]
# Parameters that NeuralForecast's modules have and never use.
UNUSED = {"RMoK": ["weight1"], "StemGNN": ["backcast_short_cut"], "DilatedRNN": ["weight_ir"], "TFT": ["lin_c"], "TimeMixer": ["out_cross_layer", "layer_norm", "cross_layer", "normalize_layers", "temporal_embedding"]}


# Families whose forecasts are sums of what their stacks add; NeuralForecast tells the parts of one output a step only.
STACKS_OF = ["NBEATS", "NBEATSx", "NHITS"]


def choices_of(model):
    """What TFT chose in its last pass: static columns, columns of the past and of the horizon, times."""
    told = model.interpretability_params
    static = told["static_encoder_sparse_weights"]
    kept = [static] if len(static) else []
    kept += [told["history_vsn_wgts"], told["future_vsn_wgts"], told["attn_wts"].mean(dim=1)]
    return torch.cat([t.flatten(1) for t in kept], dim=1).clone()


def as_on_gpu(name, t):
    """sLSTM's cell as its CUDA code keeps it, which NeuralForecast's files come from: heads first, each with its gates."""
    if name.endswith("._recurrent_kernel_"):
        return t.transpose(1, 2)
    if name.endswith("slstm_cell._bias_"):
        return t.reshape(4, 4, -1).transpose(0, 1).reshape(-1)
    return t


def parts_of(model, batch, settings):
    """Level and stacks, `[rows, 1 + stacks, h]`, from NeuralForecast's parts, which are level and blocks."""
    model.decompose_forecast = True
    blocks = model({n: None if t is None else t.clone() for n, t in batch.items()})
    model.decompose_forecast = False
    stacks = blocks[:, 1:].split(settings.get("n_blocks", [1, 1, 1]), dim=1)
    return torch.stack([blocks[:, 0]] + [stack.sum(1) for stack in stacks], dim=1)


def as_output(family, y, rows, h, outputs):
    """`[rows, h, outputs]`, or `[rows, series, h, outputs]`."""
    if not getattr(nf, family).MULTIVARIATE:
        return y.reshape(rows, h, outputs)
    if family in SERIES_FIRST:
        return y.reshape(rows, h, SERIES, outputs).permute(0, 2, 1, 3)
    return y.reshape(rows, h, outputs, SERIES).permute(0, 3, 1, 2)


def noise(model, generator):
    """Overwrites what is learnt and what is counted."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.8 - 0.4)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) - 0.5)
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)


def noise_given(model, generator):
    """Overwrites the language model, which is not learnt; large enough that every part of it shows."""
    with torch.no_grad():
        for name, parameter in model.llm.named_parameters():
            middle = 1.0 if "ln_" in name and name.endswith("weight") else 0.0
            parameter.copy_(torch.rand(parameter.shape, generator=generator) * 1.2 - 0.6 + middle)
    # Always 0.1, whatever is asked for.
    model.reprogramming_layer.dropout.p = 0.0


def seen(model, batch):
    """The batch as modules get it: with what stands for words in place of their numbers."""
    batch = {n: None if t is None else t.clone() for n, t in batch.items()}
    for kind in EXOGENOUS:
        n = f"{kind}_exog"
        if batch[n] is None or not model.cat_exog_list:
            continue
        turned = (lambda t: t.transpose(1, -1)) if model.MULTIVARIATE and kind != "stat" else (lambda t: t)
        lists = [getattr(model, f"{kind}{part}") for part in ["_exog_list", "_cat_exog_list", "_cat_embeddings"]]
        batch[n] = turned(model._embed_stream(turned(batch[n]), *lists))
    return batch


def write(name):
    family, settings, kinds, outputs, *rest = CASES[name]
    h = rest[0] if rest else H
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    rand = lambda *shape: torch.rand(*shape, generator=generator) * 4 - 2
    names = columns_of(kinds)
    is_implicit = name.endswith("_iq")
    model = model_of(family, settings, kinds, outputs, h, is_implicit)
    noise(model, generator)
    if family == "TimeLLM":
        noise_given(model, generator)
    many = model.MULTIVARIATE
    rows, series = MANY_ROWS if many or family == "PatchTST" else ROWS, SERIES if many else 1
    mask = torch.ones(rows, L, series)
    mask[0, 3] = 0  # an unknown value, which is 0
    mask[1, :2] = 0
    batch = {"insample_y": rand(rows, L, series) * mask, "insample_mask": mask}
    inputs = dict(batch)
    for kind, times in {"hist": (L,), "futr": (L + h,), "stat": ()}.items():
        columns, of = f"{kind}_exog", len(names.get(kind, []))
        if kind not in kinds.split():
            batch[columns] = None
        elif not many:
            batch[columns] = inputs[columns] = rand(rows, *times, of)
        elif kind == "stat":
            batch[columns] = rand(SERIES, of)
            inputs[columns] = batch[columns].repeat(rows, 1, 1)
        else:
            batch[columns] = rand(rows, of, *times, SERIES)
            inputs[columns] = batch[columns].permute(0, 3, 2, 1)
        if kind in names and "cat" in kinds.split():
            # The numbers of words, 0 for one that is not known.
            ids = inputs[columns][..., -1]
            ids.copy_(((ids + 2) / 4 * (WORDS[kind] + 1)).floor())
            if many and kind == "stat":
                batch[columns] = inputs[columns][0]
                inputs[columns] = batch[columns].repeat(rows, 1, 1)
    if many:
        inputs |= {n: inputs[n].permute(0, 2, 1) for n in ["insample_y", "insample_mask"]}
    if model.RECURRENT:
        # Columns stand a step ahead of the series; those known to the cutoff are 0 behind it.
        shifted = {"hist_exog": lambda t: torch.cat((t[:, 1:], torch.zeros_like(t[:, :1])), dim=1), "futr_exog": lambda t: t[:, 1:]}
        batch |= {n: shift(batch[n]) for n, shift in shifted.items() if batch[n] is not None}
    shares = torch.rand(rows, series, h, generator=generator) if is_implicit else None
    functional = rand(*((rows, SERIES, h, outputs) if many else (rows, h, outputs)))
    DrawnTorch.drawn = drawn = Drawn(7)
    result = lambda: drawn.again() or as_output(family, model(seen(model, batch)), rows, h, outputs)
    if is_implicit:
        plain, of_steps = result, (lambda t: t.permute(0, 2, 1)) if many else (lambda t: t)
        # As NeuralForecast has them: [rows, h, series].
        told = lambda quantiles: implicit(model, of_steps(plain().reshape(rows, series, h) if many else plain()), of_steps(shares) if many else shares, quantiles)
        as_rows = lambda t: (t if t.ndim > 3 else t.unsqueeze(-1)).permute(0, 2, 1, 3) if many else t
        result = lambda: as_rows(told(QUANTILES if not model.training else []))
        inputs["shares"] = shares
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    tensors = {f"param/{n}": p.detach().clone() for n, p in model.named_parameters(remove_duplicate=True) if p.requires_grad}
    tensors |= {f"buffer/{n}": b for n, b in buffers.items() if n.endswith(("running_mean", "running_var"))}
    # Parameters that are not learnt but used all the same.
    tensors |= {f"param/{n}": p.detach().clone() for n, p in model.named_parameters() if n.endswith("W_pos")}
    if family == "TimeLLM":
        # By the names of the language model: the table of tokens has another of its own in TimeLLM.
        tensors |= {f"param/llm.{n}": p.detach().clone() for n, p in model.llm.named_parameters()}
    tensors |= {f"input/{n}": t for n, t in inputs.items()}
    model.eval()
    if family == "TimesNet":
        # The mean strength of frequencies over the batch, which forecasts of ours take from training.
        def strength(i):
            def hook(_, inputs, __):
                tensors[f"buffer/model.{i}.amplitude"] = torch.fft.rfft(inputs[0].detach(), dim=1).abs().mean(0).mean(-1)
            return hook
        hooks = [block.register_forward_hook(strength(i)) for i, block in enumerate(model.model)]
        result()
        [hook.remove() for hook in hooks]
    with torch.no_grad():
        tensors["output"] = result().clone()
        if family in STACKS_OF and outputs == 1:
            tensors["parts"] = parts_of(model, batch, settings)
        if family == "TFT":
            tensors["choices"] = choices_of(model)
    model.train()
    (result() * functional).sum().backward()
    tensors["functional"] = functional
    for n, p in model.named_parameters(remove_duplicate=True):
        if p.requires_grad and (p.grad is None or "stat" not in kinds and not p.grad.any()) and any(part in n for part in UNUSED.get(family, [])):
            del tensors[f"param/{n}"]
        elif p.requires_grad:
            tensors[f"grad/{n}"] = (torch.zeros_like(p) if p.grad is None else p.grad).clone()
    if family == "FEDformer":
        encoder, decoder = model.encoder.attn_layers[0].attention, model.decoder.layers[0]
        own, between = decoder.self_attention.inner_correlation, decoder.cross_attention.inner_correlation
        indices = [encoder.inner_correlation.index, own.index, between.index_q, between.index_kv]
        settings = settings | {"modes_index": indices}
    if drawn.all:
        settings = settings | {"judged_by" if family == "Informer" else "drawn_by": [numbers.tolist() for numbers in drawn.all]}
    if family == "StemGNN":
        # The mean over the batch, which forecasts of ours take from training.
        attention = model.self_graph_attention(model.GRU(batch["insample_y"].permute(2, 0, 1))[0].permute(1, 0, 2))
        tensors["buffer/attention"] = attention.mean(0).detach()
    if family == "TimeLLM":
        tensors["input/prompt"] = model.llm_tokenizer.ids
        sizes = ["vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "layer_norm_epsilon", "activation_function"]
        settings = settings | {"llm_config": {n: getattr(LLM, n) for n in sizes}}
    facts = {"family": family, "h": h, "input_size": L, "outputs": outputs, "settings": settings}
    facts |= {"prompt": PROMPT} if family == "TimeLLM" else {}
    facts |= {"series": SERIES} if many else {}
    facts |= {kind: len(names.get(kind, [])) for kind in EXOGENOUS}
    facts |= {"words": {kind: [WORDS[kind]] for kind in names}} if "cat" in kinds.split() else {}
    facts |= {"quantiles": QUANTILES} if is_implicit else {}
    as_real = lambda t: torch.view_as_real(t.detach()) if t.is_complex() else t
    tensors = {n: as_on_gpu(n, as_real(t)).float().contiguous() for n, t in tensors.items()}
    save_file(tensors, HERE / f"{name}.safetensors", metadata={"golden": json.dumps(facts)})
    print(name, sum(t.numel() for t in tensors.values()))


TEXTS = [
    "",
    " ",
    "min value -1.5377743244171143, max value 2.0",
    "It's 12.5% — we'll see, they've 3½ of N° ٣٤!",
    "tabs\tand  spaces\n\n  x   ",
    "Grüße, 東京 और किताब ⓐb \u00a0nbsp\u2003wide é e\u0301",
    "a<|endoftext|> b<|endoftext|><|endoftext|>c <|endof",
    "'s'S'd'lln't can't 'REd",
    "🙂👍🏽 \u200b\ufeff\x00\x7f",
    "<|start_prompt|>NoneTask description: 0123456789 1e-05 [0, 12, 24]<|<end_prompt>|>",
]
WINDOWS = [(16, 6, 5, None), (15, 4, 5, "Sales of shoes, daily. "), (48, 12, 5, None), (21, 3, 3, "Größe: "), (24, 24, 7, ""), (36, 12, 5, "x")]


def write_tokenizer():
    """Texts, tokens and sentences."""
    generator = torch.Generator().manual_seed(5)
    prompts = []
    for i, (size, h, top_k, prefix) in enumerate(WINDOWS):
        model = nf.TimeLLM(h=h, input_size=size, patch_len=4, stride=2, d_ff=4, d_llm=16, n_heads=2, top_k=top_k, llm="none", prompt_prefix=prefix)
        times = torch.arange(size)
        window = torch.rand(1, size, 1, generator=generator) * 3 + ((-1) ** i * 0.2 * times + 4 * torch.sin(times * 0.7)).reshape(1, size, 1)
        normed = model.normalize_layers(window, "norm")
        with torch.no_grad():
            model({"insample_y": window})
        lags = model.calcute_lags(normed.permute(0, 2, 1).reshape(1, size, 1))[0].tolist()
        values = lambda t: t.flatten().tolist()
        prompts.append({"h": h, "top_k": top_k, "prefix": prefix, "window": values(window), "normed": values(normed), "lags": lags, "text": model.llm_tokenizer.texts[0]})
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train_from_iterator([prompt["text"] for prompt in prompts] + TEXTS, trainer)
    ids = lambda text: tokenizer.encode(text).ids
    prompts = [prompt | {"ids": ids(prompt["text"])} for prompt in prompts]
    texts = [{"text": text, "ids": ids(text)} for text in TEXTS]
    all = {"tokenizer": json.loads(tokenizer.to_str()), "prompts": prompts, "texts": texts}
    (HERE.parent / "tokenizer.json").write_text(json.dumps(all, ensure_ascii=False) + "\n")
    print("tokenizer", tokenizer.get_vocab_size())


if __name__ == "__main__":
    HERE.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or [*CASES, "tokenizer"]:
        write_tokenizer() if name == "tokenizer" else write(name)
