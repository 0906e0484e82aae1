"""The locations of every data set, in the publisher's column order, and one spelling for each."""

from halo_utils.core.errors import SettingsError
from halo_utils.data.datasets import DATASETS
from halo_utils.data.deeploc import DEEPLOC, HPA, HPA_SUPPORTED
from halo_utils.data.luo2024 import LUO2024

__all__ = ["DEEPLOC", "HPA", "HPA_SUPPORTED", "LUO2024", "canonical", "locations", "supported"]
SPELLINGS = {name.lower(): name for record in DATASETS.values() for name in record.locations}
SPELLINGS["er"] = "Endoplasmic reticulum"


def locations(dataset: str) -> tuple[str, ...]:
    """Return the K locations of ``dataset`` in column order; SettingsError if the data set is unknown."""
    if dataset not in DATASETS:
        raise SettingsError(f"unknown data set {dataset!r}: use one of {', '.join(sorted(DATASETS))}")
    return DATASETS[dataset].locations


def supported(dataset: str, test_set: str) -> tuple[str, ...]:
    """Return the locations of ``dataset`` that can be measured on ``test_set``, in column order."""
    measurable = DATASETS[dataset].supported.get(test_set, locations(dataset))
    return tuple(location for location in locations(dataset) if location in measurable)


def canonical(name: str) -> str:
    """Return the spelling used by the data files for a location written as in the paper's tables."""
    return SPELLINGS.get(name.lower(), name)
