"""Structure letters made from a structure file, where no strings are given: mini3di and pydssp, an optional extra."""

from pathlib import Path

import numpy as np

from halo_utils.core.errors import DataError, SettingsError
from halo_utils.structures.reader import BACKBONE, align, read_structure
from halo_utils.structures.structure_letters import one_hot

ATOMS = (*BACKBONE, "CB", "O")
THREE_STATES = {"H": "H", "E": "E", "-": "L"}  # pydssp knows helix, strand and loop: three of SS8's eight letters


def computed_letters(path: Path, accession: str, sequence: str) -> np.ndarray:
    """Return the letters of L residues, [L, 28] uint8 as ``one_hot`` has them, from the coordinates of one file.

    3Di is Foldseek's encoder (mini3di), which gives the ends ``D``; SS8 has only H, E and L here, so that a model
    trained on eight states sees other frequencies. DataError where a residue lacks N, CA, C or O: a letter describes
    its neighbourhood, and a hole would be filled silently. SettingsError where the extra is not installed.
    """
    try:
        import mini3di
        import pydssp
    except ImportError as error:
        remedy = "install the optional packages with pip install 'halo-utils[letters]'"
        raise SettingsError(f"structure letters are computed with {error.name}, which is missing: {remedy}") from error
    record = read_structure(path, sequence, ATOMS)
    index = align(record, sequence)[0]
    atoms = np.where(index[:, None, None] >= 0, record.atoms[index], np.nan)
    n, ca, c, cb, o = np.moveaxis(atoms, 1, 0)  # [L, 3] each; glycine has no CB, which mini3di puts in its place
    holes = np.flatnonzero(~np.isfinite(np.concatenate([n, ca, c, o], axis=1)).all(axis=1))
    if len(holes):
        expected = "expected of every residue of the sequence: use a whole model, or leave the protein without letters"
        raise DataError(f"{accession}: {path.name} lacks N, CA, C or O of residue {holes[0] + 1}, {expected}")
    encoder = mini3di.Encoder()
    di = encoder.build_sequence(encoder.encode_atoms(ca, cb, n, c))
    donors = np.array([letter != "P" for letter in sequence])  # proline has no hydrogen to give
    states = pydssp.assign(np.stack([n, ca, c, o], axis=1), donors)
    return one_hot(accession, di, "".join(THREE_STATES[state] for state in states))
