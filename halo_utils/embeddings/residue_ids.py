"""Letters of a sequence as the ids that a language model gives them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from halo_utils.core.errors import DataError


def residue_ids(sequences: Sequence[str], ids: Mapping[str, int], model: str) -> list[Tensor]:
    """Return [L] int64 per sequence by the table ``ids``; DataError for a letter that ``model`` does not know."""
    table = np.full(256, -1, dtype=np.int64)
    table[[ord(letter) for letter in ids]] = list(ids.values())
    found = [table[np.frombuffer(sequence.encode("latin-1", "replace"), dtype=np.uint8)] for sequence in sequences]
    for sequence, row in zip(sequences, found, strict=True):
        if (row < 0).any():
            letter, known = sequence[int(np.argmax(row < 0))], "".join(sorted(ids))
            raise DataError(f"{model} does not know residue {letter!r}; expected letters of {known}: correct it")
    return [torch.from_numpy(row) for row in found]
