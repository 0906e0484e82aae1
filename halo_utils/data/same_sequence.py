"""Proteins that a table names by another identifier than UniProt's, as HPA does (Ensembl's ENSP), found by sequence.

Structures and contact maps are named by UniProt accessions. A protein of equal sequence has the same model, so they are
looked up under its accession, too; the predictions of a run still carry the table's own identifier.
"""

import pandas as pd

from halo_utils.data.datasets import DATASETS
from halo_utils.data.registry import local_copy
from halo_utils.data.tables import is_uniprot


def known_sequences(besides: str = "") -> pd.DataFrame:
    """Return accession and sequence of every protein of the tables on this machine, ``besides`` one, each once."""
    tables = [pd.DataFrame({"accession": [], "sequence": []}, dtype=str)]
    for dataset in DATASETS.values():
        paths = [local_copy(name) for name in dataset.files]
        if paths and all(paths) and dataset.name != besides:
            tables.append(dataset.read(paths)[0][["accession", "sequence"]])
    return pd.concat(tables).drop_duplicates("accession").reset_index(drop=True)


def uniprot_names(table: pd.DataFrame, known: pd.DataFrame) -> pd.Series:
    """Return, per protein without a UniProt accession, those of equal sequence in ``known``, [B] str.

    Several are sorted and joined by spaces; empty where there is none, and for proteins that have an accession.
    """
    known = known[known["accession"].map(is_uniprot)].sort_values("accession")
    names = known.groupby("sequence")["accession"].agg(" ".join)
    found = table["sequence"].map(names).fillna("")
    return found.mask(table["accession"].map(is_uniprot), "")


def lookup_names(table: pd.DataFrame) -> list[list[str]]:
    """Return, per protein, the names its structure may be found under: its own, then those of ``uniprot_names``."""
    others = table["uniprot"] if "uniprot" in table else [""] * len(table)
    return [[own, *names.split()] for own, names in zip(table["accession"], others, strict=True)]


def as_looked_up(table: pd.DataFrame) -> pd.DataFrame:
    """Return accession and sequence of a table for a service: UniProt's accession where one is known, each once."""
    asked = [names[min(1, len(names) - 1)] for names in lookup_names(table)]
    return table[["accession", "sequence"]].assign(accession=asked).drop_duplicates("accession")


def count_matches(table: pd.DataFrame) -> pd.DataFrame:
    """Return, per split with other identifiers than UniProt's, how many were matched and have a structure or a graph.

    Columns split, proteins, matched, structure, graph. No rows for a table without such proteins, for synthetic
    proteins, and for a table from before they were matched.
    """
    columns = ["split", "proteins", "matched", "structure", "graph"]
    if "uniprot" not in table:
        return pd.DataFrame(columns=columns)
    foreign = table[~table["accession"].map(is_uniprot)].assign(proteins=1, matched=table["uniprot"] != "")
    return foreign.groupby("split", sort=False)[columns[1:]].sum().astype(int).reset_index()


def sentence(matches: pd.DataFrame) -> str:
    """Return what ``count_matches`` counted, a sentence or two per split."""
    return " ".join(
        f"Structures are found by UniProt accessions, which {row.split} does not use. By equal sequence {row.matched:,}"
        f" of its {row.proteins:,} proteins are a UniProt protein of another table, and are looked up by its accession,"
        f" too. With those whose file or contact map bears the identifier of {row.split} itself, {row.structure:,} have"
        f" a structure and {row.graph:,} a graph."
        for row in matches.itertuples()
    )
