"""What notebooks hand to each other: tables, predictions, residue stores; and who made what is missing."""

from pathlib import Path

import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError
from halo_utils.core.files import read_parquet, write_parquet
from halo_utils.core.paths import shown
from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.registry import contact_archives, local_copy
from halo_utils.data.splits import AUDIT_COLUMNS, evaluation_sets, fingerprint, held_out_sets
from halo_utils.data.tables import COMMON_COLUMNS
from halo_utils.evaluation.seeds import runs_with_other_seeds
from halo_utils.evaluation.systems import BY_NAME
from halo_utils.runs.provenance import records
from halo_utils.structures.contact_maps import ContactMaps, read_contact_maps
from halo_utils.structures.edges import store_edges
from halo_utils.structures.store import structure_store
from halo_utils.structures.structure_letters import store_letters


def save_table(settings: Settings, table: pd.DataFrame) -> Path:
    """Write the dataset table for the later notebooks."""
    return write_parquet(settings.paths.dataset, table)


def load_table(settings: Settings) -> pd.DataFrame:
    """Return the dataset table that notebook 01 wrote; DataError if it has not run, or the table is damaged."""
    return read_parquet(settings.source.dataset, _first("01_data_preparation", settings))


def example_protein(table: pd.DataFrame) -> str:
    """Return the protein that notebooks follow, the first of the main test set with structure and several locations."""
    proteins = table[evaluation_sets(table)[held_out_sets(table)[0]]]
    labels = proteins.drop(columns=[*COMMON_COLUMNS, *AUDIT_COLUMNS], errors="ignore")
    merits = proteins.assign(several=labels.sum(axis=1) > 1, structure=proteins.get("structure", False))
    best = merits.sort_values(["structure", "several"], ascending=False, kind="stable")
    return str(best["accession"].iloc[0])


def load_structures(settings: Settings, table: pd.DataFrame) -> ResidueStore:
    """Return the store of whole structures; DataError if notebook 01 has not made this table's, or it is damaged."""
    try:
        return structure_store(settings.source.work / "structures.npy", table)
    except DataError as error:
        raise DataError(f"{error}: {_first('01_data_preparation', settings)}") from error


def load_contact_maps(settings: Settings) -> list[ContactMaps]:
    """Return the contact maps on this machine, archive by archive in their order; none for synthetic proteins."""
    return [] if settings.is_synthetic else [read_contact_maps(path) for path in contact_archives()]


def load_edges(settings: Settings, table: pd.DataFrame, structures: ResidueStore) -> ResidueStore:
    """Return the store of the edges of the table's proteins, from coordinates or contact maps; made where it is not."""
    path, maps = settings.paths.work / "edges.npy", load_contact_maps(settings)
    return store_edges(path, table, structures, maps, settings.gat.cutoff_angstrom)


def load_letters(settings: Settings, table: pd.DataFrame) -> ResidueStore | None:
    """Return the store of the table's structure letters; None where their file is absent, or proteins are synthetic."""
    file = None if settings.is_synthetic else local_copy("structures/foldseek_3di_ss8.tsv.gz")
    return None if file is None else store_letters(settings.source.work / "letters.npy", table, file)


def load_embeddings(settings: Settings, name: str) -> ResidueStore:
    """Return a residue store of the sequence model, ``pretrained`` or ``finetuned``; DataError if there is none."""
    path = settings.source.work / f"{name}.npy"
    if not path.is_file():
        raise DataError(f"{shown(path)} not found: {_first('02_esm_finetuning', settings)}")
    return ResidueStore(path)


def save_predictions(settings: Settings, system: str, predictions: pd.DataFrame) -> None:
    """Write the probabilities of a system for the later notebooks."""
    write_parquet(settings.paths.predictions(system), predictions)


def load_predictions(settings: Settings, system: str) -> pd.DataFrame:
    """Return the probabilities of a system; DataError if the notebook that makes them has not run."""
    return read_parquet(settings.source.predictions(system), _first(BY_NAME[system].made_by, settings))


def predicted(settings: Settings, system: str) -> bool:
    """Return whether the run has predictions of a system; not every run trains every one."""
    return settings.source.predictions(system).is_file()


def load_other_seed(settings: Settings, table: pd.DataFrame) -> tuple[str, pd.DataFrame] | None:
    """Return the name and the sequence model's probabilities of a run that differs in its seed only; None without one.

    The first by name whose notebook 02 has read the same proteins, splits and labels: a seed may draw other ones.
    """
    for run in runs_with_other_seeds(settings.source):
        path = run.predictions("esm")
        if run != settings.source and path.is_file():
            read = [r["data_fingerprint"] for r in records(run) if r["notebook"] == BY_NAME["esm"].made_by]
            if read == [fingerprint(table)]:
                return run.name, read_parquet(path, f"run notebook {BY_NAME['esm'].made_by} of {run.name} again")
    return None


def _first(notebook: str, settings: Settings) -> str:
    return f"run notebook {notebook} with profile {settings.profile} first"
