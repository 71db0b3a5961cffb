"""Published checkpoints, as data: what each is, and where its authors have it.

Sums: DeiT's file names hold the first digits of theirs, and Hugging Face sends
its own with each file. The others' authors publish none, so none is given.
"""

import os

from keras_c2f.convert.published_file import (
    CARD,
    HUB,
    HUB_ADDRESS,
    HUB_FILES,
    OLD_HUB_FILES,
    Published,
)
from keras_c2f.models.presets import (
    CLAP_FRONTEND,
    FRONTENDS,
    HTS_AT_FRONTEND,
    PASST_FRONTEND,
)
from keras_c2f.utils.suggestions import did_you_mean

DROPBOX = "https://www.dropbox.com/s"
STRIDES = {10: (10, 10), 12: (12, 12), 14: (14, 14), 16: (16, 16)}
AUDIOSET = {"mean": -4.2677393, "std": 4.5689974}
SPEECH_COMMANDS = FRONTENDS["ast_speech_commands"]

# Its authors do not say which hop these were trained with.
OPENMIC = {"class_names": "openmic", "frontend": None}


def _clip(num_frames, stride):
    return {
        "depth": 12,
        "num_frames": num_frames,
        "num_mel_bins": 128,
        "patch_stride": stride,
    }


def _ast(file, link, stride, score, **options):
    return Published(
        "ast",
        (file,),
        f"{DROPBOX}/{link}/{file}?dl=1",
        "https://github.com/YuanGongND/ast",
        "BSD-3-Clause",
        "ast",
        **{
            "trained": _clip(1024, STRIDES[stride]),
            "frontend": AUDIOSET,
            "class_names": "audioset",
            "multi_label": True,
            **options,
        },
        score=score,
    )


def _hub(repository, source, licence, citation, files=HUB_FILES, **options):
    page = f"{HUB}/{repository}"
    return Published(
        source,
        files,
        f"{page}/resolve/main/",
        page,
        licence,
        citation,
        **options,
    )


def _ssast(file, link, score):
    return Published(
        "ssast",
        (file,),
        f"{DROPBOX}/{link}/{file}?dl=1",
        "https://github.com/YuanGongND/ssast",
        "BSD-3-Clause",
        "ssast",
        trained={"depth": 12},
        frontend=AUDIOSET,
        score=score,
    )


def _passt(
    file, release, stride=10, num_frames=1000, hop=320, depth=12, **options
):
    # 10 s are 1000 frames: `input_tdim=998` has the same patches at stride 10
    page = "https://github.com/kkoutini/PaSST"
    return Published(
        "passt",
        (file,),
        f"{page}/releases/download/{release}/{file}",
        page,
        "Apache-2.0",
        "passt",
        **{
            "trained": {**_clip(num_frames, STRIDES[stride]), "depth": depth},
            "frontend": {**PASST_FRONTEND, "frame_shift_ms": hop / 32},
            "class_names": "audioset",
            "multi_label": True,
            **options,
        },
    )


def _deit(file):
    return Published(
        "imagenet",
        (file,),
        f"https://dl.fbaipublicfiles.com/deit/{file}",
        "https://github.com/facebookresearch/deit",
        "Apache-2.0",
        "deit",
        trained={"depth": 12},
        sha256=file.removesuffix(".pth").rsplit("-", 1)[1],
    )


PUBLISHED = {
    f"ast_{file.removesuffix('.pth')}": _ast(file, link, stride, score, **other)
    for file, link, stride, score, other in (
        ("audioset_10_10_0.4593.pth", "ca0b1v2nlxzyeb4", 10, "0.459 mAP", {}),
        ("audioset_10_10_0.4495.pth", "1tv0hovue1bxupk", 10, "0.450 mAP", {}),
        ("audioset_10_10_0.4483.pth", "6u5sikl4b9wo4u5", 10, "0.448 mAP", {}),
        ("audioset_10_10_0.4475.pth", "kt6i0v9fvfm1mbq", 10, "0.448 mAP", {}),
        ("audioset_12_12_0.4467.pth", "snfhx3tizr4nuc8", 12, "0.447 mAP", {}),
        ("audioset_14_14_0.4431.pth", "z18s6pemtnxm4k7", 14, "0.443 mAP", {}),
        ("audioset_16_16_0.4422.pth", "mdsa4t1xmcimia6", 16, "0.442 mAP", {}),
        (
            "speechcommands_10_10_0.9812.pth",
            "q0tbqpwv44pquwy",
            10,
            "98.12 %",
            {
                "trained": _clip(128, (10, 10)),
                "frontend": SPEECH_COMMANDS,
                "class_names": "speech_commands",
                "multi_label": False,
            },
        ),
    )
}
PUBLISHED |= {
    f"MIT/ast-finetuned-{name}": _hub(
        f"MIT/ast-finetuned-{name}",
        "ast",
        "BSD-3-Clause",
        "ast",
        files,
        score=score,
        multi_label="audioset" in name,
        # a config may say 1024
        trained={"depth": 12}
        | ({"num_frames": 128} if "speech" in name else {}),
    )
    for name, score, files in (
        ("audioset-10-10-0.4593", "0.459 mAP", HUB_FILES),
        ("audioset-10-10-0.450", "0.450 mAP", HUB_FILES),
        ("audioset-10-10-0.448", "0.448 mAP", OLD_HUB_FILES),
        ("audioset-10-10-0.448-v2", "0.448 mAP", OLD_HUB_FILES),
        ("audioset-12-12-0.447", "0.447 mAP", OLD_HUB_FILES),
        ("audioset-14-14-0.443", "0.443 mAP", OLD_HUB_FILES),
        ("audioset-16-16-0.442", "0.442 mAP", HUB_FILES),
        ("speech-commands-v2", "98.12 %", HUB_FILES),
    )
}
PUBLISHED |= {
    name: _ssast(file, link, score)
    for name, file, link, score in (
        (
            f"ssast_{model.lower().replace('-', '_')}",
            f"SSAST-{model}.pth",
            link,
            f"average of audio tasks {score}",
        )
        for model, link, score in (
            ("Base-Patch-400", "ewrzpco95n9jdz6", 59.9),
            ("Base-Frame-400", "nx6nl4d4bl71sm8", 57.6),
            ("Base-Patch-250", "mxrm9qog6aj8hif", 58.6),
            ("Base-Frame-250", "4e6l7ulhwrfoana", 55.6),
            ("Small-Patch-400", "i24w446rl9pkf05", 58.1),
            ("Tiny-Patch-400", "fkbtf78y94113wz", 53.3),
            ("Tiny-Frame-400", "rx7g60ruzawffzv", 47.8),
        )
    )
}
PUBLISHED |= {
    f"ssast_ablation_{name}": _ssast(f"audio_model_{name}.pth", link, "")
    for name, link in (
        ("100m", "0oyrtfbjzkwho2p"),  # 100 masked patches
        ("dis", "znuzgwf2zvrpjkr"),  # discriminative objective alone
        ("gen", "u6ws5fjrid10x4p"),  # generative objective alone
        ("as20k", "y6x2ck2ca3tb7d9"),
        ("as", "m9p782df3faql1q"),
        ("librispeech", "f4bn2qelu3m8ksu"),
    )
}
PUBLISHED |= {
    f"Simon-Kotchou/ssast-{size}-patch-audioset-16-16": _hub(
        f"Simon-Kotchou/ssast-{size}-patch-audioset-16-16",
        "ast",
        "BSD-3-Clause",
        "ssast",
        trained={"depth": 12},
        score="a port of the backbone; its head is untrained",
    )
    for size in ("tiny", "small", "base")
}
PUBLISHED |= {
    file.removesuffix(".pt").replace("-", "_"): _passt(file, release, **options)
    for file, release, options in (
        ("passt-s-f128-p16-s10-ap.476-swa.pt", "v0.0.1-audioset", {}),
        ("passt-s-f128-p16-s10-ap.4761-swa.pt", "v0.0.2-audioset", {}),
        ("passt-s-f128-p16-s10-ap.472.pt", "v0.0.2-audioset", {}),
        ("passt-s-kd-ap.486.pt", "v.0.0.9", {}),
        ("passt-l-kd-ap.47.pt", "v.0.0.10", {"depth": 7}),
        (
            "passt-s-f128-p16-s12-ap.473-swa.pt",
            "v0.0.2-audioset",
            {"stride": 12},
        ),
        ("passt-s-f128-p16-s12-ap.470.pt", "v0.0.2-audioset", {"stride": 12}),
        (
            "passt-s-f128-p16-s14-ap.471-swa.pt",
            "v0.0.2-audioset",
            {"stride": 14},
        ),
        ("passt-s-f128-p16-s14-ap.469.pt", "v0.0.2-audioset", {"stride": 14}),
        (
            "passt-s-f128-p16-s16-ap.473-swa.pt",
            "v0.0.2-audioset",
            {"stride": 16},
        ),
        ("passt-s-f128-p16-s16-ap.468.pt", "v0.0.2-audioset", {"stride": 16}),
        (
            "passt-s-f128-stfthop100-p16-s10-ap.473-swa.pt",
            "v0.0.3-audioset",
            {"num_frames": 3200, "hop": 100},
        ),
        (
            "passt-s-f128-stfthop160-p16-s10-ap.473-swa.pt",
            "v0.0.3-audioset",
            {"num_frames": 2000, "hop": 160},
        ),
        (
            "passt-s-f128-20sec-p16-s10-ap.474-swa.pt",
            "v0.0.5",
            {"num_frames": 2000},
        ),
        (
            "passt-s-f128-30sec-p16-s10-ap.473-swa.pt",
            "v0.0.5",
            {"num_frames": 3000},
        ),
        (
            "openmic2008.passt-u-f128-p16-s10-ap.85-swa.pt",
            "v0.0.4-openmic",
            {"num_frames": 3200, **OPENMIC},
        ),
        (
            "openmic2008.passt-u-f128-p16-s10-ap.85.pt",
            "v0.0.4-openmic",
            {"num_frames": 2000, **OPENMIC},
        ),
    )
}
PUBLISHED |= {
    file.removesuffix(".pth").rsplit("-", 1)[0]: _deit(file)
    for file in (
        "deit_tiny_patch16_224-a1311bcf.pth",
        "deit_small_patch16_224-cd65a155.pth",
        "deit_base_patch16_224-b5f2ef4d.pth",
        "deit_base_patch16_384-8de9b5d1.pth",
        "deit_tiny_distilled_patch16_224-b40b3cf7.pth",
        "deit_small_distilled_patch16_224-649709d9.pth",
        "deit_base_distilled_patch16_224-df68dfff.pth",
        "deit_base_distilled_patch16_384-d0272ac0.pth",
    )
}
PUBLISHED |= {
    name: _hub(
        name,
        "imagenet",
        "Apache-2.0",
        citation,
        HUB_FILES[:2],
        trained={"depth": 12},
    )
    for name, citation in (
        ("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", "vit"),
        ("timm/vit_small_patch16_224.augreg_in21k_ft_in1k", "vit"),
        ("timm/vit_base_patch16_224.augreg_in21k_ft_in1k", "vit"),
        ("google/vit-base-patch16-224", "vit"),
        ("facebook/deit-base-distilled-patch16-384", "deit"),
    )
}
PUBLISHED |= {
    f"facebook/dinov2-{kind}{size}": _hub(
        f"facebook/dinov2-{kind}{size}",
        "dinov2",
        "Apache-2.0",
        f"dinov2{kind and '_registers'}",
        HUB_FILES[:2],
        trained={"depth": depth},
        score="trained on images without labels",
    )
    for kind in ("", "with-registers-")
    for size, depth in (("small", 12), ("base", 12), ("large", 24))
}
PUBLISHED |= {
    f"hts_at_audioset_{number}": Published(
        "hts_at",
        (f"HTSAT_AudioSet_Saved_{number}.ckpt",),
        "",
        "https://github.com/RetroCirce/HTS-Audio-Transformer",
        "MIT",
        "hts_at",
        trained={"num_frames": 1001, "depths": (2, 2, 6, 2)},
        frontend=HTS_AT_FRONTEND,
        class_names="audioset",
        multi_label=True,
        score="one of six whose ensemble has 0.487 mAP",
    )
    for number in range(1, 7)
}
PUBLISHED |= {
    f"openai/whisper-{size}": _hub(
        f"openai/whisper-{size}",
        "whisper",
        "Apache-2.0",
        "whisper",
        trained={"depth": depth},
        score="an encoder trained to recognise speech",
    )
    for names, depth in (
        (("tiny", "tiny.en"), 4),
        (("base", "base.en"), 6),
        (("small", "small.en"), 12),
        (("medium", "medium.en"), 24),
        (("large", "large-v2", "large-v3", "large-v3-turbo"), 32),
    )
    for size in names
}
PUBLISHED |= {
    f"laion/clap-htsat-{kind}": _hub(
        f"laion/clap-htsat-{kind}",
        "hts_at",
        "Apache-2.0",
        "clap",
        OLD_HUB_FILES,
        trained={"num_frames": 1001, "depths": (2, 2, 6, 2)},
        score="the audio tower of CLAP",
    )
    for kind in ("unfused", "fused")
}
PUBLISHED |= {
    f"laion_clap_{name.replace('-', '_')}": Published(
        "hts_at",
        (f"{name}.pt",),
        f"{HUB}/lukewys/laion_clap/resolve/main/",
        "https://github.com/LAION-AI/CLAP",
        "CC0-1.0",
        "clap",
        trained={"num_frames": 1001, "depths": depths},
        frontend={
            **CLAP_FRONTEND,
            "style": "torchaudio" if "fusion" in name else "librosa",
        },
        score="the audio tower of CLAP",
    )
    for name, depths in (
        ("630k-best", (2, 2, 6, 2)),
        ("630k-audioset-best", (2, 2, 6, 2)),
        ("630k-fusion-best", (2, 2, 6, 2)),
        ("630k-audioset-fusion-best", (2, 2, 6, 2)),
        ("music_audioset_epoch_15_esc_90.14", (2, 2, 12, 2)),
        ("music_speech_epoch_15_esc_89.25", (2, 2, 12, 2)),
        ("music_speech_audioset_epoch_15_esc_89.98", (2, 2, 12, 2)),
    )
}
PUBLISHED["kwt1"] = Published(
    "kwt",
    ("kwt1.npz", "labels.txt"),
    "",
    "https://github.com/ARM-software/keyword-transformer",
    "Apache-2.0",
    "kwt",
    trained={"depth": 12},
    class_names="kwt1",
    score="97.5 % on Speech Commands v2-12",
)


def is_preset(address):
    """bool, whether `load_preset` reads it: str, see there."""
    return (
        address in PUBLISHED
        or address.startswith(HUB_ADDRESS)
        or os.path.isfile(os.path.join(address, CARD))
    )


def published(name):
    """The `Published` of that name.

    Raises:
        ValueError: if there is none; near names are suggested.
    """
    if name not in PUBLISHED:
        hint = did_you_mean(name, PUBLISHED, most=3)
        raise ValueError(
            f"There is no published checkpoint {name!r}.{hint} "
            f"Known ones: {', '.join(PUBLISHED)}."
        )
    return PUBLISHED[name]
