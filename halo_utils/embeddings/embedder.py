"""Every source of residue states behind one call: ``EMBEDDERS[name](sequences)`` returns [L, D] per protein."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from halo_utils.core.devices import device
from halo_utils.data.registry import registry
from halo_utils.embeddings.esm2 import Esm2States, backbone_folder, load_esm2
from halo_utils.embeddings.floors import Composition, OneHot
from halo_utils.embeddings.prot_trans import PROT_BERT, PROT_T5, load_prot_bert, load_prot_t5
from halo_utils.embeddings.unirep import LICENCE, load_unirep, weights_file


@dataclass(frozen=True)
class Embedder:
    """One embedder: what results call it (``name``), what titles do, and how its network is loaded.

    ``load`` returns a module with ``width`` D whose ``forward`` takes B sequences and returns states [L, D] of each;
    it is called at first use. ``residues_per_batch`` counts padding. ``licence`` is said wherever results are shown.
    ``hub`` is the id on the Hugging Face hub of what is fetched from there.
    """

    name: str
    title: str
    load: Callable[[], nn.Module]
    residues_per_batch: int = 8192
    licence: str = ""
    hub: str = ""

    @cached_property
    def network(self) -> nn.Module:
        """The network, loaded once, on the device there is."""
        return self.load().eval().requires_grad_(False).to(device())

    @property
    def width(self) -> int:
        """D, the numbers of a state."""
        return self.network.width

    def __call__(self, sequences: Sequence[str]) -> list[np.ndarray]:
        """Return states [L, D] float32 per protein; every residue of every sequence is read, nothing is cut."""
        states = dict(self.stream(sequences))
        return [states[i] for i in range(len(sequences))]

    def stream(self, sequences: Sequence[str]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (position, states [L, D] float32) of every protein, from short to long, a batch in memory at a time."""
        for batch in batches([len(sequence) for sequence in sequences], self.residues_per_batch):
            with torch.inference_mode():
                states = self.network([sequences[i] for i in batch])
            yield from zip(batch, (s.float().cpu().numpy() for s in states), strict=True)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield positions of proteins from short to long; a batch is one protein or, padded, within ``budget`` residues."""
    batch: list[int] = []
    for i in np.argsort(lengths, kind="stable").tolist():
        if batch and lengths[i] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def esm2_embedder(name: str, title: str, source: str, **options: object) -> Embedder:
    """Return an ESM-2 from where ``load_esm2`` takes it; a hub id's commit is that of ``data/sources.yaml``."""

    def load() -> nn.Module:
        known = registry().backbones.get(source)
        return Esm2States(load_esm2(source, **({"revision": known.revision} if known else {}) | options))

    return Embedder(name, title, load, hub=source if backbone_folder(source) is None and source != "random" else "")


# Shape and first weights of halo-mini, which has been trained; this one has not.
UNTRAINED = {"layers": 4, "width": 192, "heads": 3, "init_std": 0.04}
UNIREP_BATCH = 65536  # wide batches: a step of the recurrence is a small product


def _unirep(size: int) -> Embedder:
    return Embedder(f"unirep-{size}", f"UniRep {size}", lambda: load_unirep(weights_file(size)), UNIREP_BATCH, LICENCE)


EMBEDDERS: dict[str, Embedder] = {
    embedder.name: embedder
    for embedder in (
        Embedder("composition", "composition", Composition),
        Embedder("one-hot", "one-hot", OneHot),
        esm2_embedder("esm2-untrained", "untrained ESM-2", "random", shape=UNTRAINED),
        esm2_embedder("halo-mini", "halo-mini", "data/checkpoints/halo-mini"),
        *map(_unirep, (64, 256, 1900)),
        esm2_embedder("esm2-8m", "ESM-2 8M", "facebook/esm2_t6_8M_UR50D"),
        esm2_embedder("esm2-650m", "ESM-2 650M", "facebook/esm2_t33_650M_UR50D"),
        Embedder("prot-bert", "ProtBERT", load_prot_bert, hub=PROT_BERT[0]),
        Embedder("prot-t5", "ProtT5-XL", load_prot_t5, residues_per_batch=4096, hub=PROT_T5[0]),
    )
}
