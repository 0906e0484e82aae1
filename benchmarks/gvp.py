"""The benchmark of the GVP network: a training step beside one of plain PyG message passing with as many products.

The graphs are of real structures where ``HALO_DATA_DIR`` is set, else of synthetic backbones, which the notes say.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch_geometric.data import Batch, Data
from torch_geometric.nn import MessagePassing, global_mean_pool

from benchmarks.attention import CPU, threads
from benchmarks.cases import K, Row, draw_lengths, seconds
from halo_utils.data.record import STANDARD
from halo_utils.data.registry import structure_folders
from halo_utils.data.synthetic.folds import build_backbone
from halo_utils.models.gvp import GvpClassifier
from halo_utils.structures.gvp_features import EDGE_SCALARS, VECTORS, GvpFeatures, gvp_graph
from halo_utils.structures.reader import read_structure, structure_index

FEATURES = GvpFeatures()
NODES, LAYERS = (100, 16), 3  # of LM-GVP
RESIDUES = 2048  # of one batch, as of training


class PlainLayer(MessagePassing):
    """Mean of messages that a network of three linear layers makes of both ends and the edge; then one per node."""

    def __init__(self, nodes: int, edges: int, width: int) -> None:
        super().__init__(aggr="mean")
        first, second, third = nn.Linear(2 * nodes + edges, width), nn.Linear(width, width), nn.Linear(width, nodes)
        self.network = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
        self.own = nn.Sequential(nn.Linear(nodes, 4 * nodes), nn.ReLU(), nn.Linear(4 * nodes, nodes))
        self.norms = nn.ModuleList(nn.LayerNorm(nodes) for _ in range(2))

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Return new nodes, [N, n], from nodes [N, n] and edges [2, E] with [E, e]."""
        x = self.norms[0](x + self.propagate(edge_index, x=x, edge_attr=edge_attr))
        return self.norms[1](x + self.own(x))

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor) -> Tensor:
        """Return messages, [E, n]."""
        return self.network(torch.cat([x_j, edge_attr, x_i], dim=1))


class PlainNetwork(nn.Module):
    """As many plain layers as the GVP network has, between a linear layer and the mean over nodes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES.scalars, NODES[0])
        self.layers = nn.ModuleList(PlainLayer(NODES[0], EDGE_SCALARS, width) for _ in range(LAYERS))
        self.last = nn.Linear(NODES[0], K)

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, [B, K]."""
        x = self.first(batch.x)
        for layer in self.layers:
            x = layer(x, batch.edge_index, batch.edge_attr)
        return self.last(global_mean_pool(x, batch.batch))


def structures(residues: int) -> tuple[list[tuple[str, np.ndarray]], str]:
    """Return sequences and rows [L, 10] of proteins of together at most ``residues``, and what they are."""
    found, total = [], 0
    if files := structure_index(structure_folders()):
        for accession in np.random.default_rng(0).permutation(sorted(files)):
            record = read_structure(files[accession])
            if total + len(record.sequence) <= residues:
                found.append((record.sequence, np.column_stack([record.backbone.reshape(-1, 9), record.plddt])))
                total += len(record.sequence)
            if total > 0.95 * residues:
                break
        return found, "real structures"
    rng = np.random.default_rng(0)
    for length in draw_lengths(residues, 0):
        if total + length <= residues:
            backbone = build_backbone("".join(rng.choice(list("HEC"), length)), "extended", rng)
            found.append(("".join(rng.choice(list(STANDARD), length)), np.c_[backbone.reshape(-1, 9), np.ones(length)]))
            total += length
        if total > 0.95 * residues:
            break
    return found, "synthetic backbones"


def products(network: nn.Module, batch: Batch) -> int:
    """Return the multiplications of matrix products of a forward and a backward pass."""
    with FlopCounterMode(display=False) as counter:
        network(batch).sum().backward()
    return counter.get_total_flops() // 2


def plain_peer(network: nn.Module, batch: Batch) -> PlainNetwork:
    """Return the plain network whose products are as many as those of ``network``, as near as a whole width allows."""
    widths = (50, 100, 150)
    squared, linear, constant = np.polyfit(widths, [products(PlainNetwork(w), batch) for w in widths], 2)  # exact
    return PlainNetwork(round(max(np.roots([squared, linear, constant - products(network, batch)]).real)))


def training_step(network: nn.Module, batch: Batch) -> Callable[[], None]:
    """Return a function that runs one step of training."""
    optimizer = torch.optim.AdamW(network.parameters())

    def step() -> None:
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(network(batch), batch.y).backward()
        optimizer.step()

    return step


def gvp_step(residues: int = RESIDUES, repeats: int = 5) -> list[Row]:
    """A training step of the GVP network on one thread, beside plain message passing, and the features of its batch."""
    proteins, what = structures(residues)

    def graphs() -> list[Data]:
        return [gvp_graph(str(i), *one, FEATURES) for i, one in enumerate(labelled)]

    labelled = [(sequence, np.ones(K), rows) for sequence, rows in proteins]
    batch = Batch.from_data_list(graphs())
    torch.manual_seed(0)
    network = GvpClassifier((FEATURES.scalars, VECTORS), (EDGE_SCALARS, 1), K, NODES, layers=LAYERS).train()
    small = Batch.from_data_list([min(batch.to_data_list(), key=lambda graph: graph.num_nodes)])
    plain = plain_peer(network, small).train()
    size = f"{len(proteins)} proteins, {batch.num_nodes:,} residues, {batch.num_edges:,} edges"
    note = f"{what}: {size}, {LAYERS} layers of {NODES}, one thread"
    with threads(1):
        features = seconds(graphs, CPU, repeats)
        steps = [training_step(one, batch) for one in (network, plain)]
        rounds = [[seconds(step, CPU, warm=i == 0) for step in steps] for i in range(repeats)]  # in turns
    ours, theirs = np.min(rounds, axis=0)
    counts = [products(one, batch) / 1e9 for one in (network, plain)]
    return [
        Row("GVP step", "GVP", float(ours), "s", note),
        Row(
            "GVP step",
            "plain PyG message passing",
            float(theirs),
            "s",
            f"messages {plain.layers[0].network[0].out_features} wide",
        ),
        Row("GVP step", "ratio", float(ours / theirs), "times", "no compiled extension"),
        Row("GVP step", "products, GVP", counts[0], "billion multiplications", "forward and backward"),
        Row("GVP step", "products, plain", counts[1], "billion multiplications", "forward and backward"),
        Row("GVP step", "features", features, "s", "of the batch, from coordinates"),
    ]
