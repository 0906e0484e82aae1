"""The pipeline of the notebooks in one process that can be killed anywhere: ``python -m tests.steps PROFILE [KILL]``.

``KILL`` is ``module:attribute:count[:after]``: SIGKILL at the count-th call, before it or after it returned.
"""

import importlib
import os
import signal
import sys
from typing import Any

from halo_utils.config import load_settings
from halo_utils.core.files import remove_unfinished, write_csv
from halo_utils.evaluation import scoring
from halo_utils.runs import artifacts, prepare, recipe
from halo_utils.structures import store
from halo_utils.training.embed import embed
from halo_utils.training.predict import predict

PROFILE = """\
description: Synthetic proteome for the recovery tests; the learning rate falls, and dropout is at work.
seed: 3
data: {dataset: synthetic, synthetic_proteins: 60}
backbone:
  source: random
  random: {layers: 3, width: 16, heads: 2}
esm: {learning_rate: 2.0, epochs: 5, tokens_per_batch: 2048, plateau_patience: 0}
gat: {hidden: 4, heads: 2, layers: 2, epochs: 9, patience: 1, learning_rate: 0.1, dropout: 0.3, nodes_per_batch: 2000}
evaluation: {bootstrap: 20}
"""


def kill_at(spec: str) -> None:
    """Wrap the named function so that the process dies at the given call."""
    module, attribute, count, *after = spec.split(":")
    owner: Any = importlib.import_module(module)
    *path, name = attribute.split(".")
    for part in path:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), 0

    def wrapped(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == int(count) and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if calls == int(count):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)


def run(profile: str) -> None:
    """Do what notebooks 01, 02 and 04 do, and write predictions and metrics."""
    settings = load_settings(profile)
    remove_unfinished(settings.paths.make().work)
    found = prepare.read_inputs(settings)
    artifacts.save_table(settings, found.table)
    store.store_structures(settings.paths.work / "structures.npy", found.table, found.structures)
    table = artifacts.load_table(settings)
    data, tuned = recipe.train_sequence_model(settings, table)
    artifacts.save_predictions(settings, "esm", predict(tuned, data))
    embed(tuned.model.encoder, data, settings.paths.work / "finetuned.npy")
    graphs = recipe.graph_data(settings, table, "finetuned")
    gat = predict(recipe.train_gat(settings, graphs, (0.5, 1.0, 0.5)), graphs)
    artifacts.save_predictions(settings, "gat_weighted", gat)
    metrics = scoring.measure_plain(table, "gat_weighted", gat, settings.data.dataset, resamples=20, seed=settings.seed)
    write_csv(settings.paths.results / "metrics.csv", metrics)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        kill_at(sys.argv[2])
    run(sys.argv[1])
