"""The shipped model of a finished run: sequence model, weighted graph network, gate, calibration and model card."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined

from halo_utils.config import Settings
from halo_utils.core.errors import DataError
from halo_utils.core.files import write_csv
from halo_utils.core.paths import shown
from halo_utils.data.audit import SEEN
from halo_utils.data.datasets import DATASETS
from halo_utils.data.fasta import sequence_hash
from halo_utils.data.registry import registry
from halo_utils.data.splits import held_out_sets
from halo_utils.evaluation import scoring
from halo_utils.evaluation.systems import TITLES, gate_system
from halo_utils.evaluation.temperature import before_and_after, choose_temperatures
from halo_utils.evaluation.test_sets import WITH_GRAPH, EvaluationSet, evaluation_set
from halo_utils.evaluation.thresholds import choose_label_thresholds
from halo_utils.models.gat import Weights
from halo_utils.models.predictor import HaloPredictor, load_predictor
from halo_utils.runs import artifacts, wording
from halo_utils.runs.recipe import graph_data, train_gat
from halo_utils.training.fit import Fit
from halo_utils.training.locate import locate

ESM, GAT = "esm", "gat_weighted"
COMPARED = 50  # proteins with a structure, and as many without, that the shipped model must predict as the run did
CLOSE = 0.02  # mean difference of a probability; float16 weights and another arithmetic stay far below
RELIABILITY = "reliability.csv"


def export_model(settings: Settings, folder: Path) -> HaloPredictor:
    """Write what a finished run learned to ``folder``, which is replaced, and return it as it is read back.

    Nothing is trained; all choices are made on validation. DataError or TrainingError if the run lacks notebook 02, 04
    or 05, or what was written does not predict what the run predicted.
    """
    table = artifacts.load_table(settings)
    stored = {name: artifacts.load_predictions(settings, name) for name in (ESM, GAT)}
    results = settings.source.results
    metrics = scoring.read_metrics(results / "metrics.csv")
    sequence_folder = settings.source.work / "classifier"
    sequence = load_predictor(sequence_folder)
    weights, learned = chosen_weights(settings)
    trained = train_gat(settings, graph_data(settings, table, "finetuned"), weights, learned=learned, trained=True)
    facts, calibration = _choices(settings, table, stored)
    described = graph_facts(settings, trained, weights, learned) | {"threshold": facts.pop("gat_threshold")}
    config = json.loads((sequence_folder / "config.json").read_text(encoding="utf-8"))
    hashes = sorted({sequence_hash(s) for s in table.loc[table["split"].isin(SEEN), "sequence"]})
    facts |= {"gate": {"confident": settings.gate.confident, "rule": settings.gate.rule}, "graph": described}
    facts |= {"training_proteins": len(hashes), "run": settings.source_run}
    predictor = HaloPredictor(**config | facts)
    predictor.load_state_dict(sequence.state_dict(), strict=False)
    predictor.learn_graph_from(trained.model, trained.loss.threshold_logit)
    predictor.seen_hashes.copy_(torch.tensor(hashes, dtype=torch.int64))
    agreement = compare(settings, table, predictor.eval().requires_grad_(False), stored)
    share = pd.read_csv(results / "read_share.csv")
    predictor.card = card(settings, table, predictor, metrics, calibration, agreement, share)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        complete = Path(temporary) / folder.name
        predictor.save_pretrained(complete)
        write_csv(complete / RELIABILITY, calibration)
        shutil.rmtree(folder, ignore_errors=True)
        complete.rename(folder)
    return load_predictor(folder)


def chosen_weights(settings: Settings) -> tuple[Weights, bool]:
    """Return the feature weights of the run's weighted network, and whether they were learned from there."""
    group = settings.gat.weights
    if group.mode != "grid":
        return (group.coord, group.esm, group.bio), group.mode == "learned"
    path = settings.source.results / "weight_grid.csv"
    if not path.is_file():
        raise DataError(f"{shown(path)} not found: run notebook 04_gat_weighting of profile {settings.profile} first")
    best = pd.read_csv(path).iloc[0]  # sorted by validation macro F1
    return (float(best["coord"]), float(best["esm"]), float(best["bio"])), False


def graph_facts(settings: Settings, trained: Fit, weights: Weights, learned: bool) -> dict[str, Any]:
    """Return what ``HaloPredictor`` must know to build the run's graph network and its graphs."""
    gat, width = settings.gat, artifacts.load_embeddings(settings, "finetuned").width
    size = {"layers": gat.layers, "heads": gat.heads, "hidden": gat.hidden}
    weighted = {"widths": [3, width, 4], "weights": list(weights), "learned_weights": learned}
    return size | weighted | {"coordinates": gat.coordinates, "cutoff_angstrom": gat.cutoff_angstrom}


def _choices(
    settings: Settings, table: pd.DataFrame, stored: dict[str, pd.DataFrame]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return thresholds and temperatures chosen on validation, and what the temperatures do on the main test set."""
    dataset, step = settings.data.dataset, settings.evaluation.threshold_step
    val = evaluation_set(table, "val", dataset)
    prob, locations = val.join(stored[ESM]), val.locations
    own = choose_label_thresholds(val.y, prob, locations, "val", step)
    temperatures = choose_temperatures(val.y, prob)
    test = _main_set(settings, table)
    calibration = before_and_after(test.y, test.join(stored[ESM]), temperatures, locations)
    facts = {
        "threshold": scoring.tune(table, stored[ESM], dataset, step).value,
        "gat_threshold": scoring.tune(table, stored[GAT], dataset, step).value,
        "label_thresholds": {name: own[name].value for name in locations},
        "temperatures": {name: round(t, 4) for name, t in zip(locations, temperatures, strict=True)},
    }
    return facts, calibration


def _main_set(settings: Settings, table: pd.DataFrame) -> EvaluationSet:
    return evaluation_set(table, held_out_sets(table)[0], settings.data.dataset)


def compare(
    settings: Settings, table: pd.DataFrame, predictor: HaloPredictor, stored: dict[str, pd.DataFrame]
) -> dict[str, float]:
    """Return the mean and largest difference between the predictor's probabilities and those the run stored.

    DataError where a mean is not ``CLOSE``: the run's files do not belong together, or the code has changed.
    """
    structures = artifacts.load_structures(settings, table)
    proteins = table[table["split"] == held_out_sets(table)[0]]
    has_structure = proteins["accession"].isin(structures.accessions)
    some = pd.concat([proteins[has_structure].head(COMPARED), proteins[~has_structure].head(COMPARED)])
    arrays = {name: structures.rows(name) for name in some["accession"] if name in structures}
    located = locate(predictor, dict(zip(some["accession"], some["sequence"], strict=True)), arrays)
    found = {"proteins": float(len(some)), "structures": float(len(arrays))}
    for name, ours in ((ESM, located.esm), (GAT, located.gat)):
        theirs = stored[name].set_index("accession").loc[some["accession"], predictor.locations].to_numpy()
        gaps = np.abs(ours - theirs)[located.has_structure if name == GAT else slice(None)]
        found |= {f"{name}_mean": float(gaps.mean()) if gaps.size else 0.0, f"{name}_most": float(gaps.max(initial=0))}
        if found[f"{name}_mean"] > CLOSE:
            problem = f"the exported {TITLES[name]} differs from the run's predictions by {found[f'{name}_mean']:.3f}"
            raise DataError(f"{settings.source_run}: {problem} on average; run notebooks 02, 04 and 05 again")
    return found


def card(
    settings: Settings,
    table: pd.DataFrame,
    predictor: HaloPredictor,
    metrics: pd.DataFrame,
    calibration: pd.DataFrame,
    agreement: dict[str, float],
    share: pd.DataFrame,
) -> str:
    """Return the model card; every number in it comes from these tables."""
    main_set, dataset = held_out_sets(table)[0], DATASETS[settings.data.dataset]
    known = registry().files
    sources = [known[name] for name in dataset.files if name in known]
    systems = (gate_system(settings.gate.rule), ESM)
    chosen = metrics[(metrics["split"] == main_set) & metrics["system"].isin(systems)]
    values = {(r.system, r.metric, r.label): (r.value, r.ci_low, r.ci_high) for r in chosen.itertuples()}
    environment = Environment(loader=PackageLoader("halo_utils.runs"), undefined=StrictUndefined, trim_blocks=True)
    environment.filters["interval"] = lambda v: f"{v[0]:.3f} [{v[1]:.3f}, {v[2]:.3f}]"
    proteins = {split: int(n) for split, n in table["split"].value_counts().items()}
    tested = table[table["split"] == main_set]
    restricted = settings.source.results / "hybrid_metrics.csv"
    hybrid = scoring.read_metrics(restricted) if restricted.is_file() else metrics[:0]
    hybrid = hybrid[(hybrid["split"] == f"{main_set}, {WITH_GRAPH}") & (hybrid["label"] == "")]
    on_structures = {(r.system, r.metric): (r.value, r.ci_low, r.ci_high) for r in hybrid.itertuples()}
    return environment.get_template("model_card.md.j2").render(
        predictor=predictor,
        settings=settings,
        dataset=dataset,
        sources=sources,
        proteins=proteins,
        main_set=main_set,
        systems=systems,
        titles=TITLES,
        values=values,
        calibration=calibration.to_dict("records"),
        agreement=agreement,
        reading=wording.reading(share, main_set),
        graphs=int(tested["graph"].fillna(False).astype(bool).sum()) if "graph" in table else 0,
        on_structures=on_structures,
        sequence_words=wording.sequence_model(settings),
        graph_words=wording.graph_model(settings),
    )
