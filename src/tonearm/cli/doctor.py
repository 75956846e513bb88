"""`tonearm doctor`: what is here, what can be read, what is missing and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

# What each extra of pyproject.toml brings, as the names they are imported by. A test holds this against pyproject.
EXTRAS: dict[str, tuple[str, ...]] = {
    "av": ("av",),
    "audit": ("sklearn", "scipy"),
    "plot": ("PIL",),
    "library": ("usearch", "pyarrow"),
    "train": ("torch", "lightning_fabric", "safetensors", "sklearn", "scipy", "audiomentations", "onnx", "onnxscript"),
    "web": ("fastapi", "uvicorn", "python_multipart", "jinja2"),
    "cluster": ("ray",),
    "tune": ("optuna",),
}
WHAT_FOR = {
    "av": "M4A, AAC, WMA and the sound of video files",
    "audit": "the parts of the audit that train quick classifiers",
    "plot": "pictures of sound files as PNG",
    "library": "similar songs in libraries of more than 100,000, and export to Parquet",
    "train": "training models",
    "web": "the web page and its API",
    "cluster": "work on several machines",
    "tune": "searching for good settings",
}
LIGHT = ("numpy", "soundfile", "soxr", "onnxruntime", "typer", "rich", "pydantic", "yaml", "mutagen")
DISTRIBUTIONS = {"yaml": "PyYAML", "PIL": "pillow", "sklearn": "scikit-learn", "python_multipart": "python-multipart"}


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")] = False,
    imports: Annotated[
        bool, typer.Option("--imports", help="Also import every optional package, each in a process of its own.")
    ] = False,
) -> None:
    """Say what is installed, what can be read and what is missing."""
    report = examine(imports=imports)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    raise typer.Exit(0 if report["ok"] else 1)


def examine(*, imports: bool = False) -> dict[str, Any]:
    """Everything `doctor` knows, as plain data. `ok` is false when the light tool itself is not whole."""
    from tonearm import __version__

    packages = {name: _version(name) for name in LIGHT}
    extras = {}
    for extra, modules in EXTRAS.items():
        missing = [name for name in modules if _version(name) is None]
        broken = _broken([name for name in modules if name not in missing]) if imports else {}
        extras[extra] = {
            "for": WHAT_FOR[extra],
            "installed": not missing and not broken,
            "missing": [_distribution(name) for name in missing],
            "broken": broken,
            "command": _install_command(extra) if missing else "",
        }
    return {
        "tonearm": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": packages,
        "formats": _formats(extras["av"]["installed"]),
        "extras": extras,
        "devices": _devices(),
        "folders": _folders(),
        "ok": all(packages.values()),
    }


def _install_command(extra: str) -> str:
    install = f'pip install "tonearm[{extra}]"'
    # A bare torch brings gigabytes of CUDA on Linux: whoever has no GPU should choose the build first.
    return f"pip install torch==2.13.0 && {install}" if extra == "train" and _version("torch") is None else install


def _distribution(module: str) -> str:
    return DISTRIBUTIONS.get(module, module.replace("_", "-"))


def _version(module: str) -> str | None:
    """Version of an installed package, without importing it; None where it is not installed."""
    try:
        if importlib.util.find_spec(module) is None:
            return None
        return importlib.metadata.version(_distribution(module))
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def _broken(modules: list[str]) -> dict[str, str]:
    """Installed is not the same as importable (a binary built for another torch, say): try, apart from this process."""
    broken = {}
    for name in modules:
        try:
            done = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            broken[_distribution(name)] = "importing it takes over two minutes"
            continue
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            broken[_distribution(name)] = lines[-1] if lines else f"exit code {done.returncode}"
    return broken


def _formats(has_av: bool) -> dict[str, Any]:
    """Which kinds of file can be read, by which library."""
    formats: dict[str, Any] = {"soundfile": [], "av": [], "needs av": []}
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the wheel has no libsndfile for this platform
        pass
    else:
        known = soundfile.available_formats()
        formats["libsndfile"] = soundfile.__libsndfile_version__
        names = {"WAV": "WAV", "AIFF": "AIFF", "AU": "AU", "FLAC": "FLAC", "OGG": "OGG", "MP3": "MP3", "CAF": "CAF"}
        formats["soundfile"] = [shown for name, shown in names.items() if name in known]
        if "OGG" in known and "OPUS" in soundfile.available_subtypes("OGG"):
            formats["soundfile"].append("Opus")
    formats["av" if has_av else "needs av"] = ["M4A", "AAC", "WMA", "MP4", "Matroska/WebM"]
    return formats


def _devices() -> dict[str, Any]:
    devices: dict[str, Any] = {"cores": _usable_cores(), "memory_gib": _memory_gib(), "onnxruntime": [], "torch": []}
    try:
        import onnxruntime

        devices["onnxruntime"] = [p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()]
    except ImportError:
        pass
    if _version("torch") is not None:
        # In a process of its own: importing torch here would make the light tool heavy.
        ask = (
            "import torch; print('\\n'.join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))"
            " if torch.cuda.is_available() else ('mps' if torch.backends.mps.is_available() else ''))"
        )
        try:
            done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=120)
            devices["torch"] = ["cpu", *done.stdout.split("\n")] if done.returncode == 0 else []
            devices["torch"] = [name for name in devices["torch"] if name.strip()]
        except subprocess.TimeoutExpired:
            pass
    return devices


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # not every platform tells
        return None


def _folders() -> dict[str, dict[str, Any]]:
    from tonearm import paths

    folders = {"cache": paths.cache_folder(), "data": paths.data_folder(), "models": paths.models_folder()}
    return {
        name: {"path": str(path), "exists": path.is_dir(), "writable": _writable(path)}
        for name, path in folders.items()
    }


def _writable(path: Path) -> bool:
    while not path.exists() and path != path.parent:
        path = path.parent
    return os.access(path, os.W_OK)


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    good, bad, open_ = "[green]ok[/green]", "[red]missing[/red]", "[yellow]–[/yellow]"
    console.print(f"[bold]tonearm {report['tonearm']}[/bold], Python {report['python']}, {report['system']}\n")
    console.print("[bold]Packages[/bold]")
    for name, version in report["packages"].items():
        console.print(f"  {good if version else bad}  {_distribution(name)} {version or ''}")
    formats = report["formats"]
    console.print("\n[bold]Formats that can be read[/bold]")
    console.print(f"  {', '.join(formats['soundfile'] + formats['av']) or 'none'}")
    if formats["needs av"]:
        console.print(f"  with the extra av also: {', '.join(formats['needs av'])}")
    console.print("\n[bold]Extras[/bold]")
    for name, extra in report["extras"].items():
        console.print(f"  {good if extra['installed'] else open_}  {name}: {extra['for']}")
        if extra["missing"]:
            console.print(f"      missing: {', '.join(extra['missing'])}")
            console.print(f"      {extra['command']}", markup=False, style="cyan", soft_wrap=True)
        for package, reason in extra["broken"].items():
            console.print(f"      {package} does not import: {reason}", markup=False, style="red")
    devices = report["devices"]
    console.print("\n[bold]Devices[/bold]")
    memory = f", {devices['memory_gib']} GiB of memory" if devices["memory_gib"] else ""
    console.print(f"  {devices['cores']} cores{memory}")
    console.print(f"  onnxruntime: {', '.join(devices['onnxruntime']) or 'not installed'}")
    console.print(f"  torch: {', '.join(devices['torch']) or 'not installed'}")
    console.print("\n[bold]Folders[/bold]")
    for name, folder in report["folders"].items():
        state = "" if folder["exists"] else " (not made yet)"
        state += "" if folder["writable"] else " [red]not writable[/red]"
        # One line whatever its length, so that it can be copied.
        console.print(f"  {name:7s} {escape(folder['path'])}{state}", soft_wrap=True)
