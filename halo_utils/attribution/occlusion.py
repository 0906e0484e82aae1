"""Residue importance by occlusion: how far does a logit fall when the residues around one are masked?"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from halo_utils.core.devices import device
from halo_utils.core.errors import DataError
from halo_utils.embeddings.biochemistry import composition
from halo_utils.embeddings.esm2 import tokenize
from halo_utils.embeddings.packed_encoder import MASK
from halo_utils.embeddings.truncation import seen_residues, truncate

WINDOW = 9  # residues, about the length of the shortest signals' cores (h-region, NLS)


class Predictor(Protocol):
    """What attribution needs of a fine-tuned sequence model: ``models.predictor.HaloPredictor`` has it."""

    model: nn.Module  # logits [B, K] from tokens [B, T], their mask and, where it reads any, composition [B, 61]
    locations: list[str]
    reading: dict[str, Any]  # max_tokens and truncation
    tokens_per_batch: int


class ModelInput(NamedTuple):
    """One protein as a sequence model reads it."""

    tokens: Tensor  # [T] with <cls> and <eos>
    read: np.ndarray  # [N] positions in the whole protein of the residues that are read
    composition: Tensor | None  # [61] of the whole protein, where the model reads it


def classifier_of(model: nn.Module) -> nn.Module:
    """Return the classifier with encoder and pooling inside a model that adds an offset."""
    return model if hasattr(model, "encoder") else model.model


def model_input(predictor: Predictor, sequence: str) -> ModelInput:
    """Return tokens, the positions read and, for a model that reads it, composition of one protein."""
    reads_shares = getattr(classifier_of(predictor.model), "composition", None) is not None
    shares = torch.from_numpy(composition(sequence)) if reads_shares else None
    tokens = tokenize([truncate(sequence, **predictor.reading)])[0]
    return ModelInput(tokens, seen_residues(len(sequence), **predictor.reading), shares)


def location_rows(predictor: Predictor, locations: Sequence[str]) -> list[int]:
    """Return the positions of locations among those of the model; DataError for one it does not know."""
    if unknown := [name for name in locations if name not in predictor.locations]:
        raise DataError(f"the model knows no location {unknown[0]!r}: use one of {', '.join(predictor.locations)}")
    return [predictor.locations.index(name) for name in locations]


def residue_importance(
    predictor: Predictor, sequence: str, locations: Sequence[str], window: int = WINDOW, stride: int = 1
) -> np.ndarray:
    """Return how far each logit falls when the window around a residue is masked, [K, L] float32, K ``locations``.

    Exact: one forward pass per window, after Zeiler and Fergus 2014. Positive: the residues speak for the location.
    The masked residues become ``<mask>``, which ESM-2 reads as zeros while it scales the other embeddings up for them
    (token dropout, see ``PackedEncoder.embed``), as in its pre-training; in composition they count as none of the 20.
    With ``stride`` s the centres are s residues apart, and residues take the value of the nearest. NaN where the model
    does not read a residue. DataError for an unknown location or a window below 1.
    """
    if window < 1 or stride < 1:
        raise DataError(f"window {window} and stride {stride} must be 1 or more residues")
    rows, given = location_rows(predictor, locations), model_input(predictor, sequence)
    n = len(given.read)
    centres = np.unique([*range(stride // 2, n, stride), n - 1])
    before = (window - 1) // 2
    offset = np.arange(n)[None] - (centres[:, None] - before)  # [C, N]
    hidden = (offset >= 0) & (offset < window)
    whole = logits(predictor, sequence, given, np.zeros((1, n), dtype=bool))[:, rows]
    falls = (whole - logits(predictor, sequence, given, hidden)[:, rows]).T  # [K, C]
    nearest = np.abs(np.arange(n)[:, None] - centres[None]).argmin(axis=1)
    importance = np.full((len(rows), len(sequence)), np.nan, dtype=np.float32)
    importance[:, given.read] = falls[:, nearest]
    return importance


def logits(predictor: Predictor, sequence: str, given: ModelInput, hidden: np.ndarray) -> np.ndarray:
    """Return the logits, [C, K] float32, of C copies of one protein; ``hidden`` [C, N] marks their masked residues."""
    model, where, parts = predictor.model.eval().to(device()), device(), []
    copies = max(1, predictor.tokens_per_batch // len(given.tokens))
    with torch.inference_mode():
        for chunk in np.split(hidden, range(copies, len(hidden), copies)):
            tokens = given.tokens.repeat(len(chunk), 1)
            tokens[:, 1:-1][torch.from_numpy(chunk)] = MASK
            inputs = [tokens, torch.ones_like(tokens, dtype=torch.bool)]
            if given.composition is not None:
                inputs.append(torch.from_numpy(np.stack([_shares(sequence, given.read[row]) for row in chunk])))
            parts.append(model(*(x.to(where) for x in inputs)).float().cpu().numpy())
    return np.concatenate(parts)


def _shares(sequence: str, hidden: np.ndarray) -> np.ndarray:
    letters = np.array(list(sequence))
    letters[hidden] = "X"
    return composition("".join(letters))


def importance_inside(importance: np.ndarray, inside: np.ndarray) -> float:
    """Return the share of positive importance, [L], that lies where ``inside`` [L] is true, 0..1; NaN if there is none.

    By chance it is the share of residues inside; what a model does not read (NaN) is left out.
    """
    positive = np.nan_to_num(importance).clip(min=0.0)
    total = positive.sum(dtype=np.float64)
    return float(positive[inside].sum(dtype=np.float64) / total) if total > 0 else float("nan")
