"""The data sets by name; adding one means a file with its record, and its name here."""

from halo_utils.data.deeploc import DEEPLOC2
from halo_utils.data.luo2024 import LUO
from halo_utils.data.record import Dataset
from halo_utils.data.synthetic.proteome import SYNTHETIC

DATASETS: dict[str, Dataset] = {record.name: record for record in (SYNTHETIC, DEEPLOC2, LUO)}
