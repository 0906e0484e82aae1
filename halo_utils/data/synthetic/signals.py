"""Sorting signals of the synthetic proteome, one generator each; papers are named where a signal follows one."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Piece:
    """A stretch of sequence with its secondary-structure states, both of the same length."""

    sequence: str
    states: str

    def __add__(self, other: "Piece") -> "Piece":
        return Piece(self.sequence + other.sequence, self.states + other.states)


def pick(rng: np.random.Generator, residues: str, least: int, most: int = 0) -> str:
    """Return ``least`` residues, or up to ``most``, drawn from ``residues``; repeat a letter to make it likelier."""
    size = int(rng.integers(least, most + 1)) if most else least
    return "".join(rng.choice(list(residues), size=size))


def loose(sequence: str) -> Piece:
    """Return a disordered piece."""
    return Piece(sequence, "D" * len(sequence))


def plain_start(rng: np.random.Generator) -> Piece:
    """Start of a protein without N-terminal signal: methionine and a few polar residues."""
    return loose("M" + pick(rng, "SAEGTDK", 2, 9))


def signal_peptide(rng: np.random.Generator) -> Piece:
    """n-region, hydrophobic h-region, c-region with the A-X-A cleavage motif (von Heijne 1985)."""
    n, h = "M" + pick(rng, "KRKRST", 2, 4), pick(rng, "LLLLAVFI", 9, 12)
    c = pick(rng, "GSTPQ", 2) + "A" + pick(rng, "SLQH", 1) + "A"
    return Piece(n + h, "C" * len(n) + "H" * len(h)) + loose(c)


def presequence(rng: np.random.Generator) -> Piece:
    """Mitochondrial presequence: amphipathic helix, arginine every three to four residues, no acid."""
    turns = range(int(rng.integers(5, 8)))
    helix = "".join("R" + pick(rng, "LAFLS", 2) + pick(rng, "ASL", int(rng.random() < 0.5)) for _ in turns)
    helix = "M" + pick(rng, "LAS", 1) + helix
    return Piece(helix, "H" * len(helix)) + loose("S" + pick(rng, "YTFS", 2))


def transit_peptide(rng: np.random.Generator) -> Piece:
    """Plastid transit peptide: MA start, rich in serine, threonine and alanine, poor in acid."""
    return loose("MA" + pick(rng, "SSSSTTAAVLPKRN", 28, 41) + "V" + pick(rng, "RK", 1) + "A")


def nuclear_signal(rng: np.random.Generator) -> Piece:
    """Monopartite (SV40-like) or bipartite (nucleoplasmin-like) nuclear localisation signal in a loose tail."""
    if rng.random() < 0.6:
        core = "P" + pick(rng, "KKKR", 3) + pick(rng, "RK", 1) + "K" + pick(rng, "VR", 1)
    else:
        core = pick(rng, "KR", 2) + pick(rng, "PATGQS", 10) + pick(rng, "KKR", 4)
    return loose(pick(rng, "SPSGQED", 5, 11) + core + pick(rng, "SPSGQ", 3, 7))


def shuttling_signal(rng: np.random.Generator) -> Piece:
    """Nuclear localisation signal followed by a leucine-rich export signal, LX(2-3)LX(2-3)LXL (la Cour et al. 2004)."""
    localisation = nuclear_signal(rng)
    export = "L" + pick(rng, "EQKSD", 3) + pick(rng, "LIF", 1) + pick(rng, "EQKSD", 2) + "L" + pick(rng, "EDKT", 1)
    return localisation + Piece(export + "L", "H" * (len(export) + 1)) + loose(pick(rng, "DESG", 3))


def myristoylation(rng: np.random.Generator) -> Piece:
    """N-myristoylation site MGXXXS and a basic patch: soluble proteins that also sit at the membrane."""
    return loose("MG" + pick(rng, "CNQS", 3) + "S" + pick(rng, "KKRKS", 4, 7))


def signal_anchor(rng: np.random.Generator) -> Piece:
    """Type II membrane anchor of Golgi enzymes: short cytosolic tail, arginine, one membrane helix."""
    tail, helix = "M" + pick(rng, "SGTRKN", 4, 8) + pick(rng, "RK", 2), pick(rng, "LLLFVIAW", 17, 19)
    return loose(tail) + Piece(helix + "SS", "H" * len(helix) + "CC")


def lysosomal_tail(rng: np.random.Generator) -> Piece:
    """Dileucine [DE]XXXL[LI] or tyrosine YXX[FILMV] sorting motif in a loose C-terminal tail."""
    if rng.random() < 0.5:
        motif = pick(rng, "DE", 1) + pick(rng, "RQNTS", 3) + "L" + pick(rng, "LI", 1)
    else:
        motif = "GY" + pick(rng, "EQTS", 2) + pick(rng, "FILMV", 1)
    return loose(pick(rng, "RKSG", 4) + motif + pick(rng, "SPG", 2))


def er_retention(rng: np.random.Generator) -> Piece:
    """KDEL or HDEL C-terminus behind the acidic stretch of calreticulin and BiP (Munro and Pelham 1987)."""
    return loose(pick(rng, "EEDEDAP", 6, 11) + str(rng.choice(["KDEL", "KDEL", "HDEL"])))


def peroxisomal_signal(rng: np.random.Generator) -> Piece:
    """Peroxisomal targeting signal 1, SKL or a near relative at the C-terminus (Gould et al. 1989)."""
    return loose(pick(rng, "SGQAK", 4) + str(rng.choice(["SKL", "SKL", "AKL", "SRL"])))


N_SIGNALS = {
    "Extracellular": signal_peptide, "Endoplasmic reticulum": signal_peptide, "Lysosome/Vacuole": signal_peptide,
    "Mitochondrion": presequence, "Plastid": transit_peptide, "Golgi apparatus": signal_anchor,
}  # fmt: skip
C_SIGNALS = {
    "Nucleus": nuclear_signal, "Endoplasmic reticulum": er_retention, "Lysosome/Vacuole": lysosomal_tail,
    "Peroxisome": peroxisomal_signal,
}  # fmt: skip
# Proteins of two locations that are told apart by a signal of the pair, in place of the single ones.
PAIR_HEADS = {
    ("Cytoplasm", "Cell membrane"): myristoylation, ("Endoplasmic reticulum", "Golgi apparatus"): signal_anchor,
}  # fmt: skip
PAIR_TAILS = {("Cytoplasm", "Nucleus"): shuttling_signal}
