"""Running a trained model: without gradients, on the device there is, in the profile's precision."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from halo_utils.core.devices import autocast, device
from halo_utils.profile import ComputeSettings
from halo_utils.training.batching import names_of
from halo_utils.training.checkpoints import memory_errors
from halo_utils.training.lightning_module import Classifier


def inference(
    loader: DataLoader, step: Callable[[Any], Any], precision: str, label: str, budget: str
) -> Iterator[tuple[Any, Any]]:
    """Yield (batch, step(batch)) without gradients, on the device and in the precision of the profile.

    Raises:
        TrainingError: if the memory does not suffice; names ``budget``, the profile's value to lower.
    """
    where = device()
    with torch.inference_mode(), autocast(precision), memory_errors(budget):
        for batch in tqdm(loader, desc=label, leave=False):
            batch = batch.to(where)
            yield batch, step(batch)


def predict(module: Classifier, loader: DataLoader, places: list[str], compute: ComputeSettings) -> pd.DataFrame:
    """Return probabilities: ``accession`` and one float column per location, rows in loader order."""
    module = module.eval().to(device())
    names, probs = [], []
    for batch, logits in inference(loader, module.model, compute.precision, "predict", module.budget):
        names.extend(names_of(batch))
        probs.append(module.loss.probability(logits).cpu().numpy())
    table = pd.DataFrame(np.concatenate(probs).astype(np.float64), columns=places)
    table.insert(0, "accession", names)
    module.cpu()
    return table
