"""What made a result: profile, data, code, packages, hardware, time and memory, as JSON beside it.

Seconds count from the start of the kernel, imports included.
"""

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from halo_utils.config import Settings
from halo_utils.core.files import write_json
from halo_utils.core.machine import commit, hardware, peak_memory_mb

PACKAGES = (
    "torch", "transformers", "lightning", "torch-geometric", "numpy", "pandas", "scikit-learn", "biopython", "gemmi",
)  # fmt: skip


def record(settings: Settings, notebook: str, data_fingerprint: str, **facts: Any) -> Path:
    """Write ``provenance/<notebook>.json`` beside the results of a run and return its path.

    Args:
        settings: profile of the run.
        notebook: name of the notebook without suffix.
        data_fingerprint: from ``datasets.fingerprint``.
        **facts: anything else worth keeping, such as parameter counts.
    """
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
