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
# # What does a prediction rest on?
# [← 06 Compare with the field](06_benchmark_comparison.ipynb)
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR--ACCOUNT/halo-companion/blob/main/notebooks/11_attribution.ipynb) [![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/YOUR--ACCOUNT/halo-companion/main?urlpath=lab/tree/notebooks/11_attribution.ipynb)
#
# All notebooks: [00](00_your_proteins.ipynb) · [01](01_data_preparation.ipynb) · [02](02_esm_finetuning.ipynb) · [03](03_confidence_analysis.ipynb) · [04](04_gat_weighting.ipynb) · [05](05_halo_ensemble.ipynb) · [06](06_benchmark_comparison.ipynb) · **11** · [A1](appendix/A1_pretrain_backbone.ipynb) · [what each one answers](../README.md#the-notebooks)
#
# **Does** ask the trained models which residues, features and edges they use: by masking, by gradients and by reading attention, and holds the answers against signals that are known.
#
# **Needs** notebooks 01, 02 and 04 of the same profile.
#
# **Makes** `importance_by_part.csv`, `signal_rules.csv`, `strata.csv`, the figures `residue_importance`, `importance_by_part`, `embedding_map`, `strata`.
# For synthetic proteins: `planted_shares.csv` and a figure of it; where a validation protein has a graph, `modality_importance.csv`; with DeepLoc 2.0, `textbook_signals.csv`.
#
# **Takes** under a minute for `demo`; minutes for `mini` on two CPU cores.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of data, weights and resampling
per_location: int = 5  # proteins explained of every location
windows: int = 36  # places at which a protein is masked; 0 for all residues

# %% tags=["set-up"] jupyter={"source_hidden": true} cellView="form"
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{name}=={metadata.version(name)}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+https://github.com/YOUR--ACCOUNT/halo-companion"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("11_attribution", globals())

# %%
import json

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from sklearn.decomposition import PCA
from torch_geometric.data import Batch

from halo_utils.attribution import attention, gradients, modalities, occlusion, shares, signal_rules, textbook
from halo_utils.commands.predict import load_predictor
from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.data import splits
from halo_utils.data.synthetic.proteome import planted_signals
from halo_utils.evaluation import metrics, scoring, strata, test_sets
from halo_utils.figures import attribution_plots
from halo_utils.figures.style import show_figure
from halo_utils.figures.tables import styled
from halo_utils.runs import artifacts, in_short, provenance, recipe
from halo_utils.structures.reader import PLDDT

# %%
settings = load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed)
paths, work, source = settings.paths.make(), settings.source.work, settings.data.dataset
table = artifacts.load_table(settings)
predictor = load_predictor(work / "classifier")
predictions = artifacts.load_predictions(settings, "esm")
locations, step = predictor.locations, settings.evaluation.threshold_step
threshold = scoring.tune(table, predictions, source, step)
main_set, view = next(iter(test_sets.held_out_views(table, source).items()))
test = table.set_index("accession").loc[view.accessions].reset_index()
print(f"{settings.run_name}: {settings.title}, {len(test):,} proteins of {main_set}")

# %% [markdown]
# ## Three questions that sound alike
# Let $z_k(x)$ be the logit of location $k$ for a protein $x$ with residues $x_1 \dots x_L$. Which residues does it rest
# on? There are three usual answers.
#
# **Masking** (occlusion) asks what the model would say without them. A window $W_i$ around residue $i$ is replaced by
# `<mask>` and the model runs again, once per window:
#
# $$ o_{ki} = z_k(x) - z_k(x \setminus W_i) $$
#
# **Integrated gradients** (Sundararajan et al. 2017) follow the logit from a protein of masks, $e'$, to the embeddings
# $e$ of its tokens and add up the gradient on the way; the parts sum to the difference of the two logits:
#
# $$ g_{ki} = \sum_d (e_{id} - e'_{id}) \int_0^1 \frac{\partial z_k(e' + t\,(e - e'))}{\partial e_{id}}\, dt,
#    \qquad \sum_i g_{ki} = z_k(e) - z_k(e') $$
#
# **Attention** $a_i$ is what the pooling multiplies the state of a residue with (notebook 02). It is one value for all
# locations, and says where the model looks, not what it concludes; and a state has read its neighbours already.
#
# The protein that we follow, for the location the model is surest of:

# %%
name = artifacts.example_protein(table)
sequence = test.set_index("accession").loc[name, "sequence"]
probability = predictions.set_index("accession").loc[name, locations].astype(float)
location = str(probability.idxmax())
masked = occlusion.residue_importance(predictor, sequence, [location])[0]  # [L]
integrated, missing = gradients.integrated_gradients(predictor, sequence, [location])  # [1, L], [1]
looked_at = attention.pooling_attention(predictor, sequence)  # [L]
print(f"{name}, {len(sequence)} residues, {location} {probability[location]:.2f}")

# %% [markdown]
# By hand, one window: the protein with nine residues hidden is one more input of the model.

# %%
given = occlusion.model_input(predictor, sequence)
hidden = np.zeros((2, len(given.read)), dtype=bool)
hidden[1, :9] = True  # the window around the fifth residue
k = locations.index(location)
whole, without_nine = occlusion.logits(predictor, sequence, given, hidden)[:, k]
print(f"logit {whole:.3f}, without the first nine residues {without_nine:.3f}: a fall of {whole - without_nine:.3f}")
print(f"residue_importance of the fifth residue: {masked[given.read[4]]:.3f}")
print(
    f"the integrated gradients sum to {np.nansum(integrated):.3f}, {abs(missing[0]):.0e} off the difference of logits"
)

# %%
rules = signal_rules.annotate(sequence)
spans = [(row.rule, row.start, row.stop) for row in rules.itertuples()]
planted = planted_signals(settings.data.synthetic_proteins, settings.seed) if settings.is_synthetic else {}
spans += [("planted", start + 1, stop) for start, stop in planted.get(name, [])]
tracks = {"masking nine residues": masked, "integrated gradients": integrated[0], "pooling attention": looked_at}
write_csv(paths.results / "residue_importance.csv", pd.DataFrame(tracks).rename_axis("residue").reset_index())
fig = attribution_plots.residue_tracks(tracks, spans, f"{name}: what speaks for {location} ({settings.title})")
alt = f"Three tracks along {name}: fall of the logit under masking, integrated gradients, and pooling attention."
show_figure(fig, paths.figures, "residue_importance", alt)
display(styled(rules, "Rules that match"))

# %% [markdown]
# ## Rules
# Long before there were language models, sorting signals were written down as rules. They are simple and
# none is a predictor: each misses some signals and matches some proteins that have none. How often, location by location:

# %%
rates = signal_rules.hit_rates(test, locations)
write_csv(paths.results / "signal_rules.csv", rates)
display(styled(rates, f"Share of {main_set} proteins that a rule matches, annotated with its location and others"))

# %% [markdown]
# ## Against a known truth
# Nobody knows what a real protein's residues are for as surely as the maker of a synthetic one. Of test proteins whose
# location is predicted rightly, how much of the importance lies inside the planted signals? If it lay anywhere alike,
# it would be as much as the signals' share of residues: the black lines.

# %%
chosen = shares.true_positives(test, predictions, view.locations, threshold.on(main_set), per_location)
masking = list(shares.explained(predictor, chosen, ("occlusion",), windows=windows))
shares_table, uses = pd.DataFrame(), pd.DataFrame()
if planted:
    with_signal = chosen[chosen["accession"].map(planted).map(bool)]
    others = shares.explained(predictor, with_signal, shares.METHODS[1:], seed=settings.seed)
    shares_table = shares.mean_shares(shares.shares_in_signals([*masking, *others], planted))
    uses = shares.falls_without_signals(predictor, chosen, planted, seed=settings.seed)
    write_csv(paths.results / "planted_shares.csv", shares_table)
    fig = attribution_plots.planted_shares(shares_table, f"{main_set} ({settings.title})")
    alt = "Bars per location and method: the share of importance inside planted signals, beside the share by chance."
    show_figure(fig, paths.figures, "planted_shares", alt)
else:
    print("no planted signals: these proteins are real")

# %% [markdown]
# A method cannot find what a model does not use. So all signals of a protein are masked at once, and, beside that, as
# many residues elsewhere. Where both cost the same, the model decides by something else, composition for instance,
# whatever its attention looks at.

# %%
if len(uses):
    display(styled(uses, "Fall of the logit with all signals masked, and as many residues elsewhere", digits=2))

# %% [markdown]
# ## Textbook signals
# Real proteins whose signals were found by experiment, and the start of the mature protein where the signal is cut off.
# Their sequences are not part of this repository: they are read from DeepLoc 2.0 where it is at hand.

# %%
book = None if settings.is_synthetic else textbook.textbook_proteins()
if book is not None:
    found = textbook.measure_textbook(predictor, book, stride=3)
    write_csv(paths.results / "textbook_signals.csv", found)
    display(styled(found, "Importance in textbook signals", digits=2))
else:
    print(
        "textbook proteins are left out: "
        + ("this model has read synthetic ones only" if settings.is_synthetic else "DeepLoc 2.0 is not at hand")
    )

# %% [markdown]
# ## Where importance lies
# Most known signals sit at the ends. Does the model look for them there? Importance in the first and last residues and
# between, by location:

# %%
parts = shares.shares_by_part(masking)
write_csv(paths.results / "importance_by_part.csv", parts)
fig = attribution_plots.importance_by_part(parts, f"masking, {main_set} ({settings.title})")
alt = "Stacked bars per location: shares of importance in the N-terminus, the middle and the C-terminus, beside chance."
show_figure(fig, paths.figures, "importance_by_part", alt)

# %% [markdown]
# Does attention tell the same? The rank correlation of attention and masking along every explained protein:

# %%
ranks = []
for accession, place, _, value in masking:
    looked = attention.pooling_attention(predictor, test.set_index("accession").loc[accession, "sequence"])
    ranks.append((place, pd.Series(looked).corr(pd.Series(value), method="spearman")))
agreement = pd.DataFrame(ranks, columns=["location", "rank correlation"]).groupby("location", sort=False).mean()
display(styled(agreement, "Attention and masking along the sequence", digits=2))

# %% [markdown]
# ## The graph network
# Its nodes carry coordinates, an embedding and biochemistry, and edges join them. What does the trained network lose
# without each? A group is replaced by its mean, which tells residues apart no more; nothing is trained again.

# %%
recorded_04 = json.loads((settings.source.results / "provenance" / "04_gat_weighting.json").read_text())
graphs = recipe.graph_data(settings, table, "finetuned")
learned = settings.gat.weights.mode == "learned"
run = recipe.train_gat(settings, graphs, tuple(recorded_04["weights"]), learned=learned)  # read back, not trained again
rows = graphs.rows("val")
rows = rows[table["accession"].iloc[rows].isin(graphs.stores[2].accessions).to_numpy()]
lost = pd.DataFrame()
if len(rows):
    gat = artifacts.load_predictions(settings, "gat_weighted")
    cut = scoring.tune(table, gat, source, step).value
    lost = modalities.modality_importance(run.model, run.loss, graphs, rows, cut)
    write_csv(paths.results / "modality_importance.csv", lost)
    display(styled(lost, f"The weighted GAT on {len(rows):,} validation proteins with a graph"))
    print("weights of coordinates, embedding, biochemistry:", ", ".join(f"{w:g}" for w in recorded_04["weights"]))
    print("a group of weight 0 is not read, and nothing is lost without it")
else:
    print("no validation protein has a graph: feature groups are not compared")

# %% [markdown]
# Attention on edges: which residues do the others look at, in the protein that we follow?

# %%
one = Batch.from_data_list([graphs.dataset(np.flatnonzero(table["accession"] == name))[0]])
edges, weights = attention.edge_attention(run.model, one)
received = attention.attention_received(edges, weights, one.num_nodes)
top = np.sort(np.argsort(received)[-5:])
print(f"{one.num_edges:,} edges; the five residues looked at most:", (given.read[top] + 1).tolist())

# %% [markdown]
# ## A map of the proteins
# The mean of a protein's residue states, before and after fine-tuning, in two dimensions: UMAP where umap-learn is
# installed, else principal components. Only proteins of one location are drawn. Distances on such a map are no
# measurements; what can be seen is whether locations part.

# %%
labels = splits.label_matrix(test, locations)
single = np.flatnonzero(labels.sum(axis=1) == 1)[:1500]
names = [locations[k] for k in labels[single].argmax(axis=1)]
try:
    from umap import UMAP

    axis, method = "UMAP", UMAP(n_components=2, random_state=settings.seed)
except ImportError:
    axis, method = "principal component", PCA(2, random_state=settings.seed)
maps = {}
for kind, title in (("pretrained", "before fine-tuning"), ("finetuned", "after fine-tuning")):
    store = artifacts.load_embeddings(settings, kind)
    means = np.stack([store.rows(a).astype(np.float32).mean(axis=0) for a in test["accession"].iloc[single]])
    maps[title] = method.fit_transform(means)
points = [pd.DataFrame(xy, columns=["x", "y"]).assign(map=t, location=names) for t, xy in maps.items()]
write_csv(paths.results / "embedding_map.csv", pd.concat(points, ignore_index=True))
fig = attribution_plots.embedding_maps(maps, names, axis, f"Mean residue states, {main_set} ({settings.title})")
show_figure(fig, paths.figures, "embedding_map", "Two maps of test proteins coloured by location, before and after")

# %% [markdown]
# ## For which proteins does it work?
# The same predictions, part by part. Membrane means that a stretch of the sequence is hydrophobic enough to span one
# (Kyte and Doolittle's rule); pLDDT is the mean over the protein.

# %%
lengths = test["sequence"].str.len().to_numpy()
room = settings.backbone.max_tokens - 2
structures = artifacts.load_structures(settings, table)
plddt = [structures.rows(a)[:, PLDDT].mean() if a in structures else np.nan for a in test["accession"]]
parts_of = {
    "kingdom": pd.Categorical(test["kingdom"].replace("", "not stated")),
    "residues": strata.length_quarters(lengths),
    "read": pd.Categorical(np.where(lengths > room, "cut", "whole")),
    "membrane window": pd.Categorical(["yes" if signal_rules.membrane_windows(s) else "no" for s in test["sequence"]]),
    "pLDDT": strata.confidence_ranges(np.array(plddt, dtype=float)),
}
bootstrap = {"resamples": settings.evaluation.bootstrap, "seed": settings.seed}
prob = view.join(predictions)
by_part = strata.by_stratum(view, prob, threshold, parts_of, **bootstrap)
write_csv(paths.results / "strata.csv", by_part)
overall = metrics.scores(view.y, prob >= threshold.on(main_set), prob, view.locations)["micro_f1", ""]
fig = attribution_plots.strata(by_part, overall, f"Fine-tuned ESM, {main_set} ({settings.title})")
show_figure(fig, paths.figures, "strata", "Micro F1 with intervals by kingdom, length, truncation, membrane and pLDDT")

# %% [markdown]
# ## What this run found

# %%
display(Markdown(in_short.in_short_11(settings, parts, shares_table, lost, rates)))

# %%
facts = {"explained": len(chosen), "windows": windows, "threshold": threshold.value}
recorded = provenance.record(settings, "11_attribution", splits.fingerprint(table), **facts)
print("provenance written to", recorded.name)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Checks
# What must hold on every machine; nbval compares these cells.

# %% tags=["nbval-check-output"]
print(
    "masking by hand is residue_importance:", bool(np.isclose(whole - without_nine, masked[given.read[4]], atol=1e-3))
)
print("gradients are complete:", bool(abs(missing[0]) < 0.05 * max(1.0, abs(np.nansum(integrated)))))
print("attention sums to one:", bool(np.isclose(np.nansum(looked_at), 1.0, atol=1e-4)))

# %% tags=["nbval-check-output"]
sums = torch.zeros(one.num_nodes, weights[0].shape[1]).index_add_(0, edges[1], weights[0])
print("attention on the edges of a node sums to one:", bool(torch.allclose(sums, torch.ones_like(sums), atol=1e-4)))
print("shares of the three parts sum to one:", bool(np.allclose(parts[list(shares.PARTS)].sum(axis=1), 1.0)))
print("explanations:", len(masking) == len(chosen))

# %% [markdown]
# The demo's bar, for any processor's rounding. Where signals are two fifths of a protein no method can
# reach it, and where the model does not use them none should.

# %% tags=["nbval-check-output"]
if planted:
    by_method = shares_table.pivot(index="location", columns="method", values="times_chance")
    print("locations with 2.5 times the share by chance, at least 2:", int((by_method["occlusion"] >= 2.5).sum()) >= 2)
    mean = by_method.mean()
    print("masking finds twice what random windows find:", bool(mean["occlusion"] > 2 * mean["random windows"]))

# %%
if planted:  # not compared: with other rounding, locations near three times chance fall on either side
    print("locations with 3 times the importance by chance, at least 2:", int((by_method["occlusion"] >= 3).sum()) >= 2)

# %% tags=["nbval-check-output"]
print([rule.name for rule in signal_rules.RULES])
print("SKL at the end:", signal_rules.annotate("M" + "Q" * 30 + "SKL")["rule"].tolist())
