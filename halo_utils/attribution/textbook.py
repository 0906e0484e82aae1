"""Proteins whose sorting signals stand in textbooks: does importance lie where the signals are?

Only positions are kept here. The sequences are read from DeepLoc 2.0 where HALO_DATA_DIR has it, or not at all.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from halo_utils.attribution.occlusion import WINDOW, Predictor, importance_inside, residue_importance
from halo_utils.data.deeploc import FILES, read_deeploc2
from halo_utils.data.registry import local_copy


@dataclass(frozen=True)
class TextbookSignal:
    """A signal of a protein: the first group of ``where`` marks it, and what stands around it has to be there, too.

    Behind a cleaved signal that is the start of the mature protein, as UniProtKB's features (release 2024) have it.
    """

    accession: str
    protein: str
    signal: str
    location: str
    where: str
    source: str = "UniProtKB, sequence features"


def _cleaved(accession: str, protein: str, signal: str, location: str, length: int, mature: str) -> TextbookSignal:
    return TextbookSignal(accession, protein, signal, location, f"^(.{{{length}}}){mature}")


MUNRO, GOULD = "Munro and Pelham 1987, Cell 48:899", "Gould et al. 1989, J Cell Biol 108:1657"
SECRETED, MITOCHONDRIAL = ("signal peptide", "Extracellular"), ("presequence", "Mitochondrion")
LUMENAL, PEROXISOMAL, NUCLEAR = "Endoplasmic reticulum", "Peroxisome", "Nucleus"
SIGNALS = (
    _cleaved("P01034", "cystatin C", *SECRETED, 26, "SSPGK"),
    _cleaved("P02649", "apolipoprotein E", *SECRETED, 18, "KVEQA"),
    _cleaved("P27797", "calreticulin", "signal peptide", LUMENAL, 17, "EPAVY"),
    _cleaved("P07237", "protein disulfide-isomerase", "signal peptide", LUMENAL, 17, "DAPEE"),
    TextbookSignal("P27797", "calreticulin", "KDEL", LUMENAL, "(KDEL)$", MUNRO),
    TextbookSignal("P07237", "protein disulfide-isomerase", "KDEL", LUMENAL, "(KDEL)$", MUNRO),
    TextbookSignal("P11021", "BiP", "KDEL", LUMENAL, "(KDEL)$", MUNRO),
    TextbookSignal("P16474", "BiP of yeast (Kar2)", "HDEL", LUMENAL, "(HDEL)$", "Pelham et al. 1988, EMBO J 7:1757"),
    _cleaved("P00480", "ornithine transcarbamylase", *MITOCHONDRIAL, 32, "NKVQL"),
    _cleaved("P25705", "ATP synthase subunit alpha", *MITOCHONDRIAL, 43, "QKTGT"),
    _cleaved("P00505", "aspartate aminotransferase 2", *MITOCHONDRIAL, 29, "SSWWT"),
    _cleaved("P13073", "cytochrome c oxidase subunit 4", *MITOCHONDRIAL, 22, "AHESV"),
    TextbookSignal("P08659", "firefly luciferase", "PTS1", PEROXISOMAL, "(SKL)$", GOULD),
    TextbookSignal("Q15067", "acyl-CoA oxidase 1", "PTS1", PEROXISOMAL, "(SKL)$", GOULD),
    TextbookSignal("P02545", "lamin A", "monopartite NLS", NUCLEAR, "(KKRKLE)"),
    TextbookSignal("P04637", "p53", "bipartite NLS", NUCLEAR, "(KR.{12}KKK)"),
    TextbookSignal(
        "P01106", "c-Myc", "monopartite NLS", NUCLEAR, "(PAAKRVKLD)", "Dang and Lee 1988, Mol Cell Biol 8:4048"
    ),
)


def textbook_proteins() -> pd.DataFrame | None:
    """Return accession, sequence and split of these proteins from DeepLoc 2.0; None where its file is not at hand.

    Proteins that DeepLoc 2.0 lacks are missing. DataError if the file is not as published.
    """
    path = local_copy(FILES[0])
    if path is None:
        return None
    table = read_deeploc2(path)[0]
    return table.loc[table["accession"].isin({s.accession for s in SIGNALS}), ["accession", "sequence", "split"]]


def measure_textbook(
    predictor: Predictor, proteins: pd.DataFrame, window: int = WINDOW, stride: int = 1
) -> pd.DataFrame:
    """Return, per textbook signal, how much of the importance for its location lies in it, by occlusion.

    ``proteins`` are of ``textbook_proteins``. Columns: protein, signal, location, residues, split, share inside, by
    chance, times chance, peak (the 1-based residue of largest importance, how many residues it is off the signal), and
    source. By chance: the share of the residues read that are the signal's. Signals of proteins that are absent, are
    not read or do not hold the signal, and locations that the model does not know, are left out.
    """
    by_name, rows = proteins.set_index("accession"), []
    for signal in SIGNALS:
        if signal.accession not in by_name.index or signal.location not in predictor.locations:
            continue
        sequence, split = by_name.loc[signal.accession, ["sequence", "split"]]
        if (match := re.search(signal.where, sequence)) is None:
            continue
        start, stop = match.span(1)
        importance = residue_importance(predictor, sequence, [signal.location], window, stride)[0]
        inside, read = np.zeros(len(sequence), dtype=bool), np.isfinite(importance)
        inside[start:stop] = True
        if not read[inside].all():
            continue
        share, chance, peak = importance_inside(importance, inside), inside[read].mean(), int(np.nanargmax(importance))
        off = max(start - peak, peak - stop + 1, 0)
        row = (signal.protein, signal.signal, signal.location, f"{start + 1}-{stop} of {len(sequence)}", split)
        rows.append((*row, share, chance, share / chance, peak + 1, off, signal.source))
    columns = ["protein", "signal", "location", "residues", "split", "share inside", "by chance", "times chance"]
    return pd.DataFrame(rows, columns=[*columns, "peak", "residues off", "source"])
