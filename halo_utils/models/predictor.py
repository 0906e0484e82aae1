"""What ships: a fine-tuned sequence model, a graph network and the gate's thresholds as one small directory."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch_geometric.data import Batch

from halo_utils.core.errors import DataError
from halo_utils.core.files import atomic_path
from halo_utils.core.paths import shown
from halo_utils.embeddings.esm2 import load_esm2, residues_of
from halo_utils.models.coordinate_frame import RandomFrame
from halo_utils.models.esm_classifier import EsmClassifier
from halo_utils.models.gat import GatClassifier
from halo_utils.models.rarity_offset import RarityOffset
from halo_utils.models.region_classifier import RegionClassifier

WEIGHTS = "model.safetensors"
PAPER_GATE = {"confident": 0.55, "rule": "paper"}
CARD = """---
license: mit
---
# A fine-tuned sequence model of the HALO companion

Backbone `{backbone}`. Locations: {locations}. One is predicted from a probability of {threshold:.2f} on, chosen on
{chosen_on}.

`python -m halo_utils predict my_proteins.fasta --model FOLDER` uses it. It is not the model of the paper.
"""


class HaloPredictor(nn.Module, PyTorchModelHubMixin):
    """A fine-tuned sequence model, perhaps with a graph network, and all that is needed to use them again.

    ``save_pretrained(folder)`` writes what was learned beside a ``config.json`` of these arguments; ``from_pretrained``
    takes a folder or a hub id. A location is predicted at and above ``threshold``, chosen on split ``chosen_on``;
    ``backbone`` goes to ``load_esm2``, ``head`` to ``RegionClassifier`` (None: the paper's head), ``reading``
    (``max_tokens``, ``truncation``) to ``seen_sequences``.

    ``graph`` describes the graph network: ``widths``, ``layers``, ``heads``, ``hidden``, ``weights`` and
    ``learned_weights`` go to ``GatClassifier``; ``coordinates`` (raw or scaled) and ``cutoff_angstrom`` say how its
    graphs are made; ``threshold`` is its own. None: sequence-only. ``gate`` is ``confident`` and ``rule`` of
    ``halo_gate``. ``label_thresholds`` and ``temperatures`` are location -> value, chosen on the same split;
    ``training_proteins`` is how many hashes of sequences seen in training ship along; ``run`` is where it comes from.
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
        graph: dict[str, Any] | None = None,
        gate: dict[str, Any] | None = None,
        label_thresholds: dict[str, float] | None = None,
        temperatures: dict[str, float] | None = None,
        training_proteins: int = 0,
        run: str = "",
    ) -> None:
        super().__init__()
        self.locations, self.threshold, self.reading, self.run = locations, threshold, reading or {}, run
        self.graph_facts, self.gate = graph, PAPER_GATE | (gate or {})
        self.label_thresholds, self.temperatures = label_thresholds, temperatures
        facts = {"backbone": backbone["source"], "threshold": threshold, "chosen_on": chosen_on}
        self.card = CARD.format(**facts, locations=", ".join(locations))
        self.tokens_per_batch, esm2, k = tokens_per_batch, load_esm2(**backbone), len(locations)
        paper = EsmClassifier(esm2, k, trainable_layers) if head is None else None
        self.model = RarityOffset(paper or RegionClassifier(esm2, k, trainable_layers, **head), torch.zeros(k))
        self.graph = None if graph is None else RarityOffset(_graph_network(k, graph), torch.zeros(k))
        hashes = torch.zeros(training_proteins, dtype=torch.int64)  # sorted
        self.register_buffer("seen_hashes", hashes, persistent=training_proteins > 0)

    @property
    def reads_composition(self) -> bool:
        """Whether the sequence model also reads the composition of the whole protein."""
        return getattr(self.model.model, "composition", None) is not None

    def learn_from(self, trained: nn.Module) -> "HaloPredictor":
        """Take over the weights of a trained sequence model and return self; without offset it has one of 0."""
        target = self.model if isinstance(trained, RarityOffset) else self.model.model
        target.load_state_dict(trained.state_dict())
        return self

    def learn_graph_from(self, trained: nn.Module, threshold_logit: Tensor | None = None) -> "HaloPredictor":
        """Take over the weights of a trained graph network, and the [K] thresholds of its loss as part of its offset.

        The loss's probability is ``sigmoid(logit - threshold_logit)``; here it is the logistic function of the logit.
        """
        target = self.graph if isinstance(trained, RarityOffset) else self.graph.model
        target.load_state_dict(trained.state_dict())
        if threshold_logit is not None:
            self.graph.offset -= threshold_logit.detach()
        return self

    def read(self, tokens: Tensor, token_mask: Tensor, *composition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [B, K], and states [B, L, D] and mask [B, L] bool of residues, from the model's inputs."""
        states, residue_mask = residues_of(self.model.model.encoder(tokens, token_mask), token_mask)
        logits = self.model.model.on_residues(states, residue_mask, *composition)
        return logits.float() + self.model.offset, states, residue_mask

    def attention(self, states: Tensor, residue_mask: Tensor) -> Tensor:
        """Return the weight of every residue in the pooling over the whole protein, [B, L] float32, of sum 1."""
        weights = self.model.model.pooling.weights(states, residue_mask)
        return weights if weights.ndim == 2 else weights[..., 0]  # the first region is the whole protein

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return probabilities of the sequence model, [B, K], from its inputs."""
        return self.model(*inputs).sigmoid()

    def on_graphs(self, graphs: Batch) -> Tensor:
        """Return probabilities of the graph network, [B, K], from the residue graphs of proteins."""
        return self.graph(graphs).sigmoid()

    def generate_model_card(self, *_: Any, **__: Any) -> ModelCard:
        """Return the card that ``save_pretrained`` writes as README.md."""
        return ModelCard(self.card)

    def learned(self) -> dict[str, Tensor]:
        """Return what differs from the backbone, by name; the large matrices of the sequence model in float16."""
        weights = {name: value for name, value in self.state_dict().items() if ".trunk." not in name}
        half = {name for name in weights if name.startswith("model.") and not name.endswith("offset")}
        return {name: (value.half() if name in half else value).contiguous() for name, value in weights.items()}

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write weights; what can be read back from the backbone, its frozen trunk, is not among them."""
        (save_directory / "README.md").unlink(missing_ok=True)  # the mixin keeps an old card
        with atomic_path(save_directory / WEIGHTS) as temporary:
            save_file(self.learned(), temporary)
            temporary.chmod(0o644)  # it is made for others to read


def _graph_network(k: int, graph: dict[str, Any]) -> nn.Module:
    """Return the graph network that ``graph`` describes, untrained."""
    names = ("layers", "heads", "hidden", "weights", "learned_weights")
    network = GatClassifier(tuple(graph["widths"]), k, **{name: graph[name] for name in names})
    return RandomFrame(network) if graph["coordinates"] == "scaled" else network


def load_predictor(folder: Path) -> HaloPredictor:
    """Return a predictor from its directory, in float32 and evaluation mode; DataError if it is none, or damaged."""
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            stored = set(file.keys())
        with redirect_stdout(StringIO()):  # the hub's mixin prints
            predictor = HaloPredictor.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)
        if strange := sorted(set(predictor.learned()) ^ stored):
            raise ValueError(f"{strange[0]} is in one of config.json and {WEIGHTS} only")
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise DataError(
            f"{shown(folder)}: {str(error).splitlines()[0]}; expected config.json and model.safetensors as notebook 02"
            " or `python -m halo_utils export-model` writes them (data/runs/<run>/classifier, data/checkpoints/halo)"
        ) from error
    return predictor
