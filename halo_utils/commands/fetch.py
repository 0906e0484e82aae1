"""Fetches, lists and verifies the raw inputs: tables, structures and backbone of a profile."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.errors import DataError, HaloError
from halo_utils.core.files import locked, sha256
from halo_utils.core.paths import shown
from halo_utils.data.datasets import DATASETS
from halo_utils.data.registry import (
    check_content,
    contact_archives,
    local_copy,
    locate,
    raw_dir,
    registry,
    structure_folders,
)
from halo_utils.data.same_sequence import as_looked_up, known_sequences
from halo_utils.data.tables import read_fasta
from halo_utils.embeddings.esm2 import load_esm2
from halo_utils.runs.prepare import read_table
from halo_utils.structures import alphafold, archives, fetch_contacts
from halo_utils.structures.contact_maps import read_contact_maps
from halo_utils.structures.reader import structure_index
from halo_utils.structures.store import audit_files

PARTS = ("tables", "structures", "backbone")  # of a profile; "contacts" is brought only when it is asked for
ALPHAFOLD, FOLDCOMP = "alphafold", "foldcomp"  # the services that are no archives


def fetch(
    settings: Settings, only: Sequence[str], structures_from: str, fasta: Path | None, coordinates_only: bool = False
) -> int:
    """Fetch what a profile needs, or ``only`` some PARTS, contacts or files; return 1 when some failed that may come.

    Structures are from a service of ``data/sources.yaml``, the address of a tar, or a folder, tar or zip; ``fasta``
    replaces the proteins, ``coordinates_only`` is ``pack``'s.
    """
    parts = set(only or PARTS) & {*PARTS, "contacts"}
    for name in [
        *sorted(set(only).difference(parts)),
        *(DATASETS[settings.data.dataset].files if "tables" in parts else ()),
    ]:
        print(f"{name}: {shown(locate(name))}")
    failed = fetch_structures(settings, structures_from, fasta, coordinates_only) if "structures" in parts else 0
    failed += build_contacts(settings, structures_from, fasta) if "contacts" in parts else 0
    if "backbone" in parts and settings.backbone.source != "random":
        load_esm2(settings.backbone.source, revision=settings.backbone.revision)
        print(f"backbone {settings.backbone.source}: on this machine")
    return int(failed > 0)


def fetch_structures(settings: Settings, structures_from: str, fasta: Path | None, coordinates_only: bool) -> int:
    """Fetch the structures of a profile's proteins, or of a FASTA file's; return how many failed."""
    table, target = _proteins(settings, fasta), raw_dir() / "structures"
    if structures_from == ALPHAFOLD:
        address = registry().structures[ALPHAFOLD].addresses[0]
        form = {"coordinates_only": coordinates_only}
        outcomes = alphafold.fetch_structures(table, structure_folders(), target, address, **form)
        print(alphafold.summarise(outcomes, target))
        return int((outcomes["status"] == "failed").sum())
    wanted = set(table["accession"])
    for origin in _origins(structures_from):
        copied = archives.import_structures(origin, wanted, target, coordinates_only=coordinates_only)
        name = str(origin).rsplit("/", 1)[-1]
        print(f"{name}: {len(copied):,} structures copied to {shown(target)} for {len(wanted):,} proteins")
    missing = len(wanted - set(structure_index(structure_folders())))
    print(f"{missing:,} of {len(wanted):,} proteins are still without a structure; --structures-from alphafold asks")
    return 0


def build_contacts(settings: Settings, structures_from: str, fasta: Path | None) -> int:
    """Build the archive of contact maps of a profile's proteins, or of a FASTA file's; return how many failed."""
    table, cutoff = _proteins(settings, fasta), settings.gat.cutoff_angstrom
    path = raw_dir() / "structures" / "contacts" / f"alphafold_ca{cutoff:g}.npz"
    online = structures_from == ALPHAFOLD
    origins, api = ((), registry().structures[ALPHAFOLD].addresses[0]) if online else (_origins(structures_from), "")
    others = [read_contact_maps(other) for other in contact_archives() if other.resolve() != path.resolve()]
    with locked(path.with_suffix(".lock"), shown(path)):
        options = {"cutoff_angstrom": cutoff, "others": [one for one in others if one.cutoff_angstrom == cutoff]}
        outcomes = fetch_contacts.fetch_contacts(table, structure_folders(), path, origins, api, **options)
    print(fetch_contacts.summarise(outcomes, path))
    return int((outcomes["status"] == "failed").sum())


def _proteins(settings: Settings, fasta: Path | None) -> pd.DataFrame:
    """Return accession and sequence of the proteins asked for, named as in UniProt where that is known."""
    return read_fasta(fasta)[0] if fasta else as_looked_up(read_table(settings).table)


def _origins(structures_from: str) -> list[Path | str]:
    """Return where structures come from in bulk: data bases and paths on this machine, or addresses of archives."""
    service = registry().structures.get(structures_from)
    if structures_from == FOLDCOMP:
        return [*archives.fetch_foldcomp(service.addresses, raw_dir() / FOLDCOMP)]
    if service is not None:
        return [*service.addresses]
    return [structures_from if structures_from.startswith(("http://", "https://")) else Path(structures_from)]


def status() -> int:
    """Print where every raw file is, and how many structures each folder holds."""
    for name, entry in registry().files.items():
        path = local_copy(name)
        print(f"{name:<58}{shown(path.parent) if path else 'to be fetched' if entry.address else 'absent, not public'}")
    for folder in structure_folders():
        print(f"{'structures':<58}{len(structure_index([folder])):,} in {shown(folder)}")
    for path in contact_archives():
        print(f"{'contact maps':<58}{len(read_contact_maps(path)):,} in {shown(path)}")
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
