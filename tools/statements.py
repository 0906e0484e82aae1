"""Sentences about finished runs, from their committed CSV files: what ran, what was read, what came out."""

import pandas as pd

from halo_utils.config import load_settings
from halo_utils.core.paths import RunPaths
from halo_utils.data import same_sequence
from halo_utils.data.kmers import ALMOST_EQUAL, NEAR_DUPLICATE, identity
from halo_utils.data.splits import CLEAN
from halo_utils.evaluation import seeds
from halo_utils.evaluation.claims import LEAST_ASKED
from halo_utils.evaluation.published import CROSS_VALIDATED
from halo_utils.evaluation.scoring import read_metrics
from halo_utils.evaluation.systems import SYSTEMS, TITLES
from halo_utils.evaluation.test_sets import WITH_GRAPH
from halo_utils.runs import provenance, wording


def model_sizes(paths: RunPaths) -> dict[str, str]:
    """Return what every system of a run is made of, such as ``halo-mini with head, 3.03 M``, by system.

    A graph network is counted alone: it reads the sequence model's residues, not its head. A gate joins both.
    """
    records = {record["notebook"][:2]: record for record in provenance.records(paths)}
    source = str(records["02"]["profile"]["backbone"]["source"])
    name = "random weights" if source == "random" else source.rsplit("/", 1)[-1]
    esm = {s: f"{name} with head, {n / 1e6:.2f} M" for s, n in records["02"]["parameters"].items()}
    gat = {s: f"GAT, {n / 1e6:.3f} M, on {name}" for s, n in records["04"]["gat_parameters"].items()}
    both = [system.name for system in SYSTEMS if system.family == "joined"]
    return esm | gat | dict.fromkeys(both, "both")


def protocol_note() -> str:
    """Return what keeps the rows of DeepLoc, and the precision and recall of the GAT, from being read against ours."""
    return (
        f"The rows of {' and '.join((CROSS_VALIDATED[0], 'DeepLoc 2.0'))} are quoted by the paper from five-fold"
        " cross-validation on Swiss-Prot, with thresholds of their own; HALO's rows and ours are measured on one"
        " partition, so they do not compare like with like. The paper gives micro precision and recall for the GAT,"
        " macro ones for HALO and fine-tuned ESM."
    )


def leak_sentence(paths: RunPaths) -> str:
    """Return how much of luo2024's test sets the models have seen."""
    audit = pd.read_csv(paths.results / "audit_leakage.csv").set_index("set")["near_duplicate_share"]
    shares = ", ".join(f"{audit[name]:.1%} of {name}" for name in ("S", "T", "N"))
    return f"Near duplicates of training proteins (half of the 6-mers in one of them) make up {shares}."


def _corpus_shares(paths: RunPaths) -> pd.DataFrame:
    """Return the rows of a run's leakage table whose proteins were compared with the pre-training corpus."""
    audit = pd.read_csv(paths.results / "audit_leakage.csv")
    if "corpus_near_duplicates" not in audit:
        return audit.iloc[:0]
    return audit[audit["corpus_near_duplicates"].notna() & ~audit["set"].str.endswith(CLEAN)]


def corpus_sentence(paths: RunPaths) -> str:
    """Return how many evaluation proteins have a near duplicate in the pre-training corpus, and what that adds."""
    shares, path = _corpus_shares(paths), paths.results / "corpus_leak.csv"
    if shares.empty:
        return ""
    parts = [
        f"{r.corpus_near_duplicate_share:.1%} of {r.set} ({r.corpus_almost_equal_share:.1%} at {ALMOST_EQUAL:.0%})"
        for r in shares[shares["set"] != "val"].itertuples()
    ]
    text = (
        f"Near duplicates of pre-training proteins ({NEAR_DUPLICATE:.0%} of the 6-mers in one of them, about"
        f" {identity(NEAR_DUPLICATE):.0%} identity) make up {', '.join(parts)}."
    )
    if not path.is_file():
        return text
    without = pd.read_csv(path).query("system == 'esm' and metric == 'micro_f1'")
    cells = [f"{r.without:.3f} instead of {r.all:.3f} on {r.split}" for r in without.itertuples()]
    return f"{text} Without them micro F1 of the {TITLES['esm']} is {', '.join(cells)}." if cells else text


def run_facts(paths: RunPaths) -> str:
    """Return one paragraph on what made the results of a run."""
    records = provenance.records(paths)
    profile, hardware = records[0]["profile"], records[1]["hardware"]
    counts = pd.read_csv(paths.results / "audit_labels.csv").set_index("location").loc["all proteins"]
    structures = pd.read_csv(paths.results / "audit_structures.csv")
    matched = structures[structures["status"] == "matched"].set_index("split")["proteins"]
    main_set = read_metrics(paths.results / "metrics.csv")["split"].iloc[0]
    sizes = ", ".join(f"{counts[s]:,} {s}" for s in counts.index if s != "total")
    machine = hardware["gpu"] or f"{hardware['threads']} of {hardware['cores']} cores ({hardware['processor']})"
    return (
        f"Run `{paths.name}`: {counts['total']:,} proteins of `{profile['data']['dataset']}` ({sizes}), of which"
        f" {matched.sum():,} have a structure ({matched.get(main_set, 0):,} in {main_set})"
        f"{_graphs(paths, main_set)}. Backbone"
        f" {model_sizes(paths)['esm']} parameters. Seed {profile['seed']}, {machine}."
    )


def _graphs(paths: RunPaths, main_set: str) -> str:
    """Return how many proteins of a run have a graph, of coordinates or a contact map; empty where none was counted."""
    path = paths.results / "audit_graphs.csv"
    if not path.is_file():
        return ""
    counts = pd.read_csv(path).query("group == 'split'").set_index("name")["with_graph"]
    return f" and {counts.sum():,} a graph of contacts ({counts.get(main_set, 0):,} in {main_set})"


def ground_sentence(paths: RunPaths) -> str:
    """Return what HALO adds to its sequence model where proteins have a graph, over the seeds run; empty without."""
    runs = seeds.runs_with_other_seeds(paths)
    table = seeds.differences_over_seeds(seeds.tables_of_runs(runs, ("hybrid_differences.csv",)))
    ground = f"{read_metrics(paths.results / 'metrics.csv')['split'].iloc[0]}, {WITH_GRAPH}"
    rows = (
        table[table["split"] == ground].query("first == 'halo' and second == 'esm' and label == ''").set_index("metric")
    )
    if rows.empty:
        return ""
    told = [rows.loc[metric] for metric in ("micro_f1", "macro_f1")]
    changes = [f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]" for row in told]
    of_seeds = wording.count(int(told[0]["seeds"]), "seed")
    return (
        f"Where test proteins have a graph, HALO minus its sequence model is {changes[0]} in micro and {changes[1]} in"
        f" macro F1 ({of_seeds})."
    )


GROUPS = ("backbone", "esm", "gat")  # of a profile, that decide what a run trains


def profile_note(paths: RunPaths) -> str:
    """Return what its profile has changed in since a run; empty where a new run would train the same."""
    then = provenance.records(paths)[0]["profile"]
    now = load_settings(then["profile"], dataset=then["data"]["dataset"]).model_dump(mode="json")
    changed = [
        f"{group}.{name} {old} → {new}"
        for group in GROUPS
        for name, new in _flat(now[group]).items()
        if (old := _flat(then[group]).get(name)) != new and name not in wording.NOT_OF_THE_MODEL
    ]
    if not changed:
        return ""
    return (
        f"The profile has changed since this run, and a new one gives other numbers (then → now): {'; '.join(changed)}."
    )


def _flat(group: dict[str, object]) -> dict[str, object]:
    """Return the settings of a group with those of its own groups, named ``group.setting``."""
    flat: dict[str, object] = {}
    for name, value in group.items():
        inner = (
            {f"{name}.{key}": setting for key, setting in value.items()} if isinstance(value, dict) else {name: value}
        )
        flat |= inner
    return flat


def matches_sentence(paths: RunPaths, split: str) -> str:
    """Return how many proteins of a set that UniProt names otherwise a run matched, and had a structure or graph of."""
    path = paths.results / "audit_same_sequence.csv"
    if path.is_file():
        matches = pd.read_csv(path)
        return same_sequence.sentence(matches[matches["split"] == split])
    counts = pd.read_csv(paths.results / "audit_structures.csv").query("split == @split")
    matched = counts.loc[counts["status"] == "matched", "proteins"].sum()
    return (
        f"In this run {matched:,} of {counts['proteins'].sum():,} {split} proteins have a structure: it was made before"
        " they were matched with UniProt's by sequence."
    )


def gate_sentence(paths: RunPaths) -> str:
    """Return how many of the labels in its band the gate asked the graph network about, and what that means."""
    changes = pd.read_csv(paths.results / "gate_changes.csv")
    main_set = read_metrics(paths.results / "metrics.csv")["split"].iloc[0]
    counts = changes[changes["split"] == main_set].groupby("decision")["labels"].sum()
    asked = counts["agreed"] + counts["vetoed"]
    seed = provenance.records(paths)[0]["profile"]["seed"]
    text = f"With seed {seed} the gate asked the graph network about {asked:,} of the"
    text += f" {asked + counts['no_structure']:,} labels in its band"
    if asked < LEAST_ASKED:
        return f"{text}, fewer than {LEAST_ASKED}: **this run tests the sequence model, not HALO.**"
    return f"{text} and removed {counts['vetoed']:,}."


def _deviations(paths: RunPaths) -> pd.DataFrame:
    """Return the settings of a run that are not the paper's, as notebooks 02 and 04 wrote them."""
    return pd.read_csv(paths.results / "deviations.csv", dtype=str, keep_default_na=False)


def deviation_sentence(paths: RunPaths) -> str:
    """Return what in the sequence model is not the paper's."""
    return wording.deviation_sentence(_deviations(paths), wording.SEQUENCE)


def gat_note(paths: RunPaths) -> str:
    """Return what in the GAT is not the paper's."""
    return wording.deviation_sentence(_deviations(paths), wording.GAT)


def read_sentence(paths: RunPaths) -> str:
    """Return how much of the main test set's proteins the models of a run read."""
    main_set = read_metrics(paths.results / "metrics.csv")["split"].iloc[0]
    return wording.reading(pd.read_csv(paths.results / "read_share.csv"), main_set)
