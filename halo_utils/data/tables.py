"""Reading text files as they come: plain, gzip or xz, with or without BOM, any line ends; one clear message if not."""

import csv
import difflib
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from Bio.SeqIO.FastaIO import SimpleFastaParser
from numpy.typing import ArrayLike

from halo_utils.core.errors import DataError
from halo_utils.data.record import STANDARD

# Up to 64 letters, digits, dashes, underscores and inner dots: cannot leave a folder or change an address.
SAFE = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
# UniProt's own pattern (uniprot.org/help/accession_numbers), with the number of an isoform.
UNIPROT = re.compile(r"(?:[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2})(?:-[0-9]+)?")
LETTERS = frozenset(STANDARD + "XBUZO")  # unknown, Asx, selenocysteine, Glx, pyrrolysine
OPENERS = {b"\x1f\x8b": gzip.open, b"\xfd7": lzma.open}
AGAIN = "fetch the file again (see data/README.md)"
COMMON_COLUMNS = ("accession", "sequence", "split", "kingdom", "subset")
Read = tuple[pd.DataFrame, pd.DataFrame]  # kept and dropped rows


def is_safe(accession: str) -> bool:
    """Return whether a name may become part of a path or an address."""
    return SAFE.fullmatch(accession) is not None


def is_uniprot(accession: str) -> bool:
    """Return whether a name is a UniProt accession, such as P04637, A0A0A0MS01 or P04637-2."""
    return UNIPROT.fullmatch(accession) is not None


def check_accession(accession: str, where: str = "") -> str:
    """Return the accession; DataError if it is empty, or could leave a folder or change an address."""
    if not is_safe(accession):
        expected = "expected up to 64 letters, digits, '-', '_' or inner dots, such as P04637; rename the protein"
        raise DataError(f"{where}accession {accession[:40]!r} is not valid: {expected}")
    return accession


def check_sequence(sequence: str, where: str) -> None:
    """Raise DataError, naming the item (``where``) and the remedy, for letters that are no residues."""
    if illegal := sorted(set(sequence) - LETTERS):
        remedy = "mask unknown residues as X"
        if set(sequence.upper()) <= LETTERS:
            remedy = "write it in upper case"
        elif illegal == ["*"]:
            remedy = "remove the sign of the stop codon"
        letters = " ".join(repr(letter)[1:-1] for letter in illegal[:8])
        raise DataError(f"{where}: illegal residue(s) {letters}; expected one-letter amino acids, {remedy}")


def check_protein(where: str, accession: str, sequence: str) -> None:
    """Raise DataError, naming file and row (``where``), for an invalid accession or sequence, or an empty one."""
    where = f"{where} ({accession[:40] or 'no accession'})"
    check_accession(accession, f"{where}: ")
    if not sequence:
        raise DataError(f"{where}: empty sequence; remove the row or fill it in")
    check_sequence(sequence, where)


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a plain, gzip or xz file as UTF-8 text without BOM; DataError if it is missing, empty or damaged."""
    if not path.is_file():
        raise DataError(f"{path.name} not found: set HALO_DATA_DIR to the folder that holds it (see data/README.md)")
    with path.open("rb") as file:
        start = file.read(2)
    if not start:
        raise DataError(f"{path.name} is empty: {AGAIN}")
    try:
        with OPENERS.get(start, open)(path, "rt", encoding="utf-8-sig") as handle:
            yield handle
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path.name} is damaged or cut off ({error}): {AGAIN}") from error


def read_csv(path: Path, columns: Sequence[str], optional: Collection[str] | None = ()) -> pd.DataFrame:
    """Read a CSV as text with ``columns``, in any order, and perhaps ``optional`` ones (None: any); else DataError."""
    with open_text(path) as handle:
        try:
            text = handle.read().rstrip("\n")
        except UnicodeDecodeError as error:
            row = error.object[: error.start].count(b"\n") + 1
            raise DataError(f"{path.name} row {row}: bytes that are not UTF-8 text; save the file as UTF-8") from error
    if not text.strip():
        raise DataError(f"{path.name} is empty: {AGAIN}")
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{path.name} row {row}: a zero byte, text was expected; {AGAIN}")
    try:  # not by pandas, which fills short rows in silence and counts rows unlike a text editor
        header, *rows = csv.reader(io.StringIO(text), strict=True)
    except csv.Error as error:
        raise DataError(f"{path.name} is not a valid CSV ({error}): check its quotes, or {AGAIN}") from error
    header = [name.strip() for name in header]
    _check_columns(path, header, columns, optional)
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            fields = f"{len(row)} fields, the header names {len(header)}"
            raise DataError(f"{path.name} row {number}: {fields}; correct the row")
    if not rows:
        raise DataError(f"{path.name} has a header but no rows: {AGAIN}")
    return pd.DataFrame(rows, columns=header, dtype=str)


def _check_columns(path: Path, header: list[str], columns: Sequence[str], optional: Collection[str] | None) -> None:
    """Refuse missing (with a guess), repeated and unknown columns."""
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise DataError(f"{path.name}: column(s) {', '.join(repeated)} occur twice; remove one of each")
    strange = [name for name in header if name not in columns and name not in (optional or ())]
    if missing := [name for name in columns if name not in header]:
        likely = {name: difflib.get_close_matches(name.lower(), [s.lower() for s in strange], 1) for name in missing}
        hints = [f"{name} (is it called {near[0]!r}?)" if near else name for name, near in likely.items()]
        found = f"found {', '.join(header)[:300]}; expected {', '.join(columns)}"
        raise DataError(f"{path.name}: column(s) {', '.join(hints)} missing; {found}")
    if strange and optional is not None:
        remedy = f"expected {', '.join(columns)}; remove the column(s), or rename them if they are misspelt"
        raise DataError(f"{path.name}: unknown column(s) {', '.join(strange)[:300]}; {remedy}")


def stream_fasta(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (header without ``>``, sequence) of a FASTA file, one record in memory at a time; DataError if damaged."""
    number = 1
    with open_text(path) as handle:
        try:
            first = next((line.lstrip() for line in handle if line.strip()), "")
            if not first.startswith(">"):
                raise DataError(f"{path.name} row 1: {first[:30]!r}; expected a FASTA header that starts with '>'")
            for title, sequence in SimpleFastaParser(chain([first], handle)):
                yield title, "".join(sequence.split())
                number += 1
        except UnicodeDecodeError as error:
            raise DataError(f"{path.name} record {number}: not UTF-8 text; save the file as UTF-8") from error


def name_of(title: str) -> str:
    """Return a protein's name from its FASTA header: ``sp|P04637|P53_HUMAN ...`` is P04637, ``tag|id ...`` is id."""
    fields = (title.split() or [""])[0].split("|")
    return fields[1] if len(fields) == 3 and fields[0] in ("sp", "tr") else fields[-1]


def read_fasta(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the proteins of a FASTA file (accession, sequence), and the repeated records that were dropped.

    The accession is what ``name_of`` finds in the header.
    """
    kept, dropped = dict[str, str](), []
    for number, (title, sequence) in enumerate(stream_fasta(path), 1):
        accession = name_of(title)
        check_protein(f"{path.name} record {number}", accession, sequence)
        if accession in kept:
            dropped.append({"accession": accession, "reason": "repeated accession, same sequence", "file": path.name})
        if kept.setdefault(accession, sequence) != sequence:
            problem = f"record {number} ({accession}): accession occurs before with another sequence; keep one"
            raise DataError(f"{path.name} {problem}")
    table = pd.DataFrame({"accession": list(kept), "sequence": list(kept.values())})
    return table, pd.DataFrame(dropped, columns=["accession", "reason", "file"])


def _refuse_first(path: Path, accession: pd.Series, bad: ArrayLike, problem: Callable[[int], str]) -> None:
    """Refuse the first bad row for its problem, rows counted as in a text editor with the header as row 1."""
    for row in np.flatnonzero(bad):
        raise DataError(f"{path.name} row {row + 2} ({accession.iloc[row] or 'no accession'}): {problem(row)}")


def _check_rows(path: Path, accession: pd.Series, sequence: pd.Series) -> None:
    for row, (name, residues) in enumerate(zip(accession, sequence, strict=True)):
        check_protein(f"{path.name} row {row + 2}", name, residues)


def _binary(path: Path, raw: pd.DataFrame, columns: Sequence[str], accession: pd.Series) -> pd.DataFrame:
    """Return the label columns as int8 0/1, refusing anything else by row and column."""
    values = raw[list(columns)].apply(pd.to_numeric, errors="coerce")
    bad = ~values.isin([0, 1])
    first = bad.idxmax(axis=1)  # bad column of a row
    problem = "{} is {!r}; expected 0 or 1".format
    _refuse_first(path, accession, bad.any(axis=1), lambda i: problem(first.iloc[i], raw[first.iloc[i]].iloc[i]))
    return values.astype("int8")


def _refuse_clashes(path: Path, table: pd.DataFrame, locations: Sequence[str]) -> None:
    """Refuse an accession that occurs twice in one file with another sequence or other locations."""
    for columns, what in ((["sequence"], "another sequence"), (list(locations), "other locations")):
        first = table.drop_duplicates("accession").set_index("accession")[columns]
        clash = (first.loc[table["accession"]].to_numpy() != table[columns].to_numpy()).any(axis=1)
        problem = f"accession occurs before with {what}; keep one of the two rows"
        _refuse_first(path, table["accession"], clash, lambda _, problem=problem: problem)


def _finish(table: pd.DataFrame, locations: Sequence[str], file: str) -> Read:
    """Set aside repeated accessions and unlabelled proteins; return kept and dropped rows."""
    repeated = table.duplicated(["accession"], keep="first")
    reason = (table[list(locations)].sum(axis=1) == 0).map({True: "no location", False: ""})
    reason[repeated] = "repeated accession, same sequence"
    dropped = table.loc[reason != "", ["accession", "split"]].assign(reason=reason[reason != ""], file=file)
    kept = table.loc[reason == "", [*COMMON_COLUMNS, *locations]].reset_index(drop=True)
    if kept.empty:
        raise DataError(f"{file}: all {len(table)} proteins were left out ({', '.join(set(reason))}); correct the file")
    return kept, dropped.reset_index(drop=True)
