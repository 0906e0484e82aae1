"""The synthetic demo proteome, from one seed: proteins with the field's known sorting signals, folds and pLDDT.

A *family* shares an ancestor and a split. No sequence occurs in nature, no result says anything of real proteins.
"""

import re
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
from tqdm import tqdm

from halo_utils.core.files import atomic_path, digest, write_text
from halo_utils.data.deeploc import DEEPLOC
from halo_utils.data.record import STANDARD, Dataset
from halo_utils.data.synthetic.folds import build_backbone, confidence_of
from halo_utils.data.synthetic.signals import (
    C_SIGNALS,
    LOOSE,
    N_SIGNALS,
    PAIR_HEADS,
    PAIR_TAILS,
    Piece,
    pick,
    plain_start,
)

Span = tuple[int, int]  # of residues, from the first on and before the second
SYNTHETIC = Dataset("synthetic", "synthetic demo proteome", DEEPLOC)
CACHE_VERSION = 1  # of what is kept between runs; raised by hand when a change here changes numbers
# Swiss-Prot composition in per cent (UniProtKB/Swiss-Prot release statistics, 2024), order of STANDARD.
BACKGROUND = np.array(
    [8.25, 1.38, 5.46, 6.72, 3.86, 7.07, 2.27, 5.91, 5.80, 9.64]
    + [2.41, 4.06, 4.74, 3.93, 5.53, 6.65, 5.36, 6.86, 1.10, 2.92]
)
# How a location's composition departs from the background, as factors per residue. Directions follow
# Cedano et al. 1997 and Andrade et al. 1998 (acid and lysine inside, cysteine and threonine outside, serine,
# proline and lysine in nuclear proteins, aliphatic residues in membranes). ER, lysosome and Golgi share one
# composition on purpose, and so do cytoplasm and peroxisome: signals and folds tell them apart.
SECRETED = {"C": 3.0, "T": 1.5, "N": 1.4, "G": 1.4, "Y": 1.3, "K": 0.7, "E": 0.6}
LUMENAL = {"C": 2.2, "T": 1.4, "N": 1.4, "G": 1.2, "Y": 1.3, "K": 0.7, "E": 0.7}
CYTOSOLIC = {"E": 1.35, "K": 1.25, "D": 1.2, "C": 0.7}
COMPOSITION: dict[str, dict[str, float]] = {
    "Cytoplasm": CYTOSOLIC,
    "Nucleus": {"S": 1.6, "P": 1.4, "K": 1.4, "R": 1.4, "Q": 1.2, "F": 0.6, "I": 0.6, "V": 0.7},
    "Extracellular": SECRETED,
    "Cell membrane": {"L": 1.2, "F": 1.3, "W": 1.3, "I": 1.2, "E": 0.7, "D": 0.8},
    "Mitochondrion": {"A": 1.3, "R": 1.3, "V": 1.15, "G": 1.15, "D": 0.75, "E": 0.8, "C": 0.7},
    "Plastid": {"S": 1.3, "A": 1.25, "V": 1.25, "G": 1.2, "K": 1.1, "Q": 0.7, "C": 0.7},
    "Endoplasmic reticulum": LUMENAL,
    "Lysosome/Vacuole": LUMENAL,
    "Golgi apparatus": LUMENAL,
    "Peroxisome": CYTOSOLIC,
}
# The usual fold of a location: (repeating unit of secondary structure, style of the trace).
FOLDS: dict[str, tuple[str, str]] = {
    "Cytoplasm": ("HHHHHHHHHHHHCCCCEEEEEECCCC", "compact"),
    "Nucleus": ("HHHHHHHHHHHCCCC", "compact"),
    "Extracellular": ("EEEEEEECCCC", "compact"),
    "Cell membrane": ("HHHHHHHHHHHHHHHHHHHHHHCCCCCC", "membrane"),
    "Mitochondrion": ("EEEEECCCCHHHHHHHHHHHHCCCC", "compact"),
    "Plastid": ("EEEEECCCCHHHHHHHHHHCCCC", "compact"),
    "Endoplasmic reticulum": ("HHHHHHHHHHHHHHCCCC", "compact"),
    "Lysosome/Vacuole": ("EEEEECCCHHHHHHHHHCCC", "compact"),
    "Golgi apparatus": ("HHHHHHHHHHHHHHHHHHHHHHHHHHHHHHCC", "elongated"),
    "Peroxisome": ("EEEEEECCC", "elongated"),
}
# Families by location set, in proportion to the proteins of DeepLoc 2.0 (rare sets enlarged so that every
# location occurs in every split); 21-25 % of the proteins carry two locations.
FAMILY_SHARE: dict[tuple[str, ...], float] = {
    ("Cytoplasm",): 34, ("Nucleus",): 34, ("Cytoplasm", "Nucleus"): 26, ("Extracellular",): 20,
    ("Cell membrane",): 19, ("Mitochondrion",): 16, ("Plastid",): 9, ("Endoplasmic reticulum",): 9,
    ("Lysosome/Vacuole",): 8, ("Golgi apparatus",): 8, ("Cytoplasm", "Cell membrane"): 6,
    ("Peroxisome",): 8, ("Endoplasmic reticulum", "Golgi apparatus"): 5, ("Cell membrane", "Lysosome/Vacuole"): 5,
    ("Cytoplasm", "Mitochondrion"): 5,
}  # fmt: skip
# Families are dealt in this order. Validation and test are large, as inference is cheap: thresholds and the gate's band
# then rest on about 200 proteins each and do not change with the last bits of a processor's arithmetic.
SPLITS = ("train", "train", "val", "test")
FAMILY_SIZES = (2, 1)
KINGDOMS = ["Metazoa", "Fungi", "Other"]  # of all but plastid proteins
SUBSTITUTION_RATE = 0.3  # share of ancestral residues that a member changes
STRUCTURE_SHARE = 0.85  # the others have no structure file, as in real life
USUAL_FOLD = 0.85  # chance that a family has the usual fold of its location


def frequencies(location: str) -> np.ndarray:
    """Return the residue frequencies of a location, [20], in the order of STANDARD, summing to one."""
    factor = np.array([COMPOSITION[location].get(a, 1.0) for a in STANDARD])
    return BACKGROUND * factor / (BACKGROUND * factor).sum()


def _domain(locations: tuple[str, ...], rng: np.random.Generator) -> tuple[str, str, str]:
    """Return ancestral sequence, states and trace style of the folded part of a family."""
    fold_of = locations[0] if rng.random() < USUAL_FOLD else str(rng.choice(list(FOLDS)))
    if "Cell membrane" in locations:
        fold_of = "Cell membrane"
    unit, style = FOLDS[fold_of]
    states = (unit * 20)[: int(rng.integers(60, 105))]
    share = np.mean([frequencies(p) for p in locations], axis=0)
    residues = rng.choice(list(STANDARD), size=len(states), p=share)
    if style == "membrane":
        residues = [pick(rng, "LLLIVFAGLW" if state == "H" else "KRSGTNQKR", 1) for state in states]
    # proline breaks helix and strand
    kept = ({"H": "A", "E": "V"}.get(s, a) if a == "P" else a for a, s in zip(residues, states, strict=True))
    return "".join(kept), states, style


def _member(locations: tuple[str, ...], domain: tuple[str, str, str], rng: np.random.Generator) -> Piece:
    """Return one protein of a family: signals of its locations around a copy of the domain with substitutions."""
    sequence, states, style = domain
    share = np.mean([frequencies(p) for p in locations], axis=0)
    if style == "membrane":  # substitutions keep the helices hydrophobic
        share = np.where([a in "LIVFAGW" for a in STANDARD], 4.0, 0.4) * share
        share /= share.sum()
    changed = rng.random(len(sequence)) < SUBSTITUTION_RATE
    drawn = rng.choice(list(STANDARD), size=len(sequence), p=share)
    drawn = ["A" if s in "HE" and a == "P" else a for a, s in zip(drawn, states, strict=True)]
    body = "".join(new if c else old for old, new, c in zip(sequence, drawn, changed, strict=True))
    head = PAIR_HEADS.get(locations) or next((N_SIGNALS[p] for p in locations if p in N_SIGNALS), plain_start)
    tail = PAIR_TAILS.get(locations) or next((C_SIGNALS[p] for p in locations if p in C_SIGNALS), None)
    protein = head(rng) + Piece(body, states, LOOSE * len(body))
    return protein + tail(rng) if tail else protein


def make_proteome(n_proteins: int, seed: int) -> tuple[pd.DataFrame, dict[str, tuple[str, str]]]:
    """Draw about ``n_proteins``: dataset table, and accession -> (states, trace style) of those with structure."""
    return _proteome(n_proteins, seed)[:2]


def planted_signals(n_proteins: int, seed: int) -> dict[str, list[Span]]:
    """Return where ``make_proteome`` of the same numbers has put sorting signals: accession -> spans, 0-based.

    A span is what a generator of ``signals`` marks, without loose flanks; plain cytosolic proteins have none.
    """
    return _proteome(n_proteins, seed)[2]


def _proteome(n_proteins: int, seed: int) -> tuple[pd.DataFrame, dict[str, tuple[str, str]], dict[str, list[Span]]]:
    """Return the dataset table, folds and spans of signals."""
    rng = np.random.default_rng([seed, 20])
    rows, folds, signals, family = [], {}, {}, 0
    unit = n_proteins / np.mean(FAMILY_SIZES) / sum(FAMILY_SHARE.values())
    for locations, share in FAMILY_SHARE.items():
        for index in range(max(len(SPLITS), round(unit * share))):  # at least one family per split
            domain = _domain(locations, rng)
            for _ in range(FAMILY_SIZES[(index // len(SPLITS)) % len(FAMILY_SIZES)]):
                accession = f"SYN{len(rows):05d}"
                member = _member(locations, domain, rng)
                signals[accession] = [match.span() for match in re.finditer("S+", member.marks)]
                row = {"accession": accession, "sequence": member.sequence, "split": SPLITS[index % len(SPLITS)]}
                row["kingdom"] = "Viridiplantae" if "Plastid" in locations else str(rng.choice(KINGDOMS))
                rows.append(row | {"family": family} | {name: int(name in locations) for name in DEEPLOC})
                if rng.random() < STRUCTURE_SHARE:
                    folds[accession] = (member.states, domain[2])
            family += 1
    return pd.DataFrame(rows), folds, signals


def write_structures(table: pd.DataFrame, folds: dict[str, tuple[str, str]], folder: Path, seed: int) -> None:
    """Write ``<accession>.pdb`` for every fold, pLDDT as B-factor; files of the same code and seed are kept."""
    sequences = table.set_index("accession")["sequence"]
    key, note = digest(seed, sequences.to_dict(), CACHE_VERSION), folder / "made_from"
    if not note.is_file() or note.read_text(encoding="utf-8") != key:
        for path in folder.glob("*.pdb"):
            path.unlink()
        write_text(note, key)
    for number, (accession, (states, style)) in enumerate(tqdm(folds.items(), desc="structures", leave=False)):
        path = folder / f"{accession}.pdb"
        if path.is_file():
            continue
        rng = np.random.default_rng([seed, 30, number])
        backbone = build_backbone(states, style, rng)
        with atomic_path(path) as temporary:
            model = gemmi_structure(accession, sequences[accession], backbone, confidence_of(states, rng))
            model.write_pdb(str(temporary))


def write_examples(folder: Path, locations: tuple[str, ...], n_proteins: int, seed: int) -> tuple[Path, Path]:
    """Write one test protein made for each location alone: return a FASTA file and a folder with their structures."""
    table, folds = make_proteome(n_proteins, seed)
    alone = table[(table["split"] == "test") & (table[list(DEEPLOC)].sum(axis=1) == 1)]
    alone = alone[alone["accession"].isin(folds)]
    chosen = pd.concat([alone[alone[location] == 1].head(1) for location in locations])
    proteins = zip(chosen["accession"], locations, chosen["sequence"], strict=True)
    records = [f">{name} synthetic, made for {place}\n{residues}\n" for name, place, residues in proteins]
    structures = folder / "structures"
    structures.mkdir(parents=True, exist_ok=True)
    write_structures(chosen, {name: folds[name] for name in chosen["accession"]}, structures, seed)
    return write_text(folder / "examples.fasta", "".join(records)), structures


def gemmi_structure(name: str, sequence: str, backbone: np.ndarray, plddt: np.ndarray) -> gemmi.Structure:
    """Return a gemmi structure with one chain A from N/CA/C positions [L, 3, 3] and pLDDT [L]."""
    structure, model, chain = gemmi.Structure(), gemmi.Model(1), gemmi.Chain("A")
    structure.name = f"{name} SYNTHETIC"
    for i, residue_name in enumerate(gemmi.expand_one_letter_sequence(sequence, gemmi.ResidueKind.AA)):
        residue = gemmi.Residue()
        residue.name, residue.seqid = residue_name, gemmi.SeqId(i + 1, " ")
        for atom_name, element, position in zip(("N", "CA", "C"), ("N", "C", "C"), backbone[i], strict=True):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.b_iso = atom_name, gemmi.Element(element), float(plddt[i])
            atom.pos = gemmi.Position(*map(float, position))
            residue.add_atom(atom)
        chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    structure.setup_entities()
    return structure
