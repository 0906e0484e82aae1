"""Where a run computes and in which arithmetic: bf16 where the hardware has units for it, else float32."""

import os
import shutil

import torch

from halo_utils.profile import ComputeSettings


def device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16_units() -> bool:
    """Return whether bf16 is faster here than float32; a processor without such units emulates it, far slower.

    A CPU counts with AMX or AVX-512 BF16, a GPU from compute capability 8.0 on.
    """
    if device().type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def resolve(precision: str) -> str:
    """Return ``32-true`` or ``bf16-mixed`` for a profile's precision, in which ``auto`` leaves it to the hardware."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if has_bf16_units() else "32-true"


def compiles(compute: ComputeSettings) -> bool:
    """Return whether the profile asks for ``torch.compile`` and a C++ compiler is here, which it needs."""
    if not compute.compile:
        return False
    found = shutil.which(os.environ.get("CXX", "")) or shutil.which("g++") or shutil.which("clang++")
    if not found:
        print("compute.compile: no C++ compiler here, the blocks run as they are (slower, equal but for rounding)")
    return found is not None


def autocast(precision: str) -> torch.autocast:
    """Return the context in which a model of this precision runs."""
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=resolve(precision) == "bf16-mixed")
