"""The benchmark's prediction half: residues per second of ``predict`` beside Hugging Face, and memory by proteins."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import EsmModel, EsmTokenizer

from benchmarks.cases import Row, draw_lengths
from benchmarks.embedding import PRECISION, UNSORTED_BATCH, arithmetics, fastest
from halo_utils.commands.predict import model_folder, predict_fasta
from halo_utils.core.devices import autocast
from halo_utils.core.machine import peak_memory_mb
from halo_utils.core.paths import REPOSITORY
from halo_utils.data.record import STANDARD
from halo_utils.embeddings.esm2 import VOCABULARY, load_esm2
from halo_utils.embeddings.truncation import seen_sequences
from halo_utils.models.predictor import load_predictor
from halo_utils.training.locate import locate

SIZES = (1_000, 10_000, 100_000)  # proteins whose memory is compared
SHORT = 40  # residues of each: memory depends on a chunk's residues, and the time of so many proteins on all of them


def draw_sequences(lengths: np.ndarray, seed: int) -> dict[str, str]:
    """Return one protein of random residues per length, name -> residues; the first residue is M."""
    rng, letters = np.random.default_rng(seed), np.array(list(STANDARD))
    return {f"P{i:06d}": "M" + "".join(rng.choice(letters, n - 1)) for i, n in enumerate(lengths)}


def hugging_face(model: EsmModel, sequences: list[str], attention: str, kind: str) -> None:
    """Embed sequences as a user of transformers would: tokenizer, padding, a few proteins at once, as they come."""
    tokenizer = EsmTokenizer(vocab_file=str(VOCABULARY))
    model.set_attn_implementation(attention)
    with torch.inference_mode(), autocast(PRECISION[kind]):
        for start in range(0, len(sequences), UNSORTED_BATCH):
            part = tokenizer(sequences[start : start + UNSORTED_BATCH], padding=True, return_tensors="pt")
            model(input_ids=part["input_ids"], attention_mask=part["attention_mask"])


def prediction_speed(folder: Path, proteins: int = 256, rounds: int = 2) -> list[Row]:
    """Return residues read per second of the shipped model, and of its backbone alone as Hugging Face runs it.

    ``locate`` is all of predict but files; ``predict`` reads a FASTA file and writes table, JSON Lines and report into
    ``folder``, model loading included. Both do more than the backbone: head, gate, calibration.
    """
    model = model_folder(None)
    predictor, case = load_predictor(model), "predict"
    sequences = draw_sequences(draw_lengths(proteins, 4), 4)
    read = seen_sequences(list(sequences.values()), **predictor.reading)
    fasta = folder / "speed.fasta"
    fasta.write_text("".join(f">{name}\n{residues}\n" for name, residues in sequences.items()), encoding="utf-8")
    facts = json.loads((model / "config.json").read_text(encoding="utf-8"))
    backbone = load_esm2(**facts["backbone"])
    ways: dict[str, Callable[[], object]] = {}
    for kind in arithmetics():
        ways[f"locate {kind}"] = partial(locate, predictor, sequences, precision=PRECISION[kind])
        ways[f"predict {kind}"] = partial(predict_fasta, fasta, out=folder / kind, precision=PRECISION[kind])
        for attention in ("SDPA", "eager"):
            way = partial(hugging_face, backbone, read, attention.lower(), kind)
            ways[f"Hugging Face {attention} {kind}"] = way
    times, residues = fastest(ways, torch.device("cpu"), rounds), sum(map(len, read))
    note = f"{model.name}, {proteins} proteins, {residues:,} residues read"
    rows = [Row(case, name, residues / wall, "residues/s", note) for name, wall in times.items()]
    for kind in arithmetics():
        ratios = {a: times[f"Hugging Face {a} {kind}"] / times[f"locate {kind}"] for a in ("SDPA", "eager")}
        what = "locate also runs head and gate"
        rows += [Row(case, f"locate {kind} beside {a} {kind}", ratio, "times", what) for a, ratio in ratios.items()]
    return rows


def prediction_memory(folder: Path, sizes: tuple[int, ...] = SIZES, residues: int = SHORT) -> list[Row]:
    """Return the peak memory of ``predict`` in a process of its own, by number of proteins."""
    rows = []
    for number in sizes:
        command = [sys.executable, "-m", "benchmarks.prediction", str(folder), str(number), str(residues)]
        done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
        megabytes = json.loads(done.stdout.splitlines()[-1])["mb"]
        rows.append(Row("predict memory", f"{number:,} proteins", megabytes, "MB", f"{residues} residues each"))
    return rows


def main(folder: Path, proteins: int, residues: int) -> None:
    """Predict random proteins in this process and print its peak memory as JSON."""
    fasta, rng, letters = folder / f"{proteins}.fasta", np.random.default_rng(0), np.array(list(STANDARD))
    with fasta.open("w", encoding="utf-8") as file:
        file.writelines(f">P{i}\nM{''.join(rng.choice(letters, residues - 1))}\n" for i in range(proteins))
    predict_fasta(fasta, out=folder / f"memory-{proteins}")
    print(json.dumps({"mb": peak_memory_mb()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
