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
from halo_utils.runs import artifacts, prepare
from halo_utils.structures import store
from halo_utils.training import graph_data, sequence_data
from halo_utils.training.graph_data import Variant

PROFILE = """\
description: Synthetic proteome for the recovery tests; the learning rate falls, and dropout is at work.
seed: 3
data: {dataset: synthetic, synthetic_proteins: 60}
backbone:
  source: random
  random: {layers: 3, width: 16, heads: 2}
esm: {learning_rate: 2.0, epochs: 5, tokens_per_batch: 2048, plateau_patience: 0}
gat: {hidden: 4, heads: 2, layers: 2, epochs: 5, patience: 1, learning_rate: 0.1, dropout: 0.3, nodes_per_batch: 2000}
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
    stage = sequence_data.prepare(settings, table)
    sequence_data.embed_residues(stage, "pretrained")
    esm = sequence_data.predict_held_out(stage, sequence_data.finetune(stage))
    artifacts.save_predictions(settings, "esm", esm)
    sequence_data.embed_residues(stage, "finetuned")
    graphs = graph_data.prepare(settings, table)
    trained = graph_data.train_gat(graphs, Variant("gat", "finetuned", (0.5, 1.0, 0.5)))
    gat = graph_data.predict_held_out(graphs, trained)
    artifacts.save_predictions(settings, "gat_weighted", gat)
    metrics = scoring.measure_plain(settings, table, "gat_weighted", gat)
    write_csv(settings.paths.results / "metrics.csv", metrics)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        kill_at(sys.argv[2])
    run(sys.argv[1])
