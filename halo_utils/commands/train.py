"""What ``python -m halo_utils train`` does, alone or under torchrun; notebooks find the results trained."""

from pathlib import Path

from halo_utils.config import Settings
from halo_utils.core.errors import SettingsError
from halo_utils.core.files import write_json
from halo_utils.runs.artifacts import load_table
from halo_utils.runs.recipe import graph_data, train_gat, train_sequence_model


def train(settings: Settings, model: str, pair: int | None = None, output: Path | None = None) -> None:
    """Train one model of a profile where its notebook looks for it; the validation score goes to ``output`` as JSON.

    ``model`` is ``esm``, the sequence model; ``gat``, the graph network at the profile's fixed weights; or ``pair``,
    position ``pair`` of the weight grid, from 0, as a job of its own.
    """
    weights = settings.gat.weights
    if model not in ("esm", "gat", "pair"):
        raise SettingsError(f"unknown model {model!r}: use one of esm, gat, pair")
    if model == "pair" and pair not in range(len(weights.pairs)):
        raise SettingsError(
            f"pair {pair} is not in the weight grid of {settings.profile}: 0 to {len(weights.pairs) - 1}"
        )
    settings.paths.make()
    table = load_table(settings)
    if model == "esm":
        run = train_sequence_model(settings, table)[1]
    else:
        data = graph_data(settings, table, "finetuned")
        chosen, epochs = (weights.coord, weights.esm, weights.bio), None
        if model == "pair":
            (coord, bio), epochs = weights.pairs[pair], weights.grid_epochs
            chosen = (coord, 1.0, bio)
        run = train_gat(settings, data, chosen, epochs=epochs)
    score = float(run.history["val_macro_f1"].max())
    print(f"{model}: best validation macro F1 {score:.3f} in epoch {run.best_epoch}")
    if output is not None:
        write_json(output, {"model": model, "pair": pair, "val_macro_f1": score})
