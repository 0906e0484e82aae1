"""A fine-tuned sequence model as a small directory, and predictions for any sequences with it."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from halo_utils.core.errors import DataError
from halo_utils.core.files import atomic_path, write_csv
from halo_utils.core.paths import REPOSITORY, shown
from halo_utils.data.tables import check_protein, read_fasta
from halo_utils.embeddings.biochemistry import composition
from halo_utils.embeddings.esm2 import load_esm2, tokenize
from halo_utils.embeddings.truncation import seen_sequences
from halo_utils.models.esm_classifier import EsmClassifier
from halo_utils.models.rarity_offset import RarityOffset
from halo_utils.models.region_classifier import RegionClassifier
from halo_utils.training.batching import BudgetBatchSampler
from halo_utils.training.predict import inference
from halo_utils.training.sequence_data import ProteinDataset, collate_proteins

CARD = """---
license: mit
---
# A fine-tuned sequence model of the HALO companion

Backbone `{backbone}`. Locations: {locations}. One is predicted from a probability of {threshold:.2f} on, chosen on
{chosen_on}.

`python -m halo_utils predict my_proteins.fasta --model FOLDER` uses it. It is not the model of the paper.
"""


class LocationPredictor(nn.Module, PyTorchModelHubMixin):
    """A fine-tuned sequence model with all that is needed to use it again.

    ``save_pretrained(folder)`` writes what was learned, in float16, beside a ``config.json`` of these arguments;
    ``from_pretrained`` takes a folder or a hub id. A location is predicted at and above ``threshold``, chosen on split
    ``chosen_on``; ``backbone`` goes to ``load_esm2``, ``head`` to ``RegionClassifier`` (None: the paper's head),
    ``reading`` (``max_tokens``, ``truncation``) to ``seen_sequences``.
    """

    def __init__(
        self,
        locations: list[str],
        threshold: float,
        chosen_on: str,
        backbone: dict[str, Any],
        trainable_layers: int | str,
        head: dict[str, Any] | None = None,
        reading: dict[str, Any] | None = None,
        tokens_per_batch: int = 4096,
    ) -> None:
        super().__init__()
        self.locations, self.threshold, self.reading = locations, threshold, reading or {}
        facts = {"backbone": backbone["source"], "threshold": threshold, "chosen_on": chosen_on}
        self.card = CARD.format(**facts, locations=", ".join(locations))
        self.tokens_per_batch, esm2, k = tokens_per_batch, load_esm2(**backbone), len(locations)
        paper = EsmClassifier(esm2, k, trainable_layers) if head is None else None
        self.model = RarityOffset(paper or RegionClassifier(esm2, k, trainable_layers, **head), torch.zeros(k))

    def learn_from(self, trained: nn.Module) -> "LocationPredictor":
        """Take over the weights of a trained model and return self; a model without offset has one of 0."""
        target = self.model if isinstance(trained, RarityOffset) else self.model.model
        target.load_state_dict(trained.state_dict())
        return self

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return probabilities, [B, K], from the inputs of the model."""
        return self.model(*inputs).sigmoid()

    def generate_model_card(self, *_: Any, **__: Any) -> ModelCard:
        """Return the card that ``save_pretrained`` writes as README.md."""
        return ModelCard(self.card)

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write what can differ from the backbone: all but the frozen trunk."""
        (save_directory / "README.md").unlink(missing_ok=True)  # the mixin keeps an old card
        learned = {name: value for name, value in self.state_dict().items() if ".trunk." not in name}
        learned = {name: value if name.endswith("offset") else value.half() for name, value in learned.items()}
        with atomic_path(save_directory / "model.safetensors") as temporary:
            save_file({name: value.contiguous() for name, value in learned.items()}, temporary)


def load_predictor(folder: Path) -> LocationPredictor:
    """Return a predictor from its directory, in float32 and evaluation mode; DataError if it is none."""
    try:
        with redirect_stdout(StringIO()):  # the hub's mixin prints
            return LocationPredictor.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{shown(folder)}: {str(error).splitlines()[0]}; expected config.json and model.safetensors as notebook 02"
            " writes them (data/runs/<run>/classifier)"
        ) from error


def locate_proteins(folder: Path, sequences: dict[str, str]) -> pd.DataFrame:
    """Return locations of proteins, name -> residues, found by the fine-tuned sequence model of a directory.

    One row per protein, in the given order: accession, a probability per location, and ``predicted``, the locations at
    or above the model's threshold joined by ``; ``. DataError if a name, a sequence or the directory is not valid.
    """
    for name, residues in sequences.items():
        check_protein("sequences", name, residues)
    model = load_predictor(folder)
    tokens = tokenize(seen_sequences(list(sequences.values()), **model.reading))
    reads_shares = getattr(model.model.model, "composition", None) is not None
    shares = np.stack([composition(s) for s in sequences.values()]) if reads_shares else None
    dataset = ProteinDataset(list(sequences), tokens, np.zeros((len(tokens), 0)), None, shares)
    sampler, rows = BudgetBatchSampler(dataset.lengths, model.tokens_per_batch, shuffle=False), {}
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=collate_proteins)
    for batch, found in inference(loader, lambda b: model(*b.inputs), "32-true", "predict"):
        rows |= dict(zip(batch.accessions, found.tolist(), strict=True))
    table = pd.DataFrame(rows, index=model.locations).T.loc[list(sequences)].rename_axis("accession")
    predicted = ["; ".join(table.columns[row >= model.threshold]) for row in table.to_numpy()]
    return table.assign(predicted=predicted).reset_index()


def predict_fasta(fasta: Path, folder: Path, out: Path | None) -> None:
    """Write ``locate_proteins`` of a FASTA file as CSV, or print it; a relative folder may be the repository's."""
    proteins = read_fasta(fasta)[0]
    sequences = dict(zip(proteins["accession"], proteins["sequence"], strict=True))
    table = locate_proteins(folder if folder.is_dir() else REPOSITORY / folder, sequences)
    print(write_csv(out, table) if out else table.to_csv(index=False, float_format="%.4f").rstrip())
