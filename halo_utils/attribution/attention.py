"""What attention looks at: the pooling's weights of residues, and the graph network's weights of edges."""

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GATConv

from halo_utils.attribution.occlusion import Predictor, classifier_of, model_input
from halo_utils.core.devices import device
from halo_utils.embeddings.esm2 import residues_of
from halo_utils.models.graph_attention import GraphAttention


def pooling_attention(predictor: Predictor, sequence: str) -> np.ndarray:
    """Return the weights with which the pooling sums residues, [L] float32 of sum 1; NaN where one is not read.

    They are the same for every location, and say where the pooling looks, not what a logit would do without it. Of
    region attention this is the region that is the whole protein.
    """
    given, model = model_input(predictor, sequence), classifier_of(predictor.model).eval().to(device())
    tokens = given.tokens[None].to(device())
    with torch.inference_mode():
        weights = model.pooling.weights(*residues_of(model.encoder(tokens, mask := tokens >= 0), mask))
    values = np.full(len(sequence), np.nan, dtype=np.float32)
    values[given.read] = (weights[0] if weights.ndim == 2 else weights[0, :, 0]).float().cpu().numpy()
    return values


def edge_attention(model: nn.Module, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Return the edges with self-loops, [2, E] int64, source above target, and their weights, [E, H], layer by layer.

    ``model`` is a graph network in any of its wrappers. The weights of the edges that end at a node sum to 1 in every
    head (notebook 04, "Graph attention").
    """
    inputs: list[Tensor] = []
    layers = [module for module in model.eval().modules() if isinstance(module, GraphAttention)]
    hooks = [layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0])) for layer in layers]
    try:
        with torch.inference_mode():
            model(batch)
            found = [
                GATConv.forward(layer, x, batch.edge_index, return_attention_weights=True)[1]
                for layer, x in zip(layers, inputs, strict=True)
            ]
    finally:
        for hook in hooks:
            hook.remove()
    return found[0][0], [weights for _, weights in found]


def attention_received(edges: Tensor, weights: list[Tensor], nodes: int) -> np.ndarray:
    """Return how much the other nodes look at each node, [N] float32: the mean over layers and heads of their weights.

    ``edges`` and ``weights`` are of ``edge_attention``; a node's look at itself is left out.
    """
    source, target = edges
    mean = torch.stack([layer.mean(dim=1) for layer in weights]).mean(dim=0).masked_fill(source == target, 0.0)  # [E]
    return torch.zeros(nodes).index_add_(0, source, mean).numpy()
