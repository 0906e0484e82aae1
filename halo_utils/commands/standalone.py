"""What the first cell of every notebook asks for: its inputs, where the notebook stands alone (Colab, one file)."""

from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from halo_utils.commands.run import earlier, executed_path, run_notebooks
from halo_utils.config import load_settings
from halo_utils.core.paths import IN_CHECKOUT, output_root

OVERRIDES = {"profile": "", "dataset": "", "max_proteins": -1, "seed": -1}  # what chooses a run: unset values


def set_up(name: str, variables: Mapping[str, Any]) -> None:
    """Run the demo's notebooks before this one, if the package was installed without its repository.

    In a checkout nothing happens: there the reader runs the notebooks in order. Runs of real proteins take hours and
    need files, so of them the message says only what is missing.

    Args:
        name: file name of the notebook, without its ending.
        variables: the notebook's own; those of ``OVERRIDES`` choose the run.
    """
    if IN_CHECKOUT:
        return
    chosen = {key: variables[key] for key, unset in OVERRIDES.items() if variables.get(key, unset) != unset}
    settings = load_settings(**chosen)
    print(f"run {settings.run_name}: files are read and written below {output_root()}")
    missing = [path.stem for path in earlier(name) if not executed_path(settings, path).is_file()]
    if not missing:
        return
    if not settings.is_synthetic:
        words = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in chosen.items())
        print(
            f"{name} needs what {', '.join(missing)} make; run `python -m halo_utils run {words}` first, see RUNNING.md"
        )
        return
    print(f"{name} needs what {', '.join(missing)} make: they run now, once; on two cores the demo takes minutes")
    for stem in (bar := tqdm(missing, unit="notebook")):
        bar.set_description(stem)
        run_notebooks(chosen, notebook=stem)
