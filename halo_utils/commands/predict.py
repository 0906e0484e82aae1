"""``predict``: the proteins of a FASTA file to a CSV, a JSON Lines file and a report, part by part.

Every part is a file that appears whole; its first line is the digest of all that made it. What was killed goes on with
the next part, and several processes (``--shard``) can share the parts of one folder.
"""

import csv
import json
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from tqdm import tqdm

from halo_utils.core import paths
from halo_utils.core.errors import DataError, SettingsError
from halo_utils.core.files import atomic_path, digest, locked, remove_unfinished, sha256, storage_errors, write_text
from halo_utils.data.fasta import Protein, count_proteins, in_chunks, stream_proteins
from halo_utils.data.registry import registry
from halo_utils.data.tables import check_protein, is_uniprot
from halo_utils.figures.report import write_report
from halo_utils.models.predictor import load_predictor
from halo_utils.profile import ComputeSettings
from halo_utils.runs.answers import HYBRID, SEQUENCE_ONLY, Known, Question, answer, csv_header, csv_row
from halo_utils.structures import alphafold
from halo_utils.training.locate import locate

PROTEINS_PER_PART = 1000
SHOWN, EXPLAINED = 100, 5  # proteins of the report, and of these whose residues are masked one after the other
THRESHOLDS, PRECISIONS = ("one", "per-location"), get_args(ComputeSettings.model_fields["precision"].annotation)
SHIPPED = Path("data/checkpoints/halo")
TABLE, LINES, REPORT, PARTS = "predictions.csv", "predictions.jsonl", "report.html", "parts"
FETCHED = "structures"  # from AlphaFold DB
STDIN = "-"


def model_folder(folder: Path | None) -> Path:
    """Return the folder of a predictor, given or relative to the repository; None is the one that ships."""
    return folder if folder and folder.is_dir() else paths.REPOSITORY / (folder or SHIPPED)


def locate_proteins(folder: Path | str, sequences: dict[str, str]) -> pd.DataFrame:
    """Return locations of proteins, name -> residues, found by the sequence model of a predictor's directory.

    One row per protein, in the given order: accession, a probability per location, and ``predicted``, the locations at
    or above the model's threshold joined by ``; ``. DataError if a name, a sequence or the directory is not valid.
    """
    if not sequences:
        raise DataError("no sequences: expected at least one, name -> residues")
    for name, residues in sequences.items():
        check_protein("sequences", name, residues)
    predictor = load_predictor(model_folder(Path(folder)))
    found = locate(predictor, sequences, label="predict")
    table = pd.DataFrame(found.esm, columns=predictor.locations).assign(accession=list(sequences))
    predicted = ["; ".join(np.array(predictor.locations)[row]) for row in found.gate.labels]
    return table[["accession", *predictor.locations]].assign(predicted=predicted)


@dataclass(frozen=True)
class Job:
    """A FASTA file, what is asked about its proteins, and where the answers go."""

    fasta: Path
    question: Question
    out: Path
    model: str  # digest of the directory
    alphafold: bool = False
    size: int = PROTEINS_PER_PART
    shown: int = SHOWN
    explained: int = EXPLAINED

    def part(self, number: int) -> Path:
        """Return the file of a part."""
        return self.out / PARTS / f"{number:06d}.jsonl"

    def key(self, proteins: list[Protein]) -> str:
        """Return the digest of all that decides about the answers to some proteins."""
        asked, names = self.question, [protein.name for protein in proteins]
        files = {name: asked.files[name].stat() for name in names if name in asked.files}
        stats = {name: (stat.st_size, stat.st_mtime_ns) for name, stat in files.items()}
        known = None if asked.known is None else asked.known.content
        content = [(protein.title, protein.sequence) for protein in proteins]
        return digest(
            content, stats, self.model, asked.per_location, asked.precision, known, self.shown, self.explained
        )

    def answer_part(self, number: int, proteins: list[Protein]) -> None:
        """Write the part of some proteins, if it is not there yet."""
        path = self.part(number)
        if self.alphafold:
            self._look_up(proteins)
        key = self.key(proteins)
        if path.is_file() and _key_of(path) == key:
            return
        tracks, explained = (max(0, most - number * self.size) for most in (self.shown, self.explained))
        answers = answer(self.question, proteins, tracks, explained)
        write_part(path, [{"key": key, "proteins": len(proteins)}, *answers])

    def _look_up(self, proteins: list[Protein]) -> None:
        """Fetch the structures that are not here from AlphaFold DB."""
        wanted = [p for p in proteins if is_uniprot(p.name) and p.name not in self.question.files]
        if wanted:
            table = pd.DataFrame({"accession": [p.name for p in wanted], "sequence": [p.sequence for p in wanted]})
            target, api = self.out / FETCHED, registry().structures["alphafold"].addresses[0]
            print(alphafold.summarise(alphafold.fetch_structures(table, self.question.folders, target, api), target))
            self.question.index()


def write_part(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _key_of(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return str(json.loads(file.readline())["key"])


def predict_fasta(
    fasta: Path,
    *,
    model: Path | None = None,
    out: Path | None = None,
    structures: Path | None = None,
    look_up: bool = False,
    thresholds: str = "one",
    training: Path | None = None,
    precision: str = "32-true",
    shard: str = "",
    size: int = PROTEINS_PER_PART,
    shown: int = SHOWN,
    explained: int = EXPLAINED,
) -> Path:
    """Predict the proteins of a FASTA file (``-``: standard input) into the folder ``out``, and return it.

    Everything that can be refused is refused before the first prediction. ``structures`` is a folder of PDB or mmCIF
    files named like the proteins; ``look_up`` asks AlphaFold DB for those that are missing. ``thresholds`` is ``one``
    or ``per-location``. The report draws the first ``shown`` proteins, ``explained`` of them with the importance of
    their residues, which costs about 40 predictions each. ``shard`` I/N answers every N-th part only, from the I-th
    (from 0); the call without it joins.
    """
    first, every = _shard(shard)
    if shard and str(fasta) == STDIN:
        raise SettingsError("--shard with standard input: every shard reads all of it, expected a file")
    for name, given, choices in (("thresholds", thresholds, THRESHOLDS), ("precision", precision, PRECISIONS)):
        if given not in choices:
            raise SettingsError(f"--{name} {given!r}: expected {' or '.join(choices)}")
    if structures is not None and not structures.is_dir():
        raise DataError(f"--structures {structures}: not a folder; expected one with <name>.pdb or <name>.cif files")
    folder = model_folder(model)
    predictor = load_predictor(folder)
    out = out or Path(f"{'stdin' if str(fasta) == STDIN else fasta.name.split('.')[0]}-locations")
    with storage_errors(out):
        (out / PARTS).mkdir(parents=True, exist_ok=True)
    with locked(out / PARTS / f"{first}-{every}.lock", f"{out.name}, shard {first} of {every},"):
        remove_unfinished(out)
        source = _stdin(out / PARTS / "stdin.fasta") if str(fasta) == STDIN else fasta
        total = count_proteins(source)
        folders = [structures] if structures else []
        if look_up:
            folders.append(out / FETCHED)
            folders[-1].mkdir(exist_ok=True)
        known = Known.of(predictor, training)
        question = Question(predictor, folders, thresholds == "per-location", precision, known)
        content = digest(sha256(folder / "model.safetensors"), sha256(folder / "config.json"))
        job = Job(source, question, out, content, look_up, size, shown, explained)
        print("\n".join([f"{total:,} proteins, model {folder.name}", *remarks(job)]), flush=True)
        with tqdm(total=total, unit=" proteins", desc="predict") as bar:
            for number, proteins in enumerate(in_chunks(stream_proteins(source), size)):
                if number % every == first:
                    job.answer_part(number, proteins)
                bar.update(len(proteins))
        if shard:
            return out
        counts = join(job, total)
    shutil.rmtree(out / PARTS)
    print(f"{counts[HYBRID]:,} hybrid, {counts[SEQUENCE_ONLY]:,} sequence-only, {counts['none']:,} without a location")
    seen = out if paths.shown(out) == out.name else Path(paths.shown(out))  # no machine's path in a notebook
    print(f"written: {seen / TABLE}, {seen / LINES}, {seen / REPORT}")
    return out


def _shard(text: str) -> tuple[int, int]:
    """Return first and step of ``I/N``; (0, 1) for an empty text."""
    if not text:
        return 0, 1
    first, _, every = text.partition("/")
    if not (first.isdigit() and every.isdigit() and int(first) < int(every)):
        raise SettingsError(f"--shard {text!r}: expected I/N with I from 0 to N - 1, such as 0/16")
    return int(first), int(every)


def _stdin(path: Path) -> Path:
    """Copy standard input to a file, because it is read twice, and return the file."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path


def remarks(job: Job) -> list[str]:
    """Return what is said once, before the first protein."""
    asked, found = job.question, []
    if asked.predictor.graph_facts is None:
        found.append("The model has no graph network: all decisions are sequence-only.")
    elif not asked.folders:
        found.append("No structures were given (--structures): all decisions are sequence-only.")
    if asked.known is None:
        found.append("The table of training proteins is not here: the nearest one is not looked for (--training).")
    if not len(asked.predictor.seen_hashes):
        found.append("The model ships no hashes of its training sequences: whether one was in training is not known.")
    return found


def join(job: Job, total: int) -> Counter[str]:
    """Join the parts to the CSV, the JSON Lines file and the report; return proteins by location, mode and kind."""
    counts, first, written = Counter[str](), [], 0
    locations = job.question.predictor.locations
    with atomic_path(job.out / TABLE) as table, atomic_path(job.out / LINES) as lines:
        with table.open("w", encoding="utf-8", newline="") as rows, lines.open("w", encoding="utf-8") as objects:
            writer = csv.writer(rows, lineterminator="\n")
            writer.writerow(csv_header(locations))
            for number in range(-(-total // job.size)):
                with job.part(number).open(encoding="utf-8") as part:
                    next(part)
                    for line in part:
                        one = json.loads(line)
                        objects.write(line)
                        writer.writerow(csv_row(one))
                        counts.update([*one["predicted"], one["mode"], *["none"] * (not one["predicted"])])
                        counts.update(["in_training"] * bool(one["in_training"]))
                        first += [one] if len(first) < job.shown else []
                        written += 1
        if written != total:
            raise DataError(f"{job.fasta.name}: {written:,} proteins answered, {total:,} expected: run again")
    write_report(job.out / REPORT, first, job.question.predictor, counts, total, job.fasta.name, remarks(job))
    return counts
