"""What all tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and every process that a test starts inherits
# that: the tests of Ctrl-C would wait for nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """A cache of numba's for each process of the tests, before librosa is imported anywhere.

    Where two of them write the code of one function at once into a new environment, what is read back may crash.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        os.environ.setdefault("NUMBA_CACHE_DIR", str(config.rootpath / ".pytest_cache" / f"numba-{worker}"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real data beside the project, or skip: it is not part of the project."""
    folder = Path(os.environ.get("TONEARM_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the folder of real data is not here (set TONEARM_SHARED_DATA)")
    return folder
