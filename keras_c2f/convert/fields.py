"""Fields of Hugging Face's configs, as data: what each does to the outputs.

A field is held against the network that the arrays gave, or read while it was
built, or known to change nothing once training is over. One that is none of
these is refused by name, so that no option of a model is lost in silence.
"""

from typing import Any, NamedTuple


class Field(NamedTuple):
    """A field of a config that can change what a network computes.

    Attributes:
        equals: str, the fact of the converted network that it has to equal;
            empty if the plan reads it.
        allowed: tuple, the values that are computed here; empty for all.
        default: what transformers takes where a config is silent; `None` if
            the arrays say.
    """

    equals: str = ""
    allowed: tuple = ()
    default: Any = None


READ = Field()
EXACT_GELU = Field(allowed=("gelu", "gelu_python"))
ONCE = Field(allowed=(False,))

# What every config of transformers may have, and what changes nothing: names,
# training, generation of text, kinds of output, other parts of a model.
NO_EFFECT = frozenset(
    """
    _attn_implementation _attn_implementation_autoset _commit_hash
    _name_or_path architectures attn_implementation bad_words_ids
    begin_suppress_tokens bos_token_id chunk_size_feed_forward
    cross_attention_hidden_size decoder_start_token_id diversity_penalty
    do_sample dtype early_stopping encoder_no_repeat_ngram_size eos_token_id
    exponential_decay_length_penalty finetuning_task forced_bos_token_id
    forced_eos_token_id gradient_checkpointing id2label initializer_factor
    initializer_range is_encoder_decoder label2id length_penalty min_length
    model_type no_repeat_ngram_size num_beam_groups num_beams num_labels
    num_return_sequences output_attentions output_hidden_states output_past
    output_scores pad_token_id prefix remove_invalid_values
    repetition_penalty return_dict return_dict_in_generate sep_token_id
    suppress_tokens task_specific_params temperature tf_legacy_loss
    tie_encoder_decoder tie_word_embeddings tokenizer_class top_k top_p
    torch_dtype torchscript transformers_version typical_p use_bfloat16
    use_cache attention_probs_dropout_prob hidden_dropout_prob drop_path_rate
    """.split()
)
COMMON = {
    "is_decoder": ONCE,
    "add_cross_attention": ONCE,
    "pruned_heads": Field(allowed=({},)),
    "problem_type": Field(
        allowed=("single_label_classification", "multi_label_classification")
    ),
}
VIT = {
    **COMMON,
    "hidden_size": Field("width"),
    "num_hidden_layers": Field("depth"),
    "num_attention_heads": Field("num_heads", default=12),
    "intermediate_size": Field("hidden"),
    "hidden_act": EXACT_GELU,
    "layer_norm_eps": Field("epsilon", default=1e-12),
    "patch_size": Field("patch_size"),
    "qkv_bias": Field("qkv_bias"),
}
AST_FIELDS = {
    **VIT,
    "max_length": Field("num_frames", default=1024),
    "num_mel_bins": Field("num_mel_bins", default=128),
    "time_stride": Field("time_stride", default=10),
    "frequency_stride": Field("frequency_stride", default=10),
}
IMAGE_FIELDS = {
    **VIT,
    "max_length": READ,  # of generated text, in old configs
    "image_size": Field("image_size"),
    "num_channels": Field("num_channels"),
    # of reconstruction, and of a pooler that is dropped
    **dict.fromkeys(
        ("encoder_stride", "pooler_act", "pooler_output_size"), READ
    ),
}
DINOV2_FIELDS = {
    **VIT,
    "layer_norm_eps": Field("epsilon", default=1e-6),
    "mlp_ratio": Field("mlp_ratio", default=4),
    "image_size": Field("image_size"),
    "num_channels": Field("num_channels"),
    "num_register_tokens": Field("num_registers"),
    "use_swiglu_ffn": ONCE,
    # what the scale is before training, and how states are handed out
    **dict.fromkeys(
        """
        apply_layernorm interpolate_antialias interpolate_offset
        layerscale_value out_features out_indices reshape_hidden_states
        stage_names use_mask_token
        """.split(),
        READ,
    ),
}
CLAP_FIELDS = {
    **COMMON,
    "depths": Field("depths"),
    "enable_fusion": READ,
    "hidden_act": EXACT_GELU,
    "layer_norm_eps": Field(allowed=(1e-5,)),
    "mlp_ratio": Field("mlp_ratio"),
    "num_attention_heads": Field("num_heads"),
    "num_mel_bins": Field("num_mel_bins"),
    "patch_embed_input_channels": Field(allowed=(1,)),
    "patch_embeds_hidden_size": Field("width"),
    "patch_size": Field("patch_size"),
    "patch_stride": Field("patch_size"),
    "qkv_bias": Field("qkv_bias"),
    "spec_size": READ,
    "window_size": Field("window_size"),
    "enable_patch_layer_norm": Field(allowed=(True,)),
    "flatten_patch_embeds": Field(allowed=(True,)),
    # of the head, the projection and the fusion of long clips: all dropped
    **dict.fromkeys(
        """
        aff_block_r enable_patch_fusion fusion_num_hidden_layers fusion_type
        hidden_size max_length num_classes num_hidden_layers projection_dim
        projection_hidden_act
        """.split(),
        READ,
    ),
}
CLAP_WHOLE = {
    **COMMON,
    **dict.fromkeys(
        """
        audio_config hidden_size logit_scale_init_value max_length
        num_hidden_layers projection_dim projection_hidden_act text_config
        """.split(),
        READ,
    ),
}
WHISPER_FIELDS = {
    **COMMON,
    "d_model": Field("width"),
    "num_mel_bins": Field("num_mel_bins", default=80),
    "encoder_ffn_dim": Field("hidden"),
    "encoder_attention_heads": READ,
    "encoder_layers": READ,
    "num_hidden_layers": READ,  # `encoder_layers` once more
    "max_source_positions": Field("num_positions", default=1500),
    "activation_function": EXACT_GELU,
    "scale_embedding": ONCE,  # of the encoder, by OpenAI's code never
    # of the decoder, of text, of training and of a head that is dropped
    **dict.fromkeys(
        """
        activation_dropout apply_spec_augment attention_dropout
        classifier_proj_size decoder_attention_heads decoder_ffn_dim
        decoder_layerdrop decoder_layers dropout encoder_layerdrop
        forced_decoder_ids init_std lang_ids mask_feature_length
        mask_feature_min_masks mask_feature_prob mask_time_length
        mask_time_min_masks mask_time_prob max_length max_target_positions
        median_filter_width use_weighted_layer_sum vocab_size
        """.split(),
        READ,
    ),
}
# timm's config.json has no `model_type`; keys of the file name its parts.
TIMM_FIELDS = {
    "architecture": READ,
    "global_pool": READ,  # in front of a head that is dropped
    "model_args": Field(allowed=({},)),
    "num_classes": READ,
    "num_features": Field("width"),
    "pretrained_cfg": READ,
}
MODELS = {
    "timm": TIMM_FIELDS,
    "audio-spectrogram-transformer": AST_FIELDS,
    "vit": IMAGE_FIELDS,
    "vit_msn": IMAGE_FIELDS,
    "deit": IMAGE_FIELDS,
    "dinov2": DINOV2_FIELDS,
    "dinov2_with_registers": DINOV2_FIELDS,
    "clap_audio_model": CLAP_FIELDS,
    "whisper": WHISPER_FIELDS,
}
# Of both feature extractors: AST's pads with zeros whatever `padding_value`
# says, and neither gives a mask to its network.
UNUSED_FEATURES = frozenset(
    """
    padding_side padding_value processor_class return_attention_mask
    _processor_class
    """.split()
)
AST_FEATURES = {
    "feature_extractor_type": Field(
        allowed=("ASTFeatureExtractor", "AutoFeatureExtractor")
    ),
    # At other rates transformers has two results, with and without torchaudio.
    "sampling_rate": Field(allowed=(16000,), default=16000),
    "num_mel_bins": Field("num_mel_bins", default=128),
    "max_length": Field("num_frames", default=1024),
    "do_normalize": Field(allowed=(True, False), default=True),
    "mean": Field(default=-4.2677393),
    "std": Field(default=4.5689974),
    "feature_size": READ,
}
CLAP_FEATURES = {
    "feature_extractor_type": Field(allowed=("ClapFeatureExtractor",)),
    "feature_size": Field("num_mel_bins", default=64),
    "sampling_rate": Field(default=48000),
    "hop_length": Field(default=480),
    "fft_window_size": Field(default=1024),
    "frequency_min": Field(default=0),
    "frequency_max": Field(default=14000),
    "max_length_s": Field(default=10),
    "nb_max_samples": READ,
    "nb_frequency_bins": READ,
    "truncation": Field(allowed=("rand_trunc", "fusion"), default="fusion"),
    "padding": Field(
        allowed=("repeatpad", "repeat", "pad"), default="repeatpad"
    ),
    "top_db": READ,  # kept by transformers' extractor, and never used
}
WHISPER_FEATURES = {
    "feature_extractor_type": Field(allowed=("WhisperFeatureExtractor",)),
    "feature_size": Field("num_mel_bins", default=80),
    "sampling_rate": Field(allowed=(16000,), default=16000),
    "hop_length": Field(allowed=(160,), default=160),
    "n_fft": Field(allowed=(400,), default=400),
    "dither": Field(allowed=(0, 0.0)),
    "do_normalize": Field(allowed=(False,)),
    # clips are not padded to 30 s here; the matrix is computed
    **dict.fromkeys(
        ("chunk_length", "n_samples", "nb_max_frames", "mel_filters"), READ
    ),
}
FEATURES = {
    "audio-spectrogram-transformer": AST_FEATURES,
    "clap_audio_model": CLAP_FEATURES,
    "whisper": WHISPER_FEATURES,
}


def known_config(checkpoint):
    """Config of the part that is converted, with transformers' defaults.

    Args:
        checkpoint: `Checkpoint`.

    Returns:
        dict; empty if the file has none.

    Raises:
        ValueError: if it is of a model that is not known, or a field of it is
            neither known nor empty, or asks for what is not computed here.
    """
    config = checkpoint.config
    if not config:
        return {}
    if "audio_config" in config:
        _known(config, CLAP_WHOLE, "config.json")
        config = {"model_type": "clap_audio_model", **config["audio_config"]}
    elif "architecture" in config:
        config = {**config, "model_type": "timm"}
    kind = config.get("model_type")
    if kind not in MODELS:
        raise ValueError(
            f"{checkpoint.path} is a model of the type {kind!r}, by its "
            f"config.json. Known types: {', '.join(MODELS)}, and clap."
        )
    return _known(config, MODELS[kind], "config.json")


def known_features(checkpoint, kind):
    """Settings of a feature extractor, as `known_config`, or an empty dict.

    That of an image model is of images, and left alone.
    """
    fields = FEATURES.get(kind)
    if not fields or not checkpoint.features:
        return {}
    return _known(checkpoint.features, fields, "preprocessor_config.json")


def _known(given, fields, file):
    for name, value in given.items():
        if name in NO_EFFECT | UNUSED_FEATURES and name not in fields:
            continue
        if name not in fields:
            if value is None:
                continue
            raise ValueError(
                f"{file} has a field {name!r} that is not known here "
                f"({value!r}): what it does would be lost. If it changes "
                "nothing in use, remove it from the file."
            )
        allowed = fields[name].allowed
        if allowed and value not in allowed and value is not None:
            raise ValueError(
                f"{file} has {name}={value!r}, which is not computed here. "
                f"Known: {', '.join(map(repr, allowed))}."
            )
    defaults = {
        name: field.default
        for name, field in fields.items()
        if field.default is not None
    }
    return {**defaults, **given}


def check_facts(given, facts, overridden, kind, file="config.json"):
    """Holds a config against the network that was built.

    Args:
        given: dict, see `known_config` and `known_features`.
        facts: dict, what the network has.
        overridden: names of facts that the caller changes on purpose.
        kind: str, a key of `MODELS`.
        file: str, the file that `given` was read from.

    Raises:
        ValueError: if a field says other than the arrays.
    """
    tables = MODELS if file == "config.json" else FEATURES
    for name, field in tables.get(kind, {}).items():
        fact = facts.get(field.equals)
        if name not in given or fact is None or field.equals in overridden:
            continue
        if _plain(given[name]) != _plain(fact):
            raise ValueError(
                f"{file} has {name}={given[name]!r}, and the arrays of the "
                f"model say {_plain(fact)!r}. The two are of different "
                "models: get both again."
            )


def _plain(value):
    """A list for a tuple, and one number for a pair of equal ones."""
    if not isinstance(value, list | tuple):
        return value
    value = list(value)
    return value[0] if len(value) == 2 and value[0] == value[1] else value
