"""From a profile to its proteins: which table, which structures, and the arrays later notebooks read."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.alphafold import fetch_structures, summarise
from halo_utils.audits import seen_before
from halo_utils.datasets import (
    Read,
    check_splits,
    fingerprint,
    read_deeploc2,
    read_hpa,
    read_luo2024,
    stratified_subset,
)
from halo_utils.errors import DataError
from halo_utils.files import digest, read_parquet, write_parquet
from halo_utils.kmers import families
from halo_utils.labels import locations
from halo_utils.paths import REPOSITORY, shown
from halo_utils.ranks import is_first, meet
from halo_utils.registry import locate, raw_dir, registry, structure_folders
from halo_utils.residues import ResidueStore, open_if_current, write_store
from halo_utils.settings import Settings
from halo_utils.structures import load_structures, structure_index
from halo_utils.synthetic import make_proteome, write_structures
from halo_utils.truncation import count_contacts, seen_residues, truncate

# The raw tables of every data set, names of data/sources.yaml.
FILES = {
    "synthetic": [],
    "deeploc2": ["deeploc2/Swissprot_Train_Validation_dataset.csv", "deeploc2/hpa_testset.csv"],
    "luo2024": [
        "luo2024/Swiss_train.csv",
        "luo2024/Swiss_test.csv",
        "luo2024/TrEMBL_independent_test.csv",
        "luo2024/non_homology_TrEMBL_independent_test.csv",
    ],
}


@dataclass(frozen=True)
class Inputs:
    """The proteins of a run.

    Attributes:
        table: dataset table.
        dropped: rows left out, with reasons.
        structures: folders of structure files, first come first served.
    """

    table: pd.DataFrame
    dropped: pd.DataFrame
    structures: list[Path]


def read_inputs(settings: Settings) -> Inputs:
    """Read or make the proteins of a profile, draw its subset, and fetch the structures it asks for.

    Raises:
        DataError: if an input file is missing or malformed, or a split has no protein.
        DownloadError: if something cannot be fetched.
    """
    found = read_table(settings)
    check_splits(found.table, settings.title)
    columns = {
        "containment": seen_before(found.table),
        "corpus_containment": _seen_in_pretraining(settings, found.table),
        "family": families(found.table),
    }
    found = replace(found, table=found.table.assign(**columns))
    if settings.data.structures == "alphafold" and not settings.is_synthetic:
        target = raw_dir() / "structures"
        api = registry().structures["alphafold"].address or ""
        print(summarise(fetch_structures(found.table, structure_folders(), target, api), target))
        return Inputs(found.table, found.dropped, structure_folders())
    return found


def _seen_in_pretraining(settings: Settings, table: pd.DataFrame) -> np.ndarray:
    """Return the largest share of a held-out protein's 6-mers in one protein of the pre-training corpus, [B] float64.

    NaN for training proteins, and for all where the corpus of the backbone is not known or not at hand.
    """
    share, asked = np.full(len(table), np.nan), (table["split"] != "train").to_numpy()
    source = settings.backbone.source
    if settings.is_synthetic or source == "random":
        return share
    from halo_utils.corpus import corpus_containment  # imported here: it brings torch, which synthetic data do without

    folder = settings.paths.work / "pretrain"  # where a pre-training of this run has the same token array
    folder.mkdir(parents=True, exist_ok=True)
    try:
        share[asked] = corpus_containment(list(table.loc[asked, "sequence"]), REPOSITORY / source, folder)
    except DataError as error:
        print(f"near duplicates in the pre-training corpus are not counted: {error}")
    return share


def read_table(settings: Settings) -> Inputs:
    """Read or make the proteins of a profile and draw its subset, with the structures that are here."""
    if settings.is_synthetic:
        table, folds = make_proteome(settings.data.synthetic_proteins, settings.seed)
        folder = settings.paths.work / "structures"
        write_structures(table, folds, folder, settings.seed)
        kept = table.assign(subset="").drop(columns="family")
        return Inputs(kept, pd.DataFrame(columns=["accession", "split", "reason", "file"]), [folder])
    table, dropped = _read_real(settings)
    folders = structure_folders()
    # A subset that followed a cache of downloads would differ from one call to the next.
    local = settings.data.keep_structures and settings.data.structures == "local"
    keep = frozenset(structure_index(folders)) if local else frozenset()
    places = locations(settings.data.dataset)
    table, left_out = stratified_subset(table, places, settings.data.max_proteins, settings.seed, keep)
    return Inputs(table, pd.concat([dropped, left_out], ignore_index=True), folders)


def _read_real(settings: Settings) -> Read:
    paths = [locate(name) for name in FILES[settings.data.dataset]]
    if settings.data.dataset == "deeploc2":
        parts = zip(read_deeploc2(paths[0]), read_hpa(paths[1]), strict=True)
        table, dropped = (pd.concat(part, ignore_index=True) for part in parts)
        if (repeated := table["accession"].duplicated()).any():
            name = table.loc[repeated, "accession"].iloc[0]
            raise DataError(f"{paths[1].name}: {name} is also in {paths[0].name}; remove it from one of the two")
        return table, dropped
    return read_luo2024({path.stem: path for path in paths})


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


def seen_sequences(settings: Settings, table: pd.DataFrame) -> list[str]:
    """Return, per protein, the residues the language model reads under the profile's truncation."""
    block = settings.backbone
    return [truncate(s, block.max_tokens, block.truncation) for s in table["sequence"]]


def _structures_path(settings: Settings) -> Path:
    return settings.source.work / "structures.npy"


def store_structures(settings: Settings, table: pd.DataFrame, folders: list[Path]) -> pd.DataFrame:
    """Parse every structure once into a store of [L, 4] rows (C-alpha in angstrom, pLDDT) of the residues seen.

    Returns:
        The report of ``load_structures``, one row per protein, with the contacts of the whole structure and
        contacts_read, those between residues seen; NaN for proteins without a structure.
    """
    arrays, report = load_structures(table, folders)
    block = settings.backbone
    own = table[table["accession"].isin(arrays)]
    index = [seen_residues(len(s), block.max_tokens, block.truncation) for s in own["sequence"]]
    cutoff = settings.gat.cutoff_angstrom
    pairs = [count_contacts(arrays[a][:, :3], seen, cutoff) for a, seen in zip(own["accession"], index, strict=True)]
    counts = pd.DataFrame(pairs, columns=["contacts", "contacts_read"], index=own["accession"])
    rows = ((i, arrays[a][index[i]]) for i, a in enumerate(own["accession"]))
    key = structures_key(settings, table)
    path, names, sizes = _structures_path(settings), list(own["accession"]), [len(i) for i in index]
    if is_first():
        write_store(path, key, names, sizes, 4, rows, "float32")
    meet()
    return report.join(counts, on="accession")


def structures_key(settings: Settings, table: pd.DataFrame) -> str:
    """Return the key of the structure store: the proteins and how they are truncated."""
    return digest(fingerprint(table), settings.backbone.max_tokens, settings.backbone.truncation)


def structure_store(settings: Settings, table: pd.DataFrame) -> ResidueStore:
    """Return the store of [L, 4] float32 rows (C-alpha in angstrom, pLDDT) of the proteins with a structure.

    Raises:
        DataError: if notebook 01 has not parsed the structures of this table, or the store is damaged.
    """
    store = open_if_current(_structures_path(settings), structures_key(settings, table))
    if store is None:
        name = shown(_structures_path(settings))
        raise DataError(
            f"{name} is missing, damaged or made from other proteins: run notebook 01_data_preparation again"
        )
    return store


def load_structure_arrays(settings: Settings, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return accession -> [L, 4] float32 of the proteins that have a structure, see ``structure_store``."""
    store = structure_store(settings, table)
    return {a: np.array(store.rows(a)) for a in store.accessions}
