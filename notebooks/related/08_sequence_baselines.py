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
# # Which head on frozen states, and what does accuracy mean?
# [← 07 Compare embedders](07_embedder_comparison.ipynb) · [06 Compare with the field →](../06_benchmark_comparison.ipynb)
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR--ACCOUNT/halo-companion/blob/main/notebooks/related/08_sequence_baselines.ipynb) [![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/YOUR--ACCOUNT/halo-companion/main?urlpath=lab/tree/notebooks/related/08_sequence_baselines.ipynb)
#
# All notebooks: [00](../00_your_proteins.ipynb) · [01](../01_data_preparation.ipynb) · [02](../02_esm_finetuning.ipynb) · [03](../03_confidence_analysis.ipynb) · [04](../04_gat_weighting.ipynb) · [05](../05_halo_ensemble.ipynb) · [06](../06_benchmark_comparison.ipynb) · [11](../11_attribution.ipynb) · [A1](../appendix/A1_pretrain_backbone.ipynb) · [what each one answers](../../README.md#the-notebooks)
#
# **Does** put the heads of five papers on the same frozen states: annotation transfer, a network on the mean, HALO's attention pooling, the attention of DeepLoc 2.0, Light Attention. Then the features and classifiers of Luo et al. 2024, with and without a leak in how minority classes are filled up, and the two meanings of accuracy in HALO's Table 4. Then Light Attention where it was published, and at last HALO's own question for the best head: does a graph network beside it help?
#
# **Needs** notebook 01 of the same profile.
#
# **Makes** `head_scores.csv`, `head_differences.csv`, `luo_strategies.csv`, `luo_protocols.csv`, `accuracy_definitions.csv`, `hard_sets.csv` and `hard_accuracy.csv` where DeepLoc 1.0's test sets are at hand, `frozen_hybrid_metrics.csv`, `frozen_hybrid_differences.csv`, `frozen_hybrid_opinions.csv`, predictions of every head, figures of the same names, `attention_profiles` and `smote`.
#
# **Takes** under a minute for `demo`; for real proteins an hour on two CPU cores with halo-mini.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`. What lies on a
# hub is fetched only if `embedders` names it.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of data, weights and resampling
embedders: str = "one-hot,halo-mini"  # names in `EMBEDDERS`, with commas
budget: int = -1  # proteins that are embedded, a stratified draw; 0 for all, -1 for all real or 240 synthetic ones
network_epochs: int = 6  # of every head
repeats: int = 1  # first weights per head; what is claimed about a head needs 3
heads: str = ""  # titles of the heads that are trained, with commas; empty for all
only_means: str = ""  # embedders of which only means are kept, with commas: heads on residues leave them out
luo_budget: int = 0  # proteins of the classifiers of Luo et al., a stratified draw; 0 for all

# %% tags=["set-up"] jupyter={"source_hidden": true} cellView="form"
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{name}=={metadata.version(name)}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+https://github.com/YOUR--ACCOUNT/halo-companion"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("08_sequence_baselines", globals())

# %%
from functools import partial

import lightning as L
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.core.paths import REFERENCE
from halo_utils.data import kmers, splits
from halo_utils.data.datasets import DATASETS
from halo_utils.embeddings.feature_strategies import ends_of, segment_means, strategies
from halo_utils.embeddings.truncation import seen_sequences
from halo_utils.evaluation import arithmetic, class_scores, hybrid_ground, metrics, published, scoring, seeds, test_sets
from halo_utils.figures import embedder_figures
from halo_utils.figures.style import show_figure
from halo_utils.figures.tables import styled
from halo_utils.models.light_attention import LightAttention
from halo_utils.runs import (
    artifacts,
    embedder_comparison,
    frozen_hybrid,
    hard_sets,
    in_short_sequence,
    provenance,
    sequence_baselines,
)
from halo_utils.training import baselines, fit, luo_classifiers

# %%
settings = load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed)
paths, source, locations = settings.paths.make(), settings.data.dataset, list(DATASETS[settings.data.dataset].locations)
bootstrap = {"resamples": settings.evaluation.bootstrap, "seed": settings.seed}
everything = artifacts.load_table(settings)
main_set = splits.held_out_sets(everything)[0]
size = (240 if settings.is_synthetic else 0) if budget < 0 else budget
batch = 512 if settings.is_synthetic else settings.esm.tokens_per_batch  # residues; few proteins need small batches
followed = artifacts.example_protein(everything)  # the protein that all notebooks follow
table, _ = splits.stratified_subset(everything, locations, size, settings.seed, keep=frozenset([followed]))
read = seen_sequences(list(table["sequence"]), settings.backbone.max_tokens, settings.backbone.truncation)
table = table.assign(sequence=read)
test_names = splits.held_out_sets(table)
found, missing = embedder_comparison.at_hand(embedder_comparison.chosen_embedders(embedders), fetch=True)
print(f"{settings.run_name}: {settings.title}; {len(table):,} proteins:", table["split"].value_counts().to_dict())
print("embedders:", ", ".join(f"{e.title} (D = {e.width}) {e.licence}".strip() for e in found))
if len(missing):
    display(styled(missing, "Not at hand"))

# %% [markdown]
# ## From states to a location: six heads
# An embedder gives every residue a state $h_i$ of $D$ numbers, and no head changes them. What a head must do is come
# from $L$ states, however many, to one answer. Three residues with two channels, to follow by hand:

# %%
h = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [3.0, 1.0]]])  # [1, L = 3, D = 2]
mask = torch.ones(1, 3, dtype=torch.bool)
L.seed_everything(0, verbose=False)
print("mean", h.mean(dim=1)[0].numpy().round(3), "- maximum", h.amax(dim=1)[0].numpy())
a = torch.softmax(h[0] @ torch.tensor([2.0, 0.0]), dim=0)
print("one attention for all channels", a.numpy().round(3), "-> z", (a @ h[0]).numpy().round(3))
per_channel = torch.softmax(2 * h[0], dim=0)  # [L, D]
z = (per_channel * h[0]).sum(dim=0)
print(
    "an attention per channel",
    [np.round(c, 3).tolist() for c in per_channel.T.double().numpy()],
    "-> z",
    z.numpy().round(3),
)

# %% [markdown]
# | head | from states to a vector | published by |
# | --- | --- | --- |
# | nearest neighbour | the mean, and the labels of the training protein whose mean is nearest (L1) | Stärk et al. 2021, "AT" |
# | FFN on the mean | $\bar h$, one hidden layer | embedder report, notebook 07 |
# | FFN with both ends | $[\bar h\,;\ \bar h_{1..60}\,;\ \bar h_{L-59..L}]$, one hidden layer | ours |
# | HALO's attention | $\sum_i a_i h_i$, $a = \mathrm{softmax}(w^\top h_i + b)$ | HALO, section 2.1 |
# | DeepLoc 2 attention | 256 channels, $a$ smoothed by a Gaussian along the protein | Thumuluri et al. 2022 |
# | Light Attention | $[\sum_i v_i\, \mathrm{softmax}_i(s_i)\,;\ \max_i v_i]$ per channel, $v$ and $s$ convolutions of 9 residues | Stärk et al. 2021 |
#
# DeepLoc 2.0 also learns where annotated sorting signals lie; those annotations are not at hand, so that its attention
# is guided by labels alone. Light Attention was published for one location per protein, here each location has its own
# logistic output. Its released code takes the maximum over padding too. With the mask, neighbours in a batch change
# nothing:

# %%
light = LightAttention(2, 4).eval()
padded = torch.cat([h, torch.full((1, 5, 2), 9.0)], dim=1)  # the same protein beside a longer one
long_mask = torch.tensor([[True] * 3 + [False] * 5])
with torch.no_grad():
    alone, beside = light(h, mask), light(padded, long_mask)
print("logits alone and beside a longer protein differ by at most", f"{(alone - beside).abs().max():.0e}")
width = found[-1].width
sizes = {head.title: fit.parameter_counts(head.make(width, len(locations)))[0] for head in sequence_baselines.HEADS}
display(styled(pd.Series(sizes, name="parameters").to_frame(), f"Parameters of the heads at D = {width}"))

# %% [markdown]
# ## Training
# One store of states per embedder, read by every head; where the disk cannot hold the states of all residues, or
# `only_means` names the embedder, it holds means, and only heads that read means are trained. AdamW, the same epochs
# for all heads on residues, four times as many for heads on means, where one takes seconds; kept is the epoch with the
# best macro F1 on validation, where the threshold is chosen too. Nothing is chosen on a test set.

# %%
answers, runs = {}, {}  # (head, embedder, repeat) -> probabilities; (head, embedder) -> the trained head
stores = {
    e.title: embedder_comparison.states_of(settings, e, table, pooled=e.name in only_means.split(",")) for e in found
}
whole = [e for e in found if not stores[e.title].pooled][-1]  # the last whose residues the disk holds
for embedder in found:
    key, states = (sequence_baselines.NEAREST, embedder.title), stores[embedder.title]
    answers[*key, 0] = sequence_baselines.nearest_labels(table, locations, states)
    for head in sequence_baselines.heads_for(states, heads):
        for repeat in range(repeats):
            how = {"states": states, "residues_per_batch": batch, "seed": settings.seed + repeat}
            how["epochs"] = network_epochs
            trained, said = sequence_baselines.fit_head(settings, head, embedder, table, locations, **how)
            runs.setdefault((head.title, embedder.title), trained)
            answers[head.title, embedder.title, repeat] = said
            artifacts.save_predictions(settings, f"{head.title} {embedder.name} {repeat}".replace(" ", "-"), said)
unfinished = sum(trained.best_epoch == len(trained.history) for trained in runs.values())
print(f"{len(answers)} heads, on {int((table['split'] == 'train').sum()):,} training proteins")
print(
    f"{unfinished} of {len(runs)} were best in their last epoch: with more `network_epochs` these would go on to learn"
)

# %%
views = test_sets.held_out_views(table, source)
parts = []
for (head, embedder, repeat), said in answers.items():
    measured = scoring.measure_plain(table, head, said, source, step=settings.evaluation.threshold_step, **bootstrap)
    parts.append(measured.rename(columns={"system": "head"}).assign(embedder=embedder, repeat=repeat))
head_scores = pd.concat(parts, ignore_index=True)
write_csv(paths.results / "head_scores.csv", head_scores)
overall = head_scores[(head_scores["label"] == "") & (head_scores["split"] == main_set)]
averaged = overall.groupby(["head", "embedder", "metric"], sort=False)[["value", "ci_low", "ci_high"]].mean()
averaged = averaged.reset_index()
shown = averaged[averaged["metric"].isin(["micro_f1", "macro_f1", "accuracy", "mcc_overall"])]
wide = shown.pivot_table("value", ["embedder", "head"], "metric", sort=False)
display(styled(wide, f"{len(views[main_set].y):,} proteins of {main_set} ({settings.title})"))

# %%
title = f"Heads on frozen states, {main_set} ({settings.title})"
fig = embedder_figures.head_scores(averaged, "micro_f1", title)
show_figure(fig, paths.figures, "head_scores", "Micro F1 with intervals of every head on every embedder")

# %% [markdown]
# Differences say more than overlapping intervals, because both heads see the same resampled proteins. Each head minus
# the network on the mean, the least that a look at single residues has to beat; and each embedder minus the first:

# %%
view, rows = views[main_set], []
step, plain, first = settings.evaluation.threshold_step, "FFN on the mean", found[0].title


def decided(key: tuple[str, str, int]) -> scoring.Named:
    """Return a system's name, its labels at the threshold from validation, and its probabilities."""
    prob = view.join(answers[key])
    return (" on ".join(key[:2]), prob >= scoring.tune(table, answers[key], source, step).on(view.name), prob)


for head, embedder, repeat in answers:
    pairs = [(plain, embedder, repeat)] * (head != plain) + [(head, first, repeat)] * (embedder != first)
    for other in pairs:
        compared = scoring.compare(view, decided((head, embedder, repeat)), decided(other), **bootstrap)
        rows.append(compared[compared["label"] == ""].assign(repeat=repeat))
of_repeats = [part for _, part in pd.concat(rows, ignore_index=True).groupby("repeat")]
differences = seeds.differences_over_seeds(of_repeats)  # of proteins and, with more repeats, of first weights
write_csv(paths.results / "head_differences.csv", differences)
micro = differences[differences["metric"] == "micro_f1"]
columns = ["first", "second", "difference", "ci_low", "ci_high", "seeds"]
display(styled(micro[columns].reset_index(drop=True), f"Micro F1, paired ({settings.title})"))

# %% [markdown]
# Light Attention's own numbers, on other proteins with ten locations and one label each (accuracy in percent). What
# matters more, the head or the states it reads?

# %%
reference = pd.read_csv(REFERENCE / "light_attention.csv")
others = reference.pivot(index="embedder", columns="head", values=["setDeepLoc", "setHARD"])
display(styled(others, "Published by Stärk et al. 2021: DeepLoc's test set, and a harder one", digits=0))
for name in ("setDeepLoc", "setHARD"):
    of_head, of_states = np.ptp(others[name], axis=1), np.ptp(others[name], axis=0)
    head, states = (f"{values.min():.0f} to {values.max():.0f}" for values in (of_head, of_states))
    print(f"{name}: the head makes {head} points, the states {states}")

# %% [markdown]
# ### Where do the heads look?
# Attention along the protein that all notebooks follow. Light Attention has one attention per channel; drawn is their
# mean.

# %%
states = torch.tensor(stores[whole.title].rows(followed)[None]).float()
seen = torch.ones(states.shape[:2], dtype=torch.bool)
look = {
    "HALO's attention": lambda head: head.pooling.weights(states, seen),
    "DeepLoc 2 attention": lambda head: head.with_attention(states, seen)[1],
    "Light Attention": lambda head: head.weights(states, seen).mean(dim=1),
}
there = [title for title in look if (title, whole.title) in runs]
with torch.no_grad():
    profiles = {title: look[title](runs[title, whole.title].model)[0].numpy() for title in there}
if profiles:
    fig = embedder_figures.attention_profiles(profiles, f"{followed} on {whole.title} ({settings.title})")
    show_figure(fig, paths.figures, "attention_profiles", f"Attention of heads along {followed}")

# %% [markdown]
# ### What does the neighbour say?
# Annotation transfer is the one head that shows its evidence: which training protein, and how far away. If it does as
# well as the networks, the test set may simply repeat the training set (notebook 01 counts such pairs).

# %%
evidence = answers[sequence_baselines.NEAREST, found[-1].title, 0].merge(table[["accession", "containment"]])
evidence = evidence.assign(right=(evidence[locations].to_numpy() == splits.label_matrix(
    table.set_index("accession").loc[evidence["accession"]], locations)).all(axis=1))  # fmt: skip
thirds = pd.qcut(evidence["distance"].rank(method="first"), 3, labels=["near", "middle", "far"])
display(
    styled(
        evidence.groupby(thirds.rename("neighbour"), observed=True)[["distance", "right"]].mean(),
        "Right label sets by distance",
    )
)

# %% [markdown]
# ## The features of Luo et al. 2024
# Luo et al. describe a protein by single vectors of a language model: the state of `<cls>`, that of `<eos>`, the mean,
# and the means of ten segments of nearly equal length. Thirteen residues make three segments of two and seven of one:

# %%
print([len(part) for part in np.array_split(np.arange(13), 10)])
classes_of = table[locations].sum(axis=1) == 1
single = table[classes_of & table["split"].isin(["train", "val", main_set])].reset_index(drop=True)
single, _ = splits.stratified_subset(single, locations, luo_budget, settings.seed)
classes = single[locations].to_numpy().argmax(axis=1)
learns, chooses, tested = ((single["split"] == split).to_numpy() for split in ("train", "val", main_set))
embedder, names, store = whole, list(single["accession"]), stores[whole.title]
segments = np.stack([segment_means(store.rows(name)) for name in names])  # [B, 10, D]
vectors = strategies(ends_of(embedder, list(single["sequence"])), store.means(names), segments)
print(f"{embedder.title}, {len(single)} proteins with one location:", {name: x.shape for name, x in vectors.items()})

# %% [markdown]
# Their classifiers are a random forest and a perceptron of four hidden layers. Which features are best is chosen on
# validation, with the forest.

# %%
rows = []
for name, x in vectors.items():
    said = luo_classifiers.learn(luo_classifiers.forest, x[learns], classes[learns], x[~learns], settings.seed)
    right = said.argmax(axis=1) == classes[~learns]
    for split, asked in (("val", chooses), (main_set, tested)):
        rows.append({"features": name, "split": split, "accuracy": right[asked[~learns]].mean()})
compared = pd.DataFrame(rows).pivot(index="features", columns="split", values="accuracy").loc[list(vectors)]
write_csv(paths.results / "luo_strategies.csv", compared.reset_index())
best = compared["val"].idxmax()
display(
    styled(compared.assign(width=[x.shape[1] for x in vectors.values()]), f"Random forest, accuracy ({settings.title})")
)
print("best on validation:", best)

# %% [markdown]
# ## A leak: made-up proteins in validation
# Rare locations have few proteins. **SMOTE** (Chawla et al. 2002) makes more: it takes a protein $x$ of the location
# and one of its five nearest there, $x'$, and puts a new one at a random place between them:
#
# $$ \tilde x = x + u\,(x' - x), \qquad u \sim U(0, 1) $$

# %%
rng = np.random.default_rng(1)
toy = np.concatenate([rng.normal(size=(30, 2)), rng.normal((2.5, 2.5), 0.7, size=(6, 2))])
toy_classes = np.repeat([0, 1], [30, 6])
filled, filled_classes = luo_classifiers.smote(toy, toy_classes, raised=0.8, seed=1)
print("before", np.bincount(toy_classes).tolist(), "- after", np.bincount(filled_classes).tolist())
made, made_classes = filled[len(toy) :], filled_classes[len(toy) :]
fig = embedder_figures.smote_map(
    toy, toy_classes, made, made_classes, "SMOTE: what lies between two proteins of one class"
)
show_figure(fig, paths.figures, "smote", "Real and made-up points of two classes in the plane")

# %% [markdown]
# A made-up protein is nearly a copy of two real ones. If it is made **before** the data are split, as in the released
# code, its parents lie in training while it is tested on. Made **inside** each fold from the fold's own training
# proteins, it cannot tell. The same classifiers in five folds both ways, and then on the test set that no fold has seen:

# %%
layers = (100,) if settings.is_synthetic else luo_classifiers.LAYERS  # few proteins fill no four layers
classifiers = {"random forest": luo_classifiers.forest, "MLP": partial(luo_classifiers.perceptron, layers=layers)}
rows, pool, answers_luo = [], learns | chooses, {}
for name, make in classifiers.items():
    x, y = vectors[best][pool], classes[pool]
    folds = {p: luo_classifiers.cross_validated(make, x, y, p, settings.seed) for p in luo_classifiers.PROTOCOLS}
    prob = luo_classifiers.learn(make, x, y, vectors[best][tested], settings.seed)
    answers_luo[name] = np.pad(prob, ((0, 0), (0, len(locations) - prob.shape[1])))
    rows.append({"classifier": name, **folds, "test": (prob.argmax(axis=1) == classes[tested]).mean()})
protocols = pd.DataFrame(rows)
write_csv(paths.results / "luo_protocols.csv", protocols)
fig = embedder_figures.protocol_bars(protocols, f"What cross-validation promises ({settings.title})")
show_figure(fig, paths.figures, "luo_protocols", "Accuracy in both protocols and on the test proteins, per classifier")

# %% [markdown]
# ## Two meanings of accuracy
# HALO's Table 4 puts two accuracies side by side that are different quantities. **Subset accuracy** $a$ asks whether a protein's
# labels are all right. The **mean of one against rest** asks it of each of $K$ locations and averages. A protein with
# one label that is predicted elsewhere has two wrong labels of $K$, so
#
# $$ \text{one against rest} = 1 - \frac{2\,(1 - a)}{K} $$
#
# and with ten locations nobody can be much below 0.9. Four proteins, five locations, one protein wrong:

# %%
truth = np.eye(5, dtype=int)[[0, 1, 2, 3]]
said = np.eye(5, dtype=int)[[0, 1, 2, 4]]
subset, one_against_rest = (truth == said).all(axis=1).mean(), class_scores.one_vs_rest_accuracy(truth, said)
print(f"subset {subset:.2f}, one against rest {one_against_rest:.2f}, by the formula {1 - 2 * (1 - subset) / 5:.2f}")

# %%
both = arithmetic.both_accuracies()
display(styled(both, "Table 4 on S, in both definitions"))
print(published.accuracy_sentence())

# %% [markdown]
# Luo et al. also compute the AUC from predicted labels, where it is only (recall + specificity) / 2. Our classifiers on
# the same test proteins, with every metric both ways, and intervals over proteins and families:

# %%
truth = np.eye(len(locations), dtype=int)[classes[tested]]
drawn = metrics.draw(int(tested.sum()), families=single["family"].to_numpy()[tested], **bootstrap)
rows = []
for name, prob in answers_luo.items():
    pred = metrics.most_probable(prob)
    interval = metrics.values(class_scores.resample_classes(classes[tested], prob, locations, drawn)).set_index(
        "metric"
    )
    rows.append({
        "classifier": name,
        "accuracy": (truth == pred).all(axis=1).mean(),
        "ci_low": interval.loc["accuracy_argmax", "ci_low"],
        "ci_high": interval.loc["accuracy_argmax", "ci_high"],
        "accuracy_one_vs_rest": class_scores.one_vs_rest_accuracy(truth, pred),
        "auc_of_labels": class_scores.hard_label_auc(truth, pred),
        "weighted_auc": interval.loc["weighted_auc", "value"],
    })  # fmt: skip
definitions = pd.DataFrame(rows)
write_csv(paths.results / "accuracy_definitions.csv", definitions)
display(styled(definitions, f"{int(tested.sum())} proteins of {main_set}, features `{best}` ({settings.title})"))

# %% [markdown]
# ## Where Light Attention was tested
# Its accuracies above are on DeepLoc 1.0's test set and on setHARD, whose proteins have one location each. Most of them
# are proteins of DeepLoc 2.0, too. So first everything near them leaves training and validation: copies, then near
# duplicates and relatives, by how many 6-mers of the shorter protein two proteins have in common.

# %%
asked = hard_sets.read_sets(settings)
if asked is None:
    print("Left out: it takes a run on DeepLoc 2.0, and both files of `deeploc1/` (data/sources.yaml) at hand.")
else:
    hard, left_out = hard_sets.without_overlap(settings, table, everything, asked)
    write_csv(paths.results / "hard_sets.csv", left_out)
    cuts = f"near duplicates from {kmers.NEAR_DUPLICATE:.0%} of common 6-mers on, relatives from {kmers.FAMILY:.0%} on"
    display(styled(left_out, f"Proteins to learn from and to choose with: {cuts} ({settings.title})"))

# %% [markdown]
# Then two heads and the nearest neighbour learn anew from what is left, proteins with several locations included, and
# are asked for one: the most probable. In the loss of the network on the mean positives count more, the rarer the more;
# validation proteins of one location decide whether its answers are taken as they are or with these weights undone.
# Kept is the best epoch on validation, as above.

# %%
accuracies = None
if asked is not None:
    states = hard_sets.states_beside(settings, whole, table, hard[hard["split"].isin(asked["split"])])
    how = {"epochs": network_epochs, "residues_per_batch": batch, "repeats": repeats, "titles": heads}
    said = hard_sets.ask_heads(settings, whole, hard, states, **how)
    accuracies = hard_sets.accuracies(hard, said, whole.title, **bootstrap)
    write_csv(paths.results / "hard_accuracy.csv", accuracies)
    caption = f"Accuracy in percent, {whole.title} here and {hard_sets.PUBLISHED_EMBEDDER} published"
    display(styled(hard_sets.beside_published(accuracies), f"{caption} ({settings.title})"))

# %% [markdown]
# The columns differ in more than the embedder. Published heads learned from DeepLoc 1.0: other proteins, chosen so that
# homologs of the tested ones are not among them. Ours learn from DeepLoc 2.0, in which more distant homologs than those
# counted above remain. And an embedder may have read any of these sequences, without locations, in its own training.

# %% [markdown]
# ## Does structure help the best of them?
# HALO puts a graph network beside its own fine-tuned model (notebook 05). Here the head and the embedder that
# validation prefers are the sequence model, and the nodes of the graphs are the same frozen states. A graph network
# wants few channels, so a residue's state $h_i$ is brought to its principal components (of training residues), which
# lose no more than they must and are divided by one number, so that their mean square is 1:
#
# $$ c_i = A^\top (h_i - \bar h)\, /\, s, \qquad A \in \mathbb{R}^{D \times C}, \quad C = \min(D, 256) $$
#
# All is measured on test proteins with a graph, with thresholds from validation proteins with one. The networks without
# edges, or with other ones, are the controls of notebook 05.

# %%
best_head, best_embedder = max(runs, key=lambda pair: runs[pair].history["val_macro_f1"].max())
embedder = next(e for e in found if e.title == best_embedder)
on_graphs = hybrid_ground.ground_views(table, source)
reads = seen_sequences(list(everything["sequence"]), settings.backbone.max_tokens, settings.backbone.truncation)
with_graph = everything.assign(sequence=reads)[everything["graph"]].reset_index(drop=True)
if on_graphs:
    states = frozen_hybrid.graph_states(settings, embedder, with_graph)
    nodes = frozen_hybrid.node_states(settings, states, with_graph)
    print(f"{best_head} on {best_embedder}; {len(nodes):,} proteins with a graph, {nodes.width} numbers per residue")
else:
    print(f"Fewer than {hybrid_ground.LEAST_PROTEINS} test or validation proteins with a graph: nothing is measured.")

# %%
tables, floor = [], baselines.composition_baseline(everything, locations, settings.seed) if on_graphs else None
for repeat in range(repeats if on_graphs else 0):
    said = {"esm": answers[best_head, best_embedder, repeat], "composition": floor}
    said |= frozen_hybrid.train_networks(settings, everything, settings.seed + repeat)
    said = hybrid_ground.with_mean(said, locations)
    cuts = hybrid_ground.tune_on_graphs(table, said, source, step)
    for ground in on_graphs.values():
        parts = frozen_hybrid.measure(ground, said, cuts, settings.gate.confident, **bootstrap)
        tables.append([part.assign(repeat=repeat, head=f"{best_head} on {best_embedder}") for part in parts])

# %%
on_ground = pd.DataFrame()
if tables:
    on_ground, gaps, asked = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    gaps = seeds.differences_over_seeds([part for _, part in gaps.groupby("repeat")])
    write_csv(paths.results / "frozen_hybrid_metrics.csv", on_ground)
    write_csv(paths.results / "frozen_hybrid_differences.csv", gaps)
    write_csv(paths.results / "frozen_hybrid_opinions.csv", asked)
    name = next(iter(on_graphs.values())).name
    here = on_ground[(on_ground["split"] == name) & (on_ground["label"] == "")]
    means = here.groupby(["system", "metric"], sort=False)["value"].mean().unstack()[["micro_f1", "macro_f1"]]
    display(
        styled(means, f"Mean of {repeats} training(s) on {name}, {here['n'].iloc[0]:,} proteins ({settings.title})")
    )
    micro_gaps = gaps[(gaps["split"] == name) & (gaps["metric"] == "micro_f1")]
    display(styled(micro_gaps[columns].reset_index(drop=True), f"Differences in micro F1, {name}", digits=4))

# %% [markdown]
# The first rows of differences ask whether anything beside the head helps; those between networks ask whether contacts
# do. The gate's gain only counts where it is above what a random veto of its size gains:

# %%
if tables:
    shown_opinions = asked[(asked["metric"] == "micro_f1") & (asked["repeat"] == 0) & (asked["ground"] == name)]
    wanted = ["opinion", "asked", "vetoed", "value", "gain", "ci_low", "ci_high", "random_gain", "random_high"]
    display(styled(shown_opinions[wanted].reset_index(drop=True), f"Second opinions in the gate, {name}", digits=4))

# %% [markdown]
# ## What this run found

# %%
structure = micro_gaps if tables else None
text = in_short_sequence.in_short_08(
    settings, averaged, differences, protocols, both, definitions, structure, accuracies
)
display(Markdown(text))

# %%
facts = {
    "embedders": [e.name for e in found],
    "budget": size,
    "epochs": network_epochs,
    "repeats": repeats,
    "heads": heads or "all",
    "only_means": only_means,
    "luo_budget": luo_budget,
    "features": best,
}
recorded = provenance.record(settings, "08_sequence_baselines", splits.fingerprint(everything), **facts)
print("provenance written to", recorded.name)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Checks
# What must hold on every machine; nbval compares these cells.

# %% tags=["nbval-check-output"]
print("heads:", sorted({key[0] for key in answers}), "- embedders:", [e.name for e in found])
print("padding changes no logit of Light Attention:", bool(torch.allclose(alone, beside, atol=1e-5)))
print("attention sums to one:", bool(all(np.isclose(weights.sum(), 1, atol=1e-3) for weights in profiles.values())))

# %% tags=["nbval-check-output"]
print("best head has a micro F1 above 0.3:", bool(wide["micro_f1"].max() > 0.3))
print("interval ends in order:", bool((overall["ci_low"] <= overall["ci_high"]).all()))

# %% tags=["nbval-check-output"]
print("features:", {name: x.shape[1] for name, x in vectors.items()})
print("SMOTE keeps the real ones:", bool(np.array_equal(filled[: len(toy)], toy)), np.bincount(filled_classes).tolist())
leak = protocols["released_code"] - protocols["inside the fold"]
print("made-up proteins in validation raise its accuracy:", bool((leak > 0).all()))

# %% tags=["nbval-check-output"]
print("by the formula:", bool(np.isclose(one_against_rest, 1 - 2 * (1 - subset) / 5)))
print(
    "one against rest is above subset accuracy:",
    bool((definitions["accuracy_one_vs_rest"] >= definitions["accuracy"]).all()),
)
print(both.round(4).to_string(index=False))
