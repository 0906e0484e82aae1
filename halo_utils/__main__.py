"""The command line: ``python -m halo_utils run | fetch | pretrain | summary | weight-pair``."""

import sys
from importlib import import_module

VERBS = {
    "run": "commands.run",
    "fetch": "commands.fetch",
    "pretrain": "pretraining.train",
    "summary": "commands.summary",
    "weight-pair": "training.weight_grid",
}


def main() -> int:
    """Hand the arguments after the verb to the module behind it; return the exit code."""
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb not in VERBS:
        print(f"usage: python -m halo_utils {{{','.join(VERBS)}}} ...", file=sys.stderr)
        return 2
    return import_module(f"halo_utils.{VERBS[verb]}").main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
