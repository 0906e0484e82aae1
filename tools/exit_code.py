"""How the tools that write something end."""

import sys
from collections.abc import Callable

from halo_utils.core.errors import HaloError


def exit_code(write: Callable[[], object]) -> int:
    """Call ``write``; return 0, or 2 after one line on standard error where it cannot be done."""
    try:
        write()
    except HaloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
