"""Precision ``auto``: bf16 where the hardware has units for it, float32 where it would emulate them."""

from pathlib import Path

import pytest
import torch

from halo_utils.config import load_settings, profile_names
from halo_utils.core import devices
from halo_utils.core import devices as precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"avx2": True}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_auto_follows_the_processor(monkeypatch: pytest.MonkeyPatch, capabilities: dict, expected: str) -> None:
    monkeypatch.setattr(precision, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert devices.resolve("auto") == expected
    assert [devices.resolve(name) for name in ("32-true", "bf16-mixed")] == ["32-true", "bf16-mixed"]
    with devices.autocast("auto"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert (product.dtype == torch.bfloat16) == (expected == "bf16-mixed")


@pytest.mark.parametrize("emulated", [True, False])
def test_auto_follows_the_gpu(monkeypatch: pytest.MonkeyPatch, emulated: bool) -> None:
    monkeypatch.setattr(precision, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation or not emulated
    )
    assert devices.resolve("auto") == ("32-true" if emulated else "bf16-mixed")


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(devices.shutil, "which", lambda name: "/bin/c++" if name == "g++" else None)
    assert devices.compiles(True) and not devices.compiles(False)
    monkeypatch.setattr(devices.shutil, "which", lambda name: None)
    assert not devices.compiles(True) and "no C++ compiler here" in capsys.readouterr().out


def test_no_shipped_profile_forces_emulation() -> None:
    assert {load_settings(name).compute.precision for name in profile_names()} <= {"auto", "32-true"}


def test_a_gpu_that_torch_does_not_see_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for listed, starts in (("GPU 0: NVIDIA T4 (UUID: x)", "GPU 0: NVIDIA T4"), ("No devices were found", "")):
        command = tmp_path / "nvidia-smi"
        command.write_text(f"#!/bin/sh\necho '{listed}'\n")
        command.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        devices.unused_gpu.cache_clear()
        said = devices.unused_gpu()
        assert said.startswith(starts) and bool(said) == bool(starts)
        assert not starts or "does not see it" in said
    devices.unused_gpu.cache_clear()
