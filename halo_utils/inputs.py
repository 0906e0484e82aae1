"""From a profile to its proteins: which table, which structures, and the arrays later notebooks read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.backbones import seen_residues, truncate
from halo_utils.datasets import Read, fingerprint, read_deeploc2, read_luo2024, stratified_subset
from halo_utils.errors import DataError
from halo_utils.files import digest, write_parquet
from halo_utils.labels import locations
from halo_utils.paths import shown
from halo_utils.residues import ResidueStore, open_if_current, write_store
from halo_utils.settings import Settings
from halo_utils.sources import locate, structures_dir
from halo_utils.structures import SUFFIXES, load_structures
from halo_utils.synthetic import make_proteome, write_structures


@dataclass(frozen=True)
class Inputs:
    """The proteins of a run.

    Attributes:
        table: dataset table.
        dropped: rows left out, with reasons.
        structures: folder of structure files, or None.
    """

    table: pd.DataFrame
    dropped: pd.DataFrame
    structures: Path | None


def read_inputs(settings: Settings) -> Inputs:
    """Read or make the proteins of a profile and draw its subset.

    Raises:
        DataError: if an input file is missing or malformed.
    """
    if settings.is_synthetic:
        table, folds = make_proteome(settings.data.synthetic_proteins, settings.seed)
        folder = settings.paths.work / "structures"
        write_structures(table, folds, folder, settings.seed)
        kept = table.assign(subset="").drop(columns="family")
        return Inputs(kept, pd.DataFrame(columns=["accession", "split", "reason", "file"]), folder)
    table, dropped = _read_real(settings)
    folder = structures_dir()
    keep = _accessions_of(folder) if settings.data.keep_structures else frozenset()
    places = locations(settings.data.dataset)
    table, left_out = stratified_subset(table, places, settings.data.max_proteins, settings.seed, keep)
    return Inputs(table, pd.concat([dropped, left_out], ignore_index=True), folder)


def _read_real(settings: Settings) -> Read:
    if settings.data.dataset == "deeploc2":
        return read_deeploc2(locate("deeploc2/Swissprot_Train_Validation_dataset.csv"))
    names = ("Swiss_train", "Swiss_test", "TrEMBL_independent_test", "non_homology_TrEMBL_independent_test")
    paths = [locate(f"luo2024/{name}.csv") for name in names]
    return read_luo2024(paths[0].parent)


def _accessions_of(folder: Path | None) -> frozenset[str]:
    """Return the accessions that have a structure file in ``folder``."""
    if folder is None:
        return frozenset()
    suffixes = sorted(SUFFIXES, key=len, reverse=True)
    names = (path.name for path in folder.iterdir())
    return frozenset(n.removesuffix(next((s for s in suffixes if n.endswith(s)), "")) for n in names)


def load_table(settings: Settings) -> pd.DataFrame:
    """Return the dataset table that notebook 01 wrote.

    Raises:
        DataError: if notebook 01 has not run for this profile.
    """
    path = settings.paths.dataset
    if not path.is_file():
        raise DataError(
            f"{shown(path)} not found: run notebook 01_data_preparation with profile {settings.profile} first"
        )
    return pd.read_parquet(path)


def save_table(settings: Settings, table: pd.DataFrame) -> Path:
    """Write the dataset table for the later notebooks."""
    return write_parquet(settings.paths.dataset, table)


def seen_sequences(settings: Settings, table: pd.DataFrame) -> list[str]:
    """Return, per protein, the residues the language model reads under the profile's truncation."""
    block = settings.backbone
    return [truncate(s, block.max_tokens, block.truncation) for s in table["sequence"]]


def _structures_path(settings: Settings) -> Path:
    return settings.paths.work / "structures.npy"


def store_structures(settings: Settings, table: pd.DataFrame, folder: Path | None) -> pd.DataFrame:
    """Parse every structure once into a store of [L, 4] rows (C-alpha in angstrom, pLDDT) of the residues seen.

    Returns:
        The report of ``load_structures``, one row per protein.
    """
    arrays, report = load_structures(table, folder)
    block = settings.backbone
    own = table[table["accession"].isin(arrays)]
    index = [seen_residues(len(s), block.max_tokens, block.truncation) for s in own["sequence"]]
    rows = ((i, arrays[a][index[i]]) for i, a in enumerate(own["accession"]))
    key = structures_key(settings, table)
    write_store(_structures_path(settings), key, list(own["accession"]), [len(i) for i in index], 4, rows, "float32")
    return report


def structures_key(settings: Settings, table: pd.DataFrame) -> str:
    """Return the key of the structure store: the proteins and how they are truncated."""
    return digest(fingerprint(table), settings.backbone.max_tokens, settings.backbone.truncation)


def load_structure_arrays(settings: Settings, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return accession -> [L, 4] float32 for the proteins that have a structure.

    Raises:
        DataError: if notebook 01 has not parsed the structures of this table.
    """
    store: ResidueStore | None = open_if_current(_structures_path(settings), structures_key(settings, table))
    if store is None:
        name = shown(_structures_path(settings))
        raise DataError(f"{name} is missing or was made from other proteins: run notebook 01_data_preparation again")
    return {a: np.array(store.rows(a)) for a in store.accessions}
