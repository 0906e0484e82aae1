"""Structures in bulk: of wanted proteins, out of a folder, tar, zip, hub data set or Foldcomp data base."""

import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from halo_utils.core.errors import DataError, DownloadError
from halo_utils.core.files import storage_errors
from halo_utils.data.download import Patience, fetch, offline, refuse_offline
from halo_utils.structures.alphafold import pack
from halo_utils.structures.reader import FILE_NAME, structure_index

Member = tuple[str, Callable[[], bytes]]  # file name without folders, and how to read it


def import_structures(origin: Path, wanted: Collection[str], target: Path) -> list[str]:
    """Copy the wanted structures that ``target`` lacks out of what ``_members`` reads; return their accessions."""
    with storage_errors(target):
        target.mkdir(parents=True, exist_ok=True)
    missing = set(wanted) - set(structure_index([target]))
    copied: dict[str, int] = {}
    try:
        for name, read in tqdm(_members(origin, missing), desc=origin.name, leave=False):
            match = FILE_NAME.fullmatch(name)
            if match is None or match["accession"] not in missing:
                continue
            accession, fragment = match["accession"], int(match["fragment"] or 1)
            if fragment < copied.get(accession, 10**6):  # of several fragments the first one stays
                pack(target / f"{accession}.{match['format']}.gz", read())
                copied[accession] = fragment
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        problem = f"{origin.name} is damaged or cut off after {len(copied):,} structures ({error})"
        raise DataError(f"{problem}; those are kept, fetch the archive again and repeat the command") from error
    return sorted(copied)


def _members(origin: Path, wanted: Collection[str]) -> Iterator[Member]:
    if origin.is_dir():
        for path in sorted(p for p in origin.rglob("*") if p.is_file()):
            yield from _members(path, wanted) if path.suffix in (".tar", ".zip") else [(path.name, path.read_bytes)]
    elif not origin.is_file():
        raise DataError(f"{origin} does not exist: expected a folder, a .tar, a .zip or a Foldcomp data base")
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
        raise DataError(f"{origin.name}: expected a folder, a .tar, a .zip or a Foldcomp data base")


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
    if chosen := [name for name, match in matches.items() if match and match["accession"] in wanted]:
        with foldcomp.open(str(database), ids=chosen) as entries:
            for name, (_, pdb) in zip(chosen, entries, strict=True):
                yield files[name], lambda pdb=pdb: pdb.encode()


def fetch_foldcomp(address: str, folder: Path, patience: Patience | None = None) -> Path:
    """Download a Foldcomp data base (about 3 GB for Swiss-Prot); return its path."""
    database = folder / address.rstrip("/").rsplit("/", 1)[-1]
    for suffix in ("", ".index", ".dbtype", ".lookup", ".source"):
        path = database.with_name(database.name + suffix)
        if not path.is_file():
            fetch(address + suffix, path, patience=patience)
    return database


def fetch_hub_dataset(repository: str, revision: str | None) -> Path:
    """Download a Hugging Face data set of structure files into the hub's own cache and return its folder."""
    from huggingface_hub import snapshot_download  # imported here, with foldcomp: few need them

    try:
        return Path(snapshot_download(repository, repo_type="dataset", revision=revision, local_files_only=offline()))
    except Exception as error:  # the hub's client raises many kinds, its own, httpx's and the system's
        refuse_offline(f"the data set {repository}")
        problem = f"{repository} could not be fetched from the Hugging Face hub ({type(error).__name__})"
        remedy = "check the network, or fetch it elsewhere and pass its folder or archive with --structures-from"
        raise DownloadError(f"{problem}: {remedy}") from error
