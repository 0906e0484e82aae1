"""Sorting signals as simple rules from the literature: patterns to annotate a protein with, not predictors.

Every rule finds signals it should and sequences it should not; ``hit_rates`` says how often, location by location.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from halo_utils.data.splits import label_matrix
from halo_utils.embeddings.biochemistry import raw_properties

Span = tuple[int, int]  # of residues, 0-based, from the first on and before the second
HYDROPATHY = {letter: values[0] for letter, values in raw_properties().items()}  # Kyte and Doolittle 1982
N_TERMINUS = 35  # residues in which a signal peptide's h-region begins and ends
H_REGION, H_HYDROPATHY = 8, 2.0  # residues, mean hydropathy
PRESEQUENCE, TRANSIT = 20, 40  # residues looked at
MEMBRANE_WINDOW, MEMBRANE_HYDROPATHY = 19, 1.6  # Kyte and Doolittle 1982, for membrane-spanning segments


@dataclass(frozen=True)
class SignalRule:
    """A named rule: the location it speaks for, where it was published, and what finds its spans in a sequence."""

    name: str
    location: str
    source: str
    find: Callable[[str], list[Span]]


def pattern(expression: str) -> Callable[[str], list[Span]]:
    """Return what finds a regular expression, spans that do not overlap."""
    compiled = re.compile(expression)
    return lambda sequence: [match.span() for match in compiled.finditer(sequence)]


def hydropathy_means(sequence: str, window: int) -> np.ndarray:
    """Return the mean hydropathy of every window, [L - window + 1] float64, none for a shorter sequence.

    Letters beyond the 20 count as 0.
    """
    values = np.array([HYDROPATHY.get(letter, 0.0) for letter in sequence])
    return np.convolve(values, np.full(window, 1 / window), "valid") if len(values) >= window else np.empty(0)


def merged(starts: Sequence[int], width: int) -> list[Span]:
    """Return the stretches that windows of one width at increasing starts cover together."""
    spans: list[Span] = []
    for start in map(int, starts):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], start + width)
        else:
            spans.append((start, start + width))
    return spans


def h_region(sequence: str) -> list[Span]:
    """Return the hydrophobic core of a signal peptide, if there is one.

    A window of ``H_REGION`` residues without charge, with a mean hydropathy of ``H_HYDROPATHY`` or more, which ends in
    the first ``N_TERMINUS`` residues (von Heijne 1985, J Mol Biol 184:99, n-, h- and c-region), and within 3 to 12
    residues behind its core a place that signal peptidase accepts: small residues at -1 and -3, the rule of von Heijne
    1986 (Nucleic Acids Res 14:4683), proline at none of -3 to +1. The windows that pass are joined.
    """
    head = sequence[:N_TERMINUS]
    means = hydropathy_means(head, H_REGION)
    fitting = [i for i in np.flatnonzero(means >= H_HYDROPATHY) if not set(head[i : i + H_REGION]) & set("DEKR")]
    for start, stop in merged(fitting, H_REGION)[:1]:
        behind = sequence[stop - 3 : stop + 14]  # the c-region's residues may prolong the window
        if re.search(r"[AVSTCGIL][^DEKRPHFYW][AGSCT](?!P)", behind):
            return [(start, stop)]
    return []


def presequence(sequence: str) -> list[Span]:
    """Return the stretch of a mitochondrial presequence, if the start of the protein looks like one.

    Its first ``PRESEQUENCE`` residues hold no acid, three or more basic residues, two of them arginine, and three or
    more of leucine, alanine and serine: the bias that von Heijne 1986 (EMBO J 5:1335) found; that it folds into an
    amphiphilic helix is not asked for.
    """
    head = sequence[:PRESEQUENCE]
    count = {letters: sum(head.count(a) for a in letters) for letters in ("DE", "KR", "R", "LAS")}
    fits = not count["DE"] and count["KR"] >= 3 and count["R"] >= 2 and count["LAS"] >= 3
    return [(0, len(head))] if fits and len(head) == PRESEQUENCE else []


def transit_peptide(sequence: str) -> list[Span]:
    """Return the stretch of a plastid transit peptide, if the start of the protein looks like one.

    Its first ``TRANSIT`` residues are serine or threonine to a fourth and hold one acid at most (von Heijne et al.
    1989, Eur J Biochem 180:535). A presequence may pass, too.
    """
    head = sequence[:TRANSIT]
    hydroxyl, acid = (sum(head.count(a) for a in letters) for letters in ("ST", "DE"))
    return [(0, TRANSIT)] if len(head) == TRANSIT and 4 * hydroxyl >= TRANSIT and acid <= 1 else []


def bipartite(sequence: str) -> list[Span]:
    """Return bipartite nuclear localisation signals: two basic residues, ten to twelve any, three basic ones of five.

    Robbins et al. 1991, Cell 64:615; Dingwall and Laskey 1991, Trends Biochem Sci 16:478. Of spans that overlap the
    first one counts.
    """
    spans: list[Span] = []
    for start in (match.start() for match in re.finditer(r"(?=[KR]{2})", sequence)):
        tails = [(start + 2 + gap, start + 7 + gap) for gap in (10, 11, 12)]
        fitting = [stop for begin, stop in tails if sum(a in "KR" for a in sequence[begin:stop]) >= 3]
        if fitting and fitting[0] <= len(sequence) and (not spans or start >= spans[-1][1]):
            spans.append((start, fitting[0]))
    return spans


def membrane_windows(sequence: str) -> list[Span]:
    """Return stretches hydrophobic enough to span a membrane.

    Windows of 19 residues with a mean hydropathy of 1.6 or more, joined (Kyte and Doolittle 1982, J Mol Biol 157:105).
    """
    means = hydropathy_means(sequence, MEMBRANE_WINDOW)
    return merged(np.flatnonzero(means >= MEMBRANE_HYDROPATHY), MEMBRANE_WINDOW)


RULES = (
    SignalRule("signal peptide, h-region", "Extracellular", "von Heijne 1985, 1986", h_region),
    SignalRule("mitochondrial presequence", "Mitochondrion", "von Heijne 1986", presequence),
    SignalRule("plastid transit peptide", "Plastid", "von Heijne et al. 1989", transit_peptide),
    # Gould et al. 1989, J Cell Biol 108:1657: which of the last three residues may be replaced by which
    SignalRule("PTS1", "Peroxisome", "Gould et al. 1989", pattern(r"[SAC][KRH][LM]$")),
    # Munro and Pelham 1987, Cell 48:899; Pelham et al. 1988, EMBO J 7:1757 (HDEL)
    SignalRule("KDEL or HDEL", "Endoplasmic reticulum", "Munro and Pelham 1987", pattern(r"[KH]DEL$")),
    # Chelsky et al. 1989, Mol Cell Biol 9:2487: K, K or R, any, K or R
    SignalRule("monopartite NLS", "Nucleus", "Chelsky et al. 1989", pattern(r"K[KR].[KR]")),
    SignalRule("bipartite NLS", "Nucleus", "Robbins et al. 1991", bipartite),
    SignalRule("transmembrane window", "Cell membrane", "Kyte and Doolittle 1982", membrane_windows),
)


def annotate(sequence: str) -> pd.DataFrame:
    """Return where the rules match one protein: rule, location, start and stop, 1-based and inclusive, and source."""
    rows = [
        (rule.name, rule.location, start + 1, stop, rule.source)
        for rule in RULES
        for start, stop in rule.find(sequence)
    ]
    return pd.DataFrame(rows, columns=["rule", "location", "start", "stop", "source"])


def hit_rates(table: pd.DataFrame, locations: Sequence[str]) -> pd.DataFrame:
    """Return how often each rule matches the proteins annotated with its location, and the others.

    ``table`` has sequence and a 0/1 column per location. Columns: rule, location, source, proteins there, rate there,
    rate elsewhere; NaN where there is no protein. Rules for a location that the table does not have are left out.
    """
    labels, rows = dict(zip(locations, label_matrix(table, locations).T.astype(bool), strict=True)), []
    if "Secreted" in labels:  # luo2024's name
        labels["Extracellular"] = labels["Secreted"]
    for rule in (rule for rule in RULES if rule.location in labels):
        hit, there = np.array([bool(rule.find(s)) for s in table["sequence"]], dtype=bool), labels[rule.location]
        rates = [hit[mask].mean() if mask.any() else np.nan for mask in (there, ~there)]
        rows.append((rule.name, rule.location, rule.source, int(there.sum()), *rates))
    columns = ["rule", "location", "source", "proteins there", "rate there", "rate elsewhere"]
    return pd.DataFrame(rows, columns=columns)
