"""Small structure models for the tests, made on the spot."""

import gzip
from pathlib import Path

import gemmi
import numpy as np

from halo_utils.data.synthetic.folds import build_backbone, confidence_of
from halo_utils.data.synthetic.proteome import gemmi_structure

SEQUENCE = "MKVLAAGHWYTDESPLKQRN"


def model(sequence: str = SEQUENCE) -> tuple[gemmi.Structure, np.ndarray]:
    """Return an ideal helix of ``sequence`` and its backbone, [L, 3, 3] in angstrom."""
    rng = np.random.default_rng(0)
    states = "H" * len(sequence)
    backbone = build_backbone(states, "compact", rng)
    return gemmi_structure("P1", sequence, backbone, confidence_of(states, rng)), backbone


def text(structure: gemmi.Structure, kind: str = "cif") -> bytes:
    """Return a structure as the bytes of an mmCIF or PDB file."""
    found = structure.make_mmcif_document().as_string() if kind == "cif" else structure.make_pdb_string()
    return found.encode()


def write(path: Path, structure: gemmi.Structure) -> Path:
    """Write a structure in the format, and with the compression, that its suffix names."""
    content = text(structure, "cif" if ".cif" in path.name else "pdb")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
