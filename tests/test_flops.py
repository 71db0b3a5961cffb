import keras
import pytest
import torch
import torch_ast
from keras import layers
from torch.utils.flop_counter import FlopCounterMode
from transformers import ASTConfig, ASTForAudioClassification

from keras_c2f.cost import NetworkCost, count_macs, network_cost, schedule_cost
from keras_c2f.layers import TimeCompression
from keras_c2f.models import AST, AudioClassifier
from keras_c2f.phases import Phase, PhaseSchedule
from keras_c2f.resolution import FrameShift, Patch, Pool

pytestmark = pytest.mark.once


def torch_macs(config):
    """As torch counts, without weights. A MAC is two of its FLOPs.

    On the "meta" device: on a CPU its attention operator is not counted.
    """
    with torch.device("meta"):
        model = ASTForAudioClassification(config).eval()
        clip = torch.empty(1, config.max_length, config.num_mel_bins)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(clip)
    return counter.get_total_flops() / 2


@pytest.fixture(scope="module")
def base():
    """AST-base of the paper, 10 s of AudioSet, patches overlapping by 6."""
    return AST.from_size("base", patch_stride=(10, 10))


def test_cost_of_the_papers_ast(base):
    model = AudioClassifier(base, 527)
    cost = network_cost(model)
    assert cost.num_tokens == 1212
    # Gong et al.: 86.6 M parameters. HF's port has 1536 more, the positions
    # of its two prefix tokens, which are summed into the tokens here.
    assert cost.num_parameters == 86_594_063 - 2 * 768
    assert cost.macs == torch_macs(ASTConfig(num_labels=527))
    assert round(cost.macs / 1e9, 1) == 130.5
    assert str(cost) == "1212 tokens, 131 GMACs a clip"
    assert NetworkCost(None, 1, 2_000_000).num_tokens is None


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("strides", [(16, 16), (10, 10), (16, 3)])
def test_equals_torch_on_a_small_ast(strides, attention):
    original = torch_ast.original(*strides)
    original.config._attn_implementation = attention
    model = torch_ast.ours(original)
    assert count_macs(model) == torch_macs(original.config)


def twelve_blocks(**options):
    """AST-base as one block, which is quick to build, and its cost of 12."""
    model = AST.from_size("base", depth=1, **options)
    block = model.get_layer("block_0")
    return model, count_macs(model) + 11 * count_macs(block, block.input.shape)


def test_cost_at_plain_stride():
    model, macs = twelve_blocks()
    config = ASTConfig(num_labels=0, frequency_stride=16, time_stride=16)
    assert model.num_tokens == 512
    assert macs == torch_macs(config)
    assert round(macs / 1e9, 1) == 48.6


@pytest.mark.parametrize("method", [FrameShift, Pool, Patch])
def test_halving_time_costs_less_than_half(method):
    """0.476 for AST-base at plain stride: attention is quadratic."""
    full, macs = twelve_blocks()
    coarse, coarse_macs = twelve_blocks(resolution=method(2))
    assert (full.num_tokens, coarse.num_tokens) == (512, 256)
    assert coarse_macs / macs == pytest.approx(0.476, rel=0.01)


# Keras' own layers, by hand


def one(layer, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, layer(*inputs))


def test_input_kinds_cost_the_same():
    """The network is what counts; making and pooling log-mel is left out."""
    sizes = {"num_frames": 32, "width": 8, "depth": 1, "num_heads": 2}
    costs = [
        count_macs(AudioClassifier(AST(**sizes, resolution="pool:2"), 3, kind))
        for kind in ("compressed", "log_mel")
    ]
    assert costs[0] == costs[1] > 0
    assert count_macs(one(TimeCompression("pool:2"), (8, 4))) == 0


@pytest.mark.parametrize(
    "layer, shape, macs",
    [
        (lambda: layers.Dense(4), (50, 8), 50 * 8 * 4),
        (lambda: layers.Dense(4), (5, 6, 8), 5 * 6 * 8 * 4),
        (lambda: layers.Conv1D(4, 3), (10, 8), 8 * 3 * 8 * 4),
        (
            lambda: layers.Conv2D(4, (3, 2), (2, 1)),
            (11, 8, 6),
            (5 * 7) * (3 * 2) * 6 * 4,
        ),
        (
            lambda: layers.Conv2D(4, 3, padding="same", groups=2),
            (8, 8, 6),
            64 * 9 * 3 * 4,
        ),
        (
            lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
            (8, 8, 6),
            36 * 9 * 6 * 2,
        ),
        (
            lambda: layers.Conv2DTranspose(4, 3, strides=2),
            (5, 7, 6),
            35 * 9 * 6 * 4,
        ),
        (
            lambda: layers.EinsumDense("abc,cd->abd", (None, 4)),
            (50, 8),
            50 * 8 * 4,
        ),
        (
            lambda: layers.EinsumDense("...x,xyz->...yz", (2, 4)),
            (7, 8),
            7 * 8 * 2 * 4,
        ),
        (
            lambda: layers.EinsumDense("abc,bd->adc", (4, 8)),
            (50, 8),
            50 * 8 * 4,
        ),
        (lambda: layers.LayerNormalization(), (50, 8), 0),
        (lambda: layers.BatchNormalization(), (50, 8), 0),
        (lambda: layers.Dropout(0.1), (50, 8), 0),
    ],
)
def test_layers_by_hand(layer, shape, macs):
    assert count_macs(one(layer(), shape)) == macs


def test_stem_by_hand():
    """9 x 12 of 13 x 14 numbers are used: patches of 3 x 12, three times."""
    from keras_c2f.layers import ConvStem

    layer = ConvStem(5, (1, 12), (2, 4), time_factor=3)
    steps = 3  # of 9 frames, from the first convolution on
    macs = steps * 6 * (9 * 3) * 2  # 9 frames x 3 bins, every second bin
    macs += steps * 3 * 9 * (2 * 2 + 2 * 2)
    macs += steps * 3 * 9 * (2 * 4 + 4 * 4)
    macs += steps * 1 * 3 * 4 * 5  # three bins are left
    assert count_macs(one(layer, (11, 14))) == macs


def test_attention_by_hand():
    layer = layers.MultiHeadAttention(num_heads=2, key_dim=4, value_dim=3)
    query, keys = 10, 6
    projections = query * 8 * 2 * 4 + keys * 8 * 2 * 4 + keys * 8 * 2 * 3
    output = query * 2 * 3 * 8
    attention = query * keys * 2 * (4 + 3)
    assert (
        count_macs(one(layer, (query, 8), (keys, 8)))
        == projections + output + attention
    )


def test_attention_to_itself_equals_ours():
    from keras_c2f.layers import SelfAttention

    inputs = keras.Input((10, 12))
    theirs = layers.MultiHeadAttention(num_heads=3, key_dim=4)
    theirs = keras.Model(inputs, theirs(inputs, inputs))
    assert count_macs(theirs) == count_macs(one(SelfAttention(3), (10, 12)))


def test_nested_models_by_hand():
    inner = keras.Sequential([keras.Input((5, 8)), layers.Dense(4)])
    inputs = keras.Input((5, 8))
    model = keras.Model(inputs, layers.Dense(2)(inner(inputs)))
    outer = keras.Sequential([keras.Input((5, 8)), model, layers.Dense(3)])
    assert count_macs(outer) == 5 * (8 * 4 + 4 * 2 + 2 * 3)


def test_layer_that_says_its_cost():
    class Costly(layers.Layer):
        def count_macs(self, input_shape):
            return 1000 * input_shape[1]

    assert count_macs(Costly(), (None, 7)) == 7000


def test_unknown_layers_are_named():
    model = one(layers.LSTM(3, name="memory"), (5, 8))
    with pytest.warns(UserWarning, match="cost of LSTM 'memory' is not known"):
        assert count_macs(model) == 0


def test_unknown_input_is_named():
    dense = layers.Dense(3)
    dense.build((None, 4))
    with pytest.warns(UserWarning, match="cost of Dense"):
        assert count_macs(dense) == 0
    assert count_macs(dense, (None, 4)) == 12


def test_cost_of_a_schedule_by_hand():
    phases = [Phase("pool:4", 2), Phase("pool:2", 3), Phase("full", 5)]
    costs = [NetworkCost(None, 1, macs) for macs in (10, 20, 40)]
    share = schedule_cost(PhaseSchedule(phases), costs, costs[-1])
    assert share == (2 * 10 + 3 * 20 + 5 * 40) / 400
