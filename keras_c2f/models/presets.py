"""Named model sizes, as data.

`source` says who published a size; "ours" marks what no paper has.
"""

from keras_c2f.utils.suggestions import did_you_mean

AST_PRESETS = {
    "ast_micro": {
        "source": "ours: trains in minutes on two CPU cores",
        "config": {"width": 96, "depth": 4, "num_heads": 3},
    },
    "ast_mini": {
        "source": "ours: trains in an hour on two CPU cores",
        "config": {"width": 192, "depth": 6, "num_heads": 3},
    },
    "ast_conv": {
        "source": "ours: for few clips, without trained weights",
        "config": {
            "patch_size": (8, 128),
            "stem_channels": (32, 64, 128),
            "width": 192,
            "depth": 4,
            "num_heads": 3,
        },
    },
    "ast_tiny": {
        "source": "Gong et al., AST: DeiT-tiny sizes",
        "config": {"width": 192, "depth": 12, "num_heads": 3},
    },
    "ast_small": {
        "source": "Gong et al., AST: DeiT-small sizes",
        "config": {"width": 384, "depth": 12, "num_heads": 6},
    },
    "ast_base": {
        "source": "Gong et al., AST, section 2.1: DeiT-base sizes",
        "config": {"width": 768, "depth": 12, "num_heads": 12},
    },
}

# Chen et al., HTS-AT, section 3.1; mean and deviation change nothing.
HTS_AT_FRONTEND = {
    "sample_rate": 32000,
    "num_mel_bins": 64,
    "frame_length_ms": 32.0,
    "low_hz": 50.0,
    "high_hz": 14000.0,
    "preemphasis": 0.0,
    "mean": 0.0,
    "std": 0.5,
    "style": "librosa",
}
# Speech Commands: `config.py` of its repository; the top mel bins lie beyond
# half the sample rate, and are silent.
HTS_AT_SPEECH_COMMANDS_FRONTEND = {
    **HTS_AT_FRONTEND,
    "sample_rate": 16000,
    "frame_length_ms": 64.0,
}
# LAION's CLAP: HTS-AT at 48 kHz.
CLAP_FRONTEND = {
    **HTS_AT_FRONTEND,
    "sample_rate": 48000,
    "frame_length_ms": 1024 / 48,
}
# Koutini et al., PaSST: `models/preprocess.py`, in evaluation.
PASST_FRONTEND = {
    "sample_rate": 32000,
    "num_mel_bins": 128,
    "frame_length_ms": 25.0,
    "frame_shift_ms": 10.0,
    "low_hz": 0.0,
    "high_hz": 15000.0,
    "preemphasis": 0.97,
    "mean": -4.5,
    "std": 2.5,
    "style": "passt",
}
HTS_AT_PRESETS = {
    "hts_at_micro": {
        "source": "ours: trains in minutes on two CPU cores",
        "config": {
            "width": 24,
            "depths": (1, 1, 2, 1),
            "num_heads": (1, 2, 4, 8),
        },
    },
    "hts_at_mini": {
        "source": "ours: trains in an hour on two CPU cores",
        "config": {
            "width": 48,
            "depths": (2, 2, 2, 2),
            "num_heads": (2, 4, 8, 16),
        },
    },
    "hts_at_tiny": {
        "source": "Chen et al., HTS-AT, section 3.1; LAION-CLAP's HTSAT-tiny",
        "config": {
            "width": 96,
            "depths": (2, 2, 6, 2),
            "num_heads": (4, 8, 16, 32),
        },
    },
}

# (width, depth, heads, mel bins); English-only ones are of the same sizes.
WHISPER_SIZES = {
    "tiny": (384, 4, 6, 80),
    "base": (512, 6, 8, 80),
    "small": (768, 12, 12, 80),
    "medium": (1024, 24, 16, 80),
    "large": (1280, 32, 20, 80),
    "large_v3": (1280, 32, 20, 128),
}
WHISPER_PRESETS = {
    f"whisper_{size}": {
        "source": "Radford et al., Whisper, table 1; large_v3: its repository",
        "config": {
            "width": width,
            "depth": depth,
            "num_heads": num_heads,
            "num_mel_bins": num_mel_bins,
        },
    }
    for size, (width, depth, num_heads, num_mel_bins) in WHISPER_SIZES.items()
}
# Its repository, `whisper/audio.py`; mean and deviation are its last step.
WHISPER_FRONTEND = {
    "sample_rate": 16000,
    "num_mel_bins": 80,
    "low_hz": 0.0,
    "preemphasis": 0.0,
    "mean": -4.0,
    "std": 2.0,
    "style": "whisper",
}
# Front ends of the originals, for files that do not name theirs.
FRONTENDS = {
    "ast": {},
    "ast_speech_commands": {"mean": -6.845978, "std": 5.5654526},
    "ast_esc50": {"mean": -6.6268077, "std": 5.358466},
    "passt": PASST_FRONTEND,
    "hts_at": HTS_AT_FRONTEND,
    "hts_at_speech_commands": HTS_AT_SPEECH_COMMANDS_FRONTEND,
    "clap": CLAP_FRONTEND,
    "clap_fused": {**CLAP_FRONTEND, "style": "torchaudio"},
    "whisper": WHISPER_FRONTEND,
}


def size_config(size, presets, prefix):
    """Arguments of a size of one architecture, a new dict.

    Args:
        size: str, such as `"tiny"`.
        presets: dict of presets, whose names begin with `prefix`.
        prefix: str, such as `"ast_"`.

    Raises:
        ValueError: if there is no such size; near ones are suggested.
    """
    sizes = {name.removeprefix(prefix): each for name, each in presets.items()}
    if size not in sizes:
        hint = did_you_mean(size, sizes, most=3)
        raise ValueError(
            f"There is no size {size!r}.{hint} Sizes: {', '.join(sizes)}."
        )
    return dict(sizes[size]["config"])


def preset_config(name, presets):
    """Arguments of the preset `name`, a new dict.

    Raises:
        ValueError: if there is no such preset; near names are suggested.
    """
    if name not in presets:
        hint = did_you_mean(name, presets, most=3)
        raise ValueError(
            f"There is no preset {name!r}.{hint} "
            f"Known presets: {', '.join(presets)}."
        )
    return dict(presets[name]["config"])
