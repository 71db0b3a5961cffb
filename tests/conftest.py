import gc
import os
from pathlib import Path

import pytest

# Tiny networks: compiling takes longer than running, and a third as long so.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
    " --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_use_fusion_emitters=false"
)


def seed():
    """The same random weights in each run: tolerances are for those."""
    import keras  # not before the flags are set

    keras.utils.set_random_seed(0)


def pytest_collectstart():
    seed()  # some are made when a module is imported


def pytest_collection_finish():
    # Searching the frameworks for garbage takes a good part of the tests' time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def pytest_runtest_setup():
    seed()


@pytest.fixture
def shared_data():
    """Folder of real recordings beside the repository; not part of it."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the recordings in ../shared/data")
    return folder
