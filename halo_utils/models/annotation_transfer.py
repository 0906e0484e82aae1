"""Annotation transfer: the labels of the training protein whose mean state is nearest (Stärk et al. 2021, "AT")."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

CHUNK = 1024  # queries at a time, so that distances fit the memory


def nearest(queries: np.ndarray, references: np.ndarray, metric: str = "cityblock") -> tuple[np.ndarray, np.ndarray]:
    """Return the position of every query's nearest reference, [B] int64, and their distance, [B] float64.

    ``queries`` [B, D] and ``references`` [M, D] are mean states; the distance is L1, as published. Of equally near
    references the first counts.
    """
    where, distance = np.zeros(len(queries), dtype=np.int64), np.zeros(len(queries))
    for start in range(0, len(queries), CHUNK):
        part = cdist(queries[start : start + CHUNK], references, metric)
        where[start : start + CHUNK], distance[start : start + CHUNK] = part.argmin(axis=1), part.min(axis=1)
    return where, distance


def transfer(
    queries: np.ndarray, references: np.ndarray, accessions: Sequence[str], labels: np.ndarray, locations: Sequence[str]
) -> pd.DataFrame:
    """Return distance, source accession and the source's labels, K columns of 0 and 1, one row per query.

    ``accessions`` [M] and ``labels`` [M, K] are those of ``references``; training proteins alone may be references.
    """
    where, distance = nearest(queries, references)
    found = pd.DataFrame(labels[where], columns=list(locations))
    found.insert(0, "source", np.asarray(accessions)[where])
    found.insert(0, "distance", distance)
    return found
