"""What is said of each protein of a user's file: probabilities, the decision per location in words, and warnings."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from halo_utils.attribution.occlusion import residue_importance
from halo_utils.attribution.signal_rules import annotate
from halo_utils.core.errors import DataError
from halo_utils.core.files import digest, read_parquet
from halo_utils.core.paths import RunPaths, shown
from halo_utils.data.audit import SEEN
from halo_utils.data.fasta import Protein, sequence_hash
from halo_utils.data.kmers import FAMILY, identity, most_similar
from halo_utils.embeddings.truncation import seen_residues
from halo_utils.models.gate import Decision
from halo_utils.models.predictor import HaloPredictor
from halo_utils.structures.reader import CA, PLDDT, load_structure, structure_index
from halo_utils.training.locate import Located, locate, thresholds_of

Answer = dict[str, Any]  # of one protein, as it stands in the JSON file
DECIMALS = 4
HYBRID, SEQUENCE_ONLY = "hybrid", "sequence-only"
NO_GRAPH = "the model has no graph network"
WINDOWS = 36  # about how many places of a protein are masked, one after the other, for its residues' importance


@dataclass(frozen=True)
class Known:
    """The proteins a model was trained or tuned on, where their table is at hand."""

    names: list[str]
    sequences: list[str]
    content: str  # their digest

    @classmethod
    def of(cls, predictor: HaloPredictor, table: Path | None) -> "Known | None":
        """Return those of a run's ``dataset.parquet``; without ``table`` of the model's own run, or None."""
        path = table or (RunPaths(predictor.run).dataset if predictor.run else None)
        if path is None or not (table or path.is_file()):
            return None
        rows = read_parquet(path, "give the dataset.parquet of a run, or leave --training out")
        if missing := sorted({"accession", "sequence", "split"} - set(rows)):
            raise DataError(f"{shown(path)}: no column {', '.join(missing)}; expected the dataset.parquet of a run")
        rows = rows[rows["split"].isin(SEEN)]
        names, sequences = rows["accession"].tolist(), rows["sequence"].tolist()
        return cls(names, sequences, digest(names, sequences))

    def nearest(self, sequences: Sequence[str]) -> list[dict[str, Any] | None]:
        """Return, per sequence, the known protein with most of its 6-mers: name, share, identity; None if it has none.

        ``identity`` is what an alignment would have if changes were spread evenly; None where the two are no relatives,
        because a 6-mer or two in common is chance.
        """
        found = []
        for share, place in zip(*most_similar(sequences, self.sequences, jaccard=False), strict=True):
            alike = round(identity(share), DECIMALS) if share >= FAMILY else None
            nearest = {"name": self.names[place], "share": round(share, DECIMALS), "identity": alike}
            found.append(nearest if place >= 0 else None)
        return found


@dataclass
class Question:
    """What is asked of a model: everything but the proteins."""

    predictor: HaloPredictor
    folders: list[Path] = field(default_factory=list)  # of structures
    per_location: bool = False
    precision: str = "32-true"
    known: Known | None = None
    files: Mapping[str, Path] = field(default_factory=dict)  # name -> structure file

    def __post_init__(self) -> None:
        thresholds_of(self.predictor, self.per_location)  # refuses what the model does not have, before any work
        self.index()

    def index(self) -> None:
        """Look for structure files again."""
        self.files = structure_index(self.folders)


def read_structures(
    question: Question, proteins: Sequence[Protein], drawn: Collection[str] = ()
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the structures of proteins, name -> [L, 10], and why the others, or all, run without one.

    A model without a graph network has no use for any; then only those of the proteins ``drawn`` are read.
    """
    arrays, reasons, asked = {}, {}, bool(question.predictor.graph_facts)
    for protein in proteins:
        path = question.files.get(protein.name) if asked or protein.name in drawn else None
        values, rows = load_structure(path, protein.name, protein.sequence) if path else ({"problem": ""}, None)
        if rows is None:
            absent = f"no file {protein.name}.pdb or {protein.name}.cif" if question.folders else "no structure"
            problem = str(values["problem"])
            reasons[protein.name] = (problem or absent) if asked else "; ".join(filter(None, [NO_GRAPH, problem]))
            continue
        arrays[protein.name] = rows
        if not asked:
            reasons[protein.name] = NO_GRAPH
    return arrays, reasons


def answer(question: Question, proteins: Sequence[Protein], tracks: int = 0, explained: int = 0) -> list[Answer]:
    """Return what is said of proteins; of the first ``tracks`` with what is drawn along their residues in a report.

    Of the first ``explained`` of these also the importance of every residue for the location they are given.
    """
    sequences = {protein.name: protein.sequence for protein in proteins}
    drawn = {protein.name for protein in proteins[:tracks]}
    structures, reasons = read_structures(question, proteins, drawn)
    options = {"per_location": question.per_location, "precision": question.precision}
    located = locate(question.predictor, sequences, structures, attend=drawn, **options)
    nearest = question.known.nearest(list(sequences.values())) if question.known else [None] * len(proteins)
    answers = []
    for row, protein in enumerate(proteins):
        one = _answer(question, protein, located, row, nearest[row])
        one["why_sequence_only"] = reasons.get(protein.name, "")
        if protein.name in drawn:
            one["track"] = _track(question.predictor, protein, located.attention[protein.name])
            if protein.name in structures:
                one["track"]["structure"] = _trace(structures[protein.name])
        answers.append(one)
    for one in tqdm(answers[: min(explained, tracks)], desc="explain", leave=False):
        one["track"]["importance"] = _importance(question.predictor, one)
    return answers


def _answer(question: Question, protein: Protein, located: Located, row: int, nearest: dict | None) -> Answer:
    predictor, cuts = question.predictor, thresholds_of(question.predictor, question.per_location)
    labels = located.gate.labels[row]
    read = len(seen_residues(len(protein.sequence), **predictor.reading))
    predicted = [name for name, kept in zip(predictor.locations, labels, strict=True) if kept]
    seen = was_seen(predictor, protein.sequence)
    warnings = [*protein.warnings(), *_warnings(predictor, len(protein.sequence), read, seen)]
    close = "" if predicted else predictor.locations[int(np.argmax(located.gate.score[row] / np.maximum(cuts, 1e-12)))]
    if close:
        vetoed = bool((located.gate.decision[row] == Decision.VETOED).any())
        why = "The graph model disagrees with what is above its threshold" if vetoed else "No location reaches its"
        why += "" if vetoed else " threshold"
        warnings.append(f"{why}; the nearest is {close}.")
    return {
        "name": protein.name,
        "predicted": predicted,
        "nearest_location": close,
        "mode": HYBRID if located.has_structure[row] else SEQUENCE_ONLY,
        "length": len(protein.sequence),
        "residues_read": read,
        "in_training": seen,
        "nearest_training": nearest,
        "warnings": warnings,
        "locations": {name: _location(located, row, k, cuts[k]) for k, name in enumerate(predictor.locations)},
    }


def _location(located: Located, row: int, k: int, cut: float) -> dict[str, Any]:
    """Return one location of one protein: probabilities of both models, calibrated, threshold, decision."""
    values = {"probability": located.esm, "graph_probability": located.gat, "calibrated": located.calibrated}
    found = {name: float(array[row, k]) for name, array in values.items()}
    rounded = {name: round(v, DECIMALS) if np.isfinite(v) else None for name, v in found.items()}
    return {**rounded, "threshold": float(cut), "decision": Decision(located.gate.decision[row, k]).name.lower()}


def was_seen(predictor: HaloPredictor, sequence: str) -> bool | None:
    """Return whether a model was trained or tuned on exactly this sequence; None if it ships no hashes."""
    hashes, code = predictor.seen_hashes.numpy(), sequence_hash(sequence)
    if not len(hashes):
        return None
    return bool(hashes[min(int(np.searchsorted(hashes, code)), len(hashes) - 1)] == code)


def _warnings(predictor: HaloPredictor, length: int, read: int, seen: bool | None) -> list[str]:
    found = []
    if read < length:
        where = "the first ones" if predictor.reading.get("truncation", "head") == "head" else "those at both ends"
        found.append(f"{read:,} of {length:,} residues were read, {where}.")
    if seen:
        found.append("The model was trained or tuned on this very sequence: expect it to look better than it is.")
    return found


def _track(predictor: HaloPredictor, protein: Protein, attention: np.ndarray) -> dict[str, Any]:
    """Return residues and the attention of those that were read; ``read`` are their ranges, counted from 0."""
    places = seen_residues(len(protein.sequence), **predictor.reading)
    parts = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    ranges = [[int(part[0]), int(part[-1]) + 1] for part in parts]
    found = {"sequence": protein.sequence, "read": ranges, "attention": [round(float(a), 5) for a in attention]}
    return found | {"rules": annotate(protein.sequence)[["rule", "start", "stop"]].to_numpy().tolist()}


def _trace(rows: np.ndarray) -> dict[str, Any]:
    """Return the C-alpha positions, L of [3] in angstrom, and pLDDT of a structure [L, 10]; None where it has none."""
    ca, plddt = rows[:, CA].astype(float).round(1), rows[:, PLDDT].astype(float).round(1)
    places = [xyz.tolist() if np.isfinite(xyz).all() else None for xyz in ca]
    return {"ca": places, "plddt": [value if np.isfinite(value) else None for value in plddt.tolist()]}


def _importance(predictor: HaloPredictor, one: Answer) -> dict[str, list[float | None]]:
    """Return location -> L falls of the logit by masking, None where not read; for the surest predicted, or nearest."""
    place = max(one["predicted"], key=lambda name: one["locations"][name]["probability"], default="")
    place, stride = place or one["nearest_location"], max(1, round(one["residues_read"] / WINDOWS))
    values = residue_importance(predictor, one["track"]["sequence"], [place], stride=stride)[0].astype(float)
    return {place: [round(value, DECIMALS) if np.isfinite(value) else None for value in values.tolist()]}


def csv_header(locations: Iterable[str]) -> list[str]:
    """Return the columns of the CSV: one row per protein, one probability per location."""
    known = ("name", "predicted", "nearest_location", "mode", "length", "residues_read", "in_training")
    nearest = ("nearest_training", "nearest_training_share", "nearest_training_identity")
    return [*known, *nearest, *locations, "decisions", "warnings"]


def csv_row(one: Answer) -> list[Any]:
    """Return the row of an answer, in the order of ``csv_header``; several of a kind are joined by ``; ``."""
    nearest = one["nearest_training"] or {"name": "", "share": None, "identity": None}
    seen = {True: "yes", False: "no", None: "unknown"}[one["in_training"]]
    spoken = {name: v["decision"] for name, v in one["locations"].items() if v["decision"] != "negative"}
    return [
        one["name"],
        "; ".join(one["predicted"]),
        *(one[column] for column in ("nearest_location", "mode", "length", "residues_read")),
        seen,
        *("" if value is None else value for value in (nearest["name"], nearest["share"], nearest["identity"])),
        *(f"{v['probability']:.{DECIMALS}f}" for v in one["locations"].values()),
        "; ".join(f"{name}: {decision}" for name, decision in spoken.items()),
        " ".join(one["warnings"]),
    ]
