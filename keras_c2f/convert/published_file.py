"""What is known of one published checkpoint."""

from dataclasses import dataclass, field

from keras_c2f.convert.citations import CITATIONS

CARD = "preset.json"  # in a folder that `convert` wrote: what it holds

HUB = "https://huggingface.co"
HUB_ADDRESS = "hf://"  # then user/name
HUB_FILES = ("model.safetensors", "config.json", "preprocessor_config.json")
OLD_HUB_FILES = ("pytorch_model.bin", *HUB_FILES[1:])


@dataclass(frozen=True)
class Published:
    """One checkpoint as its authors publish it.

    Attributes:
        source: str, a key of `SOURCES`.
        files: tuple of str, the first holds the weights.
        url: str, where the file is (a Hugging Face repository: where its
            files are); empty if it cannot be downloaded without a person.
        page: str, where its authors describe it.
        licence: str, SPDX.
        citation: str, a key of `CITATIONS`.
        trained: dict, geometry it was trained at.
        frontend: dict, arguments of `Frontend`; `None` if ours is another.
        class_names: str, a key of `CLASS_LISTS`, or `None`.
        score: str, by its authors' account.
        sha256: str, first digits, or `None` where its authors give none.
        multi_label: bool, whether a clip may have several of its classes.
    """

    source: str
    files: tuple
    url: str
    page: str
    licence: str
    citation: str
    trained: dict = field(default_factory=dict)
    frontend: dict | None = None
    class_names: str | None = None
    score: str = ""
    sha256: str | None = None
    multi_label: bool = False

    @property
    def is_hub(self):
        """bool, whether the files lie in a Hugging Face repository."""
        return self.url.startswith(HUB)

    def about(self):
        """dict of str: what to keep beside a converted model."""
        return {
            "published": self.page,
            "licence": self.licence,
            "citation": CITATIONS[self.citation],
            "score": self.score,
        }
