"""Residue states of a split ESM-2, kept on disk: those of its frozen trunk, and the last ones."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from halo_utils.core.devices import device, resolve
from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.embeddings.esm2 import SplitEsm2
from halo_utils.embeddings.truncation import SPECIAL_TOKENS
from halo_utils.training.fit import weights_digest
from halo_utils.training.predict import inference
from halo_utils.training.sequence_data import SequenceData

CACHE_VERSION = 3  # of stored states; raised by hand when a change of code changes numbers
DISK_RESERVE = 0.9  # share of the free disk a trunk cache may take


def cache_trunk(encoder: SplitEsm2, data: SequenceData, path: Path, precision: str = "32-true") -> ResidueStore | None:
    """Return the store of the frozen trunk's states, [T, D] float16 per protein, made once.

    None where nothing is kept: everything learns, the trunk has no layer, or the disk is too small, which is said.
    """
    if not encoder.trunk_is_frozen or not len(encoder.trunk.layers):
        return None
    lengths = [len(t) for t in data.tokens]

    def write() -> ResidueStore | None:
        path.parent.mkdir(parents=True, exist_ok=True)
        need, free = sum(lengths) * encoder.width * np.dtype(np.float16).itemsize, shutil.disk_usage(path.parent).free
        if need > DISK_RESERVE * free:
            print(f"trunk cache needs {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free: the whole model runs instead")
            return None
        print(f"trunk cache: {need / 1e6:.0f} MB")
        rows = _rows(encoder, encoder.trunk_states, data, precision, strip=False)
        return write_store(path, key, list(data.table["accession"]), lengths, encoder.width, rows)

    key = digest("trunk", weights_digest(encoder.trunk), data.key, resolve(precision), CACHE_VERSION)
    return store_of(path, key, write)


def embed(encoder: SplitEsm2, data: SequenceData, path: Path, precision: str = "32-true") -> ResidueStore:
    """Return a model's last hidden states, one row per residue read, [L, D] float16 per protein, made once.

    The trunk's cached states are used. The key holds the weights, so cells may be run again in any order.
    """
    key = digest("residues", weights_digest(encoder), data.key, resolve(precision), CACHE_VERSION)
    names, lengths = list(data.table["accession"]), [len(t) - SPECIAL_TOKENS for t in data.tokens]
    rows = _rows(encoder, encoder, data, precision)
    return store_of(path, key, lambda: write_store(path, key, names, lengths, encoder.width, rows))


def _rows(
    encoder: SplitEsm2, states: Callable[..., Tensor], data: SequenceData, precision: str, *, strip: bool = True
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (table position, rows) for every protein; ``strip`` leaves special tokens out."""
    position = {name: i for i, name in enumerate(data.table["accession"])}
    encoder.eval().to(device())
    loader = data.loader(np.arange(len(data.table)))
    step = lambda batch: states(batch.tokens, batch.token_mask)  # noqa: E731
    for batch, hidden in inference(loader, step, precision, "embed", "esm.tokens_per_batch"):
        for name, rows, mask in zip(batch.accessions, hidden.float().cpu(), batch.token_mask.cpu(), strict=True):
            rows = rows[mask].numpy()
            yield position[name], rows[1:-1] if strip else rows
    encoder.cpu()
