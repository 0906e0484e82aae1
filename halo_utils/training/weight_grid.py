"""One pair of notebook 04's weight grid as a job of its own: ``python -m halo_utils weight-pair --pair 3``.

A cluster trains the pairs side by side; notebook 04 finds them trained and reads them back.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from halo_utils.config import load_settings
from halo_utils.core.errors import HaloError, SettingsError
from halo_utils.core.files import write_json
from halo_utils.runs import artifacts
from halo_utils.training import graph_data
from halo_utils.training.graph_data import GraphStage, Variant, train_gat


def grid_point(stage: GraphStage, pair: tuple[float, float]) -> dict[str, float]:
    """Train a short network on fine-tuned embeddings with one pair of weights, or read it back.

    Args:
        stage: graphs and settings.
        pair: weights of coordinates and biochemistry; the embedding's is 1.

    Returns:
        coord, esm, bio and the best validation macro F1.
    """
    coord, bio = pair
    epochs = stage.settings.gat.weights.grid_epochs
    run = train_gat(stage, Variant("grid", "finetuned", (coord, 1.0, bio)), epochs)
    best = float(run.fit.history["val_macro_f1"].max())
    return {"coord": coord, "esm": 1.0, "bio": bio, "val_macro_f1": best}


def weight_grid(stage: GraphStage) -> pd.DataFrame:
    """Train a short network per pair of weights and score it on validation.

    Returns:
        Columns coord, esm, bio, val_macro_f1, best first. Only validation is looked at.
    """
    pairs = stage.settings.gat.weights.pairs
    rows = [grid_point(stage, pair) for pair in tqdm(pairs, desc="weights", leave=False)]
    return pd.DataFrame(rows).sort_values("val_macro_f1", ascending=False, kind="stable").reset_index(drop=True)


def train_pair(
    profile: str, pair: int, output: Path, *, dataset: str = "", max_proteins: int = -1, seed: int = -1
) -> None:
    """Train one pair of weights and write its validation score to ``output``.

    Args:
        profile: name or path of a profile.
        pair: position in the grid, from 0.
        output: JSON file.
        dataset: as in ``load_settings``.
        max_proteins: as in ``load_settings``.
        seed: as in ``load_settings``.

    Raises:
        SettingsError: if the grid has no such pair.
    """
    settings = load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed)
    pairs = settings.gat.weights.pairs
    if not 0 <= pair < len(pairs):
        raise SettingsError(f"pair {pair} is not in the weight grid of {profile}: it has 0 to {len(pairs) - 1}")
    stage = graph_data.prepare(settings, artifacts.load_table(settings))
    write_json(output, weight_grid.grid_point(stage, pairs[pair]))


def main(argv: Sequence[str] | None = None) -> int:
    """Train one pair from the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m halo_utils weight-pair", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", required=True, help="name or path of a profile")
    parser.add_argument("--pair", type=int, required=True, help="position in the grid, from 0")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the score")
    parser.add_argument("--dataset", default="", help="data set instead of the profile's")
    parser.add_argument("--max-proteins", type=int, default=-1, help="size of the subset instead of the profile's")
    parser.add_argument("--seed", type=int, default=-1, help="seed instead of the profile's")
    try:
        train_pair(**vars(parser.parse_args(argv)))
    except HaloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
