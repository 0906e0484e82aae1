"""Running a trained model: without gradients, on the device there is, in the profile's precision."""

from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from halo_utils.core.devices import autocast, device
from halo_utils.training.batching import logits_of, names_of
from halo_utils.training.checkpoints import memory_errors
from halo_utils.training.fit import Fit


def inference(
    loader: DataLoader, step: Callable[[Any], Any], precision: str, label: str = "", budget: str = "the batch size"
) -> Iterator[tuple[Any, Any]]:
    """Yield (batch, step(batch)) without gradients, on the device and in the precision of the profile.

    A TrainingError names ``budget``, the profile's value to lower, where the memory does not suffice; without a
    ``label`` no progress is shown.
    """
    where = device()
    with torch.inference_mode(), autocast(precision), memory_errors(budget):
        for batch in tqdm(loader, desc=label, leave=False) if label else loader:
            batch = batch.to(where)
            yield batch, step(batch)


def predict(run: Fit, data: L.LightningDataModule, precision: str = "32-true") -> pd.DataFrame:
    """Return accession, split (more for graphs) and K probabilities of every protein outside train, in table order."""
    model, names, probabilities = run.model.eval().to(device()), [], []
    loss = run.loss.to(device())
    for batch, logits in inference(data.predict_dataloader(), lambda b: logits_of(model, b), precision, "predict"):
        names += names_of(batch)
        probabilities.append(loss.probability(logits).cpu().numpy())
    model.cpu(), loss.cpu()
    table = pd.DataFrame(np.concatenate(probabilities).astype(np.float64), columns=data.locations)
    return data.predicted.merge(table.assign(accession=names), on="accession", validate="1:1")
