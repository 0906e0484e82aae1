"""Which features a trained graph network uses: each group, or the edges, taken away on validation proteins."""

import copy

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch_geometric.data import Batch

from halo_utils.core.devices import device
from halo_utils.evaluation.metrics import scores
from halo_utils.models.losses import FocalLoss
from halo_utils.training.graph_data import GraphData

GROUPS = ("coordinates", "embedding", "biochemistry", "structure letters")  # in the order of node features
EDGES = "edges"


def without(batch: Batch, group: str, widths: tuple[int, ...], mean: torch.Tensor) -> Batch:
    """Return graphs that lack a group of features, which is ``mean`` [D] at every node, or all edges."""
    changed = copy.copy(batch)
    if group == EDGES:
        changed.edge_index = batch.edge_index[:, :0]
        return changed
    first = sum(widths[: GROUPS.index(group)])
    columns = slice(first, first + widths[GROUPS.index(group)])
    changed.x = batch.x.clone()
    changed.x[:, columns] = mean[columns]
    return changed


def modality_importance(
    model: nn.Module, loss: FocalLoss, data: GraphData, rows: np.ndarray, threshold: float
) -> pd.DataFrame:
    """Return macro and micro F1 and cross-entropy of a trained network with everything, and without each group.

    ``rows`` are positions in the table, of validation proteins: nothing is chosen here, but what is learned about the
    model should not come from test. A group left out holds its mean over these proteins' residues, so that it says the
    same of every residue; without edges a residue sees itself alone. Nothing is trained again, so this tells what the
    network uses, not what another one could do without (the controls of notebook 04 do). Columns: left out, macro_f1,
    micro_f1, cross_entropy.
    """
    model, loss = model.eval().to(device()), loss.to(device())
    batches = [batch.to(device()) for batch in data.loader(rows)]
    mean = torch.cat([batch.x for batch in batches]).mean(dim=0)
    y = torch.cat([batch.y for batch in batches]).cpu().numpy().astype(np.int8)
    found = []
    for group in ("nothing", *GROUPS[: len(data.widths)], EDGES):
        with torch.inference_mode():
            given = (b if group == "nothing" else without(b, group, data.widths, mean) for b in batches)
            prob = torch.cat([loss.probability(model(batch)).float() for batch in given]).cpu()
        measured = scores(y, (prob.numpy() >= threshold).astype(np.int8), prob.numpy(), data.locations)
        entropy = float(F.binary_cross_entropy(prob, torch.from_numpy(y).float()))
        found.append((group, measured["macro_f1", ""], measured["micro_f1", ""], entropy))
    model.cpu(), loss.cpu()
    return pd.DataFrame(found, columns=["left out", "macro_f1", "micro_f1", "cross_entropy"])
