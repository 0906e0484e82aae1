"""Names of proteins: what may become part of a path or an address, and what AlphaFold DB knows."""

import re

from halo_utils.errors import DataError

# Letters, digits, dot, dash and underscore, no dot in front: cannot leave a folder or change an address.
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
LONGEST = 64
# UniProt's own pattern (uniprot.org/help/accession_numbers), with the number of an isoform.
UNIPROT = re.compile(r"(?:[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2})(?:-[0-9]+)?")


def is_safe(accession: str) -> bool:
    """Return whether a name may become part of a path or an address."""
    return len(accession) <= LONGEST and SAFE.fullmatch(accession) is not None


def is_uniprot(accession: str) -> bool:
    """Return whether a name is a UniProt accession, such as P04637, A0A0A0MS01 or P04637-2."""
    return UNIPROT.fullmatch(accession) is not None


def check_accession(accession: str) -> str:
    """Return the accession unchanged.

    Raises:
        DataError: if it is empty, or could leave a folder or change an address (slashes, spaces, URL characters).
    """
    if not is_safe(accession):
        raise DataError(
            f"accession {accession[:80]!r} is not valid: expected up to {LONGEST} letters, digits, '-', '_' or inner"
            " dots, such as P04637; rename the protein"
        )
    return accession
