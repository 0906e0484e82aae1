"""The weight grid: a short network per pair of feature weights, scored on validation."""

import pandas as pd
from tqdm import tqdm

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
