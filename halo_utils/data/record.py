"""What a data set is: one record with its name, locations, files and reader."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

STANDARD = "ACDEFGHIKLMNPQRSTVWY"  # the 20 amino acids, in the order of every per-residue array


@dataclass(frozen=True)
class Dataset:
    """One data set.

    Attributes:
        name: how profiles and results call it.
        title: how titles and captions call it.
        locations: its K locations, in the publisher's column order.
        files: its raw tables, names of ``data/sources.yaml``; none if it is made, not read.
        read: from the local paths of ``files``, in their order, to the kept table and the dropped rows.
        test_sets: what no choice may look at, the main test set first; subsets of a split included.
        supported: test set -> the locations that can be measured on it, where these are not all.
    """

    name: str
    title: str
    locations: tuple[str, ...]
    files: tuple[str, ...] = ()
    read: Callable[[Sequence[Path]], tuple[pd.DataFrame, pd.DataFrame]] | None = None
    test_sets: tuple[str, ...] = ("test",)
    supported: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
