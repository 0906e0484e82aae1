"""What a number was computed with: commit, processor, GPU and memory."""

import os
import platform
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from halo_utils.core.paths import IN_CHECKOUT, REPOSITORY

CODE = ("halo_utils", "notebooks/*.py", "requirements.txt")  # what can change a number


def commit() -> str:
    """Return the commit of the repository, with ``+changes`` where code differs from it, or ``unknown``."""
    if not IN_CHECKOUT:  # git would name the repository that the environment happens to stand in
        return "unknown"
    try:
        head, dirty = (
            subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--", *CODE))
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+changes" if dirty else "")


def hardware() -> dict[str, Any]:
    """Return processor, cores, threads and GPU of this process; where it has not loaded torch it used no GPU."""
    cpuinfo = Path("/proc/cpuinfo")
    name = re.search(r"^model name\s*:(.*)", cpuinfo.read_text() if cpuinfo.is_file() else "", re.MULTILINE)
    processor = name[1].strip() if name else platform.machine()
    facts = {"processor": processor, "cores": os.cpu_count(), "threads": os.cpu_count(), "gpu": None}
    if torch := sys.modules.get("torch"):  # not imported here: that takes longer than most notebooks need
        facts |= {"threads": torch.get_num_threads(), "instructions": torch.backends.cpu.get_cpu_capability()}
        facts["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return facts


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
