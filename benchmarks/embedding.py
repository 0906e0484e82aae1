"""The benchmark's embedding half: our packed encoder beside Hugging Face's model and esm.cpp, on the same proteins.

Sides that differ in one thing are like with like; the note of every other ratio names all that it mixes.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import EsmForMaskedLM, EsmModel

from benchmarks.cases import SHAPES, Row, backbone, batches, draw_lengths, draw_tokens, seconds
from benchmarks.released import PAD_TOKEN, padded_batches
from halo_utils.core.devices import autocast, has_bf16_units
from halo_utils.core.errors import HaloError, SettingsError
from halo_utils.core.machine import hardware
from halo_utils.embeddings.esm2 import esm2_config
from halo_utils.embeddings.packed_encoder import PackedEncoder
from halo_utils.training.batching import ProteinBatch

UNSORTED_BATCH = 8  # proteins, in the order they come
PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}  # names of a profile's compute.precision
WORKER = Path(__file__).with_name("esmcpp.py")
CLOSE = 1e-3  # largest difference of a logit between two ways to compute the same in float32


def arithmetics() -> list[str]:
    """Return float32, and bf16 where the hardware has units for it; what profiles with ``auto`` use comes last."""
    return ["fp32", "bf16"] if has_bf16_units() else ["fp32"]


def packed_pass(encoder: PackedEncoder, packed: list[ProteinBatch], kind: str) -> list[Tensor]:
    """Return the states of batches, [B, T, D] each, which the encoder packs."""
    with torch.inference_mode(), autocast(PRECISION[kind]):
        return [encoder(batch.tokens, batch.token_mask) for batch in packed]


def padded_pass(model: EsmModel, matrices: list[Tensor], attention: str, kind: str) -> list[Tensor]:
    """Return the states of padded batches, [B, T, D] each, as Hugging Face computes them."""
    model.set_attn_implementation(attention)
    with torch.inference_mode(), autocast(PRECISION[kind]):
        return [model(input_ids=m, attention_mask=(m != PAD_TOKEN).long()).last_hidden_state for m in matrices]


def fastest(ways: dict[str, Callable[[], object]], device: torch.device, rounds: int) -> dict[str, float]:
    """Return the shortest wall time of every way; they take turns, so that a slow minute of the machine meets all."""
    runs = [{name: seconds(work, device, warm=False) for name, work in ways.items()} for _ in range(rounds)]
    return {name: min(run[name] for run in runs) for name in ways}


def comparisons(kinds: list[str]) -> dict[str, tuple[str, str, str]]:
    """Return the ratios of embedding by name: our side, the other side, and everything that differs."""
    found = {}
    for kind in kinds:
        other = "" if kind == "fp32" else ", precision"
        ours, sorted_too = f"ours {kind}", f"Hugging Face SDPA sorted {kind}"
        found[f"{kind} beside SDPA sorted {kind}"] = (ours, sorted_too, "packed encoder")
        for attention, what in (("SDPA", ""), ("eager", ", attention kernel")):
            theirs, mixed = (
                f"Hugging Face {attention} unsorted fp32",
                f"packed encoder, sorting, batch size{what}{other}",
            )
            found[f"{kind} beside {attention} unsorted fp32"] = (ours, theirs, mixed)
    return found


def embedding(
    device: torch.device, shape: str = "8M", proteins: int = 256, budget: int = 8192, rounds: int = 2
) -> list[Row]:
    """Residues per second of embedding, beside Hugging Face's model on the same proteins.

    Its batches are ours, padded, in the same precision; or eight proteins in the order they come, in float32, as a
    user would begin.
    """
    lengths, kinds, case = draw_lengths(proteins, 2), arithmetics(), f"embedding {shape}"
    tokens = draw_tokens(lengths, 2)
    model = backbone(SHAPES[shape], "sdpa", device)
    encoder = PackedEncoder(model, 0, SHAPES[shape][0])
    packed = [batch.to(device) for batch in batches(tokens, budget)]
    alike = [_padded(batch).to(device) for batch in packed]
    unsorted = [m.to(device) for m in padded_batches(tokens, UNSORTED_BATCH, width=None)]
    ways: dict[str, Callable[[], object]] = {}
    for kind in kinds:
        ways[f"ours {kind}"] = partial(packed_pass, encoder, packed, kind)
        ways[f"Hugging Face SDPA sorted {kind}"] = partial(padded_pass, model, alike, "sdpa", kind)
    slow = {f"Hugging Face {a} unsorted fp32": partial(padded_pass, model, unsorted, a.lower(), "fp32")
            for a in ("SDPA", "eager")}  # fmt: skip
    times = fastest(ways, device, rounds) | fastest(slow, device, 1)
    note = f"{shape} shape, {proteins} proteins, {lengths.sum():,} residues"
    rate = matrix_rate(device, kinds[-1])
    utilisation = embedding_flops(SHAPES[shape], lengths + 2) / times[f"ours {kinds[-1]}"] / rate
    real = sum(map(len, tokens))
    return [
        *(Row(case, name, lengths.sum() / wall, "residues/s", note) for name, wall in times.items()),
        *(Row(case, n, times[b] / times[a], "times", what) for n, (a, b, what) in comparisons(kinds).items()),
        Row(case, "padding efficiency, ours", real / sum(int(b.token_mask.sum()) for b in packed), "share", "packed"),
        Row(case, "padding efficiency, sorted", real / sum(m.numel() for m in alike), "share"),
        Row(case, "padding efficiency, unsorted", real / sum(m.numel() for m in unsorted), "share"),
        Row(case, "utilisation", utilisation, "share", f"of {rate / 1e9:,.0f} GFLOP/s, {kinds[-1]}"),
    ]


def _padded(batch: ProteinBatch) -> Tensor:
    """Return the tokens of a batch as Hugging Face pads them, [B, T]."""
    return batch.tokens.masked_fill(~batch.token_mask, PAD_TOKEN)


def embedding_flops(shape: tuple[int, int, int], lengths: np.ndarray) -> float:
    """Return the multiply-adds, counted twice, of one pass over proteins of the given token counts."""
    layers, width, _ = shape
    return float(layers * (24 * width**2 * lengths.sum() + 4 * width * (lengths.astype(float) ** 2).sum()))


def matrix_rate(device: torch.device, kind: str, size: int = 2048) -> float:
    """Return the measured rate of a square matrix product, in operations per second."""
    a, b = torch.randn(2, size, size, device=device).to(torch.bfloat16 if kind == "bf16" else torch.float32)
    return 2 * size**3 / seconds(lambda: a @ b, device, repeats=5)


def esm_cpp(python: str, shape: str = "8M", proteins: int = 64, budget: int = 8192, rounds: int = 2) -> list[Row]:
    """Residues per second beside esm.cpp, a C++ engine for CPUs that packs too and adds the head of its model.

    It is written for AVX-512 and crawls without, so the case names the instructions: rows of both kinds stay.

    Args:
        python: interpreter of an environment with the wheel ``esm-cpp``; it wants another numpy than ours.
        shape: name in ``SHAPES``.
        proteins: how many.
        budget: tokens per batch of ours; esm.cpp makes its own batches.
        rounds: how often both sides take turns.

    Raises:
        SettingsError: if the interpreter cannot run it.
        HaloError: if its float32 numbers are not ours.
    """
    cpu, lengths, case = torch.device("cpu"), draw_lengths(proteins, 2), f"esm.cpp {shape} {hardware()['instructions']}"
    tokens = draw_tokens(lengths, 2)
    torch.manual_seed(0)
    model = EsmForMaskedLM(esm2_config(*SHAPES[shape])).eval()
    encoder, packed = PackedEncoder(model.esm, 0, SHAPES[shape][0]), batches(tokens, budget)
    ours = {f"ours {kind}": partial(packed_pass, encoder, packed, kind) for kind in arithmetics()}
    times: dict[str, list[float]] = {}
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        expected = model.lm_head(encoder.packed(tokens[0], [len(tokens[0])])).numpy()
        _publish(model, Path(folder) / "model.safetensors")
        np.savez(Path(folder) / "tokens.npz", tokens=torch.cat(tokens).numpy(), lengths=[len(t) for t in tokens])
        for _ in range(rounds):
            found = {n: seconds(work, cpu, warm=False) for n, work in ours.items()}
            for kind in ("FP32", "INT8"):
                found[f"esm.cpp {kind}"], logits = run_esm_cpp(python, Path(folder), kind)
                if kind == "FP32" and not np.allclose(logits, expected, atol=CLOSE):
                    raise HaloError(f"esm.cpp computes other numbers, by up to {np.abs(logits - expected).max():.2g}")
            for name, wall in found.items():
                times.setdefault(name, []).append(wall)
    best, note = {n: min(walls) for n, walls in times.items()}, f"{shape} shape, {proteins} proteins"
    rows = [Row(case, name, lengths.sum() / wall, "residues/s", note) for name, wall in best.items()]
    for kind in arithmetics():
        other = "" if kind == "fp32" else ", precision"
        ratio = best["esm.cpp FP32"] / best[f"ours {kind}"]
        rows.append(Row(case, f"{kind} beside esm.cpp FP32", ratio, "times", f"engine, its head{other}"))
    return rows


def _publish(model: EsmForMaskedLM, path: Path) -> None:
    """Write weights under the names of Meta's checkpoints, which other programs read."""
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    frequency = weights.pop("esm.rotary_embeddings.inv_freq")
    for i in range(model.config.num_hidden_layers):
        weights[f"esm.encoder.layer.{i}.attention.self.rotary_embeddings.inv_freq"] = frequency.clone()
    save_file(weights, path, metadata={"format": "pt"})


def run_esm_cpp(python: str, folder: Path, kind: str) -> tuple[float, np.ndarray]:
    """Return seconds of one pass in a process of its own, and the logits of the first protein, [T, 33]."""
    environment = {**os.environ, "ESM_NUM_THREADS": str(torch.get_num_threads())}
    command = [python, str(WORKER), str(folder), kind]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise SettingsError(f"--esm-cpp {python}: expected a Python with the wheel esm-cpp ({said})") from error
    return json.loads(done.stdout)["seconds"], np.load(folder / "first.npy")
