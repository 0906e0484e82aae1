"""What is kept of a structure file: the file gzipped, or only the atoms that are read, at a fraction of its size."""

import gzip
from pathlib import Path

import gemmi

from halo_utils.core.files import write_bytes

BACKBONE = ("N", "CA", "C")  # all that graphs read, with the B-factor of the C-alpha; computed letters need O, too


def pack(target: Path, content: bytes, coordinates_only: bool = False) -> Path:
    """Write a structure file (``target`` ends with .pdb.gz or .cif.gz) gzipped, the same bytes for the same content.

    ``content`` may be gzipped. With ``coordinates_only`` N, C-alpha and C stay, in the same format and precision; what
    is no structure stays as it is, and is named where structures are read.
    """
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    content = backbone_only(content, target.suffixes[-2][1:]) if coordinates_only else content
    return write_bytes(target, gzip.compress(content, compresslevel=6, mtime=0))


def backbone_only(content: bytes, kind: str) -> bytes:
    """Return a structure file (``kind`` pdb or cif) without all but N, C-alpha and C; unreadable ones as they are."""
    form = gemmi.CoorFormat.Pdb if kind == "pdb" else gemmi.CoorFormat.Mmcif
    try:
        structure = gemmi.read_structure_string(content.decode(), merge_chain_parts=False, format=form)
    except (RuntimeError, ValueError):  # UnicodeDecodeError is a ValueError
        return content
    for residue in (residue for model in structure for chain in model for residue in chain):
        for i in reversed([i for i, atom in enumerate(residue) if atom.name not in BACKBONE]):
            del residue[i]
    if kind == "pdb":
        return structure.make_pdb_string(gemmi.PdbWriteOptions(minimal=True)).encode()
    return structure.make_mmcif_document(gemmi.MmcifOutputGroups(False, atoms=True)).as_string().encode()
