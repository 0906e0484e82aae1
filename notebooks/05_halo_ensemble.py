# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags
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
# # Join the two models with the gate
# **Does** apply HALO's gate, show label by label what it changed, and measure whether it helped.
#
# **Needs** notebooks 01, 02 and 04 of the same profile.
#
# **Makes** `table2.csv` (not for luo2024), `metrics.csv`, `gate_changes.csv`, `differences_halo.csv`, `random_veto.csv`, `second_opinions.csv`, `metrics_with_structure.csv` where a test protein has one, `evaluation_conventions.csv`, the figure `gate_changes`.
#
# **Takes** seconds.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`.
# Another `gate_rule` makes a variation: this notebook reads the run of the plain name, writes under a name of its
# own, and no later notebook reads that. To carry a change through all notebooks, put it into a profile.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of data, weights and resampling
gate_rule: str = ""  # paper, released_code or sequence_only

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.data import splits
from halo_utils.evaluation import metrics, published, scoring, second_opinions, test_sets
from halo_utils.evaluation.thresholds import Threshold
from halo_utils.figures import plots, style
from halo_utils.models import gate
from halo_utils.runs import artifacts, in_short, provenance, wording

settings = load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed, gate_rule=gate_rule)
paths = settings.paths.make()
table = artifacts.load_table(settings)
esm = artifacts.load_predictions(settings, "esm")
gat = artifacts.load_predictions(settings, "gat_weighted")
views = test_sets.held_out_views(settings, table)
main_set = next(iter(views))
print(f"{settings.run_name}: {settings.title}; test sets: {', '.join(views)}")

# %% [markdown]
# ## The gate
# The sequence model decides alone from the confidence of the gate upwards. Below it, and down to the tuned threshold, a
# label stays only if the graph network predicts it too. Both thresholds come from validation.

# %%
own_gate = gate.make_gate(settings.gate, scoring.tune(settings, table, esm), scoring.tune(settings, table, gat))
own_system = gate.SYSTEMS[own_gate.rule]
print(
    f"rule {own_gate.rule}: band [{own_gate.esm_threshold.value:.2f}, {own_gate.confident:.2f}), GAT threshold {own_gate.gat_threshold.value:.2f}"
)

# %% [markdown]
# A hand-made example: four labels at 0.60, 0.50, 0.50 and 0.30, the graph network agreeing with all but the third.

# %% tags=["nbval-check-output"]
half = Threshold(0.45, "published")
toy = gate.halo_gate(
    np.array([[0.60, 0.50, 0.50, 0.30]]),
    np.array([[0.9, 0.9, 0.1, 0.9]]),
    np.array([True]),
    gate.Gate("paper", half, half, 0.55),
    "example",
)
print([gate.Decision(code).name.lower() for code in toy.decision[0]])


# %%
def apply(rule_gate, view, everyone=False):
    has_structure = view.join(gat, ["has_structure"])[:, 0].astype(bool)
    return gate.halo_gate(view.join(esm), view.join(gat), has_structure | everyone, rule_gate, view.name)


halo = {name: apply(own_gate, view) for name, view in views.items()}
view, result = views[main_set], halo[main_set]
esm_prob = view.join(esm)
esm_labels = esm_prob >= own_gate.esm_threshold.on(main_set)

# %% [markdown]
# What the gate may not do, checked on the real output: add a label, touch a protein outside the band, or lose a
# decision.

# %% tags=["nbval-check-output"]
band = (esm_prob >= own_gate.esm_threshold.value) & (esm_prob < own_gate.confident)
outside = ~band.any(axis=1)
print("labels added:", int((result.labels & ~esm_labels).sum()))
print("labels changed in proteins outside the band:", int((result.labels != esm_labels)[outside].sum()))
print("decisions cover every protein and location:", result.decision.shape == view.y.shape)

# %% [markdown]
# ## What changed
# Removing a false label helps, removing a true one hurts. The hatched part of the red bars is the gain, the solid part
# the price.

# %%
changes = pd.concat(
    [gate.decision_counts(r.decision, views[n].y, views[n].places).assign(split=n) for n, r in halo.items()],
    ignore_index=True,
)
write_csv(paths.results / "gate_changes.csv", changes)
own_changes = changes[changes["split"] == main_set]
display(own_changes.groupby("decision", sort=False)[["labels", "true"]].sum())

# %%
fig = plots.gate_changes(own_changes, f"What the gate decided inside the band, {main_set} ({settings.title})")
style.save(fig, paths.figures, "gate_changes")
plt.show()

# %% tags=["nbval-check-output"]
print("labels decided:", int(own_changes["labels"].sum()) == view.y.size)
print("true labels accounted for:", int(own_changes["true"].sum()) == int(view.y.sum()))

# %% [markdown]
# The demo's bar: the gate has work to do. Labels in the band of a protein with a structure are those it asks about.

# %% tags=["nbval-check-output"]
asked = np.isin(result.decision, [gate.Decision.AGREED, gate.Decision.VETOED])
if settings.is_synthetic:
    print("labels in the band at least 20:", int(asked.sum()) >= 20)
    print("HALO differs from the fine-tuned ESM:", bool((result.labels != esm_labels).any()))

# %% [markdown]
# ## Does it help?
# Beside the gate of this run stand the released code's rule, a gate that asks the graph network also for proteins
# without a structure, and the sequence-only mode, in which it is never asked.

# %%
released = gate.make_gate(
    settings.gate.model_copy(update={"rule": "released_code"}), own_gate.esm_threshold, own_gate.gat_threshold
)
alone = gate.make_gate(
    settings.gate.model_copy(update={"rule": "sequence_only"}), own_gate.esm_threshold, own_gate.gat_threshold
)
parts = [scoring.read_metrics(settings.source.results / f"metrics_{name}.csv") for name in ("sequence", "gat")]
for name, one in views.items():
    systems = {own_system: (own_gate, halo[name]), "halo_released_code": (released, apply(released, one)),
               "halo_gat_for_all": (own_gate, apply(own_gate, one, everyone=True)),
               "halo_sequence_only": (alone, apply(alone, one))}  # fmt: skip
    for system, (rule_gate, found) in systems.items():
        parts.append(scoring.measure(settings, one, system, found.labels, found.score, rule_gate.esm_threshold))
all_metrics = pd.concat(parts, ignore_index=True)
write_csv(paths.results / "metrics.csv", all_metrics)
headline = scoring.headline(all_metrics, main_set)
print(scoring.macro_sentence(views.values()))
headline.round(3)

# %% tags=["nbval-check-output"]
print("sequence-only mode is the fine-tuned ESM:", bool((apply(alone, view).labels == esm_labels).all()))

# %%
fig = plots.score_bars(headline, all_metrics, main_set, f"Systems on {main_set} ({settings.title})")
style.save(fig, paths.figures, "systems")
plt.show()

# %% [markdown]
# The differences are measured on the same resampled proteins, so their intervals are narrower than those of the
# single values suggest. Relatives are right or wrong together: families of them are resampled as well, and of the two
# intervals the wider one is kept; `resampled` names it.

# %%
gat_prob = view.join(gat)
halo_system = (own_system, result.labels, result.score)
esm_system = ("esm", esm_labels, esm_prob)
gat_system = ("gat_weighted", gat_prob >= own_gate.gat_threshold.on(main_set), gat_prob)
pairs = [(halo_system, esm_system), (esm_system, gat_system), (gat_system, esm_system)]
differences = pd.concat([scoring.compare(settings, view, a, b) for a, b in pairs], ignore_index=True)
write_csv(paths.results / "differences_halo.csv", differences)
shown = differences[(differences["first"] == own_system) & (differences["label"] == "")]
display(shown[["metric", "difference", "ci_low", "ci_high", "resampled"]].round(4))

# %% tags=["nbval-check-output"]
value = shown.set_index("metric")["difference"]
if own_gate.rule == "paper":
    print("HALO's micro precision is not below ESM's:", bool(value["micro_precision"] >= 0))
    print("HALO's micro recall is not above ESM's:", bool(value["micro_recall"] <= 0))

# %% [markdown]
# ## More than a random veto?
# A veto that knows nothing can raise precision and subset accuracy too, because many labels in the band are false. So
# the gate stands beside vetoes that drop as many of the labels it was asked about, drawn at random.

# %%
beside_random = second_opinions.beside_random_veto(view.y, esm_prob, result, seed=settings.seed)
write_csv(paths.results / "random_veto.csv", beside_random)
display(beside_random.round(4))
print(second_opinions.veto_sentence(beside_random))

# %% tags=["nbval-check-output"]
counted = own_changes.groupby("decision")["labels"].sum()
print("vetoes as counted above:", int(beside_random["vetoed"].iloc[0]) == int(counted["vetoed"]))

# %% [markdown]
# ## Other second opinions
# What would the same gate do with another second opinion: the composition baseline, a veto of everything, or an oracle
# that drops exactly the false labels? Each is asked once about the labels the gate may ask about, those of proteins
# with a structure, and once about all labels in the band. The mean of two probabilities needs no gate.

# %%
names = ("esm", "gat_weighted", "composition")
found = {name: artifacts.load_predictions(settings, name) for name in names}
opinions = second_opinions.second_opinions(settings, table, view, own_gate, found)
write_csv(paths.results / "second_opinions.csv", opinions)
display(opinions[["asks about", "second opinion", "asked", "vetoed", *second_opinions.METRICS]].round(3))

# %% [markdown]
# ## Proteins with a structure only
# The gate can act on these alone, so here is the question on its own ground.

# %%
part = test_sets.restrict(view, view.join(gat, ["has_structure"])[:, 0].astype(bool), "with structure")
print(f"{len(part.y):,} of {len(view.y):,} test proteins have a structure")
print(scoring.macro_sentence([part]))

# %%
on_structures = pd.DataFrame()
if part.y.any():
    everyone = np.ones(len(part.y), dtype=bool)
    probs = {"esm": part.join(esm), "gat_weighted": part.join(gat)}
    cuts = {"esm": own_gate.esm_threshold, "gat_weighted": own_gate.gat_threshold, own_system: own_gate.esm_threshold}
    found = {n: (p >= cuts[n].on(main_set), p) for n, p in probs.items()}
    joined = gate.halo_gate(probs["esm"], probs["gat_weighted"], everyone, own_gate, main_set)
    found[own_system] = (joined.labels, joined.score)
    on_structures = pd.concat(
        [scoring.measure(settings, part, n, *system, cuts[n]) for n, system in found.items()], ignore_index=True
    )
    gains = scoring.compare(settings, part, (own_system, *found[own_system]), ("esm", *found["esm"]))
    write_csv(paths.results / "metrics_with_structure.csv", on_structures)
    write_csv(paths.results / "differences_with_structure.csv", gains)
    display(scoring.headline(on_structures, part.name).round(3))
    display(gains[gains["metric"].isin(["micro_f1", "macro_f1"])].round(4))

# %% [markdown]
# ## What the released code's evaluation adds
# The released code scores an undefined F1 as 1 and computes the ROC area on 0/1 predictions. Same predictions, other
# numbers:

# %%
ours = metrics.scores(view.y, result.labels, result.score, view.places)
theirs = metrics.scores(view.y, result.labels, result.labels.astype(float), view.places, zero_division=1)
keys = [("macro_f1", ""), ("macro_precision", ""), ("roc_auc_micro", ""), ("roc_auc_macro", "")]
conventions = pd.DataFrame(
    {
        "metric": [n for n, _ in keys],
        "companion": [ours[k] for k in keys],
        "released code": [theirs[k] for k in keys],
    }
)
write_csv(paths.results / "evaluation_conventions.csv", conventions)
display(conventions.round(4))

# %% tags=["nbval-check-output"]
print("ROC area on labels is below the one on scores:", bool(theirs["roc_auc_micro", ""] < ours["roc_auc_micro", ""]))

# %% [markdown]
# ## Table 2 or 4: paper, ours, difference
# A run on DeepLoc 2.0 is compared with Table 2, one on luo2024 with its set's columns of Table 4. Table 2 gives macro
# precision and recall for HALO and the fine-tuned ESM, micro ones for the GAT, so these two do not compare. Both models
# of the run, and what in them is not the paper's:

# %%
deviations = wording.deviations(settings)
for model in (wording.SEQUENCE, wording.GAT):
    display(Markdown(wording.deviation_sentence(deviations, model)))

# %%
source, joined = settings.data.dataset, (own_system, "esm", "gat_weighted")
paper_columns = published.published_columns(source, main_set)
number = 2 if 2 in paper_columns else 4
comparison = published.beside_paper(number, all_metrics, source, main_set, joined)
print(published.compared_with(number, source, main_set))
if number == 2:
    write_csv(paths.results / "table2.csv", comparison)
display(published.readable(comparison))

# %%
column = {ours: paper for paper, ours in paper_columns.get(number, {}).items()}
fig = plots.mcc_per_label(
    all_metrics[all_metrics["split"] == main_set],
    published.published_table(number),
    {name: column.get(name, "") for name in joined},
    f"MCC per location, {main_set} ({settings.title})",
)
style.save(fig, paths.figures, "mcc_per_label")
plt.show()

# %% [markdown]
# ## What this run found
# The gate is a veto: it can raise precision and can only lower recall, and it "rescues" nothing. Whether it helps
# depends on how often the vetoed labels are false.

# %%
display(Markdown(in_short.in_short_05(settings, own_changes, shown, own_gate, main_set)))

# %%
recorded = provenance.record(
    settings,
    "05_halo_ensemble",
    splits.fingerprint(table),
    gate={
        "rule": own_gate.rule,
        "esm": own_gate.esm_threshold.value,
        "gat": own_gate.gat_threshold.value,
        "confident": own_gate.confident,
    },
)
print("provenance written to", recorded.name)
