from pathlib import Path

import pytest


@pytest.fixture
def shared_data():
    """Folder of real recordings beside the repository; not part of it."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the recordings in ../shared/data")
    return folder
