"""Sorting signals of the synthetic proteome, one generator each; papers are named where a signal follows one."""

import re
from dataclasses import dataclass
from functools import partial

import numpy as np

LOOSE = "~"  # before a part of a pattern that belongs to no signal: flanks, plain starts
PART = re.compile(r"\[([A-Z]+)\](?:\((\d+),?(\d*)\))?|\{([A-Z|]+)\}|([A-Z]+)")


@dataclass(frozen=True)
class Piece:
    """A stretch of sequence with its secondary-structure states and, per residue, S in a sorting signal, else ``~``."""

    sequence: str
    states: str
    marks: str

    def __add__(self, other: "Piece") -> "Piece":
        return Piece(self.sequence + other.sequence, self.states + other.states, self.marks + other.marks)


def pick(rng: np.random.Generator, residues: str, least: int, most: int = 0) -> str:
    """Return ``least`` residues, or up to ``most``, drawn from ``residues``; repeat a letter to make it likelier."""
    size = int(rng.integers(least, most + 1)) if most else least
    return "".join(rng.choice(list(residues), size=size))


def draw(pattern: str, rng: np.random.Generator) -> Piece:
    """Return a piece drawn from a pattern such as ``C:M[KR](2,4) H:[LV](9) {KDEL|HDEL}``, by default disordered.

    A letter stands for itself, ``[KR](2,4)`` for two to four of these, ``{KDEL|HDEL}`` for one of these words. All of
    it is signal but the parts that begin with ``~``.
    """
    piece = Piece("", "", "")
    for part in pattern.split():
        mark, part = (LOOSE, part[1:]) if part[0] == LOOSE else ("S", part)
        state = part[0] if part[1] == ":" else "D"
        for residues, least, most, words, itself in PART.findall(part.removeprefix(f"{state}:")):
            text = pick(rng, residues, int(least or 1), int(most or 0)) if residues else itself
            text = str(rng.choice(words.split("|"))) if words else text
            piece += Piece(text, state * len(text), mark * len(text))
    return piece


# Start of a protein without N-terminal signal: methionine and a few polar residues.
plain_start = partial(draw, "~M[SAEGTDK](2,9)")
# n-region, hydrophobic h-region, c-region with the A-X-A cleavage motif (von Heijne 1985).
signal_peptide = partial(draw, "C:M[KRKRST](2,4) H:[LLLLAVFI](9,12) [GSTPQ](2)A[SLQH]A")
# Plastid transit peptide: MA start, rich in serine, threonine and alanine, poor in acid.
transit_peptide = partial(draw, "MA[SSSSTTAAVLPKRN](28,41)V[RK]A")
# N-myristoylation site MGXXXS and a basic patch: soluble proteins that also sit at the membrane.
myristoylation = partial(draw, "MG[CNQS](3)S[KKRKS](4,7)")
# Type II membrane anchor of Golgi enzymes: short cytosolic tail, arginine, one membrane helix.
signal_anchor = partial(draw, "~M[SGTRKN](4,8) [RK](2) H:[LLLFVIAW](17,19) ~C:SS")
# KDEL or HDEL C-terminus behind the acidic stretch of calreticulin and BiP (Munro and Pelham 1987).
er_retention = partial(draw, "[EEDEDAP](6,11){KDEL|KDEL|HDEL}")
# Peroxisomal targeting signal 1, SKL or a near relative at the C-terminus (Gould et al. 1989).
peroxisomal_signal = partial(draw, "~[SGQAK](4) {SKL|SKL|AKL|SRL}")


def presequence(rng: np.random.Generator) -> Piece:
    """Mitochondrial presequence: amphipathic helix, arginine every three to four residues, no acid."""
    turns = range(int(rng.integers(5, 8)))
    helix = "".join("R" + pick(rng, "LAFLS", 2) + pick(rng, "ASL", int(rng.random() < 0.5)) for _ in turns)
    return draw("H:M[LAS]", rng) + Piece(helix, "H" * len(helix), "S" * len(helix)) + draw("S[YTFS](2)", rng)


def nuclear_signal(rng: np.random.Generator) -> Piece:
    """Monopartite (SV40-like) or bipartite (nucleoplasmin-like) nuclear localisation signal in a loose tail."""
    core = draw("P[KKKR](3)[RK]K[VR]" if rng.random() < 0.6 else "[KR](2)[PATGQS](10)[KKR](4)", rng)
    return draw("~[SPSGQED](5,11)", rng) + core + draw("~[SPSGQ](3,7)", rng)


def shuttling_signal(rng: np.random.Generator) -> Piece:
    """Nuclear localisation signal followed by a leucine-rich export signal, LX(2-3)LX(2-3)LXL (la Cour et al. 2004)."""
    return nuclear_signal(rng) + draw("H:L[EQKSD](3)[LIF][EQKSD](2)L[EDKT]L ~[DESG](3)", rng)


def lysosomal_tail(rng: np.random.Generator) -> Piece:
    """Dileucine [DE]XXXL[LI] or tyrosine YXX[FILMV] sorting motif in a loose C-terminal tail."""
    motif = draw("[DE][RQNTS](3)L[LI]" if rng.random() < 0.5 else "GY[EQTS](2)[FILMV]", rng)
    return draw("~[RKSG](4)", rng) + motif + draw("~[SPG](2)", rng)


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
