"""Fetches, lists and verifies the raw inputs: ``python -m halo_utils fetch fetch|status|verify``.

``fetch`` brings the tables, structures and backbone of a profile; ``status`` says what is where; ``verify`` compares
every file on this machine with what was published.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from halo_utils.config import Settings, load_settings
from halo_utils.core.errors import DataError, HaloError
from halo_utils.core.files import sha256
from halo_utils.core.paths import shown
from halo_utils.data.datasets import DATASETS
from halo_utils.data.registry import local_copy, locate, raw_dir, registry, structure_folders
from halo_utils.data.tables import read_fasta
from halo_utils.data.verification import check_content
from halo_utils.embeddings.esm2 import load_backbone
from halo_utils.runs.prepare import read_table
from halo_utils.structures import alphafold, archives
from halo_utils.structures.audit import audit_files
from halo_utils.structures.reader import structure_index

PARTS = ("tables", "structures", "backbone")


def fetch(settings: Settings, only: Sequence[str], structures_from: str, fasta: str) -> int:
    """Fetch what a profile needs; return 1 when structures failed that may succeed later."""
    parts = set(only) & set(PARTS) or (set() if only else set(PARTS))
    names = [name for name in only if name not in PARTS]
    if "tables" in parts:
        names += DATASETS[settings.data.dataset].files
    for name in names:
        print(f"{name}: {shown(locate(name))}")
    failed = fetch_structures(settings, structures_from, fasta) if "structures" in parts else 0
    if "backbone" in parts and settings.backbone.source != "random":
        load_backbone(settings.backbone, settings.seed)
        print(f"backbone {settings.backbone.source}: on this machine")
    return int(failed > 0)


def fetch_structures(settings: Settings, structures_from: str, fasta: str) -> int:
    """Fetch the structures of a profile's proteins, or of a FASTA file's; return how many failed."""
    table = read_fasta(Path(fasta))[0] if fasta else read_table(settings).table
    services, target = registry().structures, raw_dir() / "structures"
    if structures_from in ("", "alphafold"):
        address = services["alphafold"].address or ""
        outcomes = alphafold.fetch_structures(table, structure_folders(), target, address)
        print(alphafold.summarise(outcomes, target))
        return int((outcomes["status"] == "failed").sum())
    if structures_from in ("huggingface", "foldcomp"):
        service = services[structures_from]
        bulk = raw_dir() / structures_from
        if structures_from == "huggingface":
            origin = archives.fetch_hub_dataset(service.address or "", service.revision)
        else:
            origin = archives.fetch_foldcomp(service.address or "", bulk)
    else:
        origin = Path(structures_from)
    wanted = set(table["accession"])
    print(archives.describe(origin, archives.import_structures(origin, wanted, target), wanted, target))
    return 0


def status() -> int:
    """Print where every raw file is, and how many structures each folder holds."""
    for name, entry in registry().files.items():
        path = local_copy(name)
        place = shown(path.parent) if path else ("to be fetched" if entry.address else "absent, not public")
        print(f"{name:<58}{place}")
    for folder in structure_folders():
        print(f"{'structures':<58}{len(structure_index([folder])):,} in {shown(folder)}")
    return 0


def verify() -> int:
    """Compare every raw file on this machine with what was published; return 1 when one differs."""
    problems, present = 0, 0
    for name, entry in registry().files.items():
        path = local_copy(name)
        if path is None:
            print(f"absent  {name}")
            continue
        present += 1
        try:
            if entry.content is not None:
                check_content(path, entry.content, name)
            if entry.sha256 is not None and (found := sha256(path)) != entry.sha256:
                raise DataError(f"{name}: sha256 {found[:12]}..., expected {entry.sha256[:12]}...: fetch it again")
        except HaloError as error:
            problems += 1
            print(f"WRONG   {error}")
        else:
            print(f"ok      {name} ({'sha256' if entry.sha256 else f'{entry.content.rows:,} rows, counts and cells'})")
    problems += _verify_structures()
    print(f"{present} of {len(registry().files)} files are here, {problems} problem(s)")
    return int(problems > 0)


def _verify_structures() -> int:
    """Read every structure, align it with the tables that are here, and print the counts; return the problems."""
    problems = 0
    for folder in structure_folders():
        audit = audit_files(known_sequences(), folder)
        counts = audit["status"].value_counts().to_dict()
        bad = audit[audit["status"].isin(["unreadable", "mismatched"])]
        for problem in bad["problem"]:
            print(f"WRONG   {problem}")
        problems += len(bad)
        print(f"{'ok    ' if bad.empty else 'WRONG '}  structures in {shown(folder)}: {len(audit):,} files, {counts}")
    return problems


def known_sequences() -> pd.DataFrame:
    """Return accession and sequence of every protein of the tables on this machine, each once."""
    tables = [pd.DataFrame({"accession": [], "sequence": []}, dtype=str)]
    for dataset in DATASETS.values():
        paths = [local_copy(name) for name in dataset.files]
        if paths and all(paths):
            tables.append(dataset.read(paths)[0][["accession", "sequence"]])
    return pd.concat(tables).drop_duplicates("accession").reset_index(drop=True)


def arguments() -> argparse.ArgumentParser:
    """Return the command-line parser."""
    parser = argparse.ArgumentParser(prog="python -m halo_utils fetch", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    get = verbs.add_parser("fetch", help="bring the tables, structures and backbone of a profile")
    get.add_argument("--profile", default="quick", help="quick, paper, or the path of a YAML file")
    get.add_argument("--only", nargs="+", default=[], metavar="WHAT", help=f"{', '.join(PARTS)}, or names of files")
    get.add_argument(
        "--structures-from",
        default="",
        metavar="WHERE",
        help="alphafold (default, one by one), huggingface, foldcomp, or the path of a folder, tar or zip",
    )
    get.add_argument("--fasta", default="", help="fetch the structures of these proteins, not of the profile's")
    verbs.add_parser("status", help="say what is where")
    verbs.add_parser("verify", help="compare every file on this machine with what was published")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    options = arguments().parse_args(argv)
    try:
        if options.verb == "fetch":
            return fetch(load_settings(options.profile), options.only, options.structures_from, options.fasta)
        return status() if options.verb == "status" else verify()
    except HaloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: run the same command again, it goes on where it stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
