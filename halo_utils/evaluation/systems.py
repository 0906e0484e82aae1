"""Every system that is measured, in the order in which tables and figures show them; adding one is one line here."""

from collections.abc import Collection
from typing import NamedTuple


class System(NamedTuple):
    """A way to predict the locations of a protein."""

    name: str  # key of its predictions, metrics and differences
    title: str
    family: str  # baseline, sequence, graph, or joined where two models decide together
    made_by: str  # the notebook that writes its predictions or metrics
    short: bool = False  # whether the smaller tables show it too


SYSTEMS = [
    System("nearest", "6-mer nearest neighbour", "baseline", "02_esm_finetuning", short=True),
    System("composition", "composition baseline", "baseline", "02_esm_finetuning", short=True),
    System("esm_paper_head", "ESM, the paper's head and loss", "sequence", "02_esm_finetuning"),
    System("esm_own_loss", "ESM, the paper's head, our loss", "sequence", "02_esm_finetuning"),
    System("esm_own_pooling", "ESM, our loss, pooling and hidden layer", "sequence", "02_esm_finetuning"),
    System("esm", "fine-tuned ESM", "sequence", "02_esm_finetuning", short=True),
    System("other_seed", "fine-tuned ESM, another seed", "sequence", "02_esm_finetuning"),
    System("esm_composition_mean", "mean of fine-tuned ESM and composition", "joined", "02_esm_finetuning", short=True),
    System("gat_pretrained", "GAT, pre-trained ESM", "graph", "04_gat_weighting"),
    System("gat_finetuned", "GAT, fine-tuned ESM", "graph", "04_gat_weighting"),
    System("gat_weighted", "GAT, weighted fine-tuned ESM", "graph", "04_gat_weighting", short=True),
    System("gat_learned", "GAT, learned weights", "graph", "04_gat_weighting"),
    System("gat_pretrained_graphs", "GAT on graphs, pre-trained ESM", "graph", "04_gat_weighting"),
    System("gat_finetuned_graphs", "GAT on graphs, fine-tuned ESM", "graph", "04_gat_weighting"),
    System("gat_weighted_graphs", "GAT on graphs, weighted fine-tuned ESM", "graph", "04_gat_weighting"),
    System("gat_learned_graphs", "GAT on graphs, learned weights", "graph", "04_gat_weighting"),
    System("gat_no_edges", "GAT on graphs, no edges", "graph", "04_gat_weighting"),
    System("gat_sequence_edges", "GAT on graphs, sequence neighbours", "graph", "04_gat_weighting"),
    System("gat_rewired", "GAT on graphs, rewired contacts", "graph", "04_gat_weighting"),
    System("gat_other_edges", "GAT on graphs, another protein's contacts", "graph", "04_gat_weighting"),
    System("gat_letters_none", "GAT on proteins with letters, without them", "graph", "04_gat_weighting"),
    System("gat_letters", "GAT on proteins with letters, fine-tuned ESM and letters", "graph", "04_gat_weighting"),
    System("halo", "HALO (paper)", "joined", "05_halo_ensemble", short=True),
    System("halo_released_code", "HALO (released code)", "joined", "05_halo_ensemble"),
    System("halo_gat_for_all", "HALO, GAT also without structure", "joined", "05_halo_ensemble"),
    System("halo_sequence_only", "HALO (sequence-only)", "joined", "05_halo_ensemble"),
    System("halo_graphs", "HALO, GAT on graphs", "joined", "05_halo_ensemble"),
    System("halo_paper_head", "HALO, the paper's head, GAT on graphs", "joined", "05_halo_ensemble"),
    System("esm_gat_mean", "mean of fine-tuned ESM and GAT on graphs", "joined", "05_halo_ensemble"),
]
# Families of the graph networks above: trained on every protein, on proteins with a graph, and the controls of the
# latter, which have other edges or none (their reference is ``gat_finetuned_graphs``).
NETWORKS = ("gat_pretrained", "gat_finetuned", "gat_weighted", "gat_learned")
ON_GRAPHS = tuple(f"{name}_graphs" for name in NETWORKS)
CONTROLS = ("gat_no_edges", "gat_sequence_edges", "gat_rewired", "gat_other_edges")
LETTERS = ("gat_letters", "gat_letters_none")
BY_NAME = {system.name: system for system in SYSTEMS}
TITLES = {system.name: system.title for system in SYSTEMS}


def in_order(names: Collection[str]) -> list[str]:
    """Return the systems among ``names``, each once, in the order of ``SYSTEMS``."""
    return [system.name for system in SYSTEMS if system.name in set(names)]


def gate_system(rule: str) -> str:
    """Return the system that the results of a gate rule are filed under; the paper's claims are about ``halo``."""
    return "halo" if rule == "paper" else f"halo_{rule}"
