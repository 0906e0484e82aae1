"""Integrated gradients (Sundararajan et al. 2017) on the embeddings of residues, through captum."""

from collections.abc import Sequence

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from halo_utils.attribution.occlusion import ModelInput, Predictor, classifier_of, location_rows, model_input
from halo_utils.core.devices import device

STEPS = 64  # of the integral; Gauss-Legendre nodes


def logits_of_embeddings(predictor: Predictor, given: ModelInput, embeddings: Tensor) -> Tensor:
    """Return logits, [B, K], from embeddings of one protein's tokens, [B, T, D], scaled as ``embed`` scales them."""
    encoder, mask = classifier_of(predictor.model).encoder, torch.ones(embeddings.shape[:2], dtype=torch.bool)
    mask = mask.to(embeddings.device)
    inputs = [encoder.trunk(embeddings, mask), mask]  # not trunk_states, which lets no gradient through
    if given.composition is not None:
        inputs.append(given.composition.to(embeddings.device).expand(len(embeddings), -1))
    return predictor.model(*inputs).float()


def integrated_gradients(
    predictor: Predictor, sequence: str, locations: Sequence[str], steps: int = STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Return integrated gradients, [K, L] float32, and how far their sums miss the difference of logits, [K].

    The path leads from a protein whose residues are all zeros, as ESM-2 reads masks, to the protein itself; <cls> and
    <eos> stay. What a residue's D channels gather is summed. Completeness: a row's sum is the logit minus the one at
    the start of the path, up to the error of the integral, which is the second value returned; composition of the whole
    protein is the same on the path and takes no part. NaN where the model does not read a residue. DataError for an
    unknown location.
    """
    rows, given = location_rows(predictor, locations), model_input(predictor, sequence)
    predictor.model.eval().to(device())
    tokens, encoder = given.tokens.to(device()), classifier_of(predictor.model).encoder
    with torch.no_grad():
        states = encoder.trunk.embed(tokens, [len(tokens)])[None]  # [1, T, D]
    start = torch.zeros_like(states)
    start[:, [0, -1]] = states[:, [0, -1]]
    method = IntegratedGradients(lambda x: logits_of_embeddings(predictor, given, x))
    copies = max(1, predictor.tokens_per_batch // len(tokens))
    values = np.full((len(rows), len(sequence)), np.nan, dtype=np.float32)
    missing = np.zeros(len(rows), dtype=np.float32)
    for k, row in enumerate(rows):
        options = {"target": row, "n_steps": steps, "method": "gausslegendre", "internal_batch_size": copies}
        found, miss = method.attribute(states, start, return_convergence_delta=True, **options)
        values[k, given.read] = found[0, 1:-1].sum(dim=1).float().cpu().numpy()
        missing[k] = float(miss[0])
    return values, missing
