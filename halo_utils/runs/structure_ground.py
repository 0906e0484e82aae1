"""Notebooks 09 and 10: on which proteins with structure systems are compared, and how answers of folds are joined."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import GroupKFold

from halo_utils.config import Settings
from halo_utils.core.errors import SettingsError
from halo_utils.core.residue_store import ResidueStore
from halo_utils.data.registry import local_copy
from halo_utils.data.splits import held_out_sets, label_matrix
from halo_utils.evaluation.metrics import Decided, draw, evaluate, paired_difference
from halo_utils.evaluation.thresholds import Threshold, threshold_sweep
from halo_utils.runs.artifacts import load_edges, load_structures
from halo_utils.structures.coordinate_letters import store_coordinate_letters
from halo_utils.structures.structure_letters import SOURCES, store_letters
from halo_utils.training.baselines import mean_of

KINDS = ("coordinates", "contacts", "letters")
Answers = list[pd.DataFrame]  # of one system, per fold: accession, split (val or test), K probabilities


class Size(NamedTuple):
    """How large the networks of notebooks 09 and 10 are and how long they learn."""

    nodes: tuple[int, int]
    edges: tuple[int, int]
    layers: int
    neighbours: int
    epochs: int
    nodes_per_batch: int
    learning_rate: float
    lm_epochs: int  # of classifiers on the language model alone
    channels: int  # of convolutions along residues or on graphs of attention and letters
    adapter: int  # width at which SES-Adapter attends, at most that of the language model
    heads: int  # of attention between residues
    attention_dropout: float  # CPUs have a fast kernel of attention for 0 alone


# LM-GVP's; epochs are those of the paper's ablation, SES-Adapter's width that of ESM-2 650M
PAPER = Size((100, 16), (32, 1), 3, 30, 60, 2048, 1e-4, 60, 256, 1280, 8, 0.1)
TWO_CORES = Size((32, 4), (16, 1), 2, 10, 6, 2048, 1e-3, 20, 64, 64, 2, 0.0)  # for real proteins without a GPU
SMALL = Size((16, 4), (16, 1), 1, 6, 2, 1024, 5e-3, 6, 32, 32, 2, 0.0)  # for the demo: seconds a training on one core


def size_of(settings: Settings) -> Size:
    """Return the size that fits the proteins and the machine: the paper's for real ones on a GPU."""
    if settings.is_synthetic:
        return SMALL
    return PAPER if torch.cuda.is_available() else TWO_CORES


def size_sentence(size: Size) -> str:
    """Return what of the networks is smaller than the paper's; empty where nothing is."""
    smaller = [f"{name} {there} → {here}" for name, there, here in zip(Size._fields, PAPER, size, strict=True)
               if here != there]  # fmt: skip
    return f"The networks are not of the paper's size (paper → here): {'; '.join(smaller)}." if smaller else ""


@dataclass(frozen=True)
class Ground:
    """The proteins systems are compared on, all with a structure, and the folds in which they are learned and tested.

    ``table`` holds them; a fold is the column split of the same rows. Edges are those of ``store_edges``.
    """

    kind: str
    title: str
    table: pd.DataFrame
    folds: list[np.ndarray]
    structures: ResidueStore
    edges: ResidueStore
    locations: list[str]
    seed: int

    def of_fold(self, number: int) -> pd.DataFrame:
        """Return the table with the splits of one fold: train, val, test."""
        return self.table.assign(split=self.folds[number])

    def compare(self, first: Decided, second: Decided, resamples: int) -> pd.DataFrame:
        """Return first minus second on the tested proteins, see ``metrics.paired_difference``."""
        how = {"resamples": resamples, "seed": self.seed, "families": self.families}
        return paired_difference(self.y, first, second, self.locations, **how)

    def measure(self, decided: Decided, resamples: int, **columns: object) -> pd.DataFrame:
        """Return the metrics of a system on the tested proteins, see ``metrics.evaluate``."""
        how = {"resamples": resamples, "seed": self.seed, "families": self.families}
        return evaluate(self.y, *decided, self.locations, **how, **columns)

    def drawn(self, resamples: int) -> dict[str, np.ndarray]:
        """Return resamples of the tested proteins and of their families, see ``metrics.draw``."""
        return draw(len(self.y), resamples, self.seed, self.families)

    @property
    def tested(self) -> pd.DataFrame:
        """The proteins that are tested, each in one fold, in table order."""
        return self.table[np.any([fold == "test" for fold in self.folds], axis=0)]

    @property
    def y(self) -> np.ndarray:
        """Their labels, [B, K] 0/1."""
        return label_matrix(self.tested, self.locations)

    @property
    def families(self) -> np.ndarray:
        """Their families, [B]."""
        return self.tested["family"].to_numpy()


def family_folds(families: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    """Return the splits [B] of every fold: families stay together, each is tested once, the next fold is val."""
    order = np.random.default_rng([seed, 90]).permutation(len(families))  # ties between families of a size
    number = np.empty(len(families), dtype=int)
    parts = GroupKFold(folds).split(order, groups=np.asarray(families)[order])
    for fold, (_, test) in enumerate(parts):
        number[order[test]] = fold
    after = [(fold + 1) % folds for fold in range(folds)]
    return [np.where(number == k, "test", np.where(number == after[k], "val", "train")) for k in range(folds)]


def find_ground(
    settings: Settings,
    table: pd.DataFrame,
    locations: Sequence[str],
    kind: str,
    folds: int,
    among: Sequence[str] | None = None,
) -> Ground:
    """Return the proteins of a run with whole structures, contacts or letters; SettingsError where there are too few.

    Real proteins with coordinates are few, so they are tested in ``folds`` folds; of others the run's splits are used,
    the first held-out set as test. ``among`` are accessions to choose from (None: all); for ``letters``, those that
    have some.
    """
    if kind not in KINDS:
        raise SettingsError(f"ground is {kind!r}: use {' or '.join(KINDS)}")
    structures = load_structures(settings, table)
    edges = load_edges(settings, table, structures)
    stores = {"coordinates": [structures], "contacts": [edges]}.get(kind, [])
    known = table["accession"].isin(table["accession"] if among is None else among)
    for store in stores:
        known &= table["accession"].isin(store.accessions)
    crossed = kind == "coordinates" and not settings.is_synthetic
    main_set = held_out_sets(table)[0]
    chosen = table[known & (crossed | table["split"].isin(["train", "val", main_set]))].reset_index(drop=True)
    splits = [chosen["split"].replace(main_set, "test").to_numpy(dtype=str)]
    if crossed:
        if chosen["family"].nunique() < folds:
            remedy = "use fewer folds, or ground='contacts'"
            raise SettingsError(f"{chosen['family'].nunique()} families have coordinates, {folds} folds: {remedy}")
        splits = family_folds(chosen["family"].to_numpy(), folds, settings.seed)
    if missing := {"train", "val", "test"} - set(splits[0]):
        raise SettingsError(
            f"no protein with {kind} in {', '.join(sorted(missing))}: use another ground or more proteins"
        )
    used = list(np.array(locations)[label_matrix(chosen, locations).any(axis=0)])
    how = f"{folds}-fold cross-validation" if crossed else f"{main_set} of {len(chosen):,}"
    tested = sum(int((fold == "test").sum()) for fold in splits)
    title = f"{tested:,} {'synthetic ' if settings.is_synthetic else ''}proteins with {kind}, {how}"
    return Ground(kind, title, chosen, splits, structures, edges, used, settings.seed)


def letter_sources(
    settings: Settings, table: pd.DataFrame, structures: ResidueStore, folder: Path
) -> dict[str, ResidueStore]:
    """Return structure letters of two sources, by their names: Foldseek's and DSSP's of AlphaFold2, and of ESMFold.

    Where no strings are at hand, and of synthetic proteins, those of the coordinates, and of atoms moved by noise.
    """
    file = None if settings.is_synthetic else local_copy("structures/foldseek_3di_ss8.tsv.gz")
    if file is not None:
        return {name: store_letters(folder / f"letters_{name}.npy", table, file, [name]) for name in SOURCES}
    noises = {"the coordinates": 0.0, "coordinates with 1 angstrom of noise": 1.0}
    stores = [store_coordinate_letters(folder / f"letters_{n:g}.npy", structures, n) for n in noises.values()]
    return dict(zip(noises, stores, strict=True))


def mean_of_folds(first: Answers, second: Answers) -> Answers:
    """Return the mean of two systems' probabilities, fold by fold."""
    return [mean_of(a, b) for a, b in zip(first, second, strict=True)]


def val_threshold(y: np.ndarray, prob: np.ndarray, by: str = "micro_f1") -> Threshold:
    """Return the threshold of the highest value on validation, document 002's metric by default; of equals the lowest.

    ``by`` is another one of ``threshold_sweep``.
    """
    sweep = threshold_sweep(y, prob)
    return Threshold(float(sweep.loc[sweep[by].idxmax(), "threshold"]), "val")


def decide(ground: Ground, answers: Answers, fixed: float | None = None, by: str = "micro_f1") -> Decided:
    """Return labels and probabilities, [B, K], of the tested proteins: each fold at its own validation's threshold.

    ``fixed`` is a threshold for all folds instead, ``by`` what is highest at the chosen one.
    """
    parts = []
    for number, frame in enumerate(answers):
        table = ground.of_fold(number).set_index("accession")[ground.locations]
        val, test = (
            frame[frame["split"] == split].set_index("accession")[ground.locations] for split in ("val", "test")
        )
        known = table.loc[val.index].to_numpy()
        cut = Threshold(fixed, "published") if fixed else val_threshold(known, val.to_numpy(), by)
        parts.append(pd.concat({"pred": (test >= cut.on("test")).astype(int), "prob": test}, axis=1))
    joined = pd.concat(parts).loc[ground.tested["accession"]]
    return joined["pred"].to_numpy(), joined["prob"].to_numpy()
