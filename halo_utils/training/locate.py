"""Locations of any proteins with a shipped predictor: sequence model, graph network where it can be asked, gate."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from torch import Tensor
from torch.utils.data import DataLoader
from torch_geometric.data import Batch, Data

from halo_utils.core.devices import device
from halo_utils.core.errors import SettingsError
from halo_utils.embeddings.biochemistry import composition
from halo_utils.embeddings.esm2 import tokenize
from halo_utils.embeddings.truncation import seen_sequences
from halo_utils.models.gate import GateResult, halo_gate
from halo_utils.models.predictor import HaloPredictor
from halo_utils.structures.edges import radius_edges
from halo_utils.structures.reader import CA
from halo_utils.structures.residue_graph import residue_graph
from halo_utils.training.batching import BudgetBatchSampler, ProteinBatch
from halo_utils.training.predict import inference
from halo_utils.training.sequence_data import ProteinDataset, collate_proteins


@dataclass(frozen=True)
class Located:
    """What the models say about B proteins and K locations."""

    esm: np.ndarray  # [B, K] float64, probability of the sequence model
    gat: np.ndarray  # [B, K] float64, of the graph network; NaN where a protein has no structure
    calibrated: np.ndarray  # [B, K] float64, the sequence model's after temperature scaling; NaN without temperatures
    gate: GateResult
    has_structure: np.ndarray  # [B] bool, whether the graph network could be asked
    attention: dict[str, np.ndarray]  # name -> [N] float32, weight of every residue read


def thresholds_of(predictor: HaloPredictor, per_location: bool = False) -> np.ndarray:
    """Return the probability from which on each location is predicted, [K] float64; SettingsError if there is none."""
    if not per_location:
        return np.full(len(predictor.locations), predictor.threshold)
    if predictor.label_thresholds is None:
        raise SettingsError("this model has no thresholds per location: leave --thresholds out, or use another --model")
    return np.array([predictor.label_thresholds[name] for name in predictor.locations])


def locate(
    predictor: HaloPredictor,
    sequences: Mapping[str, str],
    structures: Mapping[str, np.ndarray] | None = None,
    *,
    per_location: bool = False,
    attend: Collection[str] = (),
    precision: str = "32-true",
    label: str = "",
) -> Located:
    """Predict proteins, name -> residues, in their order.

    ``structures`` are rows of whole proteins, [L, 10], as ``load_structure`` gives them; a predictor without a graph
    network does not look at them. ``attend`` names the proteins whose attention is wanted; ``label`` shows progress.
    """
    names, structures = list(sequences), structures if predictor.graph_facts and structures else {}
    row, k = {name: i for i, name in enumerate(names)}, len(predictor.locations)
    esm, gat, attention = np.zeros((len(names), k)), np.full((len(names), k), np.nan), dict[str, np.ndarray]()
    predictor.eval().to(device())

    def step(batch: ProteinBatch) -> None:
        logits, states, mask = predictor.read(*batch.inputs)
        esm[[row[name] for name in batch.accessions]] = logits.double().sigmoid().cpu().numpy()
        if any(name in attend for name in batch.accessions):
            weights = predictor.attention(states, mask).float().cpu().numpy()
            lengths = mask.sum(dim=1).tolist()
            known = zip(batch.accessions, weights, lengths, strict=True)
            attention.update({name: w[:n] for name, w, n in known if name in attend})
        asked = [i for i, name in enumerate(batch.accessions) if name in structures]
        if asked:
            some = [batch.accessions[i] for i in asked]
            embeddings = [states[i][mask[i]] for i in asked]
            graphs = [_graph(predictor, sequences, structures, *pair) for pair in zip(some, embeddings, strict=True)]
            found = predictor.on_graphs(Batch.from_data_list(graphs).to(states.device))
            gat[[row[name] for name in some]] = found.double().cpu().numpy()

    for _ in inference(_loader(predictor, sequences), step, precision, label, "tokens_per_batch of config.json"):
        pass
    predictor.cpu()
    return _decided(predictor, esm, gat, attention, thresholds_of(predictor, per_location))


def _decided(
    predictor: HaloPredictor, esm: np.ndarray, gat: np.ndarray, attention: dict[str, np.ndarray], cuts: np.ndarray
) -> Located:
    """Apply temperatures and the gate."""
    has_structure, calibrated = np.isfinite(gat).all(axis=1), np.full_like(esm, np.nan)
    if predictor.temperatures is not None:
        calibrated = expit(logit(esm) / np.array([predictor.temperatures[name] for name in predictor.locations]))
    limits = {"esm_threshold": cuts, "gat_threshold": (predictor.graph_facts or {}).get("threshold", 0.5)}
    gate = halo_gate(esm, np.nan_to_num(gat), has_structure, **limits, **predictor.gate)
    return Located(esm, gat, calibrated, gate, has_structure, attention)


def _loader(predictor: HaloPredictor, sequences: Mapping[str, str]) -> DataLoader:
    """Return batches of proteins, from short to long."""
    whole: Sequence[str] = list(sequences.values())
    tokens = tokenize(seen_sequences(whole, **predictor.reading))
    shares = np.stack([composition(s) for s in whole]) if predictor.reads_composition else None
    dataset = ProteinDataset(list(sequences), tokens, np.zeros((len(tokens), 0)), None, shares)
    sampler = BudgetBatchSampler(dataset.lengths, predictor.tokens_per_batch, shuffle=False)
    return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate_proteins)


def _graph(
    predictor: HaloPredictor, sequences: Mapping[str, str], structures: Mapping[str, np.ndarray], name: str, h: Tensor
) -> Data:
    """Return the residue graph of one protein as in training: its embedding passed through float16."""
    ca = structures[name][:, CA]
    edges = radius_edges(ca, predictor.graph_facts["cutoff_angstrom"])
    embedding = h.float().cpu().numpy().astype(np.float16)
    return residue_graph(name, sequences[name], np.zeros(0), embedding, ca, edges, **predictor.reading)
