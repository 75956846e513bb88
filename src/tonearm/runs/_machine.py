"""On what a run was made, in words that name no host and no user."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import tonearm

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "lightning-fabric", "safetensors", "soundfile", "soxr",
             "audiomentations")  # fmt: skip


def code_version() -> dict[str, str | None]:
    """The version of tonearm and, in a working copy, its commit; "+" behind it where files were changed."""
    folder = Path(tonearm.__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # Only where the very folder is under version control: an installed copy may lie below somebody else's repository.
    commit = git("rev-parse", "HEAD") if git("ls-files", "--", "__init__.py") else None
    if commit and git("status", "--porcelain", "--", str(folder)):
        commit += "+"
    return {"tonearm": tonearm.__version__, "commit": commit}


def libraries() -> dict[str, str]:
    """Versions of what may change a number."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, cores and memory."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
    }


def peak_memory_mb() -> float | None:
    """The most memory that this process has held so far; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None
