import contract
import keras
import numpy as np
import pytest
import torch
from contract import Case, numpy

from keras_c2f import layers
from keras_c2f.resolution import Resolution

CASES = [
    Case(
        layers.SelfAttention,
        {"num_heads": 3, "dropout": 0.2, "qkv_bias": False},
        shapes=((7, 12),),
        seed_generators=2,
        bfloat16_error=0.03,
    ),
    Case(
        layers.DropPath,
        {"rate": 0.5, "seed": 7},
        shapes=((5, 4), (3,), (2, 3, 4)),
        seed_generators=1,
    ),
    *(
        Case(
            block,
            {
                "num_heads": 3,
                "mlp_ratio": 2.5,
                "dropout": 0.2,
                "drop_path": 0.3,
                "epsilon": 1e-3,
            },
            shapes=((7, 12),),
            seed_generators=4,
            bfloat16_error=0.03,
        )
        for block in (layers.EncoderBlock, layers.PostNormBlock)
    ),
    Case(
        layers.WindowAttention,
        {
            "num_heads": 3,
            "grid_size": (4, 6),
            "window_size": (2, 3),
            "shift": (1, 2),
            "dropout": 0.2,
        },
        shapes=((24, 12),),
        seed_generators=2,
        bfloat16_error=0.03,
    ),
    Case(
        layers.WindowBlock,
        {
            "num_heads": 3,
            "grid_size": (4, 6),
            "window_size": (2, 3),
            "shift": (1, 2),
            "mlp_ratio": 2.5,
            "dropout": 0.2,
            "drop_path": 0.3,
            "epsilon": 1e-3,
        },
        shapes=((24, 12),),
        seed_generators=4,
        bfloat16_error=0.03,
    ),
    Case(
        layers.PatchMerging,
        {"grid_size": (4, 6), "epsilon": 1e-3},
        shapes=((24, 5),),
        bfloat16_error=0.02,
    ),
    Case(
        layers.TimeStretch,
        {"num_frames": 9},
        shapes=((7, 4), (9, 4), (2, 4), (20, 4)),
        bfloat16_error=0.02,
    ),
    Case(
        layers.PatchEmbedding,
        {
            "width": 6,
            "patch_size": (4, 5),
            "patch_stride": (3, 2),
            "time_factor": 2,
            "kernel_resize": "base",
            "bias_range": 0.2,
        },
        # 8 frames long, 6 apart: 1, 1, 2, 2, then 3 patches
        shapes=((19, 9), (8, 5), (13, 6), (14, 7), (15, 8), (20, 11)),
    ),
    Case(
        layers.ConvStem,
        {
            "width": 6,
            "patch_size": (4, 6),
            "channels": (3, 4),
            "time_factor": 2,
            "kernel_resize": "base",
        },
        # 8 frames long: 2, 1, 1, then 2 and 3 patches
        shapes=((19, 13), (8, 6), (15, 11), (16, 12), (24, 18)),
        bfloat16_error=0.03,
    ),
    Case(
        layers.PatchPrediction,
        {"patch_size": (2, 3), "resize": "pi"},
        shapes=((7, 12), (1, 12)),
        bfloat16_error=0.03,
    ),
    Case(
        layers.Patchify,
        {"patch_size": (4, 5)},
        shapes=((8, 10), (7, 9), (8, 9), (4, 5), (9, 11)),
    ),
    Case(
        layers.Patchout,
        {"rate": 0.4, "seed": 7},
        shapes=((30, 4), (1, 4)),
        seed_generators=1,
    ),
    Case(
        layers.PositionGrid,
        {"resize": "bicubic"},
        shapes=((3, 2, 6), (1, 4, 6)),
    ),
    Case(layers.PrefixTokens, {"num_tokens": 3}, shapes=((5, 6), (1, 6))),
    Case(
        layers.TokenMerging,
        {"rate": 0.4, "num_prefix_tokens": 2},
        shapes=((13, 6), (12, 6), (3, 6), (4, 6), (7, 6)),
    ),
    Case(layers.TokenStatistics, {}, shapes=((7, 6), (1, 6))),
    Case(
        layers.TokenPooling,
        {"pool_size": 3},
        shapes=((7, 2, 6), (3, 1, 6), (5, 2, 6), (6, 2, 6), (7, 6)),
    ),
    Case(
        layers.TimeConvolution,
        {
            "width": 6,
            "kernel_size": 5,
            "stride": 2,
            "time_factor": 2,
            "kernel_resize": "base",
        },
        # 10 steps long, 4 apart, 4 padded: 1, 1, 2, 3 steps
        shapes=((11, 4), (6, 4), (9, 4), (10, 4), (14, 4)),
        bfloat16_error=0.02,
    ),
    Case(
        layers.SinePositions,
        {"num_positions": 20, "time_factor": 3},
        shapes=((7, 6), (6, 6), (1, 4)),
    ),
    Case(
        layers.TimeCompression,
        {"resolution": Resolution.parse("shift:2+pool:3:max")},
        shapes=((24, 4), (6, 4), (11, 4), (12, 4), (13, 4), (17, 4)),
    ),
]
# Whose inputs are several, or outputs whole numbers: see `test_masks.py`.
ELSEWHERE = {"MaskEmbedding", "PatchComparison", "PatchMask"}
ELSEWHERE |= {"Frontend", "LogMel"}  # see `test_frontend.py`
ELSEWHERE |= {"enable_fused_training"}  # no layer: see `test_fused.py`
every_layer = pytest.mark.parametrize("case", CASES, ids=str)


def test_no_layer_is_left_out():
    tested = {case.cls.__name__ for case in CASES} | ELSEWHERE
    assert tested == set(layers.__all__)


@every_layer
def test_claimed_shape_is_the_real_shape(case):
    contract.check_shapes(case)


@every_layer
def test_every_argument_is_kept(case):
    contract.check_arguments(case)
    contract.check_config(case)


@every_layer
def test_survives_saving(case, tmp_path):
    contract.check_saving(case, tmp_path)


@every_layer
def test_graph_equals_eager(case):
    contract.check_graph_equals_eager(case)


@every_layer
def test_clip_does_not_see_its_batch(case):
    contract.check_clip_alone(case)


@every_layer
def test_trains(case):
    contract.check_fit(case)


@every_layer
def test_mixed_precision(case):
    contract.check_mixed_precision(case)


@every_layer
def test_random_streams(case):
    contract.check_random_streams(case)


# Attention


def test_attention_equals_the_formula():
    tokens = np.random.default_rng(0).normal(size=(3, 7, 12))
    layer = contract.randomize(built(layers.SelfAttention(3), tokens))
    qkv, qkv_bias, out, out_bias = (
        weight.astype("float64") for weight in layer.get_weights()
    )
    query, key, value = np.split(tokens @ qkv + qkv_bias, 3, axis=-1)
    heads = []
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        scores = query[..., part] @ key[..., part].swapaxes(1, 2) / 2  # sqrt(4)
        weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        heads.append(weights @ value[..., part])
    expected = np.concatenate(heads, axis=-1) @ out + out_bias
    np.testing.assert_allclose(numpy(layer(tokens)), expected, atol=1e-5)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="5 heads do not divide a width of 12"):
        layers.SelfAttention(5).build((None, 7, 12))


# Post-norm block


def test_post_norm_block_equals_torch():
    """Norms behind the sums, tanh GELU, no bias before attention."""
    original = torch.nn.TransformerEncoderLayer(
        d_model=12,
        nhead=3,
        dim_feedforward=30,
        dropout=0.0,
        activation=lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
        layer_norm_eps=1e-3,
        batch_first=True,
    ).eval()
    tokens = np.random.default_rng(0).normal(size=(3, 7, 12))
    block = layers.PostNormBlock(3, 2.5, epsilon=1e-3)
    contract.randomize(built(block, tokens))
    parts = {
        "self_attn.in_proj_weight": block.attention.qkv.kernel,
        "self_attn.out_proj.weight": block.attention.output_projection.kernel,
        "self_attn.out_proj.bias": block.attention.output_projection.bias,
        "linear1.weight": block.mlp_in.kernel,
        "linear1.bias": block.mlp_in.bias,
        "linear2.weight": block.mlp_out.kernel,
        "linear2.bias": block.mlp_out.bias,
        "norm1.weight": block.attention_norm.gamma,
        "norm1.bias": block.attention_norm.beta,
        "norm2.weight": block.mlp_norm.gamma,
        "norm2.bias": block.mlp_norm.beta,
    }
    state = {name: torch.tensor(numpy(w).T) for name, w in parts.items()}
    state["self_attn.in_proj_bias"] = torch.zeros(36)
    original.load_state_dict(state)
    with torch.no_grad():
        expected = original(torch.tensor(tokens, dtype=torch.float32))
    np.testing.assert_allclose(
        numpy(block(tokens)), expected.numpy(), atol=1e-5
    )


# Drop path


def test_drop_path_drops_whole_clips_and_keeps_the_mean():
    layer = layers.DropPath(0.25, seed=1)
    out = numpy(layer(np.ones((4000, 2, 3)), training=True))
    per_clip = out.reshape(4000, 6)
    assert (per_clip == per_clip[:, :1]).all()
    np.testing.assert_allclose(np.unique(per_clip), [0, 1 / 0.75], rtol=1e-6)
    # 4 standard deviations of a mean of 4000: 4 sqrt(0.25 / 0.75 / 4000)
    assert abs(out.mean() - 1) < 0.037


def test_drop_path_does_nothing_at_inference():
    inputs = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    layer = layers.DropPath(0.9, seed=1)
    np.testing.assert_array_equal(numpy(layer(inputs)), inputs)
    layer = layers.DropPath(0.0)
    np.testing.assert_array_equal(numpy(layer(inputs, training=True)), inputs)


def test_drop_path_repeats_with_its_seed():
    inputs = np.ones((50, 1))
    first, second, other = (
        numpy(layers.DropPath(0.5, seed=seed)(inputs, training=True))
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("rate", [-0.1, 1])
def test_impossible_drop_path_is_refused(rate):
    with pytest.raises(ValueError, match=f"below 1. Received: rate={rate}"):
        layers.DropPath(rate)


# Encoder block


def test_both_branches_of_a_block_are_residual():
    tokens = np.random.default_rng(0).normal(size=(3, 7, 12)).astype("float32")
    block = built(layers.EncoderBlock(3), tokens)
    for weight in block.weights:
        if "output_projection" in weight.path or "mlp_out" in weight.path:
            weight.assign(np.zeros(weight.shape))
    np.testing.assert_array_equal(numpy(block(tokens)), tokens)


# Patches


def test_patches_equal_a_loop():
    log_mel = np.random.default_rng(0).normal(size=(2, 13, 9))
    layer = layers.PatchEmbedding(6, (4, 5), (3, 2))
    contract.randomize(built(layer, log_mel))
    kernel, bias = layer.get_weights()
    out = numpy(layer(log_mel))
    assert out.shape == (2, 4, 3, 6)
    for time in range(4):
        for freq in range(3):
            t, f = 3 * time, 2 * freq
            patch = log_mel[:, t : t + 4, f : f + 5]
            expected = np.einsum("btf,tfd->bd", patch, kernel[:, :, 0]) + bias
            np.testing.assert_allclose(out[:, time, freq], expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("stride", [(8, 128), (4, 128)])
def test_patches_over_all_bins_equal_numpy(stride, dtype):
    """Compiled; in bfloat16 TensorFlow's own convolution is 97 % off here."""
    rng = np.random.default_rng(0)
    log_mel = rng.normal(size=(4, 24, 130)).astype("float32")
    layer = layers.PatchEmbedding(64, (8, 128), stride, dtype=dtype)
    kernel, bias = contract.randomize(built(layer, log_mel)).get_weights()
    model = contract.functional(layer, (24, 130))
    starts = range(0, 17, stride[0])
    patches = np.stack([log_mel[:, t : t + 8, :128] for t in starts], axis=1)
    expected = np.einsum("bntf,tfd->bnd", patches, kernel[:, :, 0]) + bias
    out = numpy(model.predict(log_mel, verbose=0))[:, :, 0]
    # rounding of each factor by 2**-9, averaged over 1024 products
    error = np.abs(out - expected).max() / np.abs(expected).max()
    assert error < (0.01 if dtype == "mixed_bfloat16" else 1e-5)


def test_stride_of_patches_is_their_size_if_not_given():
    layer = layers.PatchEmbedding(6, [4, 5])
    assert layer.patch_stride == (4, 5)
    assert layer.compute_output_shape((None, 11, 10)) == (None, 2, 2, 6)


def test_patches_of_an_unknown_length():
    layer = layers.PatchEmbedding(6, (4, 5), (3, 2))
    model = contract.functional(layer, (None, 9))
    assert model.output_shape == (None, None, 3, 6)
    for frames in (4, 6, 7):
        out = model.predict(np.ones((1, frames, 9)), verbose=0)
        assert out.shape[1] == (frames - 4) // 3 + 1


each_embedding = pytest.mark.parametrize(
    "embedding", [layers.PatchEmbedding, layers.ConvStem]
)


@each_embedding
@pytest.mark.parametrize("shape", [(7, 9), (8, 4)])
def test_less_than_a_patch_is_refused(embedding, shape):
    layer = embedding(6, (4, 5), time_factor=2)
    with pytest.raises(ValueError, match=r"smaller than one patch of \(8, 5\)"):
        layer.build((None, *shape))


@each_embedding
def test_unknown_kernel_resize_is_refused(embedding):
    with pytest.raises(ValueError, match="Received: kernel_resize='cubic'"):
        embedding(6, kernel_resize="cubic")


def test_a_stem_without_channels_is_refused():
    with pytest.raises(ValueError, match=r"such as \(32, 64, 128\)"):
        layers.ConvStem(6, channels=())


@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize(
    ("patch", "strides"),
    [
        # of each convolution, then what is left of a patch
        ((8, 12), [(1, 2), (2, 2), (1, 1), (2, 1), (1, 1), (2, 3)]),
        ((6, 5), [(1, 1), (2, 1), (1, 1), (1, 1), (1, 1), (3, 5)]),
    ],
)
def test_stem_equals_torch(patch, strides, factor):
    """Its convolutions one by one, in float64, with padding by hand."""
    functional = torch.nn.functional
    layer = layers.ConvStem(6, patch, (3, 4), time_factor=factor)
    frames, bins = 2 * factor * patch[0] + 1, 2 * patch[1] + 1
    log_mel = np.random.default_rng(0).normal(size=(2, frames, bins))
    contract.randomize(built(layer, log_mel))
    weights = {
        weight.path.split("/", 1)[1]: torch.tensor(numpy(weight)).double()
        for weight in layer.weights
    }
    maps = torch.tensor(log_mel)[:, None, :-1, :-1]
    *strides, rest = strides
    maps = functional.conv2d(
        functional.pad(maps, (1, 1, factor, factor)),  # freq, then time
        weights["first/kernel"].permute(3, 2, 0, 1),
        weights["first/bias"],
        (factor, strides[0][1]),
    ).relu()
    for index, (time, freq) in enumerate(strides[1:]):
        maps = functional.conv2d(
            functional.pad(maps, (2 - freq, 1, 2 - time, 1)),
            weights[f"convolution_{index}/kernel"].permute(3, 2, 0, 1),
            None,
            (time, freq),
        )
        names = ("moving_mean", "moving_variance", "gamma", "beta")
        norm = (weights[f"norm_{index}/{name}"] for name in names)
        maps = functional.batch_norm(maps, *norm, eps=1e-3).relu()
    maps = functional.conv2d(
        maps,
        weights["projection/kernel"].permute(3, 2, 0, 1),
        weights["projection/bias"],
        rest,
    )
    assert maps.shape == (2, 6, 2, 2)
    np.testing.assert_allclose(
        numpy(layer(log_mel)),
        maps.permute(0, 2, 3, 1),
        rtol=1e-4,  # float32 through six layers
        atol=1e-4,
    )


@pytest.mark.parametrize("kernel_resize", ["pi", "base"])
def test_coarse_kernel_sees_a_stretched_clip_as_before(kernel_resize):
    """What a grown kernel is for: same tokens where time is stretched by C.

    The middle patches are compared with non-overlapping patches, each
    stretched by itself, as FlexiViT resizes patches rather than images.
    """
    from keras_c2f.layers.resizing import interpolation_matrix

    clip = np.random.default_rng(0).normal(size=(1, 12, 5)).astype("float32")
    patches = clip.reshape(3, 4, 5)
    longer = np.einsum("nt,ptf->pnf", interpolation_matrix(4, 8), patches)
    longer = longer.reshape(1, 24, 5).astype("float32")
    fine = layers.PatchEmbedding(6, (4, 5), kernel_resize=kernel_resize)
    contract.randomize(built(fine, clip))
    coarse = layers.PatchEmbedding(
        6, (4, 5), time_factor=2, kernel_resize=kernel_resize
    )
    built(coarse, longer)
    kernel, bias = fine.get_weights()
    if kernel_resize == "pi":
        kernel = coarse.resize_weight(kernel, coarse.kernel.shape)
    coarse.set_weights([kernel, bias])
    # float32 sums of 40 products
    np.testing.assert_allclose(
        numpy(coarse(longer)), numpy(fine(clip)), atol=1e-5
    )


def test_second_moments_stay_positive_when_a_kernel_is_resized():
    layer = layers.PatchEmbedding(6, (4, 5))
    moments = np.random.default_rng(0).uniform(size=(4, 5, 1, 6)) ** 8
    assert (layer.resize_weight(moments, (8, 5, 1, 6)) < 0).any()
    kept = layer.resize_weight(moments, (8, 5, 1, 6), positive=True)
    assert kept.shape == (8, 5, 1, 6)
    assert (kept >= 0).all()


# Positions and prefix


def test_second_moments_stay_positive_when_positions_are_resized():
    layer = layers.PositionGrid("bicubic")
    moments = np.random.default_rng(0).uniform(size=(4, 5, 6)) ** 8
    assert (layer.resize_weight(moments, (8, 5, 6)) < 0).any()
    kept = layer.resize_weight(moments, (8, 5, 6), positive=True)
    assert kept.shape == (8, 5, 6)
    assert (kept >= 0).all()


def test_unknown_position_resize_is_refused():
    with pytest.raises(ValueError, match="Received: resize='cubic'"):
        layers.PositionGrid("cubic")


def test_positions_and_prefix_equal_numpy():
    patches = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    layer = contract.randomize(built(layers.PositionGrid(), patches))
    (grid,) = layer.get_weights()
    np.testing.assert_allclose(numpy(layer(patches)), patches + grid, atol=1e-6)
    layer = contract.randomize(built(layers.PrefixTokens(2), patches[:, 0]))
    (tokens,) = layer.get_weights()
    out = numpy(layer(patches[:, 0]))
    for clip in range(2):
        np.testing.assert_array_equal(out[clip, :2], tokens)
        np.testing.assert_allclose(out[clip, 2:], patches[clip, 0], atol=1e-6)


# Time compression


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "form",
    ["shift:{}", "pool:{}", "pool:{}:max", "patch:{}", "shift:{}+pool:2:max"],
)
def test_compression_in_the_model_equals_numpy(form, factor):
    resolution = Resolution.parse(form.format(factor))
    for frames in (15, 16, 17):
        log_mel = np.random.default_rng(0).normal(size=(2, frames, 3))
        log_mel = log_mel.astype("float32")
        np.testing.assert_allclose(
            numpy(layers.TimeCompression(str(resolution))(log_mel)),
            resolution.compress(log_mel, np),
            atol=1e-6,  # float32 mean of four
        )


def test_compression_that_leaves_no_frame_is_refused():
    with pytest.raises(ValueError, match="`pool:4` leaves no frame of a clip"):
        layers.TimeCompression("pool:4")(keras.Input((3, 5)))
    with pytest.raises(ValueError, match="number of frames has to be known"):
        layers.TimeCompression("pool:4")(keras.Input((None, 5)))


def built(layer, inputs):
    layer.build((None, *inputs.shape[1:]))
    return layer
