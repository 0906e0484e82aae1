"""TODO."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError
from halo_utils.data.locations import supported
from halo_utils.data.splits import evaluation_sets, held_out_sets, label_matrix


@dataclass(frozen=True)
class EvaluationSet:
    """The proteins a system is measured on.

    Attributes:
        name: split or subset.
        accessions: [B].
        y: [B, K] int8 labels.
        places: the K locations that can be measured on it.
        families: [B] int, proteins with the same number are relatives and are resampled together.
    """

    name: str
    accessions: np.ndarray
    y: np.ndarray
    places: list[str]
    families: np.ndarray

    @property
    def absent(self) -> list[str]:
        """The locations without a protein here, which macro averages leave out."""
        return [place for place, n in zip(self.places, self.y.sum(axis=0), strict=True) if n == 0]

    def join(self, predictions: pd.DataFrame, columns: list[str] | None = None) -> np.ndarray:
        """Return the predictions of these proteins in this order, [B, K], joined by accession.

        Raises:
            DataError: if a protein has no prediction.
        """
        indexed = predictions.set_index("accession", verify_integrity=True)[columns or self.places]
        missing = sorted(set(self.accessions) - set(indexed.index))
        if missing:
            raise DataError(
                f"{len(missing)} proteins of {self.name} such as {missing[0]} have no prediction:"
                " run the notebook that makes it again"
            )
        return indexed.loc[self.accessions].to_numpy()


def restrict(view: EvaluationSet, keep: np.ndarray, what: str) -> EvaluationSet:
    """Return the proteins of a set where ``keep`` [B] is true, named ``<set>, <what>``."""
    name = f"{view.name}, {what}"
    return EvaluationSet(name, view.accessions[keep], view.y[keep], view.places, view.families[keep])


def evaluation_set(settings: Settings, table: pd.DataFrame, name: str) -> EvaluationSet:
    """Return the proteins of a split or subset.

    Raises:
        DataError: if the table is from before families were stored.
    """
    if "family" not in table:
        raise DataError("the dataset table has no column family: run notebook 01_data_preparation again")
    places = list(supported(settings.data.dataset, name))
    part = table[evaluation_sets(table)[name]]
    families = part["family"].to_numpy()
    return EvaluationSet(name, part["accession"].to_numpy(), label_matrix(part, places), places, families)


def held_out_views(settings: Settings, table: pd.DataFrame) -> dict[str, EvaluationSet]:
    """Return every test set of the run, in order; the first one is the main test set."""
    return {name: evaluation_set(settings, table, name) for name in held_out_sets(table)}
