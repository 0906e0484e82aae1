"""Notebook 10: GwR's official DeepLoc-Binary sets as a ground, and DeepLoc 2.0 proteins far from them to learn from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from transformers import EsmModel

from halo_utils.config import Settings
from halo_utils.core.files import digest
from halo_utils.core.paths import REFERENCE
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.data.deeploc import DEEPLOC2, read_membrane
from halo_utils.data.deeploc_binary import FILE, SOLUBLE, files_at_hand, leave_out, read_sets
from halo_utils.data.kmers import families
from halo_utils.data.registry import local_copy
from halo_utils.embeddings.esm2 import SplitEsm2
from halo_utils.runs.artifacts import load_contact_maps
from halo_utils.runs.structure_ground import Ground
from halo_utils.structures.edges import store_edges
from halo_utils.structures.structure_letters import SOURCES, WIDTH, one_hot
from halo_utils.training.embed import embed
from halo_utils.training.sequence_data import SequenceData

FIRST, OTHER = SOURCES  # systems learn from letters of the first; those of the other are swapped in at test time


@dataclass(frozen=True)
class BinaryGround:
    """Training proteins, official validation and test set in one ``ground``, whose only label is ``SOLUBLE``.

    ``counts`` is of ``leave_out``. ``letters`` are by source, of every protein; where the other source's strings are of
    another sequence, the first one's stand for them.
    """

    ground: Ground
    counts: pd.DataFrame
    letters: dict[str, ResidueStore]

    def states(self, settings: Settings, esm2: EsmModel, path: Path) -> ResidueStore:
        """Return the frozen language model's states of every protein, [L, D] of what it reads, made once."""
        limits = {"max_tokens": settings.backbone.max_tokens, "truncation": settings.backbone.truncation}
        data = SequenceData(self.ground.table, [SOLUBLE], tokens_per_batch=settings.esm.tokens_per_batch, **limits)
        return embed(SplitEsm2(esm2, settings.backbone.trainable_layers), data, path, settings.compute.precision)


def why_not(settings: Settings, learned: ResidueStore | None) -> str:
    """Return what is not at hand for the official sets, in a sentence; empty where everything is."""
    lacking = [FILE.format(source=source, split="*") for source in SOURCES if files_at_hand(source) is None]
    if settings.data.dataset != DEEPLOC2.name:
        lacking = [f"a run on {DEEPLOC2.title} (this one is on {settings.data.dataset})"]
    elif local_copy(DEEPLOC2.files[0]) is None:
        lacking.append(DEEPLOC2.files[0])
    elif learned is None:
        lacking.append(f"structure letters of {FIRST}")
    return f"The official sets of DeepLoc-Binary are left out: {', '.join(lacking)} is needed." if lacking else ""


def find_binary(
    settings: Settings, table: pd.DataFrame, learned: ResidueStore | None, structures: ResidueStore, folder: Path
) -> tuple[BinaryGround | None, str]:
    """Return the ground and a sentence on it, or None and the sentence why there is none.

    ``table`` is the run's, ``learned`` the letters of ``FIRST`` of its proteins, ``folder`` where stores are kept.
    DataError where an official file is not as published.
    """
    if (reason := why_not(settings, learned)) or learned is None:
        return None, reason
    first, other = (read_sets(files_at_hand(source) or []) for source in SOURCES)
    sequences = pd.concat([first, other]).drop_duplicates(["accession", "sequence"])
    training = table[(table["split"] == "train") & table["accession"].isin(learned.accessions)]
    training, counts = leave_out(training[["accession", "sequence", "split"]], sequences)
    membrane = read_membrane(local_copy(DEEPLOC2.files[0]) or Path())
    training[SOLUBLE] = 1 - training["accession"].map(membrane).astype("int8")
    if training[SOLUBLE].nunique() < 2:
        return None, f"Of the training proteins {len(training):,} are left, all of one kind: too few to learn from."
    joined = pd.concat([training, first[training.columns]], ignore_index=True)
    joined["family"] = families(joined)
    same = other.merge(first[["accession", "sequence"]])
    swapped = pd.concat([same, first]).drop_duplicates("accession")
    letters = {
        source: _store_letters(folder / f"letters_binary_{source}.npy", joined, learned, official)
        for source, official in zip(SOURCES, (first, swapped), strict=True)
    }
    edges, tested = _store_edges(settings, folder, joined, table, structures), joined[joined["split"] == "test"]
    title = f"{len(tested):,} proteins of the official DeepLoc-Binary test set"
    ground = Ground("letters", title, joined, [joined["split"].to_numpy()], structures, edges, [SOLUBLE], settings.seed)
    with_map, unlike = joined["accession"].isin(edges.accessions).sum(), ~tested["accession"].isin(same["accession"])
    sentence = (
        f"{title}, {tested[SOLUBLE].mean():.1%} soluble; to learn from, {len(training):,} proteins of"
        f" {DEEPLOC2.title}, {training[SOLUBLE].mean():.1%} soluble. Contacts of {with_map:,} of all {len(joined):,}."
        f" Letters of {OTHER} are of another sequence for {unlike.sum()} of those tested, which keep {FIRST}'s."
    )
    return BinaryGround(ground, counts, letters), sentence


def _store_letters(path: Path, table: pd.DataFrame, learned: ResidueStore, official: pd.DataFrame) -> ResidueStore:
    """Return the store of letters [L, 28] of every protein: the official strings, else those of ``learned``."""
    strings = official.set_index("accession")[["foldseek_3di", "ss8"]]
    names, lengths = list(table["accession"]), list(table["sequence"].str.len())
    key = digest("binary letters", names, learned.content, strings.to_dict("list"))

    def rows() -> Iterator[tuple[int, np.ndarray]]:
        for k, name in enumerate(names):
            known = name in strings.index
            yield k, one_hot(name, *strings.loc[name]) if known else np.array(learned.rows(name))

    return store_of(path, key, lambda: write_store(path, key, names, lengths, WIDTH, rows(), "uint8"))


def _store_edges(
    settings: Settings, folder: Path, joined: pd.DataFrame, table: pd.DataFrame, structures: ResidueStore
) -> ResidueStore:
    """Return contacts where they are known; not of a protein whose name has another sequence in the run."""
    of_run = joined["accession"].map(table.set_index("accession")["sequence"])
    same = joined[of_run.isna() | (of_run == joined["sequence"])]
    return store_edges(
        folder / "edges_binary.npy", same, structures, load_contact_maps(settings), settings.gat.cutoff_angstrom
    )


def published() -> pd.Series:
    """Return the published accuracies on the official test set, 0 to 1, by system: single runs, other training sets."""
    tasks = pd.read_csv(REFERENCE / "gwr_tasks.csv").set_index("task")
    return tasks.loc["DeepLoc-Binary", ["SES-Adapter", "GwR"]].astype(float) / 100
