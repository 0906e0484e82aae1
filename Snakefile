# Executes the numbered notebooks in order through `python -m halo_utils run`; the rule related, those that read a run. A notebook is stale when its own file, the
# package, the profile or a notebook it builds on is newer than its executed copy. With `--config grid=jobs` every pair of
# notebook 04's weight grid is a job of its own, for clusters (see slurm/config.yaml). The rule predict, with `--config
# fasta=FILE shards=N`, answers the proteins of a FASTA file in N jobs that share one folder, and joins their parts.
import sys
from pathlib import Path
from shlex import quote

from halo_utils.commands.run import earlier, executed_path, notebooks, related_notebooks
from halo_utils.config import load_settings, profile_path


def given(name):
    """Return a config value as text, empty when `make` passed none."""
    value = config.get(name)
    return "" if value is None else str(value)


PROFILE = given("profile") or "demo"
OVERRIDES = {name: given(name) for name in ("dataset", "max_proteins", "seed") if given(name)}
OVERRIDES |= {name: int(value) for name, value in OVERRIDES.items() if name != "dataset"}
SETTINGS = load_settings(PROFILE, **OVERRIDES)

BOOKS, RELATED = ({path.stem: path for path in paths} for paths in (notebooks(), related_notebooks()))
EXECUTED = {book: str(executed_path(SETTINGS, path)) for book, path in (BOOKS | RELATED).items()}
IS_GRID = SETTINGS.gat.weights.mode == "grid"  # other modes never look at the grid
GRID = SETTINGS.gat.weights.pairs if given("grid") == "jobs" and IS_GRID else []
PAIRS = [str(SETTINGS.paths.work / "gat" / f"pair_{number}.json") for number in range(len(GRID))]
OPTIONS = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in {"profile": PROFILE, **OVERRIDES}.items())
PACKAGE = [str(path) for path in sorted(Path("halo_utils").rglob("*.py"))] + [str(profile_path(PROFILE))]


rule all:
    input:
        [EXECUTED[book] for book in BOOKS],


rule related:
    input:
        [EXECUTED[book] for book in RELATED],


for book, path in (BOOKS | RELATED).items():

    rule:
        name:
            f"notebook_{book}"
        input:
            notebook=str(path),
            package=PACKAGE,
            before=[EXECUTED[path.stem] for path in earlier(book)],
            pairs=PAIRS if book.startswith("04") else [],
        output:
            EXECUTED[book],
        threads: workflow.cores  # a job may use them all; Snakemake passes this on as OMP_NUM_THREADS
        params:
            book=book,
        shell:
            "{sys.executable} -m halo_utils run --notebook {params.book} --output {output} {OPTIONS}"


rule weight_pair:
    input:
        package=PACKAGE,
        before=[EXECUTED[path.stem] for path in earlier("04_gat_weighting")],
    output:
        str(SETTINGS.paths.work / "gat" / "pair_{pair}.json"),
    threads: workflow.cores
    shell:
        "{sys.executable} -m halo_utils train pair --pair {wildcards.pair} --output {output} {OPTIONS}"


FASTA, SHARDS = given("fasta"), int(given("shards") or 1)
ANSWERS = given("out") or f"{Path(FASTA).name.split('.')[0]}-locations"
ASKED = {"model": given("model"), "structures": given("structures"), "out": ANSWERS}
ASKED = " ".join(f"--{name} {quote(value)}" for name, value in ASKED.items() if value)

if FASTA:

    rule predict_shard:
        input:
            FASTA,
        output:
            touch(f"{ANSWERS}/shards/{{shard}}.done"),
        threads: max(1, workflow.cores // SHARDS)
        params:
            asked=f"{quote(FASTA)} {ASKED}",
        shell:
            "{sys.executable} -m halo_utils predict {params.asked} --shard {wildcards.shard}/{SHARDS}"

    rule predict:
        input:
            FASTA,
            shards=expand(f"{ANSWERS}/shards/{{shard}}.done", shard=range(SHARDS)),
        output:
            f"{ANSWERS}/predictions.csv",
        params:
            asked=f"{quote(FASTA)} {ASKED}",
            shards=quote(f"{ANSWERS}/shards"),
        shell:
            "{sys.executable} -m halo_utils predict {params.asked} && rm -r {params.shards}"
