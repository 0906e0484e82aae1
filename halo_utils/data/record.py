"""What a data set is: one record with its name, locations, files and reader."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

STANDARD = "ACDEFGHIKLMNPQRSTVWY"  # the 20 amino acids, in the order of every per-residue array


@dataclass(frozen=True)
class Dataset:
    """One data set: what profiles and results call it (``name``), what titles do, and how its raw files are read."""

    name: str
    title: str
    locations: tuple[str, ...]  # K, in the publisher's column order
    files: tuple[str, ...] = ()  # raw tables, names of data/sources.yaml; none if it is made, not read
    read: Callable[[Sequence[Path]], tuple[pd.DataFrame, pd.DataFrame]] | None = None
    test_sets: tuple[str, ...] = ("test",)  # what no choice may look at, the main one first
    supported: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # locations of a test set, if not all
