"""From a profile to its proteins: which table, which structures, and the arrays later notebooks read."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError
from halo_utils.core.paths import REPOSITORY
from halo_utils.data.audit import seen_before
from halo_utils.data.deeploc import read_deeploc2, read_hpa
from halo_utils.data.kmers import families
from halo_utils.data.locations import locations
from halo_utils.data.luo2024 import read_luo2024
from halo_utils.data.registry import locate, raw_dir, registry, structure_folders
from halo_utils.data.splits import check_splits, stratified_subset
from halo_utils.data.synthetic.proteome import make_proteome, write_structures
from halo_utils.data.tables import Read
from halo_utils.structures.alphafold import fetch_structures, summarise
from halo_utils.structures.reader import structure_index

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
    from halo_utils.pretraining.corpus import (
        corpus_containment,  # imported here: it brings torch, which synthetic data do without
    )

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
