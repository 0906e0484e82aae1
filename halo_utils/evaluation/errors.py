"""Which proteins a system gets wrong, which errors two systems share, and which ones the gate saves or loses."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from halo_utils.evaluation.metrics import ratio, values
from halo_utils.evaluation.sensitivity import Opinions, f1_samples
from halo_utils.evaluation.strata import LEAST, confidence_ranges, length_quarters
from halo_utils.evaluation.test_sets import EvaluationSet

ALL = "all"
CARDINALITY = ["one location", "two", "three or more"]
Part = tuple[str, str, np.ndarray, np.ndarray]  # stratum, part, its proteins [B] bool, its locations [K] bool


def protein_strata(table: pd.DataFrame, view: EvaluationSet, plddt: np.ndarray, room: int) -> dict[str, pd.Categorical]:
    """Return stratum -> part of every protein of a set, [B].

    ``plddt`` is the mean of each structure, NaN without one; ``room`` is how many residues the models read.
    """
    own = table.set_index("accession").loc[view.accessions]
    lengths, places = own["sequence"].str.len().to_numpy(), np.clip(view.y.sum(axis=1), 1, len(CARDINALITY))
    return {
        "kingdom": pd.Categorical(own["kingdom"].replace("", "not stated")),
        "residues": length_quarters(lengths),
        "locations": pd.Categorical(np.take(CARDINALITY, places - 1), categories=CARDINALITY),
        "pLDDT": confidence_ranges(plddt),
        "read": pd.Categorical(np.where(lengths > room, "cut", "whole"), categories=["whole", "cut"]),
    }


def parts_of(view: EvaluationSet, strata: dict[str, pd.Categorical]) -> Iterator[Part]:
    """Yield all pairs, every location, and the parts of ``strata``; small parts and whole sets are left out."""
    everyone, everywhere = np.ones(len(view.y), dtype=bool), np.ones(len(view.locations), dtype=bool)
    yield ALL, ALL, everyone, everywhere
    for k, location in enumerate(view.locations):
        if view.y[:, k].any():
            yield "location", location, everyone, np.arange(len(view.locations)) == k
    for stratum, part in strata.items():
        masks = {str(name): np.asarray(part == name) for name in part.categories}
        for name, keep in masks.items():
            if LEAST <= keep.sum() < len(keep) and view.y[keep].any():
                yield stratum, name, keep, everywhere


def f1_by_part(
    view: EvaluationSet, labels: dict[str, np.ndarray], strata: dict[str, pd.Categorical], drawn: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Return micro F1 with intervals of several systems, [B, K] bool labels each, on every part of a set.

    Columns stratum, part, system, proteins (of a location: those that are there), value, ci_low, ci_high.
    """
    rows = []
    for stratum, part, keep, columns in parts_of(view, strata):
        block, weights = np.ix_(keep, columns), {unit: w[:, keep] for unit, w in drawn.items()}
        proteins = int(view.y[:, columns].sum()) if stratum == "location" else int(keep.sum())
        for system, own in labels.items():
            found = values(f1_samples(view.y[block], own[block], weights)).set_index("metric").loc["micro_f1"]
            row = {"stratum": stratum, "part": part, "system": system, "proteins": proteins}
            rows.append(row | found[["value", "ci_low", "ci_high"]].to_dict())
    return pd.DataFrame(rows)


def shared_errors(
    view: EvaluationSet,
    first: np.ndarray,
    second: np.ndarray,
    strata: dict[str, pd.Categorical],
    drawn: dict[str, np.ndarray],
) -> pd.DataFrame:
    """Return how many (protein, location) pairs each of two systems gets wrong, and how many both do.

    ``expected`` is what two systems would share if they erred independently given the truth: over locations, and over
    proteins that are there or not, the sum of (errors of the first) x (errors of the second) / proteins. ``ratio`` is
    both / expected, with the wider of the bootstrap intervals. Columns stratum, part, proteins, first_wrong,
    second_wrong, both, expected, ratio, ci_low, ci_high.
    """
    truth = view.y > 0
    a, b = (first ^ truth).astype(float), (second ^ truth).astype(float)
    rows = []
    for stratum, part, keep, columns in parts_of(view, strata):
        block, one = np.ix_(keep, columns), np.ones((1, int(keep.sum())))

        def counts(w: np.ndarray, block: tuple[np.ndarray, ...] = block) -> tuple[np.ndarray, ...]:
            sums = [[w @ (x * of)[block] for x in (a, b, a * b, 1.0)] for of in (truth, ~truth)]  # [R, K] each
            chance = sum(ratio(wrong * other, n) for wrong, other, _, n in sums)
            return *(sum(own).sum(1) for own in list(zip(*sums, strict=True))[:3]), chance.sum(1)

        wrong, other, both, expected = (float(x[0]) for x in counts(one))
        ends = [(np.nan, np.nan)]
        for weights in drawn.values():
            _, _, seen, chance = counts(weights[:, keep])
            found = (seen / np.where(chance > 0, chance, np.nan))[chance > 0]
            ends += [tuple(np.quantile(found, [0.025, 0.975]))] if len(found) else []
        low, high = max(ends, key=lambda pair: np.nan_to_num(pair[1] - pair[0], nan=-1.0))
        row = {"stratum": stratum, "part": part, "proteins": int(keep.sum())}
        row |= {"first_wrong": int(wrong), "second_wrong": int(other)}
        shared = both / expected if expected else np.nan
        rows.append(row | {"both": int(both), "expected": expected, "ratio": shared, "ci_low": low, "ci_high": high})
    return pd.DataFrame(rows)


def gate_effects(
    view: EvaluationSet, before: np.ndarray, after: np.ndarray, strata: dict[str, pd.Categorical]
) -> pd.DataFrame:
    """Return what a gate does to labels and whole proteins, [B, K] bool ``before`` and ``after`` it, part by part.

    ``false_removed`` and ``true_removed`` count labels; ``saved`` proteins have all labels right only after, ``lost``
    only before (within the part's locations). Columns stratum, part, proteins, changed and these.
    """
    truth, rows = view.y > 0, []
    for stratum, part, keep, columns in parts_of(view, strata):
        block = np.ix_(keep, columns)
        y, old, new = truth[block], before[block], after[block]
        right, kept_right = (old == y).all(axis=1), (new == y).all(axis=1)
        removed = old & ~new
        row = {"stratum": stratum, "part": part, "proteins": int(keep.sum())}
        row |= {"changed": int((old != new).any(axis=1).sum())}
        row |= {"false_removed": int((removed & ~y).sum()), "true_removed": int((removed & y).sum())}
        rows.append(row | {"saved": int((kept_right & ~right).sum()), "lost": int((right & ~kept_right).sum())})
    return pd.DataFrame(rows)


def changed_proteins(said: Opinions, before: np.ndarray, after: np.ndarray) -> pd.DataFrame:
    """Return every label that the gate changed: accession, outcome, location, annotated, sequence, graph, other labels.

    ``outcome`` is of the protein: saved, lost, or still wrong. For synthetic proteins, and for who holds the data.
    """
    truth = said.view.y > 0
    right, kept_right = (before == truth).all(axis=1), (after == truth).all(axis=1)
    outcome = np.select([kept_right & ~right, right & ~kept_right], ["saved", "lost"], "still wrong")
    rows = []
    for i, k in np.argwhere(before != after):
        names = [name for name, there in zip(said.view.locations, truth[i], strict=True) if there]
        row = {"accession": said.view.accessions[i], "outcome": outcome[i], "location": said.view.locations[k]}
        row |= {"annotated": bool(truth[i, k]), "sequence": said.sequence[i, k], "graph": said.graph[i, k]}
        rows.append(row | {"truth": ", ".join(names)})
    columns = ["accession", "outcome", "location", "annotated", "sequence", "graph", "truth"]
    return pd.DataFrame(rows, columns=columns)
