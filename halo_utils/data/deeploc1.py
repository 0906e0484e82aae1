"""DeepLoc 1.0's test set and setHARD, as Stärk et al. 2021 released them: FASTA, one location in every header."""

import re
from pathlib import Path

import pandas as pd

from halo_utils.core.errors import DataError
from halo_utils.data.deeploc import DEEPLOC
from halo_utils.data.tables import COMMON_COLUMNS, Read, check_protein, stream_fasta

# Set -> its file, a name of data/sources.yaml; the sets are called as in data/reference/light_attention.csv.
FILES = {"setDeepLoc": "deeploc1/deeploc_test_set.fasta.xz", "setHARD": "deeploc1/setHARD.fasta.xz"}
SPELLINGS = {name.replace(" ", "."): name for name in DEEPLOC}  # DeepLoc 1.0 writes Cell.membrane
# Accession, location, M (membrane), S (soluble) or U (unknown), and in test sets what the protein is part of.
HEADER = re.compile(r"(\S+) (\S+)-[MSU](?: test| new_test_set)? *")


def read_deeploc1(path: Path, split: str) -> Read:
    """Read a FASTA file of DeepLoc 1.0 as ``split``, with DeepLoc 2.0's ten locations as columns, one of them 1.

    Proteins of two locations (Cytoplasm-Nucleus, which DeepLoc 1.0 learned from but was not tested on) are dropped.
    DataError, naming file and record, for a header of another form, an unknown location, an accession that occurs
    twice, and a sequence that is empty or has letters that are no residues.
    """
    rows, seen = [], set[str]()
    for number, (title, sequence) in enumerate(stream_fasta(path), 1):
        where = f"{path.name} record {number}"
        accession, places = _parse(where, title)
        check_protein(where, accession, sequence)
        if accession in seen:
            raise DataError(f"{where} ({accession}): the accession occurs before; keep one of the two records")
        seen.add(accession)
        named = {"accession": accession, "sequence": sequence, "split": split, "kingdom": "", "subset": ""}
        rows.append(named | {name: int(name in places) for name in DEEPLOC})
    table = pd.DataFrame(rows, columns=[*COMMON_COLUMNS, *DEEPLOC]).astype(dict.fromkeys(DEEPLOC, "int8"))
    one = table[list(DEEPLOC)].sum(axis=1) == 1
    dropped = table.loc[~one, ["accession", "split"]].assign(reason="two locations", file=path.name)
    return table[one].reset_index(drop=True), dropped.reset_index(drop=True)


def _parse(where: str, title: str) -> tuple[str, list[str]]:
    """Return accession and locations of a header."""
    if not (found := HEADER.fullmatch(title)):
        raise DataError(f"{where}: header {title[:60]!r}; expected an accession and a location such as Nucleus-U")
    accession, places = found[1], found[2].split("-")
    if unknown := [place for place in places if place not in SPELLINGS]:
        expected = f"expected one of {', '.join(SPELLINGS)}"
        raise DataError(f"{where} ({accession}): unknown location {unknown[0][:40]!r}; {expected}")
    return accession, [SPELLINGS[place] for place in places]
