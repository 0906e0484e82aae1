"""Training as a command: ``python -m halo_utils train esm | gat | pair``, plain or under torchrun."""

from pathlib import Path

from halo_utils.config import Settings
from halo_utils.core.errors import SettingsError
from halo_utils.core.files import write_json
from halo_utils.runs import artifacts
from halo_utils.training import graph_data, sequence_data
from halo_utils.training.weight_grid import grid_point

MODELS = ("esm", "pair")


def train(settings: Settings, model: str, pair: int | None = None, output: Path | None = None) -> None:
    """Train one model of a run whose notebook 01 has run; the notebook that shows it finds it trained.

    Args:
        settings: the profile.
        model: one of ``MODELS``.
        pair: position in the weight grid, from 0.
        output: JSON file for the pair's score.

    Raises:
        SettingsError: if there is no such model, or the grid has no such pair.
    """
    if model not in MODELS:
        raise SettingsError(f"unknown model {model!r}: use one of {', '.join(MODELS)}")
    if model == "esm":
        sequence_data.finetune(sequence_data.prepare(settings, artifacts.load_table(settings)))
        return
    pairs = settings.gat.weights.pairs
    if output is None or pair is None or not 0 <= pair < len(pairs):
        raise SettingsError(
            f"pair {pair} into {output}: the weight grid of {settings.profile} has the pairs 0 to {len(pairs) - 1}, and"
            " --output names the file for the score"
        )
    stage = graph_data.prepare(settings, artifacts.load_table(settings))
    write_json(output, grid_point(stage, pairs[pair]))
