"""What made a result: profile, data, code, packages, hardware, time and memory, as JSON beside it.

Seconds count from the start of the kernel, imports included.
"""

import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from halo_utils.files import write_json
from halo_utils.paths import REPOSITORY
from halo_utils.settings import Settings

CODE = ("halo_utils", "notebooks/*.py", "requirements.txt")  # what can change a number
PACKAGES = (
    "torch",
    "transformers",
    "lightning",
    "torch-geometric",
    "numpy",
    "pandas",
    "scikit-learn",
    "biopython",
    "gemmi",
)


def commit() -> str:
    """Return the commit of the repository, with ``+changes`` where code differs from it, or ``unknown``."""
    command = ["git", "-C", str(REPOSITORY)]
    try:
        head = subprocess.run([*command, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            [*command, "status", "--porcelain", "--", *CODE], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


def processor() -> str:
    """Return the processor's name, or the architecture where the system does not tell."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def hardware() -> dict[str, Any]:
    """Return processor, cores, threads and GPU of this process; where it has not loaded torch it used no GPU."""
    found = {"processor": processor(), "cores": os.cpu_count(), "threads": os.cpu_count(), "gpu": None}
    if torch := sys.modules.get("torch"):  # not imported here: that takes longer than most notebooks need
        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        found |= {
            "threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "gpu": gpu,
        }
    return found


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


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
