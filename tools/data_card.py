"""The generated blocks of the data card: raw inputs, what reading real structure files gave, HPA's matches."""

from pathlib import Path

import pandas as pd

from halo_utils.config import load_settings
from halo_utils.data import same_sequence
from halo_utils.data.deeploc import DEEPLOC2
from halo_utils.data.registry import contact_archives, registry, structure_folders
from halo_utils.runs.prepare import read_table
from halo_utils.structures.contact_maps import read_contact_maps
from halo_utils.structures.edges import GRAPH_SOURCES, graph_sources
from halo_utils.structures.reader import load_structures
from halo_utils.structures.store import audit_files
from tools.report import markdown


def sources_table() -> str:
    """Return the table of raw inputs from ``data/sources.yaml``."""
    listed = registry()
    rows = []
    for name, e in [*listed.files.items(), *((f"structures from {n}", e) for n, e in listed.structures.items())]:
        known = getattr(e, "sha256", None)
        check = f"`{known[:12]}…`" if known else "rows, cells" if getattr(e, "content", None) else "every file read"
        rows.append([f"`{name}`", e.what, e.licence, e.citation, check])
    return markdown(["file", "what", "licence", "citation", "checked by"], rows)


def audit_table(audit: pd.DataFrame) -> pd.DataFrame:
    """Return the counts of ``audit_files`` per file format and over all.

    Returns:
        Indexed by format; files, read, matched, mismatched, without pLDDT, residues, mean pLDDT over residues of
        the files that carry it, edges per residue at 10 A.
    """
    matched = audit["status"] == "matched"
    weight = audit["residues"].where(audit["mean_plddt"].notna())
    sums = pd.DataFrame(
        {
            "format": audit["format"],
            "files": 1,
            "read": audit["status"] != "unreadable",
            "matched": matched,
            "mismatched": audit["status"] == "mismatched",
            "without pLDDT": matched & audit["mean_plddt"].isna(),
            "residues": audit["residues"].where(matched),
            "plddt": audit["mean_plddt"] * weight,
            "weight": weight,
            "edges": audit["edges"],
        }
    )
    table = sums.groupby("format").sum()
    table.loc["all"] = table.sum()
    table["mean pLDDT"] = table.pop("plddt") / table.pop("weight")
    table["edges per residue at 10 A"] = table.pop("edges") / table["residues"]
    counts = ["files", "read", "matched", "mismatched", "without pLDDT", "residues"]
    return table.astype(dict.fromkeys(counts, int))


def structures_summary(folder: Path) -> str:
    """Return the table of real structure files: read, matched, pLDDT known, mean pLDDT, edges per residue."""
    table = audit_table(audit_files(same_sequence.known_sequences(), folder))
    rows = [
        [str(name), *(f"{v:,.1f}" if isinstance(v, float) else f"{v:,}" for v in values)]
        for name, *values in table.itertuples()
    ]
    return markdown(["format", *(str(c) for c in table.columns)], rows)


def matches_here() -> str:
    """Return how many HPA proteins are matched by sequence, and have a structure or a graph, with the files at hand."""
    table = read_table(load_settings("paper", dataset=DEEPLOC2.name, max_proteins=0)).table
    table = table[table["split"] == "hpa"]
    arrays, _ = load_structures(table, structure_folders())
    sources = graph_sources(table, arrays, [read_contact_maps(path) for path in contact_archives()])
    graph = sources["source"].isin(GRAPH_SOURCES).to_numpy()
    found = table.assign(structure=table["accession"].isin(arrays), graph=graph)
    return same_sequence.sentence(same_sequence.count_matches(found))
