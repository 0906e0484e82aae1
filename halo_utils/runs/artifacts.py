"""What notebooks hand to each other: tables, predictions, residue stores; and who made what is missing."""

from pathlib import Path

import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError
from halo_utils.core.files import read_parquet, write_parquet
from halo_utils.core.paths import shown
from halo_utils.core.residue_store import ResidueStore
from halo_utils.evaluation.systems import BY_NAME


def load_table(settings: Settings) -> pd.DataFrame:
    """Return the dataset table that notebook 01 wrote.

    Raises:
        DataError: if notebook 01 has not run for this profile, or its table is damaged.
    """
    return read_parquet(
        settings.source.dataset, f"run notebook 01_data_preparation with profile {settings.profile} first"
    )


def save_table(settings: Settings, table: pd.DataFrame) -> Path:
    """Write the dataset table for the later notebooks."""
    return write_parquet(settings.paths.dataset, table)


def save_predictions(settings: Settings, system: str, predictions: pd.DataFrame) -> None:
    """Write the probabilities of a system for the later notebooks."""
    write_parquet(settings.paths.predictions(system), predictions)


def load_predictions(settings: Settings, system: str) -> pd.DataFrame:
    """Return the probabilities of a system.

    Raises:
        DataError: if the notebook that makes them has not run.
    """
    maker = BY_NAME[system].made_by
    return read_parquet(
        settings.source.predictions(system), f"run notebook {maker} with profile {settings.profile} first"
    )


def load_embeddings(settings: Settings, name: str) -> ResidueStore:
    """Return a residue store of the sequence model, ``pretrained`` or ``finetuned``.

    Raises:
        DataError: if the notebook that makes it has not run.
    """
    path = settings.source.work / f"{name}.npy"
    if not path.is_file():
        raise DataError(
            f"{shown(path)} not found: run notebook 02_esm_finetuning with profile {settings.profile} first"
        )
    return ResidueStore(path)
