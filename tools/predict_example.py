"""What predicting prints, for README: asked about two synthetic proteins, written and not typed."""

import csv
import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from halo_utils.commands.predict import predict_fasta
from halo_utils.core.files import write_text
from halo_utils.data.synthetic.proteome import write_examples
from halo_utils.runs.answers import csv_header

FASTA, MADE_FOR, SEED = "my_proteins.fasta", ("Nucleus", "Extracellular"), 7
COLUMNS = ("name", "predicted", "length", "residues_read", "in_training")
NUMBERS = ",".join(str(csv_header(()).index(name) + 1) for name in COLUMNS)  # of the columns, as cut counts
COMMANDS = (
    f"make predict FASTA={FASTA}",
    f"cut -d, -f {NUMBERS} {FASTA.split('.')[0]}-locations/predictions.csv",
    f".venv/bin/python -m webbrowser {FASTA.split('.')[0]}-locations/report.html",
)


def asked(folder: Path) -> tuple[str, list[list[str]]]:
    """Predict the examples in a folder; return what is printed and the chosen columns of the table, header first."""
    fasta, _ = write_examples(folder / "made", MADE_FOR, 800, SEED)
    write_text(folder / FASTA, fasta.read_text(encoding="utf-8"))
    printed = StringIO()
    with chdir(folder), redirect_stdout(printed), redirect_stderr(StringIO()):
        out = predict_fasta(Path(FASTA))
        with (out / "predictions.csv").open(encoding="utf-8", newline="") as table:
            rows = list(csv.DictReader(table))
    return printed.getvalue(), [list(COLUMNS), *([row[c] for c in COLUMNS] for row in rows)]


def block() -> str:
    """Return README's block: the three commands, and what the first two print."""
    with TemporaryDirectory() as name:
        printed, rows = asked(Path(name))
    lines = [line for line in printed.splitlines() if not line.startswith(os.sep)]
    table = [",".join(row) for row in rows]
    commands = "\n".join(COMMANDS)
    return f"```bash\n{commands}\n```\n\n```text\n" + "\n".join([*lines, *table]) + "\n```"
