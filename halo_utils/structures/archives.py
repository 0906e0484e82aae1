"""Structures in bulk: of wanted proteins, out of a folder, tar, zip, archive on the web or Foldcomp data base."""

import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from halo_utils.core.errors import DataError
from halo_utils.core.files import storage_errors
from halo_utils.data.download import Patience, fetch
from halo_utils.structures.pack import pack
from halo_utils.structures.reader import FILE_NAME, structure_index
from halo_utils.structures.remote_tar import Member, position_file, remote_members

ORIGINS = "a folder, a .tar, a .zip, the address of a .tar, or a Foldcomp data base"


def import_structures(
    origin: Path | str,
    wanted: Collection[str],
    target: Path,
    *,
    coordinates_only: bool = False,
    patience: Patience | None = None,
) -> list[str]:
    """Copy the wanted structures that ``target`` lacks out of ``origin``, see ``read_bulk``; return their accessions.

    ``coordinates_only`` is ``pack``'s.
    """
    with storage_errors(target):
        target.mkdir(parents=True, exist_ok=True)
    missing, copied = set(wanted) - set(structure_index([target])), set[str]()
    for accession, kind, content in read_bulk(origin, missing, target, patience=patience):
        pack(target / f"{accession}.{kind}.gz", content, coordinates_only)
        copied.add(accession)
    return sorted(copied)


def read_bulk(
    origin: Path | str,
    wanted: Collection[str],
    folder: Path,
    *,
    settle: Callable[[], None] = lambda: None,
    patience: Patience | None = None,
) -> Iterator[tuple[str, str, bytes]]:
    """Yield accession, format and content of the wanted structures of ``origin``, ORIGINS, until all were found.

    Of the fragments of a protein a lower one may follow a higher one, and then counts. ``folder`` is where the position
    in an archive on the web is kept, ``settle`` called before that is written. DataError where the origin is damaged.
    """
    if not wanted:
        return
    name = str(origin).rsplit("/", 1)[-1]
    found, whole = dict[str, int](), 0
    members = (
        remote_members(origin, wanted, folder, settle, patience)
        if isinstance(origin, str)
        else _members(origin, wanted)
    )
    try:
        for file, read in tqdm(members, desc=name, unit=" files", leave=False):
            match = FILE_NAME.fullmatch(file)
            if match is None or match["accession"] not in wanted:
                continue
            accession, fragment = match["accession"], int(match["fragment"] or 1)
            if fragment < found.get(accession, 10**6):  # of several fragments the first one stays
                found[accession] = fragment
                yield accession, match["format"], read()
                whole += fragment == 1
            if whole == len(wanted):
                members.close()
                if isinstance(origin, str):  # a finished reading needs no position
                    position_file(origin, folder).unlink(missing_ok=True)
                return
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        problem = f"{name} is damaged or cut off after {len(found):,} structures ({error})"
        raise DataError(f"{problem}; those are kept, fetch the archive again and repeat the command") from error


def _members(origin: Path, wanted: Collection[str]) -> Iterator[Member]:
    if origin.is_dir():
        for path in sorted(p for p in origin.rglob("*") if p.is_file()):
            yield from _members(path, wanted) if path.suffix in (".tar", ".zip") else [(path.name, path.read_bytes)]
    elif not origin.is_file():
        raise DataError(f"{origin} does not exist: expected {ORIGINS}")
    elif zipfile.is_zipfile(origin):
        with zipfile.ZipFile(origin) as archive:
            for member in archive.infolist():
                yield PurePosixPath(member.filename).name, lambda member=member: archive.read(member)
    elif origin.with_name(origin.name + ".dbtype").is_file():
        yield from _foldcomp_members(origin, wanted)
    elif ".tar" in origin.suffixes or origin.suffix == ".tgz" or tarfile.is_tarfile(origin):
        with tarfile.open(origin, "r|*") as archive:  # a stream: proteome archives hold gigabytes
            for member in archive:
                if member.isfile() and (file := archive.extractfile(member)):
                    yield PurePosixPath(member.name).name, file.read
    else:
        raise DataError(f"{origin.name}: expected {ORIGINS}")


def _foldcomp_members(database: Path, wanted: Collection[str]) -> Iterator[Member]:
    try:
        import foldcomp
    except ImportError as error:
        remedy = "install the optional package with pip install foldcomp"
        raise DataError(f"{database.name} is a Foldcomp data base: {remedy}") from error
    lookup = database.with_name(database.name + ".lookup").read_text(encoding="utf-8")
    names = (line.split("\t")[1] for line in lookup.splitlines())
    files = {name: f"{name.removesuffix('.fcz').removesuffix('.pdb').removesuffix('.cif')}.pdb" for name in names}
    matches = {name: FILE_NAME.fullmatch(file) for name, file in files.items()}
    chosen = [name for name, match in matches.items() if match and match["accession"] in wanted]
    try:
        if chosen:
            with foldcomp.open(str(database), ids=chosen) as entries:
                for name, (_, pdb) in zip(chosen, entries, strict=True):
                    yield files[name], lambda pdb=pdb: pdb.encode()
    except foldcomp.error as error:  # derives from Exception alone
        raise EOFError(f"an entry does not decompress: {error}") from error


def fetch_foldcomp(addresses: Sequence[str], folder: Path, patience: Patience | None = None) -> list[Path]:
    """Download Foldcomp data bases (about 3 GB for Swiss-Prot), whose ``.source`` nobody needs; return their paths."""
    databases = [folder / address.rstrip("/").rsplit("/", 1)[-1] for address in addresses]
    for address, database in zip(addresses, databases, strict=True):
        for suffix in ("", ".index", ".dbtype", ".lookup"):
            path = database.with_name(database.name + suffix)
            if not path.is_file():
                fetch(address.rstrip("/") + suffix, path, patience=patience)
    return databases
