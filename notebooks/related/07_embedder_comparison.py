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
# # Which embedder, and how many proteins does it take to know?
# [← 06 Compare with the field](../06_benchmark_comparison.ipynb) · [08 Heads on frozen states →](08_sequence_baselines.ipynb)
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR--ACCOUNT/halo-companion/blob/main/notebooks/related/07_embedder_comparison.ipynb) [![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/YOUR--ACCOUNT/halo-companion/main?urlpath=lab/tree/notebooks/related/07_embedder_comparison.ipynb)
#
# All notebooks: [00](../00_your_proteins.ipynb) · [01](../01_data_preparation.ipynb) · [02](../02_esm_finetuning.ipynb) · [03](../03_confidence_analysis.ipynb) · [04](../04_gat_weighting.ipynb) · [05](../05_halo_ensemble.ipynb) · [06](../06_benchmark_comparison.ipynb) · [11](../11_attribution.ipynb) · [A1](../appendix/A1_pretrain_backbone.ipynb) · [what each one answers](../../README.md#the-notebooks)
#
# **Does** repeat the report *Predicting protein subcellular localisation using Deep Learning*: embedders of different size, timed and compared on three locations, then a map and a classifier on one of them. It adds what the report could not show: how accuracy grows with the training proteins, and how often a pilot of 43 proteins picks the wrong embedder.
#
# **Needs** notebook 01 of the same profile.
#
# **Makes** `embedder_cost.csv`, `embedder_scores.csv`, `embedder_differences.csv`, `embedder_sizes.csv`, `embedder_pilots.csv`, `embedder_silhouettes.csv`, `embedder_classifier.csv` and the figures of the same names.
#
# **Takes** under a minute for `demo`; for real proteins minutes with small embedders, with UniRep 1900 ten minutes on two CPU cores that multiply in bf16, an hour on others.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`. What lies on a
# hub is fetched only if `embedders` names it.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of data, weights and resampling
embedders: str = ""  # names in `EMBEDDERS`, with commas; empty for all that are at hand
classifier_of: str = "halo-mini"  # the embedder of the second half
budget: int = 0  # proteins that are embedded, a stratified draw; 0 for all
draws: int = 4  # trainings per number of training proteins
pilots: int = 100  # pilots of 43 proteins

# %% tags=["set-up"] jupyter={"source_hidden": true} cellView="form"
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{name}=={metadata.version(name)}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+https://github.com/YOUR--ACCOUNT/halo-companion"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("07_embedder_comparison", globals())

# %%
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from scipy.stats import binomtest
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score, roc_auc_score, silhouette_samples, silhouette_score

from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.core.paths import REFERENCE
from halo_utils.data import splits
from halo_utils.embeddings.esm2 import pad
from halo_utils.evaluation import arithmetic, class_scores, metrics, published
from halo_utils.evaluation import pilots as pilot_studies
from halo_utils.evaluation.umap import umap_2d
from halo_utils.figures import embedder_figures
from halo_utils.figures.style import show_figure
from halo_utils.figures.tables import styled
from halo_utils.models.losses import BalancedFocalLoss
from halo_utils.models.mean_network import MeanNetwork
from halo_utils.runs import artifacts, embedder_comparison, in_short_sequence, provenance
from halo_utils.training.fit import fit
from halo_utils.training.predict import predict
from halo_utils.training.state_data import StateData

# %%
settings = load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed)
paths, work = settings.paths.make(), settings.paths.work
table = artifacts.load_table(settings)
main_set = splits.held_out_sets(table)[0]
table = table[table["split"].isin(["train", "val", main_set])]
proteins, three, counts = embedder_comparison.three_locations(settings, table, budget)
print(f"{settings.run_name}: {settings.title}")
display(styled(counts.to_frame(), "Which proteins are compared"))

# %% [markdown]
# The report takes reviewed human proteins of fewer than 500 residues in nucleus, cytoplasm or outside the cell. Its
# first half gives each protein one of the three, so we keep the proteins with a single label there; its second half
# lets several be true. Training and test proteins are those of the run: no test protein is a near relative of a
# training protein unless notebook 01 says so.

# %% [markdown]
# ## What can nine proteins say?
# The report draws 43 proteins and tests on 9. Its three embedders get these right:

# %%
report = pd.read_csv(REFERENCE / "embedders.csv").set_index("embedder")
intervals = [binomtest(row.right, row.tested).proportion_ci(method="exact") for row in report.itertuples()]
shown = report.assign(interval=[f"{low:.2f} to {high:.2f}" for low, high in intervals])
display(
    styled(
        shown, "Published, with the 95 % interval of the accuracy that nine proteins allow", 2, {"accuracy": "accuracy"}
    )
)

# %% [markdown]
# Two things can be read off without any experiment. **Weighted recall is accuracy**, always: with $n_k$ of $n$ proteins
# in location $k$ and $h_k$ of them right,
#
# $$ \sum_k \frac{n_k}{n} \cdot \frac{h_k}{n_k} = \frac{\sum_k h_k}{n} $$
#
# so one of the two columns says nothing new. And the intervals overlap. Fisher's exact test asks how often chance alone
# would make two embedders at least as different as these:

# %%
for first, second in combinations(report.index, 2):
    print(f"{first} and {second}:", arithmetic.fisher(first, second).reason)

# %% [markdown]
# ## The embedders
# An embedder maps the residues of a protein to states $h_1 \dots h_L$, vectors of $D$ numbers. Bigger ones are there if
# their weights are: UniRep's come with an extra package, those of ESM-2, ProtBERT and ProtT5 from a hub. Composition
# and one-hot know no other protein, an ESM-2 that was never trained is the control: what it gets right, the
# architecture gives for free.

# %%
asked = embedder_comparison.chosen_embedders(embedders)
found, missing = embedder_comparison.at_hand(asked, fetch=bool(embedders))
print("at hand:", ", ".join(embedder.title for embedder in found))
for embedder in found:
    if embedder.licence:
        print(f"the weights of {embedder.title} are {embedder.licence}")
if len(missing):
    display(styled(missing, "Not at hand"))

# %% [markdown]
# ### From states to one vector
# A protein is represented by the mean of its states. In a batch, shorter proteins are filled up, so the mean needs a
# mask $m$ with 1 for residues:
#
# $$ v = \frac{\sum_i m_i h_i}{\sum_i m_i} $$
#
# The report masks for ProtBERT and ProtT5 and averages ESM-2 "over token representations". Three residues with one
# channel, beside a protein of five: without the mask the vector depends on what else is in the batch.

# %%
states, mask = pad([torch.tensor([[1.0], [2.0], [3.0]]), torch.ones(5, 1)])  # [2, 5, 1], [2, 5]
masked = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
print("masked mean", masked[:, 0].numpy(), "- mean over all positions", states.mean(dim=1)[:, 0].numpy())

# %% [markdown]
# ## What an embedder costs
# As in the report, 43 proteins, here a draw of this run's. Batches hold proteins of similar length; a residue costs what
# the network's size says, and long proteins cost more in attention.

# %%
rng = np.random.default_rng([settings.seed, 43])
sample = proteins["sequence"].iloc[rng.choice(len(proteins), min(43, len(proteins)), replace=False)].tolist()
costs = pd.DataFrame([embedder_comparison.cost(embedder, sample) for embedder in found])
write_csv(paths.results / "embedder_cost.csv", costs)
names = {
    "peak_mb": "peak MB beyond weights",
    "weights_mb": "MB of weights",
    "batch": "proteins per batch",
    "width": "D",
}
residues = sum(map(len, sample))
whole = costs.assign(residues_per_second=costs["residues_per_second"].astype(int))
display(styled(whole, f"{len(sample)} proteins, {residues:,} residues ({settings.title})", digits=2, names=names))

# %%
fig = embedder_figures.cost_bars(costs, f"{len(sample)} proteins, {residues:,} residues ({settings.title})")
show_figure(fig, paths.figures, "embedder_cost", "Seconds, residues per second and memory of every embedder, as bars")

# %% [markdown]
# ## One location of three
# The vectors of all proteins, computed once and kept. The classifier is the report's: linear, ReLU, dropout, linear, a
# softmax, and a cross-entropy in which a location with $n_k$ of $n$ proteins weighs $n / (3\,n_k)$, so that a rare
# location counts as much as a frequent one. The vectors are scaled by the mean and the standard deviation of the
# training proteins, so that embedders whose states differ in size are trained alike.

# %%
vectors = {e.title: embedder_comparison.means_of(settings, e, proteins) for e in found}
single = proteins[proteins["single"]].reset_index(drop=True)
of_single = np.flatnonzero(proteins["single"])
classes = single[three].to_numpy().argmax(axis=1)
train, test = (np.flatnonzero(single["split"] == split) for split in ("train", main_set))
single_vectors = {name: x[of_single] for name, x in vectors.items()}
print(
    f"{len(train)} proteins teach, {len(test)} test:",
    dict(zip(three, np.bincount(classes[test]).tolist(), strict=True)),
)

# %%
families = single["family"].to_numpy()[test]
drawn = metrics.draw(len(test), settings.evaluation.bootstrap, settings.seed, families)
curve, learned = embedder_comparison.accuracy_by_size(
    single_vectors, classes, (train, test), (43, 100, 200, 500, 1200), draws, drawn, settings.seed
)
resampled = {n: class_scores.resample_classes(classes[test], p, three, drawn) for n, p in learned.items()}
scores = pd.concat([metrics.values(r).assign(embedder=n, n=len(test)) for n, r in resampled.items()], ignore_index=True)
write_csv(paths.results / "embedder_scores.csv", scores)
overall = scores[scores["label"] == ""]
text = overall.apply("{value:.3f} [{ci_low:.3f}, {ci_high:.3f}]".format_map, axis=1)
wide = overall.assign(text=text).pivot(index="embedder", columns="metric", values="text")
display(
    styled(wide.loc[list(learned)], f"{len(test)} proteins of {main_set}, learned from {len(train)} ({settings.title})")
)

# %%
title = f"One location against the others ({settings.title})"
fig = embedder_figures.roc_panels(classes[test], learned, three, title)
show_figure(fig, paths.figures, "embedder_roc", "ROC curves of every embedder, one panel per location")

# %% [markdown]
# Is an embedder better than counting residues? Differences to composition, both on the same resamples of the test
# proteins and their families:

# %%
reference = "composition"
others = {name: r for name, r in resampled.items() if name != reference} if reference in resampled else {}
gaps = [metrics.difference(r, resampled[reference]).assign(embedder=name) for name, r in others.items()]
differences = pd.concat(gaps, ignore_index=True) if gaps else pd.DataFrame(columns=["metric", "ci_low", "embedder"])
write_csv(paths.results / "embedder_differences.csv", differences)
shown = differences[differences["metric"].isin(["accuracy_argmax", "weighted_auc"])]
columns = ["embedder", "metric", "difference", "ci_low", "ci_high"]
display(styled(shown.reindex(columns=columns).reset_index(drop=True), f"Minus {reference}"))

# %% [markdown]
# ## How many proteins does it take?
# The same classifier on more and more training proteins, always tested on the same ones. A point is the mean of several
# trainings, each on another draw; its bar holds 95 % of single trainings over resampled test proteins.

# %%
write_csv(paths.results / "embedder_sizes.csv", curve)
fig = embedder_figures.size_curves(curve, f"Accuracy against training proteins ({settings.title})")
show_figure(fig, paths.figures, "embedder_sizes", "Accuracy with intervals against the number of training proteins")

# %% [markdown]
# ## How often is a pilot wrong?
# Now the report's own design, again and again: 34 proteins teach, 9 test, and every embedder sees the same ones. What
# all proteins say is taken as the truth. In how many pilots is another embedder on top, and in how many do two stand
# in the wrong order?

# %%
accuracies = embedder_comparison.pilot_accuracies(single_vectors, classes, (train, test), pilots, settings.seed)
full = curve[curve["proteins"] == len(train)].set_index("embedder")["value"]
pairs = pilot_studies.pair_orders(accuracies, full)
write_csv(paths.results / "embedder_pilots.csv", pairs)
wrong = pilot_studies.wrong_best(accuracies, full)
print(f"{full.idxmax()} is best on all proteins; {wrong:.0%} of {pilots} pilots put another one on top")
low, high = accuracies[full.idxmax()].quantile([0.025, 0.975])
print(f"its own accuracy in a pilot: {low:.2f} to {high:.2f} in 95 % of them; on all proteins {full.max():.2f}")

# %%
fig = embedder_figures.pair_bars(pairs, f"Two embedders in {pilots} pilots of 43 proteins ({settings.title})")
show_figure(
    fig, paths.figures, "embedder_pilots", "Share of pilots that order two embedders rightly, as equals, wrongly"
)

# %% [markdown]
# ## Part two: a map of one embedder
# The report maps the vectors of its smallest embedder to the plane with UMAP (McInnes et al. 2018) and gives a
# silhouette. **Silhouette** compares, for each protein, the mean distance $a$ to its own location with the mean distance
# $b$ to the nearest other one:
#
# $$ s = \frac{b - a}{\max(a, b)} $$
#
# from -1 (among strangers) to 1 (far from all others). Two locations with two proteins each, on a line:

# %%
points, places = np.array([[0.0], [1.0], [4.0], [6.0]]), np.array([0, 0, 1, 1])
a, b = 1.0, (4.0 + 6.0) / 2  # of the first protein: to its own location, to the other
print("by hand", (b - a) / max(a, b), "- all four", silhouette_samples(points, places).round(2).tolist())

# %% [markdown]
# **UMAP** joins each protein $i$ to its nearest neighbours with weights that fall from 1, and looks for places $z$ in the
# plane whose own weights agree with them, edge by edge, under a cross-entropy:
#
# $$ w_{ij} = \exp\frac{-(d_{ij} - \rho_i)}{\sigma_i}, \qquad q_{ij} = \frac{1}{1 + a\,\lVert z_i - z_j \rVert^{2b}} $$
#
# with $\rho_i$ the distance to the nearest one and $\sigma_i$ such that the weights of every protein add up to the same.
# What matters here: neighbours are pulled together and the rest is pushed apart, so a map can look tidier than its
# proteins are. `umap_2d` writes this out for some thousand proteins.
#
# The report says neither in which space its silhouette was taken nor how a protein with two locations was counted. Here
# are three spaces, for the proteins with one location: the vectors themselves, their first 50 principal components, and
# the map, with 15 neighbours, a least distance of 0.5 and seed 0.

# %%
rng = np.random.default_rng([settings.seed, 15])
mapped = np.sort(rng.permutation(len(single))[:1500])  # of more, a map shows no more
rows, spaces = {}, {}
for name, x in single_vectors.items():
    x = x[mapped]
    components = PCA(min(50, *x.shape), random_state=0).fit_transform(x)
    spaces[name] = {"PCA": components[:, :2], "UMAP": umap_2d(x)}
    parts = {"vectors": x, "50 components": components, "UMAP": spaces[name]["UMAP"]}
    rows[name] = {space: silhouette_score(z, classes[mapped]) for space, z in parts.items()}
silhouettes = pd.DataFrame(rows).T.rename_axis("embedder")
write_csv(paths.results / "embedder_silhouettes.csv", silhouettes.reset_index())
stated = published.text_value("embedder_report_silhouette")
caption = f"Silhouettes of {len(mapped)} proteins; published: {stated}, space unknown"
display(styled(silhouettes, caption))

# %%
chosen = next((e for e in found if e.name == classifier_of), found[-1])
names_of = np.array(three)[classes[mapped]]
title = f"{chosen.title}, D = {chosen.width} ({settings.title})"
fig = embedder_figures.maps(spaces[chosen.title], names_of, three, title)
show_figure(fig, paths.figures, "embedder_map", "Proteins in the plane, by principal components and by UMAP")

# %% [markdown]
# ## A classifier for several locations
# Now a protein may be in several of the three. The network is the same with one logistic output per location, and the
# binary cross-entropy counts the positives of a location $w_k$ = negatives / positives times, so that both sides weigh
# the same:
#
# $$ \ell = -\sum_k \big[ w_k\, y_k \log p_k + (1 - y_k) \log (1 - p_k) \big] $$
#
# Kept is the epoch with the best macro F1 on validation (the report: the lowest validation loss).

# %%
y = splits.label_matrix(proteins[proteins["split"] == "train"], three)
weights = (1 - y).sum(axis=0) / y.sum(axis=0)
store = embedder_comparison.states_of(settings, chosen, proteins, pooled=True)
data = StateData(proteins, three, store, residues_per_batch=64, seed=settings.seed)  # a mean counts as one residue
torch.manual_seed(settings.seed)
network, loss = MeanNetwork(chosen.width, len(three)), BalancedFocalLoss(weights, gamma=0.0)
run = fit(network, loss, data, work / "embedder_classifier", epochs=20, learning_rate=3e-3, seed=settings.seed)
print("weights of positives", dict(zip(three, weights.round(2).tolist(), strict=True)), "- best epoch", run.best_epoch)

# %%
predictions = predict(run, data)
tested = proteins[proteins["split"] == main_set]
prob = predictions.set_index("accession").loc[tested["accession"], three].to_numpy()
truth = splits.label_matrix(tested, three)
classified = pd.DataFrame({
    "location": three,
    "prevalence": truth.mean(axis=0),
    "accuracy": ((prob >= 0.5) == truth).mean(axis=0),
    "f1": [metrics.scores(truth, prob >= 0.5, prob, three)["f1", name] for name in three],
    "average_precision": [average_precision_score(truth[:, k], prob[:, k]) for k in range(3)],
    "roc_auc": [roc_auc_score(truth[:, k], prob[:, k]) for k in range(3)],
})  # fmt: skip
write_csv(paths.results / "embedder_classifier.csv", classified)
display(
    styled(
        classified,
        f"{len(tested)} proteins of {main_set}, threshold 0.5 ({settings.title})",
        names={"accuracy": "accuracy"},
    )
)

# %%
title = f"FFN on {chosen.title}, {main_set} ({settings.title})"
fig = embedder_figures.confusion_panels(truth, prob >= 0.5, three, title)
show_figure(fig, paths.figures, "embedder_confusion", "Three 2 by 2 confusion matrices, one per location")

# %%
fig = embedder_figures.precision_recall_and_roc(truth, prob, three, title)
show_figure(
    fig, paths.figures, "embedder_pr_roc", "Precision-recall curves with prevalence, and ROC curves, per location"
)

# %% [markdown]
# ### A number that cannot be, and how to see it
# A ranker that knows nothing has a precision equal to the prevalence at every recall, so its average precision (AP) *is*
# the prevalence: without that line a precision-recall plot cannot be read. The report has high AP with an AUC near or
# below chance. If scores of both kinds are normal with equal variance, AUC and prevalence fix the AP; turned round, this
# is the prevalence that the published pairs need:

# %%
curves = pd.read_csv(REFERENCE / "embedder_curves.csv").set_index("location")
needed = pd.Series({name: arithmetic.prevalence_needed(name).value for name in curves.index})
ours = classified.replace({"location": {"Secreted": "Extracellular"}}).set_index("location")["prevalence"]
names = {"needed": "prevalence it needs", "prevalence": f"prevalence here, {main_set}"}
beside = curves.assign(needed=needed, prevalence=ours)
display(styled(beside, "Published AP and AUC, and the prevalence that explains them", names=names))
print(f"the three would add up to {needed.sum():.2f} labels per protein, of three")

# %% [markdown]
# ## What this run found

# %%
display(Markdown(in_short_sequence.in_short_07(settings, costs, scores, differences, wrong, silhouettes)))

# %%
facts = {"embedders": [e.name for e in found], "budget": budget, "draws": draws, "pilots": pilots}
recorded = provenance.record(settings, "07_embedder_comparison", splits.fingerprint(table), **facts)
print("provenance written to", recorded.name)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Checks
# What must hold on every machine; nbval compares these cells.

# %% tags=["nbval-check-output"]
print(
    "embedders that need nothing fetched are there:", {"composition", "one-hot", "halo-mini"} <= {e.name for e in found}
)
print("found or missing with a reason:", len(found) + len(missing) == len(asked))
print("widths:", {e.name: e.width for e in found if not e.licence and not e.hub})

# %% tags=["nbval-check-output"]
once = overall.pivot(index="embedder", columns="metric", values="value")
print("weighted recall is accuracy:", bool(np.allclose(once["accuracy_argmax"], once["weighted_recall"])))
print("published recall is published accuracy:", bool((report["accuracy"] == report["weighted_recall"]).all()))
print("a masked mean does not see its batch:", masked[0, 0].item() == 2.0)

# %% tags=["nbval-check-output"]
print("learning beats chance by 0.1:", bool(full.max() > 1 / 3 + 0.1))
print("shares of pilots sum to one:", bool(np.allclose(pairs[["right", "tied", "reversed"]].sum(axis=1), 1)))
print("pilots name the wrong embedder at least a quarter of the time:", wrong >= 0.25)

# %% tags=["nbval-check-output"]
print(
    "silhouettes of three spaces:",
    list(silhouettes.columns),
    "- all in [-1, 1]:",
    bool(silhouettes.abs().le(1).all(axis=None)),
)
print("AP is the prevalence at an AUC of one half:", round(arithmetic.average_precision(0.5, 0.3), 3))
print("published pairs need a prevalence above 0.75 everywhere:", bool(needed.min() > 0.75))
