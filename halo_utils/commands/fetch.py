"""Fetches, lists and verifies the raw inputs: tables, structures and backbone of a profile."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError, HaloError
from halo_utils.core.files import sha256
from halo_utils.core.paths import shown
from halo_utils.data.datasets import DATASETS
from halo_utils.data.registry import check_content, local_copy, locate, raw_dir, registry, structure_folders
from halo_utils.data.tables import read_fasta
from halo_utils.embeddings.esm2 import load_esm2
from halo_utils.runs.prepare import read_table
from halo_utils.structures import alphafold, archives
from halo_utils.structures.reader import structure_index
from halo_utils.structures.store import audit_files

PARTS = ("tables", "structures", "backbone")


def fetch(settings: Settings, only: Sequence[str], structures_from: str, fasta: Path | None) -> int:
    """Fetch what a profile needs, or ``only`` some PARTS or files; return 1 when structures failed that may come later.

    Structures are from alphafold, huggingface, foldcomp, or a folder, tar or zip; ``fasta`` replaces the proteins.
    """
    parts = set(only or PARTS) & set(PARTS)
    for name in [*set(only).difference(PARTS), *(DATASETS[settings.data.dataset].files if "tables" in parts else ())]:
        print(f"{name}: {shown(locate(name))}")
    failed = fetch_structures(settings, structures_from, fasta) if "structures" in parts else 0
    if "backbone" in parts and settings.backbone.source != "random":
        load_esm2(settings.backbone.source, revision=settings.backbone.revision)
        print(f"backbone {settings.backbone.source}: on this machine")
    return int(failed > 0)


def fetch_structures(settings: Settings, structures_from: str, fasta: Path | None) -> int:
    """Fetch the structures of a profile's proteins, or of a FASTA file's; return how many failed."""
    table = read_fasta(fasta)[0] if fasta else read_table(settings).table
    services, target = registry().structures, raw_dir() / "structures"
    service = services.get(structures_from)
    if structures_from == "alphafold":
        outcomes = alphafold.fetch_structures(table, structure_folders(), target, service.address or "")
        print(alphafold.summarise(outcomes, target))
        return int((outcomes["status"] == "failed").sum())
    if structures_from == "huggingface":
        origin = archives.fetch_hub_dataset(service.address or "", service.revision)
    elif structures_from == "foldcomp":
        origin = archives.fetch_foldcomp(service.address or "", raw_dir() / structures_from)
    else:
        origin = Path(structures_from)
    wanted = set(table["accession"])
    copied = archives.import_structures(origin, wanted, target)
    print(f"{origin.name}: {len(copied):,} structures copied to {shown(target)} for {len(wanted):,} proteins")
    return 0


def status() -> int:
    """Print where every raw file is, and how many structures each folder holds."""
    for name, entry in registry().files.items():
        path = local_copy(name)
        print(f"{name:<58}{shown(path.parent) if path else 'to be fetched' if entry.address else 'absent, not public'}")
    for folder in structure_folders():
        print(f"{'structures':<58}{len(structure_index([folder])):,} in {shown(folder)}")
    return 0


def verify() -> int:
    """Compare what is on this machine with what was published, and structures with the tables; 1 when one differs."""
    problems, present = [], 0
    for name, entry in registry().files.items():
        path = local_copy(name)
        if path is None:
            print(f"absent  {name}")
            continue
        present += 1
        try:
            if entry.content is not None:
                check_content(path, entry.content, name)
            if entry.sha256 is not None and (actual := sha256(path)) != entry.sha256:
                raise DataError(f"{name}: sha256 {actual[:12]}..., expected {entry.sha256[:12]}...: fetch it again")
            print(f"ok      {name} ({'sha256' if entry.sha256 else f'{entry.content.rows:,} rows and cells'})")
        except HaloError as error:
            problems.append(error)
    for folder in structure_folders():
        audit = audit_files(known_sequences(), folder)
        problems += audit.loc[audit["status"].isin(["unreadable", "mismatched"]), "problem"].tolist()
        print(f"read    {len(audit):,} structures in {shown(folder)}: {audit['status'].value_counts().to_dict()}")
    for problem in problems:
        print(f"WRONG   {problem}")
    print(f"{present} of {len(registry().files)} files are here, {len(problems)} problem(s)")
    return int(bool(problems))


def known_sequences() -> pd.DataFrame:
    """Return accession and sequence of every protein of the tables on this machine, each once."""
    tables = [pd.DataFrame({"accession": [], "sequence": []}, dtype=str)]
    for dataset in DATASETS.values():
        paths = [local_copy(name) for name in dataset.files]
        if paths and all(paths):
            tables.append(dataset.read(paths)[0][["accession", "sequence"]])
    return pd.concat(tables).drop_duplicates("accession").reset_index(drop=True)
