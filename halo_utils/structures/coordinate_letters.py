"""Structure letters from backbone coordinates alone: 3Di and DSSP where an extra is installed, else a stand-in."""

from pathlib import Path

import numpy as np

from halo_utils.core.files import digest
from halo_utils.core.residue_store import ResidueStore, store_of, write_store
from halo_utils.structures.gvp_features import dihedrals, unit
from halo_utils.structures.reader import CA
from halo_utils.structures.structure_letters import DI, WIDTH, one_hot

NEAR = 10.0  # angstrom, of C-alpha atoms that make a residue buried
BURIED = (6, 10, 15)  # neighbours that part the stand-in's four levels of burial
CARBONYL = 1.23  # angstrom, the bond of C and O
TURNS = 5  # bins of the dihedral psi: 5 x 4 levels are as many letters as 3Di has


def encoder_name() -> str:
    """Return what makes the letters, mini3di and pydssp, or the names of the stand-ins."""
    try:
        import mini3di  # noqa: F401, optional packages
        import pydssp  # noqa: F401
    except ImportError:
        return "turn and burial (a stand-in for 3Di)"
    return "3Di (mini3di) and three states of DSSP (pydssp)"


def turn_and_burial(structure: np.ndarray) -> str:
    """Return 20 letters that are **not** 3Di: psi in 5 bins times the number of near C-alphas in 4 levels, [L]."""
    angles, ca = dihedrals(np.asarray(structure[:, :9], dtype=float).reshape(-1, 3, 3)), structure[:, CA]
    psi = np.arctan2(angles[:, 4], angles[:, 1])  # columns: cosines, sines, known
    turn = np.minimum(((psi + np.pi) / (2 * np.pi) * TURNS).astype(int), TURNS - 1)
    near = (np.linalg.norm(ca[:, None] - ca[None], axis=-1) < NEAR).sum(axis=1) - 1
    return "".join(DI[t * (len(BURIED) + 1) + b] for t, b in zip(turn, np.searchsorted(BURIED, near), strict=True))


def three_states(structure: np.ndarray) -> str:
    """Return helix, strand or loop from phi and psi, [L]: three of SS8's letters, without hydrogen bonds."""
    angles = dihedrals(np.asarray(structure[:, :9], dtype=float).reshape(-1, 3, 3))
    phi, psi = (np.degrees(np.arctan2(angles[:, 3 + i], angles[:, i])) for i in (0, 1))
    helix = (np.abs(phi + 60) < 30) & (np.abs(psi + 45) < 35)
    strand = (phi < -80) & (np.abs(psi - 130) < 45)
    known = angles[:, 6:8].all(axis=1)
    return "".join("H" if h and k else "E" if s and k else "L" for h, s, k in zip(helix, strand, known, strict=True))


def oxygens(n: np.ndarray, ca: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the backbone's O atoms, [L, 3], which stores do not keep: in the peptide plane, NaN at the end."""
    to_next = np.concatenate([np.diff(n, axis=0), np.full((1, 3), np.nan)]) + n - c
    return np.where(np.isnan(to_next), np.nan, c - CARBONYL * unit(unit(ca - c) + unit(to_next)))


def coordinate_letters(accession: str, structure: np.ndarray) -> np.ndarray:
    """Return the letters of a whole structure [L, 10], [L, 28] uint8 as ``one_hot`` has them.

    3Di is Foldseek's encoder, of SS8 there are only H, E and L, with proline as a donor of hydrogen bonds. Without the
    extra ``letters`` both alphabets are stand-ins.
    """
    try:
        import mini3di
        import pydssp
    except ImportError:
        return one_hot(accession, turn_and_burial(structure), three_states(structure))
    n, ca, c = (np.asarray(structure[:, i : i + 3], dtype=float) for i in (0, 3, 6))
    encoder = mini3di.Encoder()
    di = encoder.build_sequence(encoder.encode_atoms(ca, np.full_like(ca, np.nan), n, c))
    states = pydssp.assign(np.stack([n, ca, c, oxygens(n, ca, c)], axis=1))
    states[np.isnan(structure[:, :9]).any(axis=1)] = "-"
    return one_hot(accession, di, "".join(states).replace("-", "L"))


def moved(accession: str, structure: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """Return a structure [L, 10] whose N, CA and C are off by a normal deviate of ``noise`` angstrom per axis."""
    other = np.array(structure, dtype=np.float64)
    rng = np.random.default_rng([seed, *accession.encode()])
    other[:, :9] += rng.normal(0.0, noise, size=(len(other), 9)) if noise else 0.0
    return other


def store_coordinate_letters(path: Path, structures: ResidueStore, noise: float = 0.0, seed: int = 7) -> ResidueStore:
    """Return the store of the letters of all structures, [L, 28] uint8, made once, of atoms ``moved`` by ``noise``."""
    names, key = structures.accessions, digest("coordinate letters", structures.content, encoder_name(), noise, seed)

    def make() -> ResidueStore:
        arrays = (coordinate_letters(name, moved(name, structures.rows(name), noise, seed)) for name in names)
        lengths = [structures.length(name) for name in names]
        return write_store(path, key, names, lengths, WIDTH, enumerate(arrays), "uint8")

    return store_of(path, key, make)
