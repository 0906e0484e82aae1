"""Sorting signals of the synthetic proteome, one generator each; a signal is sequence plus structure states.

Every generator takes a random generator and returns a ``Piece``; papers are named where a signal follows one.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Piece:
    """A stretch of sequence with its secondary-structure states, both of the same length."""

    sequence: str
    states: str


def pick(rng: np.random.Generator, residues: str, n: int) -> str:
    """Return ``n`` residues drawn from ``residues``; repeat a letter to make it likelier."""
    return "".join(rng.choice(list(residues), size=n))


def plain_start(rng: np.random.Generator) -> Piece:
    """Start of a protein without N-terminal signal: methionine and a few polar residues."""
    sequence = "M" + pick(rng, "SAEGTDK", int(rng.integers(2, 10)))
    return Piece(sequence, "D" * len(sequence))


def signal_peptide(rng: np.random.Generator) -> Piece:
    """n-region, hydrophobic h-region, c-region with the A-X-A cleavage motif (von Heijne 1985)."""
    n = "M" + pick(rng, "KRKRST", int(rng.integers(2, 5)))
    h = pick(rng, "LLLLAVFI", int(rng.integers(9, 13)))
    c = pick(rng, "GSTPQ", 2) + "A" + pick(rng, "SLQH", 1) + "A"
    return Piece(n + h + c, "C" * len(n) + "H" * len(h) + "D" * len(c))


def presequence(rng: np.random.Generator) -> Piece:
    """Mitochondrial presequence: amphipathic helix, arginine every three to four residues, no acid."""
    turns = int(rng.integers(5, 8))
    helix = "".join(
        "R" + pick(rng, "LAFLS", 2) + (pick(rng, "ASL", 1) if rng.random() < 0.5 else "") for _ in range(turns)
    )
    sequence = "M" + pick(rng, "LAS", 1) + helix + "S" + pick(rng, "YTFS", 2)
    return Piece(sequence, "H" * (len(sequence) - 3) + "DDD")


def transit_peptide(rng: np.random.Generator) -> Piece:
    """Plastid transit peptide: MA start, rich in serine, threonine and alanine, poor in acid."""
    sequence = "MA" + pick(rng, "SSSSTTAAVLPKRN", int(rng.integers(28, 42))) + "V" + pick(rng, "RK", 1) + "A"
    return Piece(sequence, "D" * len(sequence))


def nuclear_signal(rng: np.random.Generator) -> Piece:
    """Monopartite (SV40-like) or bipartite (nucleoplasmin-like) nuclear localisation signal in a loose tail."""
    if rng.random() < 0.6:
        core = "P" + pick(rng, "KKKR", 3) + pick(rng, "RK", 1) + "K" + pick(rng, "VR", 1)
    else:
        core = pick(rng, "KR", 2) + pick(rng, "PATGQS", 10) + pick(rng, "KKR", 4)
    sequence = pick(rng, "SPSGQED", int(rng.integers(5, 12))) + core + pick(rng, "SPSGQ", int(rng.integers(3, 8)))
    return Piece(sequence, "D" * len(sequence))


def shuttling_signal(rng: np.random.Generator) -> Piece:
    """Nuclear localisation signal followed by a leucine-rich export signal, LX(2-3)LX(2-3)LXL (la Cour et al. 2004)."""
    nls = nuclear_signal(rng)
    export = (
        "L" + pick(rng, "EQKSD", 3) + pick(rng, "LIF", 1) + pick(rng, "EQKSD", 2) + "L" + pick(rng, "EDKT", 1) + "L"
    )
    sequence = export + pick(rng, "DESG", 3)
    return Piece(nls.sequence + sequence, nls.states + "H" * len(export) + "DDD")


def myristoylation(rng: np.random.Generator) -> Piece:
    """N-myristoylation site MGXXXS and a basic patch: soluble proteins that also sit at the membrane."""
    sequence = "MG" + pick(rng, "CNQS", 3) + "S" + pick(rng, "KKRKS", int(rng.integers(4, 8)))
    return Piece(sequence, "D" * len(sequence))


def signal_anchor(rng: np.random.Generator) -> Piece:
    """Type II membrane anchor of Golgi enzymes: short cytosolic tail, arginine, one membrane helix."""
    tail = "M" + pick(rng, "SGTRKN", int(rng.integers(4, 9))) + pick(rng, "RK", 2)
    helix = pick(rng, "LLLFVIAW", int(rng.integers(17, 20)))
    return Piece(tail + helix + "SS", "D" * len(tail) + "H" * len(helix) + "CC")


def lysosomal_tail(rng: np.random.Generator) -> Piece:
    """Dileucine [DE]XXXL[LI] or tyrosine YXX[FILMV] sorting motif in a loose C-terminal tail."""
    if rng.random() < 0.5:
        motif = pick(rng, "DE", 1) + pick(rng, "RQNTS", 3) + "L" + pick(rng, "LI", 1)
    else:
        motif = "G" + "Y" + pick(rng, "EQTS", 2) + pick(rng, "FILMV", 1)
    sequence = pick(rng, "RKSG", 4) + motif + pick(rng, "SPG", 2)
    return Piece(sequence, "D" * len(sequence))


def er_retention(rng: np.random.Generator) -> Piece:
    """KDEL or HDEL C-terminus behind the acidic stretch of calreticulin and BiP (Munro and Pelham 1987)."""
    sequence = pick(rng, "EEDEDAP", int(rng.integers(6, 12))) + str(rng.choice(["KDEL", "KDEL", "HDEL"]))
    return Piece(sequence, "D" * len(sequence))


def peroxisomal_signal(rng: np.random.Generator) -> Piece:
    """Peroxisomal targeting signal 1, SKL or a near relative at the C-terminus (Gould et al. 1989)."""
    sequence = pick(rng, "SGQAK", 4) + str(rng.choice(["SKL", "SKL", "AKL", "SRL"]))
    return Piece(sequence, "D" * len(sequence))


N_SIGNALS = {
    "Extracellular": signal_peptide, "Endoplasmic reticulum": signal_peptide, "Lysosome/Vacuole": signal_peptide,
    "Mitochondrion": presequence, "Plastid": transit_peptide, "Golgi apparatus": signal_anchor,
}  # fmt: skip
# Proteins of two locations that are told apart by a signal of the pair, in place of the single ones.
PAIR_HEADS = {
    ("Cytoplasm", "Cell membrane"): myristoylation,
    ("Endoplasmic reticulum", "Golgi apparatus"): signal_anchor,
}
PAIR_TAILS = {("Cytoplasm", "Nucleus"): shuttling_signal}
C_SIGNALS = {
    "Nucleus": nuclear_signal, "Endoplasmic reticulum": er_retention, "Lysosome/Vacuole": lysosomal_tail,
    "Peroxisome": peroxisomal_signal,
}  # fmt: skip
