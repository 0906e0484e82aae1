"""The benchmark of the graph attention layer: ours beside PyG's on contact graphs, and an epoch of the GAT on them.

Where ``HALO_DATA_DIR`` is set the graphs are those of DeepLoc 2.0's training proteins with contact maps; else they are
synthetic ones of the same density, which the notes say.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GATConv

from benchmarks.cases import K, Row, draw_lengths, seconds
from halo_utils.config import load_settings
from halo_utils.core.residue_store import ResidueStore, write_store
from halo_utils.data.deeploc import FILES, read_deeploc2
from halo_utils.data.locations import DEEPLOC
from halo_utils.data.registry import contact_archives, local_copy, structure_folders
from halo_utils.embeddings.truncation import SPECIAL_TOKENS
from halo_utils.models.graph_attention import GraphAttention, SymmetricPattern
from halo_utils.models.losses import FocalLoss
from halo_utils.runs.recipe import graph_network
from halo_utils.structures.contact_maps import both_ways, read_contact_maps
from halo_utils.structures.edges import store_edges
from halo_utils.structures.reader import WIDTH, load_structures, structure_index
from halo_utils.training.batching import logits_of
from halo_utils.training.graph_data import GraphData

CPU = torch.device("cpu")
THREADS = 2
SHAPES = ((4, 16), (4, 128))  # heads x channels: the profile mini's layer, and the paper's
NODES = 8192  # of one batch
DENSITY = 14  # edges per residue of AlphaFold models at 10 angstrom (data/README.md), both ways
EMBEDDING = 192  # width of halo-mini, whose states the epoch's random ones stand for
MAX_TOKENS = 1024  # the paper's
WEIGHTS = (0.5, 1.0, 0.5)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def gat_layer(shapes: tuple[tuple[int, int], ...] = SHAPES, nodes: int = NODES, repeats: int = 3) -> list[Row]:
    """Forward and backward of one layer from and to heads x channels, ours and PyG's, equal outputs and gradients."""
    graphs, what = contact_graphs(nodes)
    batch = Batch.from_data_list(graphs)
    edges, size = batch.edge_index, batch.num_nodes
    note = f"{what}: {len(graphs):,} proteins, {size:,} residues, {edges.shape[1]:,} edges, {THREADS} threads"
    rows = []
    with threads(THREADS):
        made = seconds(lambda: SymmetricPattern.of(edges, size), CPU, repeats)
        pattern = SymmetricPattern.of(edges, size)
        rows.append(Row("GAT layer", "pattern, once a batch", made, "s", note))
        for heads, channels in shapes:
            torch.manual_seed(0)
            theirs = GATConv(heads * channels, channels, heads=heads)
            ours = GraphAttention(heads * channels, channels, heads=heads)
            ours.load_state_dict(theirs.state_dict())
            x, slope = torch.randn(size, heads * channels), torch.randn(size, heads * channels)
            fast = (ours, x, slope, edges, pattern)
            slow = (theirs, x, slope, edges)
            apart = max(map(_distance, _pass(*fast), _pass(*slow)))
            times = [seconds(lambda how=how: _pass(*how), CPU, repeats) for how in (fast, slow)]
            name = f"{heads} x {channels}"
            rows += [
                Row("GAT layer", f"{name}, ours", times[0], "s", note),
                Row("GAT layer", f"{name}, PyG", times[1], "s", note),
                Row("GAT layer", f"{name}, ratio", times[1] / times[0], "times", "products of sparse matrices"),
                Row("GAT layer", f"{name}, largest difference", apart, "of the largest value", "outputs and gradients"),
            ]
    return rows


def _pass(layer: GATConv, x: Tensor, slope: Tensor, *arguments: object) -> list[Tensor]:
    """Return output and gradients of input and weights after one forward and one backward pass."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    output = layer(x, *arguments)
    output.backward(slope)
    return [output.detach(), x.grad, *(p.grad for p in layer.parameters())]


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


def contact_graphs(nodes: int, seed: int = 0) -> tuple[list[Data], str]:
    """Return graphs of about ``nodes`` residues, of whole proteins of at most 1,022, and what they are."""
    found, total = [], 0
    if archives := contact_archives():
        maps = read_contact_maps(archives[0])
        for i in np.random.default_rng(seed).permutation(len(maps)):
            name = maps.accessions[i]
            if maps.length(name) <= MAX_TOKENS - SPECIAL_TOKENS and total < nodes:
                found.append(Data(edge_index=torch.from_numpy(maps.edges(name)), num_nodes=maps.length(name)))
                total += maps.length(name)
        return found, "real contact maps"
    for length in draw_lengths(nodes, seed):
        if total < nodes:
            found.append(synthetic_graph(int(length), seed + total))
            total += int(length)
    return found, "synthetic graphs of the density of real ones"


def synthetic_graph(length: int, seed: int) -> Data:
    """Return a symmetric graph with neighbours along the chain and random contacts, ``DENSITY`` edges per residue."""
    first = np.arange(length)
    near = np.concatenate([np.stack([first[:-k], first[k:]], axis=1) for k in (1, 2, 3)])
    pairs = np.random.default_rng(seed).integers(0, length, (length * DENSITY, 2))
    far = np.unique(np.sort(pairs[np.abs(pairs[:, 0] - pairs[:, 1]) > 3], axis=1), axis=0)
    kept = np.random.default_rng(seed).permutation(len(far))[: max(0, length * DENSITY // 2 - len(near))]
    return Data(edge_index=torch.from_numpy(both_ways(np.concatenate([near, far[kept]]))), num_nodes=length)


class RandomStates:
    """Frozen embeddings of any protein, rows of one random array [N, D] float16; what they hold changes no time."""

    content = "random"

    def __init__(self, lengths: dict[str, int], width: int = EMBEDDING) -> None:
        rng = np.random.default_rng(0)
        self.lengths, self.width = lengths, width
        self.states = rng.standard_normal((max(lengths.values()), width), dtype=np.float32).astype(np.float16)

    def rows(self, accession: str) -> np.ndarray:
        """Return the states of the residues read, [N, D]."""
        return self.states[: self.lengths[accession]]


def gat_epoch(folder: Path) -> list[Row]:
    """One pass of training over the human training proteins of DeepLoc 2.0 that have edges; none without real data."""
    table, stores = training_proteins(folder)
    if not len(table):
        print("no contact maps of DeepLoc 2.0 here (HALO_DATA_DIR): the epoch of the GAT is not measured")
        return []
    with threads(THREADS):
        return epoch_rows(table, stores)


def training_proteins(folder: Path) -> tuple[pd.DataFrame, tuple[ResidueStore, ResidueStore] | None]:
    """Return the human training proteins with edges, and the stores of their structures and edges."""
    path = local_copy(FILES[0])
    if path is None or not contact_archives():
        return pd.DataFrame(), None
    table = read_deeploc2(path)[0]
    maps = [read_contact_maps(archive) for archive in contact_archives()]
    files, human = structure_index(structure_folders()), {a for one in maps for a in one.accessions}
    table = table[(table["split"] == "train") & (table["accession"].isin(human) | table["accession"].isin(files))]
    arrays, _ = load_structures(table[table["accession"].isin(files)], structure_folders())
    lengths = [len(rows) for rows in arrays.values()]
    path = folder / "structures.npy"
    structures = write_store(path, "bench", list(arrays), lengths, WIDTH, enumerate(arrays.values()), "float32")
    edges = store_edges(folder / "edges.npy", table, structures, maps)
    return table[table["accession"].isin(edges.accessions)], (structures, edges)


def epoch_rows(table: pd.DataFrame, stores: tuple[ResidueStore, ResidueStore]) -> list[Row]:
    """Measure one pass over the proteins of ``table`` with the network of profile ``mini`` on whole proteins."""
    settings = load_settings("mini", dataset="deeploc2")
    lengths = {
        a: min(len(s), MAX_TOKENS - SPECIAL_TOKENS) for a, s in zip(table["accession"], table["sequence"], strict=True)
    }
    budget = settings.gat.nodes_per_batch
    data = GraphData(table, DEEPLOC, RandomStates(lengths), *stores, max_tokens=MAX_TOKENS, nodes_per_batch=budget)
    model = graph_network(settings, data, WEIGHTS).train()
    loss, optimizer = FocalLoss(settings.gat.focal.gamma, n_locations=K), torch.optim.AdamW(model.parameters())

    def epoch() -> None:
        for batch in data.train_dataloader():
            optimizer.zero_grad()
            loss(logits_of(model, batch), batch.y).backward()
            optimizer.step()

    gat, residues = settings.gat, sum(lengths.values())
    size = f"{gat.layers} layers of {gat.heads} x {gat.hidden}, {residues:,} residues, {THREADS} threads"
    states = f"random frozen embeddings of width {EMBEDDING}"
    note = f"{len(table):,} training proteins of DeepLoc 2.0 with edges, {size}, {states}"
    return [Row("GAT on contact maps", "epoch", seconds(epoch, CPU, warm=False), "s", note)]
