"""Pre-trains a small ESM-2 and writes it as a directory."""

from pathlib import Path

from halo_utils.config import Settings
from halo_utils.pretraining import model_card, train


def pretrain(settings: Settings, start: Path | None, ship: Path | None) -> None:
    """Pre-train as the profile says, from random weights or those of ``start``; write the model to ``ship``."""
    done = train.pretrain(settings, start)
    if ship:
        model_card.ship(done.model, done.history, done.facts, ship)
    facts = done.facts
    print(f"perplexity {facts['perplexity']} (unigram {facts['unigram_perplexity']}) after {facts['tokens']:,} tokens")
