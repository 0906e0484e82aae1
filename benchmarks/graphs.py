"""The benchmark's graph half: edges, and an epoch of the GAT, beside the released way on the same input."""

from pathlib import Path

import numpy as np
import torch
from torch_geometric.data import Batch, Data

from benchmarks.cases import K, Row, draw_lengths, seconds
from benchmarks.released import loop_edges, parse_ca
from halo_utils.data.record import STANDARD
from halo_utils.data.synthetic.folds import build_backbone, confidence_of
from halo_utils.data.synthetic.proteome import gemmi_structure
from halo_utils.models.gat import GatClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.structures.edges import radius_edges
from halo_utils.structures.residue_graph import group_widths, residue_graph


def graph_building(folder: Path, proteins: int = 6) -> list[Row]:
    """Edges of 361 residues, and an epoch of the GAT from parsed graphs and the released way."""
    ca = helix_model(361, folder / "x.pdb")
    cpu = torch.device("cpu")
    assert np.array_equal(loop_edges(ca, 10.0), radius_edges(ca, 10.0))  # the same rule, the same edges
    loops = seconds(lambda: loop_edges(ca, 10.0), cpu, warm=False)
    tree = seconds(lambda: radius_edges(ca, 10.0), cpu, repeats=20)
    rows = [
        Row("edges", "k-d tree", tree, "s", "361 residues"),
        Row("edges", "double loop", loops, "s", "361 residues"),
        Row("edges", "ratio", loops / tree, "times", "k-d tree"),
    ]
    paths = [folder / f"{i}.pdb" for i in range(proteins)]
    lengths = np.clip(draw_lengths(proteins, 3), 30, 600)
    stored = [helix_model(int(n), path) for n, path in zip(lengths, paths, strict=True)]
    model = GatClassifier(group_widths(64), K, hidden=16, dropout=0.1).train()
    optimizer, loss = torch.optim.AdamW(model.parameters()), FocalLoss(n_locations=K)
    edges = [radius_edges(ca, 10.0) for ca in stored]

    def step(graphs: list[Data]) -> None:
        batch = Batch.from_data_list(graphs)
        optimizer.zero_grad()
        loss(model(batch), batch.y).backward()
        optimizer.step()

    def graph(ca: np.ndarray, found: np.ndarray) -> Data:
        return residue_graph("x", "A" * len(ca), np.ones(K), np.zeros((len(ca), 64), np.float16), ca, found)

    def load() -> list[Data]:
        return [graph(ca, found) for ca, found in zip(stored, edges, strict=True)]

    def released() -> None:
        for path in paths:
            ca = parse_ca(path)
            step([graph(ca, loop_edges(ca, 10.0))])

    theirs = seconds(released, cpu, warm=False)
    ours, loading = seconds(lambda: step(load()), cpu, repeats=5), seconds(load, cpu, repeats=5)
    note = f"{proteins} proteins, {lengths.sum():,} residues, hidden 16"
    return [
        *rows,
        Row("GAT epoch", "ours", ours, "s", note),
        Row("GAT epoch", "released way", theirs, "s", note),
        Row("GAT epoch", "ratio", theirs / ours, "times", "structures parsed and edges searched once, batch size"),
        Row("GAT epoch", "loading", loading / ours, "share of ours"),
    ]


def helix_model(length: int, path: Path) -> np.ndarray:
    """Write a synthetic model of ``length`` residues as PDB and return its C-alpha positions, [L, 3] float32."""
    rng = np.random.default_rng(length)
    states = "".join("H" if (i // 15) % 2 == 0 else "C" for i in range(length))
    sequence = "".join(rng.choice(list(STANDARD), length))
    model = gemmi_structure("x", sequence, build_backbone(states, "compact", rng), confidence_of(states, rng))
    model.write_pdb(str(path))
    return parse_ca(path)
