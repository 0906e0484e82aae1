"""Biochemical properties of amino acids, one row per residue, each with its published source."""

from functools import cache

import numpy as np
from Bio.SeqUtils import IUPACData
from Bio.SeqUtils.IsoelectricPoint import negative_pKs, positive_pKs
from Bio.SeqUtils.ProtParamData import kd

from halo_utils.data.record import STANDARD

COMPOSITION = 3 * len(STANDARD) + 1  # features that ``composition`` returns
PROPERTIES = ("hydropathy", "charge", "polarity", "mass")
WATER_DALTON = 18.015  # lost by every residue in a peptide bond
PH = 7.0
# Grantham 1974, Science 185:862, table 1 (AAindex GRAR740102); dimensionless.
POLARITY = {
    "A": 8.1, "R": 10.5, "N": 11.6, "D": 13.0, "C": 5.5, "Q": 10.5, "E": 12.3, "G": 9.0, "H": 10.4, "I": 5.2,
    "L": 4.9, "K": 11.3, "M": 5.7, "F": 5.2, "P": 8.0, "S": 9.2, "T": 8.6, "W": 5.4, "Y": 6.2, "V": 5.9,
}  # fmt: skip
# How residues outside the 20 are read: their parent, the mean of the two they may be, or the overall mean.
STAND_INS = {"U": "C", "O": "K", "B": "DN", "Z": "EQ", "X": STANDARD}


def raw_properties() -> dict[str, tuple[float, float, float, float]]:
    """Return hydropathy, charge at pH 7, polarity and residue mass (dalton) of the 20 amino acids.

    Source: hydropathy Kyte and Doolittle 1982; pKa Bjellqvist et al. 1993; polarity Grantham 1974; mass IUPAC average
    masses less one water. All but polarity are Biopython's tables.
    """
    mass, charge = IUPACData.protein_weights, {a: 1.0 / (1.0 + 10 ** (PH - pk)) for a, pk in positive_pKs.items()}
    charge |= {a: -1.0 / (1.0 + 10 ** (pk - PH)) for a, pk in negative_pKs.items()}  # Henderson-Hasselbalch
    return {a: (kd[a], charge.get(a, 0.0), POLARITY[a], mass[a] - WATER_DALTON) for a in STANDARD}


@cache
def _table() -> np.ndarray:
    """Return [128, 4] float32, standardised properties indexed by character code; NaN for other letters."""
    values = np.array([raw_properties()[a] for a in STANDARD])
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    scaled = dict(zip(STANDARD, values, strict=True))
    scaled |= {letter: np.mean([scaled[a] for a in parents], axis=0) for letter, parents in STAND_INS.items()}
    table = np.full((128, len(PROPERTIES)), np.nan, dtype=np.float32)
    table[[ord(letter) for letter in scaled]] = list(scaled.values())
    return table


def biochemistry(sequence: str) -> np.ndarray:
    """Return the properties of L residues, [L, 4] float32 in the order of PROPERTIES; U, O, B, Z, X as STAND_INS says.

    Each has mean 0 and variance 1 over the 20 amino acids, so that dalton and charges meet on one scale.
    """
    return _table()[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]


def composition(sequence: str, n_end: int = 50, c_end: int = 30) -> np.ndarray:
    """Return shares of amino acids in all, the first and the last residues, and log10 of the length, [61] float32."""
    regions = (sequence, sequence[:n_end], sequence[-c_end:])
    shares = [[region.count(a) / len(region) for a in STANDARD] for region in regions]
    return np.array([*np.concatenate(shares), np.log10(len(sequence))], dtype=np.float32)
