"""Builds an archive of contact maps from structures that are read one at a time and not kept: 4 bytes a contact."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from tqdm import tqdm

from halo_utils.core.errors import DataError
from halo_utils.core.paths import shown
from halo_utils.data.download import Patience, refuse_offline
from halo_utils.data.tables import is_uniprot
from halo_utils.structures.alphafold import NOT_UNIPROT, Client, Outcome, expected, look_up, read_ledger, write_ledger
from halo_utils.structures.archives import read_bulk
from halo_utils.structures.contact_maps import ContactMaps, read_contact_maps, write_contact_maps
from halo_utils.structures.edges import radius_edges
from halo_utils.structures.pack import pack
from halo_utils.structures.reader import CA, load_structure, structure_index

PART = 100  # proteins between two saves
BYTES_PER_RESIDUE = 10  # about 7 contacts of a residue, each once, compressed
NOT_THERE = "no structure in what was read"
ELSEWHERE = "elsewhere"  # the status of a protein whose contacts another archive has
STATUSES = ("found", ELSEWHERE, "none", "failed", "mismatched", "unreadable")


class ContactBuilder:
    """Collects the contacts of proteins beside an archive, in parts on the disk, and joins them to it at the end."""

    def __init__(self, path: Path, cutoff_angstrom: float) -> None:
        """Read what the archive and the parts of an interrupted building hold; DataError for another cut-off.

        What is damaged is said and built again.
        """
        self.path, self.cutoff, self.folder = path, cutoff_angstrom, path.with_suffix(".parts")
        files = [path] if path.is_file() else []
        files += sorted(self.folder.glob("*.npz")) if self.folder.is_dir() else []
        self.maps = [one for one in map(_readable, files) if one is not None]
        for one in self.maps:
            if one.cutoff_angstrom != cutoff_angstrom:
                problem = f"{one.name}: contacts under {one.cutoff_angstrom:g} angstrom, expected {cutoff_angstrom:g}"
                raise DataError(f"{problem}: move it away, or set gat.cutoff_angstrom")
        self.fresh: dict[str, tuple[np.ndarray, int, bool]] = {}

    def has(self, accession: str, length: int) -> bool:
        """Return whether the contacts of a protein of this length are there."""
        return any(accession in one and one.length(accession) == length for one in self.maps)

    def add(self, accession: str, rows: np.ndarray) -> None:
        """Take the contacts of a protein from its rows, [L, 10]; complete where every residue is placed."""
        edges = radius_edges(rows[:, CA], self.cutoff)
        complete = bool(np.isfinite(rows[:, CA]).all())
        self.fresh[accession] = edges[:, edges[0] < edges[1]].T, len(rows), complete

    def save(self) -> None:
        """Write what was added since the last time as a part."""
        if self.fresh:
            fresh, self.fresh = self.fresh, {}
            pairs, lengths, complete = zip(*fresh.values(), strict=True)
            part = self.folder / f"{len(list(self.folder.glob('*.npz'))):05d}.npz"
            cut = {"cutoff_angstrom": self.cutoff}
            self.maps.append(write_contact_maps(part, fresh, lengths, pairs, exact=complete, **cut))

    def finish(self) -> ContactMaps | None:
        """Join the parts to the archive, the newest contacts of a protein; None where there is not a single one."""
        self.save()
        if self.folder.is_dir():
            newest = {accession: one for one in self.maps for accession in one.accessions}
            columns = [
                (one.length(name), one.contacts(name), one.exact(name))
                for name, one in tqdm(sorted(newest.items()), desc="joining", leave=False)
            ]
            lengths, pairs, exact = zip(*columns, strict=True)
            cut = {"cutoff_angstrom": self.cutoff}
            self.maps = [write_contact_maps(self.path, sorted(newest), lengths, pairs, exact=exact, **cut)]
            shutil.rmtree(self.folder)
        return self.maps[0] if self.maps else None


def fetch_contacts(
    table: pd.DataFrame,
    folders: Sequence[Path],
    path: Path,
    origins: Sequence[Path | str],
    api: str = "",
    *,
    cutoff_angstrom: float = 10.0,
    others: Sequence[ContactMaps] = (),
    workers: int = 4,
    per_second: float = 10.0,
    patience: Patience | None = None,
) -> pd.DataFrame:
    """Build or complete the archive ``path`` of the proteins of ``table``; return an ``Outcome`` row per protein.

    Structures are read from ``folders``, then from the bulk ``origins`` (see ``archives.read_bulk``), then, where
    ``api`` is given, fetched from AlphaFold DB one by one; none is kept. What the archive has stays, what ``others``
    have is not fetched. A repeated command goes on where it stopped. DownloadError as in ``alphafold.look_up``.
    """
    builder, log = ContactBuilder(path, cutoff_angstrom), path.with_suffix(".csv")
    # What is known to have no prediction, or another protein's, is not asked for again.
    known = [o for o in read_ledger(log).values() if o.problem != NOT_THERE and not o.file]
    ledger = {o.accession: o for o in known if o.status in ("none", "mismatched")}
    length = dict(zip(table["accession"], table["sequence"].str.len(), strict=True))
    sequences = dict(zip(table["accession"], table["sequence"], strict=True))

    def open_ones() -> pd.DataFrame:
        return table[[not builder.has(a, length[a]) and a not in builder.fresh for a in table["accession"]]]

    def take(accession: str, file: Path) -> None:
        values, rows = load_structure(file, accession, sequences[accession])
        status = "found" if rows is not None else str(values["status"])
        if rows is not None:
            builder.add(accession, rows)
        ledger[accession] = Outcome(accession, status, file.name, problem=str(values.get("problem", "")))

    def keep(accession: str, _: Path, rows: np.ndarray | None) -> str:
        if rows is not None:
            builder.add(accession, rows)
        return ""

    def save() -> None:
        builder.save()
        write_ledger(log, ledger)

    files = structure_index(folders)
    here = [a for a in open_ones()["accession"] if a in files]
    for number, accession in enumerate(tqdm(here, desc="structure files", leave=False), 1):
        take(accession, files[accession])
        if number % PART == 0:
            save()
    save()
    for origin in origins:
        wanted = set(open_ones()["accession"])
        with TemporaryDirectory() as scratch:
            bulk = read_bulk(origin, wanted, path.parent, settle=save, patience=patience)
            for accession, kind, content in bulk:
                file = pack(Path(scratch) / f"{accession}.{kind}.gz", content, coordinates_only=True)
                take(accession, file)
                file.unlink()
                if len(builder.fresh) >= PART:
                    save()
        save()
    for accession in open_ones()["accession"]:
        if any(accession in one and one.length(accession) == length[accession] for one in others):
            ledger[accession] = Outcome(accession, ELSEWHERE)
        elif not is_uniprot(accession):
            ledger.setdefault(accession, Outcome(accession, "none", problem=NOT_UNIPROT))
        elif not api:
            ledger.setdefault(accession, Outcome(accession, "none", problem=NOT_THERE))
    rest = open_ones()
    rest = rest[~rest["accession"].isin(ledger)]
    if len(rest):
        refuse_offline(f"the structure of {rest['accession'].iloc[0]} (and of {len(rest) - 1:,} more proteins)")
        print(expected(rest, api, per_second, BYTES_PER_RESIDUE))
        client = Client(api, keep, patience or Patience(), per_second)
        look_up(client, rest, ledger, log, workers=workers, settle=builder.save)
    builder.finish()
    for accession in table["accession"]:
        if builder.has(accession, length[accession]):  # now, or by an earlier command
            ledger.setdefault(accession, Outcome(accession, "found"))
    save()
    return pd.DataFrame([asdict(ledger[accession]) for accession in table["accession"]])


def _readable(path: Path) -> ContactMaps | None:
    try:
        return read_contact_maps(path)
    except DataError as error:
        print(f"{error}; its proteins are built again now")
        return None


def summarise(outcomes: pd.DataFrame, path: Path) -> str:
    """Return the summary of a building: proteins by outcome, and which had a damaged or mismatching structure."""
    counts = outcomes["status"].value_counts()
    words = ", ".join(f"{status} {counts.get(status, 0):,}" for status in STATUSES)
    lines = [f"contacts of {len(outcomes):,} proteins: {words}; {shown(path)}, each one listed beside it"]
    wrong = outcomes.loc[outcomes["status"].isin(["failed", "mismatched", "unreadable"])]
    lines += [f"  {row.accession}: {row.problem}" for row in wrong.head(10).itertuples()]
    lines += [f"  and {len(wrong) - 10:,} more"] if len(wrong) > 10 else []
    return "\n".join(lines)
