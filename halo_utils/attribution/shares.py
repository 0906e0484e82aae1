"""How much of a model's importance lies in known signals, and at which end of the proteins."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from halo_utils.attribution.attention import pooling_attention
from halo_utils.attribution.gradients import integrated_gradients
from halo_utils.attribution.occlusion import (
    WINDOW,
    Predictor,
    importance_inside,
    location_rows,
    logits,
    model_input,
    residue_importance,
)

METHODS = ("occlusion", "integrated gradients", "pooling attention", "random windows")
ENDS = 30  # residues of each end
Explained = tuple[str, str, str, np.ndarray]  # accession, location, method, importance [L]
PARTS = ("N-terminus", "middle", "C-terminus")


def true_positives(
    proteins: pd.DataFrame, predictions: pd.DataFrame, locations: Sequence[str], threshold: float, most: int
) -> pd.DataFrame:
    """Return proteins to explain: accession, sequence and a location that is annotated and predicted.

    Of every location the first ``most`` in table order; an explanation of a wrong label would say nothing of signals.
    """
    found = predictions.set_index("accession").loc[proteins["accession"], list(locations)].to_numpy() >= threshold
    right = found & proteins[list(locations)].to_numpy(dtype=bool)
    parts = [
        proteins.loc[right[:, k], ["accession", "sequence"]].head(most).assign(location=location)
        for k, location in enumerate(locations)
    ]
    return pd.concat(parts, ignore_index=True)


def explained(
    predictor: Predictor,
    chosen: pd.DataFrame,
    methods: Sequence[str],
    *,
    window: int = WINDOW,
    windows: int = 0,
    steps: int = 16,
    seed: int = 0,
) -> Iterator[Explained]:
    """Yield accession, location, method and importance, [L], for the rows of ``true_positives``.

    ``window`` residues are masked at about ``windows`` places of a protein, at all for 0; ``steps`` are the integral's.
    Random windows know nothing: one as long as occlusion's at a place drawn at random, the mean of 20.
    """
    rng = np.random.default_rng([seed, 70])
    for row in tqdm(chosen.itertuples(index=False), total=len(chosen), desc="explain", leave=False):
        for method in methods:
            if method == "occlusion":
                read = len(model_input(predictor, row.sequence).read)
                stride = max(1, round(read / windows)) if windows else 1
                value = residue_importance(predictor, row.sequence, [row.location], window, stride)[0]
            elif method == "integrated gradients":
                value = integrated_gradients(predictor, row.sequence, [row.location], steps)[0][0]
            elif method == "pooling attention":
                value = pooling_attention(predictor, row.sequence)
            else:
                starts = rng.integers(0, max(1, len(row.sequence) - window + 1), size=20)
                value = np.zeros(len(row.sequence), dtype=np.float32)
                for start in starts:
                    value[start : start + window] += 1.0
            yield row.accession, row.location, method, value


def shares_in_signals(values: Iterable[Explained], spans: Mapping[str, list[tuple[int, int]]]) -> pd.DataFrame:
    """Return per protein and method the share of positive importance inside known signals, and that by chance.

    ``values`` are of ``explained``, ``spans`` is accession -> signals, 0-based; proteins without one are left out. By
    chance importance is everywhere alike, so the share is that of the residues.
    """
    rows = []
    for accession, location, method, value in values:
        inside = np.zeros(len(value), dtype=bool)
        for start, stop in spans.get(accession, []):
            inside[start:stop] = True
        if inside.any():
            chance = inside[np.isfinite(value)].mean()
            rows.append((accession, location, method, importance_inside(value, inside), chance))
    return pd.DataFrame(rows, columns=["accession", "location", "method", "share", "chance"])


def falls_without_signals(
    predictor: Predictor,
    chosen: pd.DataFrame,
    spans: Mapping[str, list[tuple[int, int]]],
    draws: int = 8,
    seed: int = 0,
) -> pd.DataFrame:
    """Return per location how far the logit falls when all known signals are masked, and when others are instead.

    The others are as many residues in stretches of the same lengths, moved along the protein at random; a model that
    does not use a signal loses as little by it. Columns: location, signals, elsewhere, proteins: means over proteins.
    """
    rng, rows = np.random.default_rng([seed, 71]), []
    for row in chosen[chosen["accession"].map(lambda name: bool(spans.get(name)))].itertuples(index=False):
        given, column = model_input(predictor, row.sequence), location_rows(predictor, [row.location])
        marked = np.zeros(len(row.sequence), dtype=bool)
        for start, stop in spans[row.accession]:
            marked[start:stop] = True
        moved = [np.roll(marked, int(rng.integers(1, len(marked)))) for _ in range(draws)]
        hidden = np.stack([np.zeros_like(marked), marked, *moved])[:, given.read]
        found = logits(predictor, row.sequence, given, hidden)[:, column[0]]
        rows.append((row.location, found[0] - found[1], found[0] - found[2:].mean()))
    grouped = pd.DataFrame(rows, columns=["location", "signals", "elsewhere"]).groupby("location", sort=False)
    return grouped.mean().assign(proteins=grouped.size()).reset_index()


def mean_shares(shares: pd.DataFrame) -> pd.DataFrame:
    """Return the mean share and chance per location and method of ``shares_in_signals``, their ratio, and proteins."""
    grouped = shares.dropna(subset="share").groupby(["location", "method"], sort=False)
    table = grouped.agg(share=("share", "mean"), chance=("chance", "mean"), proteins=("share", "size")).reset_index()
    return table.assign(times_chance=table["share"] / table["chance"])


def shares_by_part(values: Iterable[Explained]) -> pd.DataFrame:
    """Return per location the mean share of importance in the first and last ``ENDS`` residues and between.

    ``values`` are of one method of ``explained``. Columns: location, N-terminus, middle, C-terminus, proteins, and the
    shares of residues there, which is chance. In a protein of fewer than twice ``ENDS`` residues each half is an end.
    """
    rows = []
    for _, location, _, value in values:
        size, place = min(ENDS, len(value) // 2), np.arange(len(value))
        masks = (place < size, (place >= size) & (place < len(value) - size), place >= len(value) - size)
        read = np.isfinite(value)
        shares = [importance_inside(value, mask) for mask in masks]
        rows.append((location, *shares, *((mask & read).sum() / read.sum() for mask in masks)))
    table = pd.DataFrame(rows, columns=["location", *PARTS, *(f"{part}, chance" for part in PARTS)])
    grouped = table.dropna().groupby("location", sort=False)
    return grouped.mean().assign(proteins=grouped.size()).reset_index()
