"""The sets of proteins a system is measured on, and how stored predictions are joined to them."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from halo_utils.core.errors import DataError
from halo_utils.data.locations import supported
from halo_utils.data.splits import evaluation_sets, held_out_sets, label_matrix

ALL, WITH_GRAPH = "all proteins", "with a graph"  # the grounds that systems are compared on


@dataclass(frozen=True)
class EvaluationSet:
    """The proteins a system is measured on."""

    name: str  # split or subset
    dataset: str
    accessions: np.ndarray  # [B]
    y: np.ndarray  # [B, K] int8 labels
    locations: list[str]  # the K that can be measured on it
    families: np.ndarray  # [B] int, proteins with the same number are relatives and are resampled together

    @property
    def absent(self) -> list[str]:
        """The locations without a protein here, which macro averages leave out."""
        return [name for name, n in zip(self.locations, self.y.sum(axis=0), strict=True) if n == 0]

    def join(self, predictions: pd.DataFrame, columns: list[str] | None = None) -> np.ndarray:
        """Return the predictions of these proteins in this order, [B, K]; DataError where a protein has none."""
        indexed = predictions.set_index("accession", verify_integrity=True)[columns or self.locations]
        if missing := sorted(set(self.accessions) - set(indexed.index)):
            proteins = f"{len(missing)} proteins of {self.name} such as {missing[0]}"
            raise DataError(f"{proteins} have no prediction: predict them again")
        return indexed.loc[self.accessions].to_numpy()


def restrict(view: EvaluationSet, keep: np.ndarray, what: str) -> EvaluationSet:
    """Return the proteins of a set where ``keep`` [B] is true, named ``<set>, <what>``."""
    kept = {field: getattr(view, field)[keep] for field in ("accessions", "y", "families")}
    return replace(view, name=f"{view.name}, {what}", **kept)


def grounds(table: pd.DataFrame, view: EvaluationSet) -> dict[str, EvaluationSet]:
    """Return the grounds of a set: all its proteins, and those with a graph (contacts known) where there are any.

    DataError where the table does not say which have one.
    """
    if "graph" not in table:
        raise DataError("the dataset table has no column graph: prepare the data again")
    graph = table.set_index("accession").loc[view.accessions, "graph"].to_numpy(dtype=bool)
    return {ALL: view} | ({WITH_GRAPH: restrict(view, graph, WITH_GRAPH)} if graph.any() else {})


def evaluation_set(table: pd.DataFrame, name: str, dataset: str) -> EvaluationSet:
    """Return the proteins of a split or subset of the dataset table; DataError if it has no families yet."""
    if "family" not in table:
        raise DataError("the dataset table has no column family: prepare the data again")
    proteins, locations = table[evaluation_sets(table)[name]], list(supported(dataset, name))
    accessions, families = (proteins[column].to_numpy() for column in ("accession", "family"))
    return EvaluationSet(name, dataset, accessions, label_matrix(proteins, locations), locations, families)


def held_out_views(table: pd.DataFrame, dataset: str) -> dict[str, EvaluationSet]:
    """Return every test set of the data set, in order; the first one is the main test set."""
    return {name: evaluation_set(table, name, dataset) for name in held_out_sets(table)}
