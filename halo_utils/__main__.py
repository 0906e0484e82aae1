"""The command line ``python -m halo_utils VERB``; what a verb needs is imported only when it is asked for."""

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from halo_utils.core.errors import HaloError, SettingsError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

# The four overrides that every notebook takes as well; -1 and an empty text leave the profile's value.
Profile = Annotated[str, typer.Option(help="demo, quick, mini, paper, or the path of a YAML file")]
Dataset = Annotated[str, typer.Option(help="data set instead of the profile's")]
MaxProteins = Annotated[int, typer.Option(help="size of the stratified subset instead of the profile's, 0 for all")]
Seed = Annotated[int, typer.Option(help="seed instead of the profile's")]


@app.command()
def run(
    notebook: Annotated[str, typer.Option(help="run this notebook only, by number or name")] = "",
    output: Annotated[Path | None, typer.Option(help="executed copy of a single notebook")] = None,
    parameters: Annotated[list[str] | None, typer.Option("-p", metavar="NAME VALUE", help="a parameter")] = None,
    profile: Profile = "demo",
    dataset: Dataset = "",
    max_proteins: MaxProteins = -1,
    seed: Seed = -1,
) -> None:
    """Run the numbered notebooks of a profile in order, or one of them."""
    from halo_utils.commands.run import literal, run_notebooks

    common = {"profile": profile, "dataset": dataset, "max_proteins": max_proteins, "seed": seed}
    common = {name: value for name, value in common.items() if value not in ("", -1)}
    if lone := [pair for pair in parameters or () if "=" not in pair]:
        raise SettingsError(f"-p {lone[0]}: expected a name and a value, -p NAME VALUE")
    given = dict(pair.split("=", 1) for pair in parameters or ())
    run_notebooks(common | {name: literal(value) for name, value in given.items()}, notebook, output)


@app.command()
def fetch(
    what: Annotated[list[str] | None, typer.Argument(help="the same as --only", metavar="WHAT")] = None,
    only: Annotated[list[str] | None, typer.Option(help="tables, structures, contacts, backbone, or a file")] = None,
    structures_from: Annotated[
        str, typer.Option(help="alphafold, human, swissprot, foldcomp, a path, or the address of a tar")
    ] = "alphafold",
    coordinates_only: Annotated[bool, typer.Option(help="keep N, CA, C and pLDDT, not whole files")] = False,
    fasta: Annotated[Path | None, typer.Option(help="fetch the structures of these proteins instead")] = None,
    status: Annotated[bool, typer.Option("--status", help="say what is where; fetch nothing")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="compare what is here with what was published")] = False,
    profile: Profile = "quick",
    dataset: Dataset = "",
    max_proteins: MaxProteins = -1,
    seed: Seed = -1,
) -> None:
    """Bring the tables, structures and backbone of a profile to this machine; ``contacts``: an archive of edges."""
    from halo_utils.commands import fetch as command

    if status or verify:
        raise typer.Exit(command.verify() if verify else command.status())
    settings = _settings(profile, dataset, max_proteins, seed)
    asked = [*(what or ()), *(only or ())]
    raise typer.Exit(command.fetch(settings, asked, structures_from, fasta, coordinates_only))


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="esm, gat or pair", metavar="MODEL")],
    pair: Annotated[int | None, typer.Option(help="with pair: position in the weight grid, from 0")] = None,
    output: Annotated[Path | None, typer.Option(help="JSON file for the validation score")] = None,
    profile: Profile = "demo",
    dataset: Dataset = "",
    max_proteins: MaxProteins = -1,
    seed: Seed = -1,
) -> None:
    """Train one model, which the notebooks then read back; several processes under torchrun share its batches."""
    from halo_utils.commands import train as command

    command.train(_settings(profile, dataset, max_proteins, seed), model, pair=pair, output=output)


@app.command()
def predict(
    fasta: Annotated[Path, typer.Argument(help="proteins, plain or compressed FASTA; - is standard input")],
    structures: Annotated[Path | None, typer.Option(help="folder with <name>.pdb or <name>.cif files")] = None,
    model: Annotated[Path | None, typer.Option(help="folder of a model instead of the one that ships")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the results instead of <FASTA>-locations")] = None,
    alphafold: Annotated[bool, typer.Option("--alphafold", help="look missing structures up in AlphaFold DB")] = False,
    thresholds: Annotated[str, typer.Option(help="one, or per-location")] = "one",
    training: Annotated[Path | None, typer.Option(help="dataset.parquet of the model's run, for neighbours")] = None,
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed or auto")] = "32-true",
    explain: Annotated[int, typer.Option(help="proteins of the report with the importance of their residues")] = 5,
    shard: Annotated[
        str, typer.Option(help="I/N: answer every N-th part from the I-th, the call without it joins")
    ] = "",
) -> None:
    """Predict the locations of proteins: CSV, JSON Lines and a report."""
    from halo_utils.commands import predict as command

    options = {"model": model, "out": out, "structures": structures, "look_up": alphafold, "thresholds": thresholds}
    command.predict_fasta(fasta, **options, training=training, precision=precision, shard=shard, explained=explain)


@app.command()
def export_model(
    out: Annotated[Path, typer.Option(help="folder to write, replaced if it is there")] = Path("data/checkpoints/halo"),
    profile: Profile = "mini",
    dataset: Dataset = "",
    max_proteins: MaxProteins = -1,
    seed: Seed = -1,
) -> None:
    """Write the models of a finished run, with thresholds, calibration and model card, as one directory."""
    from halo_utils.runs.export import export_model as export

    predictor = export(_settings(profile, dataset, max_proteins, seed), out)
    size = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    print(f"{out}: {size:.1f} MB, {len(predictor.locations)} locations, run {predictor.run}")


@app.command()
def pretrain(
    start: Annotated[Path | None, typer.Option(help="begin with the weights of this directory")] = None,
    ship: Annotated[Path | None, typer.Option(help="write the model as a Hugging Face directory there")] = None,
    profile: Profile = "demo",
    dataset: Dataset = "",
    max_proteins: MaxProteins = -1,
    seed: Seed = -1,
) -> None:
    """Pre-train a small ESM-2 as the profile's group pretrain says; called again, it goes on from its last round."""
    from halo_utils.pretraining import model_card, train

    done = train.pretrain(_settings(profile, dataset, max_proteins, seed), start)
    if ship:
        model_card.ship(done.model, done.history, done.facts, ship)
    facts = done.facts
    print(f"perplexity {facts['perplexity']} (unigram {facts['unigram_perplexity']}) after {facts['tokens']:,} tokens")


@app.command()
def summary(profile: Profile = "demo", dataset: Dataset = "", max_proteins: MaxProteins = -1, seed: Seed = -1) -> None:
    """Say what a run found: seconds and memory per notebook, headline metrics."""
    from halo_utils.commands.summary import run_summary

    print(run_summary(_settings(profile, dataset, max_proteins, seed).paths))


def _settings(profile: str, dataset: str, max_proteins: int, seed: int):  # noqa: ANN202 - pydantic is imported late
    from halo_utils.config import load_settings

    return load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed)


def _joined(arguments: Iterable[str]) -> Iterator[str]:
    """Yield the arguments, papermill's ``-p NAME VALUE`` as ``-p NAME=VALUE``: typer repeats no option of two words."""
    words = iter(arguments)
    for word in words:
        yield word
        if word == "-p":
            yield "=".join(islice(words, 2))


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return 0, 1 for a failed notebook, 2 for any error raised on purpose, 130 for Ctrl-C."""
    try:
        app([*_joined(sys.argv[1:] if arguments is None else arguments)], prog_name="python -m halo_utils")
    except HaloError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit as ended:  # typer ends with 0, with 2 for a wrong option, and with 130 for Ctrl-C
        if ended.code == 130:
            print("interrupted: run the same command again, it goes on where it stopped", file=sys.stderr)
        return ended.code or 0
    except Exception as error:
        if type(error).__name__ != "PapermillExecutionError":  # not imported here: it takes a second
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
