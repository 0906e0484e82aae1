"""Where a run computes and in which arithmetic: bf16 where the hardware has units for it, else float32."""

import os
import shutil
import subprocess
from functools import cache

import torch


def device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@cache
def unused_gpu() -> str:
    """Return a sentence where ``nvidia-smi`` finds a GPU that torch does not see, else an empty one."""
    if torch.cuda.is_available() or not (command := shutil.which("nvidia-smi")):
        return ""
    try:
        listed = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    names = [line for line in listed.splitlines() if line.startswith("GPU ")]
    build = f"torch {torch.__version__} does not see it and computes on the CPU"
    remedy = "install a build of torch for your driver (RUNNING.md, Installing it)"
    return f"{names[0]}: {build}; {remedy}" if names else ""


def has_bf16_units() -> bool:
    """Return whether this GPU or CPU (AMX, AVX-512 BF16) has units for bf16; others emulate it, far slower."""
    if device().type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def resolve(precision: str) -> str:
    """Return ``32-true`` or ``bf16-mixed`` for a profile's precision; ``auto`` leaves it to the hardware."""
    return precision if precision != "auto" else "bf16-mixed" if has_bf16_units() else "32-true"


def compiles(wanted: bool) -> bool:
    """Return whether ``torch.compile`` is wanted and the C++ compiler that it needs is here."""
    compilers = (os.environ.get("CXX", ""), "g++", "clang++")
    if wanted and not any(map(shutil.which, compilers)):
        print("compute.compile: no C++ compiler here, the layers run as they are (slower, equal but for rounding)")
        return False
    return wanted


def autocast(precision: str) -> torch.autocast:
    """Return the context in which a model of this precision runs."""
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=resolve(precision) == "bf16-mixed")
