"""The lists of locations, one per data set, in the publisher's column order; the only place they live."""

from halo_utils.core.errors import SettingsError

# DeepLoc 2.0 (Thumuluri et al. 2022), column order of Swissprot_Train_Validation_dataset.csv.
DEEPLOC = (
    "Cytoplasm",
    "Nucleus",
    "Extracellular",
    "Cell membrane",
    "Mitochondrion",
    "Plastid",
    "Endoplasmic reticulum",
    "Lysosome/Vacuole",
    "Golgi apparatus",
    "Peroxisome",
)
# Column order of hpa_testset.csv: DeepLoc's locations without Extracellular and Plastid.
HPA = (
    "Cell membrane",
    "Cytoplasm",
    "Endoplasmic reticulum",
    "Golgi apparatus",
    "Lysosome/Vacuole",
    "Mitochondrion",
    "Nucleus",
    "Peroxisome",
)
# HPA has 2 proteins of Lysosome/Vacuole and 7 of Peroxisome: too few to measure anything on.
HPA_SUPPORTED = tuple(place for place in HPA if place not in ("Lysosome/Vacuole", "Peroxisome"))
# Luo et al. 2024 (bbad534); row order of HALO's Table 4, spelled as in the label column of the files.
LUO2024 = (
    "Cell junction",
    "Cell membrane",
    "Cell projection",
    "Cytoplasm",
    "Endoplasmic reticulum",
    "Golgi apparatus",
    "Lysosome",
    "Mitochondrion",
    "Nucleus",
    "Secreted",
)
LOCATIONS: dict[str, tuple[str, ...]] = {"synthetic": DEEPLOC, "deeploc2": DEEPLOC, "luo2024": LUO2024}
SUPPORTED = {"hpa": HPA_SUPPORTED}  # test sets that know fewer locations than their data set
# Spellings of one location in the paper's tables and in the data files.
SYNONYMS = {
    "Cell Membrane": "Cell membrane",
    "Endoplasmic Reticulum": "Endoplasmic reticulum",
    "ER": "Endoplasmic reticulum",
    "Golgi Apparatus": "Golgi apparatus",
    "Cell Junction": "Cell junction",
    "Cell Projection": "Cell projection",
}


def locations(dataset: str) -> tuple[str, ...]:
    """Return the K locations of ``dataset`` in column order.

    Raises:
        SettingsError: if the data set is unknown.
    """
    if dataset not in LOCATIONS:
        raise SettingsError(f"unknown data set {dataset!r}: use one of {', '.join(sorted(LOCATIONS))}")
    return LOCATIONS[dataset]


def supported(dataset: str, split: str) -> tuple[str, ...]:
    """Return the locations of ``dataset`` that can be measured on ``split``, in column order."""
    known = SUPPORTED.get(split, locations(dataset))
    return tuple(place for place in locations(dataset) if place in known)


def canonical(name: str) -> str:
    """Return the spelling used by the data files for a location written as in the paper's tables."""
    return SYNONYMS.get(name, name)
