"""Backbone traces for the synthetic proteome: ideal bond geometry and sensible secondary structure, no real folds."""

from itertools import groupby

import numpy as np

# Engh and Huber 1991, averaged over residue types: lengths in angstrom, angles in degrees.
BOND = {"N-CA": 1.458, "CA-C": 1.525, "C-N": 1.329}
ANGLE = {"N-CA-C": 111.0, "CA-C-N": 117.2, "C-N-CA": 121.7}
# Typical (phi, psi) and spread in degrees: alpha helix, beta strand; coil samples the basins of the Ramachandran plot.
TORSION = {"H": (np.array([-57.0, -47.0]), 4.0), "E": (np.array([-120.0, 130.0]), 9.0)}
COIL_BASINS = np.array([(-65.0, 140.0), (-95.0, 125.0), (-62.0, -40.0), (-85.0, 0.0), (55.0, 45.0)])
COIL_SHARE = np.array([0.42, 0.22, 0.18, 0.12, 0.06])
CLASH_ANGSTROM = 4.2  # C-alpha atoms of residues at least three apart come no closer in real proteins
TRIALS = 48  # torsion sets tried per run: 12 leave strand domains twice as wide as real ones


def _torsions(kind: str, length: int, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Return phi, psi in radians, [T, n, 2], around the ideal values of a secondary structure."""
    if kind in TORSION:
        mean, spread = TORSION[kind]
    else:
        mean, spread = COIL_BASINS[rng.choice(len(COIL_BASINS), size=(trials, length), p=COIL_SHARE)], 14.0
    return np.radians(mean + rng.normal(0.0, spread, size=(trials, length, 2)))


def _atom(a: np.ndarray, b: np.ndarray, c: np.ndarray, bond: float, angle: float, torsion: np.ndarray) -> np.ndarray:
    """Return atoms [T, 3] at ``bond`` angstrom, ``angle`` degrees, ``torsion`` radians (NeRF, Parsons et al. 2005)."""
    theta, bc = np.radians(180.0 - angle), c - b
    bc /= np.linalg.norm(bc, axis=1, keepdims=True)
    normal = np.cross(b - a, bc)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    local = np.cos(theta) * bc + (np.sin(theta) * np.cos(torsion))[:, None] * np.cross(normal, bc)
    return c + bond * (local + (np.sin(theta) * np.sin(torsion))[:, None] * normal)


def _extend(tail: np.ndarray, psi_before: np.ndarray, torsions: np.ndarray) -> np.ndarray:
    """Grow T alternative runs from the last residue ``tail`` [T, 3, 3]; return [T, n, 3, 3]."""
    n, ca, c = np.moveaxis(tail, 1, 0)
    psi, residues, trans = psi_before, [], np.full(len(tail), np.pi)
    for next_phi, next_psi in np.moveaxis(torsions, 0, -1):
        next_n = _atom(n, ca, c, BOND["C-N"], ANGLE["CA-C-N"], psi)
        next_ca = _atom(ca, c, next_n, BOND["N-CA"], ANGLE["C-N-CA"], trans)
        next_c = _atom(c, next_n, next_ca, BOND["CA-C"], ANGLE["N-CA-C"], next_phi)
        n, ca, c, psi = next_n, next_ca, next_c, next_psi
        residues.append(np.stack([n, ca, c], axis=1))
    return np.stack(residues, axis=1)


def _score(ca: np.ndarray, placed: np.ndarray, kind: str, style: str, turn: int) -> np.ndarray:
    """Return a penalty per trial [T]: clashes with ``placed`` [M, 3] plus what the fold style wants."""
    penalty = np.zeros(len(ca))
    if len(placed) > 3:
        distance = np.linalg.norm(ca[:, :, None] - placed[None, None, :-3], axis=-1)
        penalty += 25.0 * (distance < CLASH_ANGSTROM).sum(axis=(1, 2))
    if kind == "D":
        return penalty
    centre = placed.mean(axis=0) if len(placed) else np.zeros(3)
    spread = np.linalg.norm(ca - centre, axis=-1).mean(axis=1)
    if style == "membrane" and kind == "H":
        axis = ca[:, -1] - ca[:, 0]
        cosine = axis[:, 2] / np.maximum(np.linalg.norm(axis, axis=1), 1e-6)  # a cut helix may be one residue
        return penalty + 40.0 * np.abs(cosine - (1 if turn % 2 == 0 else -1)) + 0.5 * spread
    return penalty - spread if style == "elongated" else penalty + spread


def build_backbone(states: str, style: str, rng: np.random.Generator) -> np.ndarray:
    """Return N, CA and C of every residue, [L, 3, 3] float32 in angstrom, centred on the mean C-alpha.

    ``states`` has one of H (helix), E (strand), C (loop), D (disordered) per residue; ``style`` is ``compact``,
    ``elongated`` or ``membrane``, whose helices run up and down the z axis. The same ``rng`` gives the same trace.
    """
    # A first residue in a standard position, dropped again at the end.
    angle = np.radians(ANGLE["N-CA-C"])
    first_c = BOND["N-CA"] * np.array([1.0, 0, 0]) - BOND["CA-C"] * np.array([np.cos(angle), -np.sin(angle), 0])
    chain = np.array([[[0.0, 0, 0], [BOND["N-CA"], 0, 0], first_c]])
    psi, helices = 2.4, 0
    for kind, run in groupby(states):
        torsions = _torsions(kind, len(list(run)), TRIALS, rng)
        grown = _extend(np.repeat(chain[-1:], TRIALS, axis=0), np.full(TRIALS, psi), torsions)
        best = int(_score(grown[:, :, 1], chain[1:, 1], kind, style, helices).argmin())
        chain, psi = np.concatenate([chain, grown[best]]), torsions[best, -1, 1]
        helices += kind == "H"
    return (chain[1:] - chain[1:, 1].mean(axis=0)).astype(np.float32)


def confidence_of(states: str, rng: np.random.Generator) -> np.ndarray:
    """Return pLDDT per residue, [L] float32 in 0..100: high in helix and strand, low in disorder."""
    level = {"H": 91.0, "E": 89.0, "C": 78.0, "D": 38.0}
    value = np.array([level[s] for s in states]) + rng.normal(0.0, 4.0, len(states))
    return np.clip(value, 20.0, 98.5).astype(np.float32)
