"""The pre-training corpus: FASTA files streamed once into a memory-mapped array of tokens, and its held-out part."""

import hashlib
import json
import lzma
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from Bio.SeqIO.FastaIO import SimpleFastaParser
from tqdm import tqdm

from halo_utils.core.errors import DataError
from halo_utils.core.files import digest, sha256, write_csv
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.data.kmers import kmer_containment
from halo_utils.data.registry import local_copy
from halo_utils.data.tables import AGAIN, LETTERS, OPENERS
from halo_utils.embeddings import esm2

CACHE_VERSION = 1  # of what is kept between runs; raised by hand when a change here changes numbers
COLUMNS = ("file", "records", "too short", "copies", "kept", "residues")  # of the audit table
SHORTEST = 30  # residues
KMER = 6
RELATIVE = 0.15  # of a protein's 6-mers found among the held-out ones, about 70 % identity
TRAIN, HELD_OUT, LEFT_OUT = 0, 1, 2
FACTS = "facts.json"  # of a shipped model: everything its card says
STANDARD_TOKENS = range(4, 24)  # ids of the 20 amino acids in ESM-2's vocabulary


@dataclass(frozen=True)
class Corpus:
    """Sequences as tokens, and the part each plays.

    Attributes:
        store: one uint8 token per residue, [sum(L), 1]; proteins are named by their position, ``0`` up.
        role: [B] int8: ``TRAIN``, ``HELD_OUT``, or ``LEFT_OUT`` (a relative of a held-out protein).
        audit: one row per file: records, residues, what was left out and why.
    """

    store: ResidueStore
    role: np.ndarray
    audit: pd.DataFrame

    def names(self, role: int) -> list[str]:
        """Return the names of the proteins that play a part."""
        return [self.store.accessions[i] for i in np.flatnonzero(self.role == role)]


def stream_fasta(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (record number, sequence) of a plain, gzip or xz FASTA file, one record in memory at a time.

    Headers are not read: a corpus may repeat its names.

    Raises:
        DataError: if the file is missing, damaged, not FASTA, or a sequence holds letters that are no residues.
    """
    if not path.is_file():
        raise DataError(f"{path.name} not found: set HALO_DATA_DIR to the folder that holds it (see data/README.md)")
    with path.open("rb") as file:
        opener = OPENERS.get(file.read(2), open)
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8-sig") as handle:
            if handle.read(1) != ">":
                raise DataError(f"{path.name} row 1: expected a FASTA header that starts with '>'")
            handle.seek(0)
            for number, (_, sequence) in enumerate(SimpleFastaParser(handle), 1):
                if strange := sorted(set(sequence) - LETTERS):
                    letters = " ".join(repr(letter)[1:-1] for letter in strange[:8])
                    raise DataError(
                        f"{path.name} record {number}: illegal residue(s) {letters}; expected one-letter amino acids"
                        " in upper case, mask unknown residues as X"
                    )
                yield number, sequence
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} record {number + 1}: not UTF-8 text; save the file as UTF-8") from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path.name} is damaged or cut off after record {number} ({error}): {AGAIN}") from error


def open_corpus(files: Sequence[Path], folder: Path, held_out: float, seed: int) -> Corpus:
    """Return the corpus of some FASTA files, built in ``folder`` where it is not there yet.

    Sequences under 30 residues and exact copies are left out and counted.

    Args:
        files: FASTA files, in the order that numbers the proteins.
        folder: where the token array and the audit table go.
        held_out: share of the proteins that is kept for validation.
        seed: seed of their choice.

    Raises:
        DataError: if a file is not readable, or nothing remains to train on.
    """
    path, table = folder / "corpus.npy", folder / "corpus.csv"
    key = digest([sha256(file) for file in files], SHORTEST, CACHE_VERSION)
    store = store_of(path, key if table.is_file() else "", lambda: _encode(files, path, table, key))
    role = hold_out(store, held_out, seed)
    if not (role == TRAIN).any() or not (role == HELD_OUT).any():
        raise DataError(
            f"a corpus of {len(store)} sequences leaves none to train or none to validate: add sequences, or change"
            " pretrain.held_out"
        )
    return Corpus(store, role, pd.read_csv(table))


def _encode(files: Sequence[Path], path: Path, table: Path, key: str) -> ResidueStore:
    """Write the audit table and the token array."""
    lengths, keep, audit = _survey(files)
    if not lengths:
        raise DataError(f"{', '.join(file.name for file in files)}: no sequence of {SHORTEST} residues or more")
    write_csv(table, audit)
    return write_store(path, key, [str(i) for i in range(len(lengths))], lengths, 1, _tokens(files, keep), "uint8")


def _survey(files: Sequence[Path]) -> tuple[list[int], list[set[int]], pd.DataFrame]:
    """Return the lengths of all kept sequences, the kept record numbers of each file, and the audit table."""
    seen: set[bytes] = set()
    lengths, keep, rows = [], [], []
    for file in files:
        count: Counter[str] = Counter()
        kept = set()
        for number, sequence in tqdm(stream_fasta(file), desc=f"read {file.name}", leave=False):
            count["records"] += 1
            mark = hashlib.blake2b(sequence.encode(), digest_size=12).digest()
            if len(sequence) < SHORTEST or mark in seen:
                count["too short" if len(sequence) < SHORTEST else "copies"] += 1
                continue
            seen.add(mark)
            kept.add(number)
            lengths.append(len(sequence))
            count["kept"] += 1
            count["residues"] += len(sequence)
        rows.append({"file": file.name, **{name: count[name] for name in COLUMNS[1:]}})
        keep.append(kept)
    return lengths, keep, pd.DataFrame(rows)


def _tokens(files: Sequence[Path], keep: Sequence[set[int]]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (position, [L, 1] uint8 tokens) of every kept sequence."""
    code = np.zeros(256, dtype=np.uint8)
    for token, letter in _letters():
        code[ord(letter)] = token
    position = 0
    for file, kept in zip(files, keep, strict=True):
        for number, sequence in tqdm(stream_fasta(file), desc=f"encode {file.name}", leave=False):
            if number in kept:
                yield position, code[np.frombuffer(sequence.encode(), dtype=np.uint8)][:, None]
                position += 1


def _letters() -> list[tuple[int, str]]:
    """Return (token, letter) of every residue in ESM-2's vocabulary."""
    words = esm2.VOCABULARY.read_text(encoding="utf-8").split()
    return [(token, word) for token, word in enumerate(words) if word in LETTERS]


def trained_on(model: Path, folder: Path) -> Iterator[str]:
    """Return the sequences a shipped model was pre-trained on, one at a time, without its held-out proteins.

    Args:
        model: directory of the model, with the facts of its pre-training.
        folder: where the token array goes, see ``open_corpus``.

    Raises:
        DataError: if that is not known, or the files it read are not at hand as they were.
    """
    if not (model / FACTS).is_file():
        raise DataError(f"{model.name} does not say what it was pre-trained on")
    facts = json.loads((model / FACTS).read_text(encoding="utf-8"))
    names = facts["pretrain"]["files"]
    if missing := [name for name in names if local_copy(name) is None]:
        raise DataError(f"the corpus of {model.name} is not at hand ({', '.join(missing)})")
    if "started_from" in facts or not names:
        raise DataError(f"only a part of what {model.name} was pre-trained on is known")
    corpus = open_corpus([local_copy(n) for n in names], folder, facts["pretrain"]["held_out"], facts["seed"])
    if corpus.audit.to_dict("records") != facts["corpus"] or len(corpus.names(TRAIN)) != facts["proteins_trained_on"]:
        raise DataError(f"{', '.join(names)} are not the files that {model.name} was pre-trained on")
    letter = np.full(esm2.VOCABULARY_SIZE, ord("X"), dtype=np.uint8)
    for token, word in _letters():
        letter[token] = ord(word)
    return (letter[corpus.store.rows(name)[:, 0]].tobytes().decode() for name in corpus.names(TRAIN))


def corpus_containment(sequences: Sequence[str], model: Path, folder: Path) -> np.ndarray:
    """Return, per sequence, the largest share of its 6-mers in one protein the model was pre-trained on, [B] float64.

    Raises:
        DataError: as ``trained_on`` does.
    """
    return kmer_containment(sequences, trained_on(model, folder))


def hold_out(store: ResidueStore, share: float, seed: int) -> np.ndarray:
    """Return the part of every protein, [B] int8: some are held out, and their relatives are left out of training.

    A relative shares at least ``RELATIVE`` of its 6-mers with the held-out proteins taken together.
    """
    role = np.full(len(store), TRAIN, dtype=np.int8)
    chosen = np.random.default_rng([seed, 60]).choice(len(store), max(1, round(share * len(store))), replace=False)
    taken = np.zeros(len(STANDARD_TOKENS) ** KMER, dtype=bool)
    for i in chosen:
        taken[_kmers(store.rows(store.accessions[i]))] = True
    for i, name in enumerate(store.accessions):
        codes = _kmers(store.rows(name))
        if len(codes) and taken[codes].mean() >= RELATIVE:
            role[i] = LEFT_OUT
    role[chosen] = HELD_OUT
    return role


def _kmers(rows: np.ndarray) -> np.ndarray:
    """Return the 6-mers of standard residues as integers in base 20, [n] int64, repeats included."""
    base = len(STANDARD_TOKENS)
    tokens = rows[:, 0].astype(np.int64) - STANDARD_TOKENS.start
    if len(tokens) < KMER:
        return np.empty(0, dtype=np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(tokens, KMER)
    if tokens.max() >= base:  # X and the like
        windows = windows[(windows < base).all(axis=1)]
    return windows @ (base ** np.arange(KMER, dtype=np.int64))
