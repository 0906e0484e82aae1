"""What made a result: profile, data, code, packages, hardware, time and memory, as JSON beside it."""

import json
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from halo_utils.config import Settings
from halo_utils.core.files import write_json
from halo_utils.core.machine import commit, hardware, peak_memory_mb
from halo_utils.core.paths import RunPaths

PACKAGES = (
    "torch", "transformers", "lightning", "torch-geometric", "numpy", "pandas", "scikit-learn", "biopython", "gemmi",
)  # fmt: skip


def record(settings: Settings, notebook: str, data_fingerprint: str, **facts: Any) -> Path:
    """Write ``provenance/<notebook>.json`` beside a run's results; seconds count from the start of the kernel."""
    value = {
        "notebook": notebook,
        "profile": settings.model_dump(mode="json"),
        "profile_hash": settings.hash(),
        "data_fingerprint": data_fingerprint,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "hardware": hardware(),
        "seconds": round(time.time() - psutil.Process().create_time(), 1),
        "peak_memory_mb": round(peak_memory_mb()),
        **facts,
    }
    return write_json(settings.paths.results / "provenance" / f"{notebook}.json", value)


def records(paths: RunPaths) -> list[dict[str, Any]]:
    """Return what ``record`` wrote for a run, in notebook order."""
    return [json.loads(p.read_text(encoding="utf-8")) for p in sorted((paths.results / "provenance").glob("*.json"))]
