# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,jp-MarkdownHeadingCollapsed,jupyter,cellView
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What hangs on the choices?
# [← 06 Compare with the field](../06_benchmark_comparison.ipynb)
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR--ACCOUNT/halo-companion/blob/main/notebooks/related/12_sensitivity.ipynb) [![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/YOUR--ACCOUNT/halo-companion/main?urlpath=lab/tree/notebooks/related/12_sensitivity.ipynb)
#
# All notebooks: [00](../00_your_proteins.ipynb) · [01](../01_data_preparation.ipynb) · [02](../02_esm_finetuning.ipynb) · [03](../03_confidence_analysis.ipynb) · [04](../04_gat_weighting.ipynb) · [05](../05_halo_ensemble.ipynb) · [06](../06_benchmark_comparison.ipynb) · [11](../11_attribution.ipynb) · [A1](../appendix/A1_pretrain_backbone.ipynb) · [what each one answers](../../README.md#the-notebooks)
#
# **Does** vary what HALO fixes by hand: the gate's confidence, threshold and band, the rule itself, the edges, the coordinates, the layers that learn, the residues that are read. And it looks at the errors: who makes them, which ones both models share, which ones the gate mends.
#
# **Needs** notebooks 01, 02, 04 and 05 of the same profile.
#
# **Makes** `sensitivity_confidence.csv`, `sensitivity_band.csv`, `sensitivity_gates.csv`, `errors_by_part.csv`, `errors_shared.csv`, `errors_gate.csv`, `sensitivity_trials.csv`, `sensitivity_trial_values.csv` and the figures `sensitivity_confidence`, `sensitivity_band`, `sensitivity_gates`, `errors_by_part`, `sensitivity_trials`.
#
# **Takes** about a minute for `demo`, most of it small trainings; for real proteins as long as `proteins`, the epochs and `seeds` say: with 1,200 proteins and three seeds half an hour of one CPU core.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`. The first half
# reads stored probabilities and is cheap for any run. The second half trains, and by default it is cut to a minute of one
# slow core: **few proteins, epochs and seeds, so that its numbers show the procedure and settle nothing.** For an answer
# set `proteins`, `test_proteins`, `graph_epochs` and `sequence_epochs` to 0, which takes all proteins and the profile's
# epochs, and `seeds` to 3 or more.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of data, weights and resampling
trials: str = "edges, coordinates, layers, truncation"  # what is trained; empty for nothing
seeds: int = 2  # trainings of every variant; a verdict needs three
proteins: int = 80  # to train and validate with, a stratified draw; 0 for all
test_proteins: int = 60  # to compare trainings on; 0 for all
graph_epochs: int = 1  # of graph networks; 0 for the profile's
sequence_epochs: int = 2  # of sequence models; 0 for the profile's
read_tokens: int = 0  # tokens read where truncation is tried; 0 for half of the median protein's

# %% tags=["set-up"] jupyter={"source_hidden": true} cellView="form"
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{name}=={metadata.version(name)}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+https://github.com/YOUR--ACCOUNT/halo-companion"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("12_sensitivity", globals())

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from sklearn.metrics import f1_score
from torch import nn

from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.data import splits
from halo_utils.evaluation import errors, hybrid_ground, learned_gates, scoring, sensitivity, test_sets
from halo_utils.evaluation import trials as trial
from halo_utils.evaluation.metrics import draw
from halo_utils.evaluation.seeds import differences_over_seeds, runs_with_other_seeds, tables_of_runs
from halo_utils.evaluation.systems import TITLES
from halo_utils.evaluation.thresholds import threshold_grid
from halo_utils.figures import sensitivity_figures
from halo_utils.figures.style import show_figure
from halo_utils.figures.tables import styled
from halo_utils.models.gate import halo_gate
from halo_utils.models.lora import LoraLinear
from halo_utils.runs import artifacts, provenance, wording
from halo_utils.runs import in_short_sensitivity as in_short
from halo_utils.runs import sensitivity as trainings
from halo_utils.structures.edges import nearest_edges, radius_edges
from halo_utils.structures.reader import PLDDT
from halo_utils.training.encoded_graphs import ENCODINGS

# %%
settings = load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed)
paths, source, step = settings.paths.make(), settings.data.dataset, settings.evaluation.threshold_step
confident, resamples = settings.gate.confident, settings.evaluation.bootstrap
table = artifacts.load_table(settings)
structures = artifacts.load_structures(settings, table)
main_set, whole_view = next(iter(test_sets.held_out_views(table, source).items()))
print(f"{settings.run_name}: {settings.title}; main test set: {main_set}")

# %% [markdown]
# ## Where the gate can act
# The gate asks the graph network only about proteins whose contacts are known, so it is measured on these alone, where
# there are enough of them. The graph network is the one that notebook 04 trained on such proteins, if it did.

# %%
grounds = hybrid_ground.ground_views(table, source)
has_best = bool(grounds) and artifacts.predicted(settings, hybrid_ground.BEST)
network = hybrid_ground.BEST if has_best else hybrid_ground.WEIGHTED


def said_by(own_table, sequence, graph):
    """Return the opinions of both models on validation and on the main test set, and the thresholds chosen there."""
    on_graphs = hybrid_ground.ground_views(own_table, source) if grounds else {}
    own = own_table[own_table["graph"]] if on_graphs else own_table
    views = [test_sets.evaluation_set(own, name, source) for name in ("val", main_set)]
    cuts = tuple(scoring.tune(own, predictions, source, step) for predictions in (sequence, graph))
    return *(sensitivity.opinions(view, sequence, graph) for view in views), cuts


val, test, cuts = said_by(
    table, artifacts.load_predictions(settings, "esm"), artifacts.load_predictions(settings, network)
)
view, numbers = test.view, tuple(cut.on(main_set) for cut in cuts)
drawn = {one.view.name: draw(len(one.view.y), resamples, settings.seed, one.view.families) for one in (val, test)}
where = f"{main_set}, {'proteins with a graph' if grounds else 'all proteins'} ({settings.title})"
print(f"{len(val.view.y):,} validation and {len(view.y):,} test proteins; graph network: {TITLES[network]}")
print(f"thresholds from validation: sequence {numbers[0]:.2f}, graph {numbers[1]:.2f}; confidence {confident:g}")

# %% [markdown]
# ## When does a veto pay?
# With $P$ predicted labels, $T$ true ones and $TP$ of them both, micro F1 is $F = 2\,TP / (P + T)$. A veto takes one
# label away, so $P$ falls by one; if the label was true, $TP$ falls by one as well. If a share $r$ of $v$ vetoed labels
# is true, then
#
# $$ F' = \frac{2\,(TP - r v)}{P + T - v} \; > \; F \iff r < \frac{F}{2} . $$
#
# **A veto pays if fewer than half of $F$ of what it removes is true.** The better the sequence model already is, the
# easier that gets; and whatever lies in the band must be that bad. Four labels by hand, the gate moved from 0.50 up:

# %%
p, q, y = np.array([[0.52, 0.58, 0.66, 0.90]]), np.array([[0.1, 0.8, 0.2, 0.1]]), np.array([[0, 1, 1, 1]])
rows = []
for confidence in (0.50, 0.55, 0.60, 0.70):
    kept = halo_gate(p, q, np.array([True]), esm_threshold=0.5, gat_threshold=0.5, confident=confidence).labels[0]
    removed = ~kept
    row = {"confidence": confidence, "kept": str(kept.astype(int).tolist()), "removed": int(removed.sum())}
    rows.append(row | {"of them true": int(y[0, removed].sum()), "F1": f1_score(y[0], kept)})
by_hand = pd.DataFrame(rows)
display(styled(by_hand, f"p {p[0].tolist()}, q {q[0].tolist()}, truth {y[0].tolist()}; thresholds 0.5"))

# %% [markdown]
# ## The confidence
# The paper sets the gate's confidence to 0.55. Here it moves up to 0.80, from 0.20, where the band is empty wherever the
# threshold is no lower: there is no gate. Beside the rule stand its limits: an **oracle**, a graph network that knows
# every label, and **as many vetoes at random**. What the rule gains beyond random is what a second opinion knows, of
# structure or not: notebook 05 asks opinions without structure in the same gate. What it lacks to the oracle is what a
# better veto could add. Strips are 95 % intervals of the difference, from the same resamples of proteins and families
# for both; they hold no second seed.

# %%
# On validation the thresholds have seen the proteins: its curve may choose, only the test curve may tell.
chosen_cuts = tuple(cut.value for cut in cuts)
sweeps = [
    sensitivity.sweep_confidence(one, chosen_cuts, drawn[one.view.name], seed=settings.seed) for one in (val, test)
]
write_csv(paths.results / "sensitivity_confidence.csv", pd.concat(sweeps, ignore_index=True))
tuned = sensitivity.best_confidence(sweeps[0])
print(f"best on validation: {tuned:g}")
columns = ["confidence", "asked", "vetoed", "true_vetoed", "gain", "ci_low", "ci_high", "random_gain"]
rule = sweeps[1].query("opinion == 'rule' and metric == 'macro_f1'")[columns].reset_index(drop=True)
display(styled(rule, f"Macro F1, gate minus sequence model, {where}"))

# %%
up, down = int((rule["ci_low"] > 0).sum()), int((rule["ci_high"] < 0).sum())
title = f"On {main_set} the gate raises macro F1 at {up} and lowers it at {down} of {len(rule)} confidences,"
title += f" by its interval\n(seed {settings.seed}; {settings.title})"
fig = sensitivity_figures.confidence_curves(sweeps, "macro_f1", confident, title)
alt = (
    "Macro F1 that the gate adds to the sequence model against its confidence, on validation and test, with intervals:"
    f" the rule ends at {rule['gain'].iloc[-1]:+.3f} on test, beside an oracle above it and random vetoes."
)
show_figure(fig, paths.figures, "sensitivity_confidence", alt)

# %%
vetoes = sweeps[1].query("opinion == 'rule' and metric == 'micro_f1'").set_index("confidence")
share = vetoes["true_vetoed"] / vetoes["vetoed"].where(vetoes["vetoed"] > 0)
bar = f1_score(view.y, test.sequence >= numbers[0], average="micro", zero_division=0) / 2
paid = pd.DataFrame({"true share of vetoed": share, "half of F": bar, "micro F1 gain": vetoes["gain"]}).dropna()
display(styled(paid, f"The rule of the veto, {where}"))

# %% [markdown]
# ## Threshold and width of the band
# The band begins at the threshold and ends at the confidence, so the paper's two numbers are really a threshold and a
# width. A wide band over a low threshold says: predict freely, let the graph network clean up. The map shows validation;
# its best cell, and only that, is then measured on test.

# %%
thresholds = [t for t in threshold_grid(step) if 0.2 <= t <= 0.8]


def with_best_band(of_val, of_test, gat_cut):
    """Return the map on validation, its best cell, and the labels on test of the gate with that threshold and width."""
    cells = sensitivity.sweep_band(of_val, gat_cut.value, thresholds)
    chosen_cell = sensitivity.best_band(cells)
    low, high = chosen_cell["threshold"], chosen_cell["threshold"] + chosen_cell["width"]
    gate = sensitivity.ask_gate(of_test, of_test.graph, (low, gat_cut.on(main_set)), high)
    return cells, chosen_cell, gate.labels


# %%
band, best, with_best = with_best_band(val, test, cuts[1])
write_csv(paths.results / "sensitivity_band.csv", band)
title = f"Validation is best at threshold {best['threshold']:.2f} and width {best['width']:g}\n({settings.title})"
fig = sensitivity_figures.band_map(band, best, "macro_f1", title)
alt = f"Validation macro F1 by threshold and width of the band; best at {best['threshold']:.2f} and {best['width']:g}."
show_figure(fig, paths.figures, "sensitivity_band", alt)

# %% [markdown]
# ## A gate that is learned
# The rule looks at $p$, then at $q$, each against a number. A classifier may weigh both at once. For every pair of protein
# and location it gets the two logits and which location it is, and is trained on validation:
#
# $$ P(y_{ik} = 1) = \sigma\big(a \,\mathrm{logit}(p_{ik}) + b \,\mathrm{logit}(q_{ik}) + c_k\big) $$
#
# Unlike the rule it can add a label, so the oracle of the rule's band is no bound for it. A **small network** puts eight
# hidden units in between. The **control** of each gets $p$ alone ($b = 0$): what it gains, it gains by a threshold per
# location and not by structure. The **calibrated** rule first divides every location's logits by a temperature, so that
# 0.55 means the same everywhere. Thresholds, temperatures and the choice between logistic and network come from
# validation, out of folds that keep families together.

# %%
features = learned_gates.pair_features(val)
print(f"{features.shape[0]:,} pairs, {features.shape[1]} features: two logits, {len(view.locations)} locations")
labels, learned = learned_gates.all_gates(val, test, cuts, tuned, confident=confident, step=step, seed=settings.seed)
labels["best_band"] = with_best
chosen = learned_gates.chosen_gate(learned)
listed = [(learned_gates.TITLES[gate.name], gate.val_macro_f1, gate.threshold.value) for gate in learned]
display(styled(pd.DataFrame(listed, columns=["gate", "validation macro F1", "threshold"]), "Learned on validation"))
weights = next(gate for gate in learned if gate.name == "logistic").model[-1].coef_[0]
print(f"logistic: weight of logit p {weights[0]:.2f}, of logit q {weights[1]:.2f} (per standard deviation)")

# %% [markdown]
# The same for every finished run that differs in its seed only, where its predictions are still there; differences are
# then means over seeds, and their intervals hold both the proteins and the seeds.

# %%
compared, again = [learned_gates.compare_gates(test, labels, drawn[view.name])], []
for run in runs_with_other_seeds(settings.source):
    files = [run.dataset, run.predictions("esm"), run.predictions(network)]
    if run == settings.source or not all(path.is_file() for path in files):
        continue
    other_val, other, other_cuts = said_by(*(pd.read_parquet(path) for path in files))
    weights_of = draw(len(other.view.y), resamples, settings.seed, other.view.families)
    sweep = sensitivity.sweep_confidence(other_val, tuple(c.value for c in other_cuts))
    at = {"confident": confident, "step": step, "seed": settings.seed}
    found, _ = learned_gates.all_gates(other_val, other, other_cuts, sensitivity.best_confidence(sweep), **at)
    found["best_band"] = with_best_band(other_val, other, other_cuts[1])[2]
    again += [found["sequence"]] if np.array_equal(other.view.accessions, view.accessions) else []
    compared.append(learned_gates.compare_gates(other, found, weights_of))
gates = differences_over_seeds(compared)
write_csv(paths.results / "sensitivity_gates.csv", gates)
print(f"runs: {len(compared)}")

# %%
macro = gates.query("metric == 'macro_f1'")
shown = macro.assign(gate=macro["first"].map(learned_gates.TITLES), minus=macro["second"].map(learned_gates.TITLES))
columns = ["gate", "minus", "difference", "ci_low", "ci_high", "seeds"]
display(styled(shown.loc[shown["second"] == "rule", columns].reset_index(drop=True), f"Macro F1, {where}"))
alone = macro[(macro["second"] == "sequence") & (macro["first"] != "oracle")]
title = f"{(alone['ci_low'] > 0).sum()} of {len(alone)} gates surely beat the sequence model alone in macro F1"
title = f"{title}\n{where}, {wording.count(len(compared), 'seed')}"
fig = sensitivity_figures.gate_forest(gates, ("micro_f1", "macro_f1"), title)
alt = f"{macro['first'].nunique()} gates minus the sequence model alone in micro and macro F1, with paired intervals."
show_figure(fig, paths.figures, "sensitivity_gates", alt)

# %% [markdown]
# ## Which errors do both models share?
# A second opinion helps where it errs elsewhere. Of the $n_k$ proteins that are at location $k$ let the models miss $a_k$
# and $b_k$. Models that err independently would both miss $a_k b_k / n_k$ of them; so for the proteins that are elsewhere,
# and the sum over both and over locations is what they would share. The ratio of what they do share to that is 1 if their
# errors have nothing to do with each other. No two models trained on the same proteins are like that, so the same
# sequence model trained with another seed stands beside it. By hand, for ten proteins at one location, three errors each:

# %%
first, second = np.zeros(10, dtype=bool), np.zeros(10, dtype=bool)
first[[0, 1, 2]] = second[[1, 2, 3]] = True
expected = first.sum() * second.sum() / len(first)
print(f"shared {(first & second).sum()}, expected {expected:.1f}, ratio {(first & second).sum() / expected:.1f}")

# %%
plddt = np.array([structures.rows(a)[:, PLDDT].mean() if a in structures else np.nan for a in view.accessions])
strata = errors.protein_strata(table, view, plddt, settings.backbone.max_tokens - 2)
by_system = {"esm": labels["sequence"], network: test.graph >= numbers[1]}
shared = errors.shared_errors(view, *by_system.values(), strata, drawn[view.name])
twice = [errors.shared_errors(view, labels["sequence"], own, {}, drawn[view.name]).iloc[[0]] for own in again]
twice = [one.assign(stratum="control", part="sequence model, another seed") for one in twice]
write_csv(paths.results / "errors_shared.csv", pd.concat([shared, *twice], ignore_index=True))
scores = errors.f1_by_part(view, by_system | {"halo": labels["rule"]}, strata, drawn[view.name])
write_csv(paths.results / "errors_by_part.csv", scores)
names = {
    "first_wrong": "sequence wrong",
    "second_wrong": "graph wrong",
    "both": "both wrong",
    "expected": "if independent",
}
shown = pd.concat([shared, *twice], ignore_index=True)
display(styled(shown, f"Wrong pairs of protein and location, {where}", digits=2, names=names))

# %%
both, ratio = shared["both"].iloc[0], shared["ratio"].iloc[0]
title = f"Both models share {both:,} errors, {ratio:.1f} times as many as if independent\n{where}"
fig = sensitivity_figures.errors_by_part(scores, shared, {name: TITLES[name] for name in by_system}, title)
alt = (
    f"Left: micro F1 of the sequence model and the graph network on {shared.shape[0]} parts of the set. Right: their"
    f" shared errors over those of independent models, {shared['ratio'].iloc[0]:.1f} in all."
)
show_figure(fig, paths.figures, "errors_by_part", alt)

# %% [markdown]
# ## What the gate saves and loses
# A protein is *saved* if all its labels are right only after the gate, and *lost* if they were right only before.

# %%
effects = errors.gate_effects(view, labels["sequence"], labels["rule"], strata)
write_csv(paths.results / "errors_gate.csv", effects)
display(styled(effects[effects["changed"] > 0].reset_index(drop=True), f"Changed by the gate, {where}"))

# %% [markdown]
# Three of each, label by label. Proteins are named only where they are synthetic: real ones are not ours to publish.

# %%
changed = errors.changed_proteins(test, labels["sequence"], labels["rule"])
for outcome in ("saved", "lost") if settings.is_synthetic else ():
    own = changed[changed["outcome"] == outcome]
    names = list(pd.unique(own["accession"]))[:3]
    named = own[own["accession"].isin(names)].drop(columns="outcome").reset_index(drop=True)
    headings = {"location": "removed label", "sequence": "p", "graph": "q", "truth": "its locations"}
    display(styled(named, f"{outcome} by the gate (synthetic proteins)", digits=2, names=headings))

# %% [markdown]
# ## Choices that need a training
# What follows trains one network per variant and seed, and changes one thing at a time. A variant is compared with the
# reference of its group, trained with the same seed on the same proteins. Four groups:
#
# * **edges**: under 6 to 20 Å instead of 10, each residue's 16 nearest, none. By hand, four atoms on a line:

# %%
line = np.array([[0.0, 0, 0], [5, 0, 0], [9, 0, 0], [20, 0, 0]])
for name, edges in {"10 angstrom": radius_edges(line, 10.0), "1 nearest": nearest_edges(line, 1)}.items():
    print(f"{name:12}", [tuple(edge) for edge in edges.T.tolist() if edge[0] < edge[1]])

# %% [markdown]
# A distance leaves the far atom alone; nearest neighbours join it to somebody, however far.
#
# * **coordinates**: raw, as AlphaFold's arbitrary frame has them; centred, as all graphs here; in units of 10 Å; turned at
#   random in training; as distances or angles, which no turn changes; or none.

# %%
ca = np.cumsum(np.random.default_rng(0).normal(0, 2.2, (40, 3)), axis=0)  # a chain of 40 residues
turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # a quarter turn about z
moved = ca @ turn.T + 5.0
change = {name: float(np.nanmax(np.abs(encode(ca) - encode(moved)))) for name, encode in ENCODINGS.items()}
frames = pd.DataFrame({"encoding": list(change), "largest change of a channel": list(change.values())})
display(styled(frames, "A made-up chain, turned and moved", digits=2))

# %% [markdown]
# * **layers** of ESM-2 that learn: 0, 1, 2, all; or all by **low-rank adaptation**, which leaves a layer $W$ as it is and
#   learns a difference of rank $r$ (here 4), $W x + \frac{s}{r} B A x$ with $A$ of shape $[r, D]$ and $B$ of $[D, r]$:

# %%
layer = nn.Linear(320, 320)
adapted = LoraLinear(layer, rank=4)
x = torch.randn(2, 320)
numbers_of = [sum(w.numel() for w in m.parameters() if w.requires_grad) for m in (nn.Linear(320, 320), adapted)]
print(f"a layer of the 8M ESM-2: {numbers_of[0]:,} numbers learn, adapted {numbers_of[1]:,}")
print("starts as the layer it adapts:", bool(torch.allclose(adapted(x), layer(x))))

# %% [markdown]
# * **truncation**: a model that reads few residues may read the head of a protein, or its head and its tail.
#
# A difference must be *sure*, over seeds and proteins, and *relevant*: at least as large as what the paper's HALO gains
# over its sequence model. What is less cannot explain that gain.

# %%
relevant = trial.relevant_size()
asked_for = [name.strip() for name in trials.split(",") if name.strip()]
placed = test_sets.restrict(view, np.isin(view.accessions, structures.accessions), "with coordinates")
placed, tested = (trainings.few_of(own, test_proteins, settings.seed) for own in (placed, whole_view))
with_coordinates = trainings.study_table(settings, table, placed, proteins, structures.accessions)
everyone = trainings.study_table(settings, table, tested, proteins)
room = read_tokens or min(settings.backbone.max_tokens, int(np.median(table["sequence"].str.len())) // 2)
for name, own, on in (("graphs", with_coordinates, placed), ("sequences", everyone, tested)):
    counts = own["split"].value_counts()
    print(f"{name}: {counts.get('train', 0):,} to train, {counts.get('val', 0):,} to validate, {len(on.y):,} to test")
print(f"relevant size: {relevant:.3f} macro F1; {seeds} seeds")

# %%
reference = f"{settings.gat.cutoff_angstrom:g} angstrom"
own_edges = trainings.edges_by_rule(
    settings.paths.work / "sensitivity" / "edges_own.npy", structures, list(with_coordinates["accession"]), reference
)
stores, layers = (structures, own_edges), str(settings.backbone.trainable_layers)
radii = [f"{radius} angstrom" for radius in (6, 8, 10, 12, 15, 20)]
depths = [layers, *(n for n in ("0", "1", "2", "all", trainings.LOW_RANK) if n != layers)]
graphs, reads = (settings, with_coordinates), (settings, everyone)
studies = {
    "edges": ([reference, *(r for r in radii if r != reference), "16 nearest", "none"], placed, with_coordinates,
              lambda v, s: trainings.train_edges(*graphs, structures, v, s, graph_epochs)),
    "coordinates": (["centred", "none", "raw", "in 10 angstrom", trainings.TURNED, "distances", "angles"], placed,
                    with_coordinates, lambda v, s: trainings.train_encoding(*graphs, stores, v, s, graph_epochs)),
    "layers": (depths, tested, everyone, lambda v, s: trainings.train_layers(*reads, v, s, sequence_epochs)),
    "truncation": (["head", "head_tail", "whole"], tested, everyone,
                   lambda v, s: trainings.train_truncated(*reads, v, room, s, sequence_epochs)),
}  # fmt: skip

# %%
values, differences = [], []
for study, (variants, on, own_table, train) in studies.items():
    least = min((own_table["split"] == split).sum() for split in ("train", "val"))
    if study not in asked_for or min(least, len(on.y)) < hybrid_ground.LEAST_PROTEINS:
        print(f"{study}: {'not asked for' if study not in asked_for else 'too few proteins, nothing is trained'}")
        continue
    resampled = draw(len(on.y), resamples, settings.seed, on.families)
    order = range(settings.seed, settings.seed + seeds)
    one, gap = trial.run_trials(study, variants, variants[0], train, own_table, on, resampled, order, step)
    values.append(one)
    differences.append(gap)

# %%
if differences:
    trained, of_trials = pd.concat(values, ignore_index=True), pd.concat(differences, ignore_index=True)
    of_trials["verdict"] = of_trials.apply(trial.verdict, axis=1)
    write_csv(paths.results / "sensitivity_trial_values.csv", trained)
    write_csv(paths.results / "sensitivity_trials.csv", of_trials)
    verdicts = of_trials.query("metric == 'macro_f1'").reset_index(drop=True)
    columns = ["study", "first", "second", "difference", "ci_low", "ci_high", "seeds", "verdict"]
    names = {"first": "variant", "second": "reference"}
    display(styled(verdicts[columns], f"Macro F1 over {seeds} seeds ({settings.title})", names=names))

# %%
if differences:
    learned_from = [f"{(own['split'] == 'train').sum():,}" for own in (with_coordinates, everyone)]
    size = f"{learned_from[0]} training graphs, {learned_from[1]} sequences, {wording.count(seeds, 'seed')}"
    told = verdicts["verdict"].isin(["higher", "lower"]).sum()
    title = f"{told} of {len(verdicts)} choices differ from their reference, surely and by a relevant size\n{size}"
    if (verdicts["verdict"] == "too few seeds").all():
        title = f"{len(verdicts)} choices beside their references: too few seeds to tell them apart\n{size}"
    fig = sensitivity_figures.trials_forest(of_trials, "macro_f1", relevant, f"{title} ({settings.title})")
    alt = f"{len(verdicts)} variants minus the reference of their group in macro F1, with intervals over seeds."
    show_figure(fig, paths.figures, "sensitivity_trials", alt)

# %% [markdown]
# The controls of notebook 04 belong here: the same network on the same proteins at the profile's full budget, with edges
# that know less. They are read from the run and from those of other seeds, not trained again.

# %%
controls = tables_of_runs(runs_with_other_seeds(settings.source), ("hybrid_controls.csv",))
if controls:
    known = differences_over_seeds(controls).query("metric == 'macro_f1'").reset_index(drop=True)
    columns = ["split", "second", "difference", "ci_low", "ci_high", "seeds"]
    display(styled(known[columns], "Own contacts minus control, macro F1", names={"second": "control"}))
else:
    print("Notebook 05 of this run compared no edge controls: too few proteins have a graph.")

# %% [markdown]
# ## What this run found

# %%
sentences = {"gate": in_short.gate_sentence(sweeps[1], tuned)}
sentences["learned"] = in_short.learned_sentence(gates, chosen.name, len(compared))
sentences["errors"] = in_short.errors_sentence(shared, effects)
if differences:
    sentences["trials"] = in_short.trials_sentence(verdicts, relevant)
display(Markdown(in_short.in_short_12(settings, sentences)))

# %%
facts = {"network": network, "trials": asked_for, "seeds": seeds, "proteins": proteins, "runs": len(compared)}
facts |= {
    "test_proteins": test_proteins,
    "graph_epochs": graph_epochs,
    "sequence_epochs": sequence_epochs,
    "read_tokens": room,
}
recorded = provenance.record(settings, "12_sensitivity", splits.fingerprint(table), **facts)
print("provenance written to", recorded.name)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Checks
# What must hold on every machine; nbval compares these cells.

# %% tags=["nbval-check-output"]
print("F1 by hand:", by_hand["F1"].round(3).tolist())
print("sweep:", len(sweeps[1]), "rows; band:", len(band), "cells; gates:", gates["first"].nunique())
gains = sweeps[1].pivot_table(index=["confidence", "metric"], columns="opinion", values="gain")
print("the oracle is never below the rule:", bool((gains["oracle"] >= gains["rule"] - 1e-9).all()))
print("the oracle never vetoes a true label:", not sweeps[1].query("opinion == 'oracle'")["true_vetoed"].any())

# %% tags=["nbval-check-output"]
row = vetoes.loc[0.8]
print("a veto pays just where the formula says:", bool((row["gain"] > 0) == (share[0.8] < bar)))
print(
    "parts of the error analysis:", len(shared), "- pairs add up:", bool(shared["both"].le(shared["first_wrong"]).all())
)
removed = effects.iloc[0][["false_removed", "true_removed"]].sum()
print("labels that the gate removed are all counted:", bool(removed == len(changed)))

# %% tags=["nbval-check-output"]
print("channels that a turn leaves alone:", [name for name, value in change.items() if value < 1e-6])
if differences:
    print("variants:", verdicts.groupby("study", sort=False).size().to_dict(), "- seeds:", int(verdicts["seeds"].min()))
