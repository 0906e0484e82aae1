"""Reading text files as they come: plain, gzip or xz, with or without BOM, any line ends; one clear message if not.

CSV tables come back as text; nothing is guessed, filled in or left out here.
"""

import csv
import difflib
import gzip
import io
import lzma
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd
from Bio.SeqIO.FastaIO import SimpleFastaParser

from halo_utils.accessions import is_safe
from halo_utils.errors import DataError

AGAIN = "fetch the file again (see data/README.md)"
OPENERS = {b"\x1f\x8b": gzip.open, b"\xfd7": lzma.open}
STANDARD = frozenset("ACDEFGHIKLMNPQRSTVWY")
LETTERS = STANDARD | frozenset("XBUZO")  # unknown, Asx, selenocysteine, Glx, pyrrolysine


def read_text(path: Path) -> str:
    """Return the whole text of a plain, gzip or xz file with Unix line ends and without BOM.

    Raises:
        DataError: if the file is missing, empty, damaged, or not UTF-8.
    """
    if not path.is_file():
        raise DataError(f"{path.name} not found: set HALO_DATA_DIR to the folder that holds it (see data/README.md)")
    with path.open("rb") as file:
        opener = OPENERS.get(file.read(2), open)
    try:
        with opener(path, "rb") as file:
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"{path.name} row {row}: bytes that are not UTF-8 text; save the file as UTF-8") from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path.name} is damaged or cut off ({error}): {AGAIN}") from error
    if not text.strip():
        raise DataError(f"{path.name} is empty: {AGAIN}")
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{path.name} row {row}: a zero byte, text was expected; {AGAIN}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_csv(path: Path, columns: Sequence[str], optional: Collection[str] | None = ()) -> pd.DataFrame:
    """Read a CSV as text and check that it has exactly the published columns.

    Args:
        path: plain, gzip or xz file.
        columns: columns that must be there, in any order.
        optional: columns that may be there; None allows any.

    Raises:
        DataError: if the file is unreadable, has no rows, a row has another number of fields, or a column is
            missing, repeated or unknown; names the row and what was expected.
    """
    try:
        rows = list(csv.reader(io.StringIO(read_text(path)), strict=True))
    except csv.Error as error:
        raise DataError(f"{path.name} is not a valid CSV ({error}): check its quotes, or {AGAIN}") from error
    header = [name.strip() for name in rows[0]]
    _check_columns(path, header, columns, optional)
    rows = rows[1:]
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise DataError(f"{path.name} has a header but no rows: {AGAIN}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise DataError(
                f"{path.name} row {number}: {len(row)} fields, the header names {len(header)}; correct the row"
            )
    return pd.DataFrame(rows, columns=header, dtype=str)


def _check_columns(path: Path, header: list[str], columns: Sequence[str], optional: Collection[str] | None) -> None:
    """Refuse missing, repeated and unknown columns, with a guess at a renamed one."""
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{path.name}: column(s) {', '.join(repeated)} occur twice; remove one of each")
    strange = [name for name in header if name not in columns and name not in (optional or ())]
    missing = [name for name in columns if name not in header]
    if missing:
        likely = {name: difflib.get_close_matches(name.lower(), [s.lower() for s in strange], 1) for name in missing}
        hints = [f"{name} (is it called {near[0]!r}?)" if near else name for name, near in likely.items()]
        raise DataError(
            f"{path.name}: column(s) {', '.join(hints)} missing; found {', '.join(header)[:300]};"
            f" expected {', '.join(columns)}"
        )
    if strange and optional is not None:
        raise DataError(
            f"{path.name}: unknown column(s) {', '.join(strange)[:300]}; expected {', '.join(columns)};"
            " remove the column(s), or rename them if they are misspelt"
        )


def check_protein(where: str, accession: str, sequence: str) -> None:
    """Refuse an invalid accession, an empty sequence, or letters that are no residues.

    Args:
        where: file and row, for the message.
        accession: name of the protein.
        sequence: its residues.

    Raises:
        DataError: naming file, row and accession, what was expected and the remedy.
    """
    where = f"{where} ({accession[:40] or 'no accession'})"
    if not is_safe(accession):
        raise DataError(
            f"{where}: accession {accession[:40]!r} is not valid; expected a name such as P04637, without slashes,"
            " spaces or other signs; correct it"
        )
    if not sequence:
        raise DataError(f"{where}: empty sequence; remove the row or fill it in")
    illegal = sorted(set(sequence) - LETTERS)
    if illegal:
        remedy = "mask unknown residues as X"
        if set(sequence.upper()) <= LETTERS:
            remedy = "write it in upper case"
        elif illegal == ["*"]:
            remedy = "remove the sign of the stop codon"
        shown = " ".join(repr(letter)[1:-1] for letter in illegal[:8])
        raise DataError(f"{where}: illegal residue(s) {shown}; expected one-letter amino acids, {remedy}")


def read_fasta(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a FASTA file, plain, gzip or xz.

    The accession is the second field of a UniProt header (``>sp|P04637|P53_HUMAN ...``), else the last field of
    the first word (``>tag|id``).

    Returns:
        Kept table with ``accession`` and ``sequence``, and dropped rows with ``accession``, ``reason``, ``file``:
        a record that repeats an accession with the same sequence is dropped.

    Raises:
        DataError: if there is no record, text before the first one, an invalid accession, an empty sequence, an
            illegal letter, or an accession with two sequences.
    """
    kept: dict[str, str] = {}
    dropped = []
    for number, (accession, sequence) in enumerate(_records(path), 1):
        check_protein(f"{path.name} record {number}", accession, sequence)
        if kept.setdefault(accession, sequence) != sequence:
            raise DataError(
                f"{path.name} record {number} ({accession}): accession occurs before with another sequence; keep one"
            )
        if len(kept) + len(dropped) < number:
            dropped.append({"accession": accession, "reason": "repeated accession, same sequence", "file": path.name})
    table = pd.DataFrame({"accession": list(kept), "sequence": list(kept.values())})
    return table, pd.DataFrame(dropped, columns=["accession", "reason", "file"])


def _records(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (accession, sequence) of every record, white space removed."""
    text = read_text(path)
    if not text.lstrip().startswith(">"):
        raise DataError(f"{path.name} row 1: {text.lstrip()[:30]!r}; expected a FASTA header that starts with '>'")
    for title, sequence in SimpleFastaParser(io.StringIO(text.lstrip())):
        fields = (title.split() or [""])[0].split("|")
        accession = fields[1] if len(fields) == 3 and fields[0] in ("sp", "tr") else fields[-1]
        yield accession, "".join(sequence.split())
