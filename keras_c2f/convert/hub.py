"""Presets on Hugging Face Hub: `hf://user/name`."""

import tempfile
from pathlib import Path

from keras_c2f.convert.pretrained import FILES
from keras_c2f.convert.published_file import (
    HUB_ADDRESS,
    HUB_FILES,
    OLD_HUB_FILES,
)
from keras_c2f.utils.optional import LazyModule

hub = LazyModule("huggingface_hub")
CARD_LINES = """\
---
library_name: keras_c2f
pipeline_tag: audio-classification
tags: [audio, keras]
{licence}---

# {name}

{what}

```python
from keras_c2f import {kind}

model = {kind}.from_preset("{address}")
```

{facts}
"""


def fetch_repository(address):
    """Downloads what is needed of a repository, unless it is there.

    Args:
        address: str, `"hf://user/name"`.

    Returns:
        `Path` of a folder in Hugging Face's cache.

    Raises:
        ImportError: if `huggingface_hub` is not installed.
        OSError: if there is no such repository, or no network.
        ValueError: if it is no address of a repository.
    """
    repository = _repository(address)
    try:
        folder = _download(repository, (*FILES, *HUB_FILES))
        weights = (FILES[1], HUB_FILES[0])
        if not any((folder / name).is_file() for name in weights):
            folder = _download(repository, OLD_HUB_FILES)
    except OSError as error:
        raise OSError(
            f"{address} could not be downloaded ({error}). Check the name; "
            "for a private repository log in with `hf auth login`."
        ) from error
    return folder


def push_to_hub(converted, address, private=False):
    """Uploads a `Pretrained` with a page: see `PhaseNetwork.push_to_hub`."""
    repository = _repository(address)
    with tempfile.TemporaryDirectory() as folder:
        preset = Path(folder) / "preset"
        converted.save(preset)
        card = model_card(converted, address)
        (preset / "README.md").write_text(card, encoding="utf-8")
        api = hub.HfApi()
        try:
            page = api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=preset)
        except OSError as error:
            raise OSError(
                f"{address} could not be uploaded ({error}). Log in with "
                "`hf auth login`, as a user who may write there."
            ) from error
    return str(page)


def model_card(converted, address):
    """str, Markdown: what the model is, how to load it, data and score."""
    model, about = converted.model, converted.about
    facts = [f"- **{key}**: {value}" for key, value in about.items() if value]
    if converted.class_names:
        facts.append(f"- **classes**: {', '.join(converted.class_names)}")
    facts += [f"- {note}" for note in converted.notes]
    kind = type(model).__name__
    licence = about.get("licence")
    return CARD_LINES.format(
        licence=f"license: {licence.lower()}\n" if licence else "",
        name=address.removeprefix(HUB_ADDRESS).partition("/")[2],
        what=f"{kind} with {model.count_params():,} weights, at resolution "
        f"`{model.resolution}`.",
        kind=kind,
        address=address,
        facts="\n".join(facts),
    )


def _download(repository, names):
    return Path(hub.snapshot_download(repository, allow_patterns=[*names]))


def _repository(address):
    """`"user/name"` of an address."""
    repository = address.removeprefix(HUB_ADDRESS)
    parts = repository.split("/")
    if repository == address or len(parts) != 2 or not all(parts):
        raise ValueError(
            "A repository on Hugging Face Hub is written hf://user/name. "
            f"Received: {address!r}."
        )
    return repository
