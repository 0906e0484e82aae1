"""The pre-training corpus: FASTA files streamed once into a memory-mapped array of tokens, and its held-out share."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from halo_utils.core.errors import DataError
from halo_utils.core.files import digest, sha256, write_csv
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.data.kmers import AT_ONCE, KMER, kmer_containment, kmer_windows
from halo_utils.data.registry import local_copy
from halo_utils.data.tables import LETTERS, check_sequence, stream_fasta
from halo_utils.embeddings import esm2

CACHE_VERSION = 1  # of what is kept between runs; raised by hand when a change here changes numbers
COLUMNS = ("file", "records", "too short", "copies", "kept", "residues")  # of the audit table
SHORTEST = 30  # residues
RELATIVE = 0.15  # of a protein's 6-mers found among the held-out ones, about 70 % identity
TRAIN, HELD_OUT, LEFT_OUT = 0, 1, 2
FACTS = "facts.json"  # of a shipped model: everything its card says
STANDARD_TOKENS = range(4, 24)  # ids of the 20 amino acids in ESM-2's vocabulary


@dataclass(frozen=True)
class Corpus:
    """Sequences as tokens, and the role each plays.

    ``store`` has one uint8 token per residue, proteins named by their position; ``role`` is [B] int8, LEFT_OUT for a
    relative of a held-out protein; ``audit`` has one row per file: records, residues, what was left out and why.
    """

    store: ResidueStore
    role: np.ndarray
    audit: pd.DataFrame

    def names(self, role: int) -> list[str]:
        """Return the names of the proteins that play a role."""
        return [self.store.accessions[i] for i in np.flatnonzero(self.role == role)]


def open_corpus(files: Sequence[Path], folder: Path, held_out: float, seed: int) -> Corpus:
    """Return the corpus of some FASTA files, built in ``folder`` once, without short sequences and exact copies.

    The order of the files numbers the proteins; a share ``held_out``, drawn from ``seed``, is kept for validation.
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
    audit: list[dict[str, Any]] = []
    lengths = [len(sequence) for sequence in _kept(files, audit)]
    if not lengths:
        raise DataError(f"{', '.join(file.name for file in files)}: no sequence of {SHORTEST} residues or more")
    write_csv(table, pd.DataFrame(audit))
    token, _ = _alphabet()
    rows = ((i, token[np.frombuffer(s.encode(), np.uint8)][:, None]) for i, s in enumerate(_kept(files, [])))
    return write_store(path, key, [str(i) for i in range(len(lengths))], lengths, 1, rows, "uint8")


def _kept(files: Sequence[Path], audit: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the sequences of the corpus, one in memory at a time; add one row per file to the audit."""
    seen: set[bytes] = set()
    for file in files:
        count: Counter[str] = Counter()
        for number, (_, sequence) in enumerate(tqdm(stream_fasta(file), desc=f"read {file.name}", leave=False), 1):
            check_sequence(where=f"{file.name} record {number}", sequence=sequence)
            mark = hashlib.blake2b(sequence.encode(), digest_size=12).digest()
            fate = "too short" if len(sequence) < SHORTEST else "copies" if mark in seen else "kept"
            count.update({"records": 1, fate: 1})
            if fate == "kept":
                count["residues"] += len(sequence)
                seen.add(mark)
                yield sequence
        audit.append({"file": file.name, **{name: count[name] for name in COLUMNS[1:]}})


def _alphabet() -> tuple[np.ndarray, np.ndarray]:
    """Return ESM-2's token of every character code, [256] uint8, and the character code of every token, [33] uint8."""
    token, letter = np.zeros(256, np.uint8), np.full(esm2.VOCABULARY_SIZE, ord("X"), np.uint8)
    for number, word in enumerate(esm2.VOCABULARY.read_text(encoding="utf-8").split()):
        if word in LETTERS:
            token[ord(word)], letter[number] = number, ord(word)
    return token, letter


def trained_on(model: Path, folder: Path) -> Iterator[str]:
    """Return the sequences a shipped model was pre-trained on, one at a time, without its held-out proteins.

    DataError if that is not known, or the files it read are not at hand as they were; ``folder`` takes the token array.
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
    _, letter = _alphabet()
    return (letter[corpus.store.rows(name)[:, 0]].tobytes().decode() for name in corpus.names(TRAIN))


def corpus_containment(sequences: Sequence[str], model: Path, folder: Path) -> np.ndarray:
    """Return the largest share of each sequence's 6-mers in one protein of ``trained_on``, [B] float64."""
    return kmer_containment(sequences, trained_on(model, folder))


def hold_out(store: ResidueStore, share: float, seed: int) -> np.ndarray:
    """Return the role of every protein, [B] int8: some are held out, and their relatives are left out of training.

    A relative shares at least ``RELATIVE`` of its 6-mers with the held-out proteins taken together.
    """
    role = np.full(len(store), TRAIN, dtype=np.int8)
    chosen = np.random.default_rng([seed, 60]).choice(len(store), max(1, round(share * len(store))), replace=False)
    held_out_kmers = np.zeros(len(STANDARD_TOKENS) ** KMER, dtype=bool)
    held_out_kmers[_kmers(store, chosen)[1]] = True
    for start in range(0, len(store), AT_ONCE):
        some = np.arange(start, min(start + AT_ONCE, len(store)))
        owner, codes = _kmers(store, some)
        known = np.bincount(owner, weights=held_out_kmers[codes], minlength=len(some))
        role[some[known / np.bincount(owner, minlength=len(some)).clip(min=1) >= RELATIVE]] = LEFT_OUT
    role[chosen] = HELD_OUT
    return role


def _kmers(store: ResidueStore, proteins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return place among ``proteins`` and code of their 6-mers of standard residues, [n] int64, repeats included."""
    base, parts = len(STANDARD_TOKENS), [store.rows(store.accessions[i])[:, 0] for i in proteins]
    values = np.concatenate(parts).astype(np.int64) - STANDARD_TOKENS.start
    values[(values < 0) | (values >= base)] = -(base**KMER)  # X and the like
    owner, codes = kmer_windows(values, np.array([len(part) for part in parts]), base)
    return owner[codes >= 0], codes[codes >= 0]
