"""Batches of masked-language-model training: crops of the corpus, packed, with ESM-2's masks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from halo_utils.core.residue_store import ResidueStore
from halo_utils.embeddings.packed_encoder import MASK
from halo_utils.pretraining.corpus import STANDARD_TOKENS
from halo_utils.training.batching import BudgetBatchSampler

CLS, EOS = 0, 2
PICKED, MASKED, SWAPPED = 0.15, 0.8, 0.1  # share of residues to predict; of these masked, replaced; the rest stays
VALIDATION = 0  # the stream of random numbers of validation; training takes 1 up
Job = tuple[int, list[int]]  # number of the stream of random numbers, positions of the proteins


@dataclass
class MaskedBatch:
    """Crops end to end, of rising lengths: tokens [N] int64, positions picked [M], and the tokens there, target [M]."""

    lengths: list[int]
    tokens: Tensor
    picked: Tensor
    target: Tensor


class RoundSampler(Sampler[Job]):
    """Batches of one round, ``steps`` of them; passes over the corpus go on from round to round.

    Everything is a function of the seed and the step, so a resumed run repeats it.
    """

    def __init__(self, lengths: Sequence[int], budget: int, steps: int, seed: int) -> None:
        self.passes = BudgetBatchSampler(lengths, budget, shuffle=True, seed=seed, shared=True)
        self.steps, self.round = steps, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the round; Lightning calls this before each one."""
        self.round = epoch

    def __iter__(self) -> Iterator[Job]:
        """Yield the step, from 1, and the positions of its proteins."""
        size, batches = len(self.passes), []
        for step in range(self.round * self.steps, (self.round + 1) * self.steps):
            if not batches or step % size == 0:
                self.passes.set_epoch(step // size)
                batches = self.passes.batches
            yield step + 1, batches[step % size]

    def __len__(self) -> int:
        return self.steps


class MaskedDataset(Dataset):
    """Masked batches of a corpus; an item is a whole batch, the same for the same job; ``crop`` is in tokens."""

    def __init__(self, store: ResidueStore, names: Sequence[str], crop: int, seed: int) -> None:
        self.store, self.names, self.crop, self.seed = store, list(names), crop, seed

    @property
    def lengths(self) -> list[int]:
        """Tokens per crop, [B]."""
        return [min(self.store.length(name) + 2, self.crop) for name in self.names]

    def __getitem__(self, job: Job) -> MaskedBatch:
        stream, positions = job
        rng = np.random.default_rng([self.seed, 61, stream, positions[0]])
        crops = [crop_tokens(self.store.rows(self.names[i])[:, 0], self.crop, rng) for i in positions]
        crops.sort(key=len)  # neighbours of equal length share one attention call
        tokens = np.concatenate(crops)
        masked, picked = mask_tokens(tokens, rng)
        return MaskedBatch([len(c) for c in crops], *map(torch.from_numpy, (masked, picked, tokens[picked])))


def crop_tokens(residues: np.ndarray, crop: int, rng: np.random.Generator) -> np.ndarray:
    """Return a window of at most ``crop`` tokens of <cls>, residues [L], <eos>, as int64.

    It is drawn from beyond both ends and pushed inside, so that the ends, where signals are, are seen like the middle.
    """
    tokens = np.concatenate([[CLS], residues, [EOS]]).astype(np.int64)
    room = len(tokens) - crop
    if room <= 0:
        return tokens
    start = int(np.clip(rng.integers(-crop // 2, room + crop // 2 + 1), 0, room))
    return tokens[start : start + crop]


def mask_tokens(tokens: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return masked tokens, [N], and the positions to predict, [M], never of special tokens (Lin et al. 2023)."""
    picked = np.flatnonzero((rng.random(len(tokens)) < PICKED) & (tokens >= STANDARD_TOKENS.start))
    if not len(picked):  # a loss needs at least one
        picked = np.flatnonzero(tokens >= STANDARD_TOKENS.start)[:1]
    fate = rng.random(len(picked))
    masked = tokens.copy()
    masked[picked[fate < MASKED]] = MASK
    swapped = picked[(fate >= MASKED) & (fate < MASKED + SWAPPED)]
    masked[swapped] = rng.integers(STANDARD_TOKENS.start, STANDARD_TOKENS.stop, len(swapped))
    return masked, picked
