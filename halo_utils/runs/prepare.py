"""From a profile to its proteins: which table, which structures, and what the models have seen of them before."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError
from halo_utils.core.paths import REPOSITORY
from halo_utils.data.audit import seen_before
from halo_utils.data.datasets import DATASETS
from halo_utils.data.kmers import families
from halo_utils.data.registry import locate, raw_dir, registry, structure_folders
from halo_utils.data.same_sequence import as_looked_up, known_sequences, lookup_names, uniprot_names
from halo_utils.data.splits import check_splits, stratified_subset
from halo_utils.data.synthetic.proteome import make_proteome, write_structures
from halo_utils.data.tables import is_uniprot
from halo_utils.structures.alphafold import fetch_structures, summarise
from halo_utils.structures.reader import structure_index


@dataclass(frozen=True)
class Inputs:
    """The proteins of a run: dataset table, rows left out with reasons, folders of structure files in their order."""

    table: pd.DataFrame
    dropped: pd.DataFrame
    structures: list[Path]


def read_inputs(settings: Settings) -> Inputs:
    """Read or make the proteins of a profile, draw its subset, and fetch the structures it asks for."""
    inputs = read_table(settings)
    table, folders = inputs.table, inputs.structures
    check_splits(table, settings.title)
    seen = {"containment": seen_before(table), "corpus_containment": _seen_in_pretraining(settings, table)}
    table = table.assign(**seen, family=families(table))
    if settings.data.structures == "alphafold" and not settings.is_synthetic:
        target, address = raw_dir() / "structures", registry().structures["alphafold"].addresses[0]
        print(summarise(fetch_structures(as_looked_up(table), folders, target, address), target))
        folders = structure_folders()
    return replace(inputs, table=table, structures=folders)


def _seen_in_pretraining(settings: Settings, table: pd.DataFrame) -> np.ndarray:
    """Return the largest share of a protein's 6-mers in one of the corpus, [B] float64; NaN in train or if unknown."""
    share, asked = np.full(len(table), np.nan), (table["split"] != "train").to_numpy()
    if settings.is_synthetic or settings.backbone.source == "random":
        return share
    from halo_utils.pretraining.corpus import corpus_containment  # brings torch, which synthetic data do without

    folder = settings.paths.work / "pretrain"  # where a pre-training of this run has the same token array
    folder.mkdir(parents=True, exist_ok=True)
    sequences, model = list(table.loc[asked, "sequence"]), REPOSITORY / settings.backbone.source
    try:
        share[asked] = corpus_containment(sequences, model, folder)
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
    dataset = DATASETS[settings.data.dataset]
    table, dropped = dataset.read([locate(name) for name in dataset.files])
    if not table["accession"].map(is_uniprot).all():
        known = pd.concat([table[["accession", "sequence"]], known_sequences(besides=dataset.name)])
        table = table.assign(uniprot=uniprot_names(table, known.drop_duplicates("accession")))
    folders = structure_folders()
    # A subset that followed a cache of downloads would differ from one call to the next.
    local = settings.data.keep_structures and settings.data.structures == "local"
    files = structure_index(folders) if local else {}
    keep = frozenset(names[0] for names in lookup_names(table) if not files.keys().isdisjoint(names))
    subset = stratified_subset(table, dataset.locations, settings.data.max_proteins, settings.seed, keep)
    return Inputs(subset[0], pd.concat([dropped, subset[1]], ignore_index=True), folders)
