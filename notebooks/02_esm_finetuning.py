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
# # Fine-tune the sequence model and choose its threshold
# [← 01 Prepare the data](01_data_preparation.ipynb) · [03 Read its confidence →](03_confidence_analysis.ipynb)
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR--ACCOUNT/halo-companion/blob/main/notebooks/02_esm_finetuning.ipynb) [![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/YOUR--ACCOUNT/halo-companion/main?urlpath=lab/tree/notebooks/02_esm_finetuning.ipynb)
#
# All notebooks: [00](00_your_proteins.ipynb) · [01](01_data_preparation.ipynb) · **02** · [03](03_confidence_analysis.ipynb) · [04](04_gat_weighting.ipynb) · [05](05_halo_ensemble.ipynb) · [06](06_benchmark_comparison.ipynb) · [11](11_attribution.ipynb) · [A1](appendix/A1_pretrain_backbone.ipynb) · [what each one answers](../README.md#the-notebooks)
#
# **Does** build the paper's sequence model step by step, fine-tune the one that the profile describes, sweep the threshold on validation, measure the test sets, and store an embedding for every residue.
#
# **Needs** notebook 01 of the same profile.
#
# **Makes** `esm_training.csv`, `threshold_sweep.csv`, `metrics_sequence.csv`, `metrics_label_thresholds.csv`, `differences_sequence.csv`, `deviations.csv`, probabilities, residue stores before and after fine-tuning.
#
# **Takes** under a minute for `demo`; half an hour for `mini` on two CPU cores; hours for `paper` on one GPU.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`.
# Another `epochs` makes a variation: this notebook reads the run of the plain name, writes under a name of its
# own, and no later notebook reads that. To carry a change through all notebooks, put it into a profile.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of data, weights and resampling
epochs: int = -1  # epochs of fine-tuning
compare_heads: str = (
    ""  # all, paper or none: how many steps from the paper's head to this model's are trained beside it
)

# %% tags=["set-up"] jupyter={"source_hidden": true} cellView="form"
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{name}=={metadata.version(name)}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+https://github.com/YOUR--ACCOUNT/halo-companion"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("02_esm_finetuning", globals())

# %%
import lightning as L
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display

from halo_utils.commands.predict import locate_proteins
from halo_utils.config import load_settings
from halo_utils.core.devices import compiles
from halo_utils.core.errors import LeakError
from halo_utils.core.files import write_csv
from halo_utils.data import splits
from halo_utils.data.datasets import DATASETS
from halo_utils.embeddings.esm2 import SplitEsm2, load_esm2, residues_of, tokenize
from halo_utils.evaluation import published, scoring, test_sets, thresholds
from halo_utils.figures import diagrams, plots
from halo_utils.figures.style import show_figure
from halo_utils.figures.tables import styled
from halo_utils.models.esm_classifier import EsmClassifier
from halo_utils.models.losses import FocalLoss
from halo_utils.models.predictor import HaloPredictor
from halo_utils.models.rarity_offset import RarityOffset
from halo_utils.models.region_classifier import RegionClassifier
from halo_utils.runs import artifacts, in_short, ladder, provenance, wording
from halo_utils.training import baselines
from halo_utils.training.embed import cache_trunk, embed
from halo_utils.training.fit import fit, parameter_counts
from halo_utils.training.predict import predict
from halo_utils.training.sequence_data import SequenceData

# %%
settings = load_settings(
    profile, dataset=dataset, max_proteins=max_proteins, seed=seed, epochs=epochs, esm={"compare_heads": compare_heads}
)
paths, work = settings.paths.make(), settings.paths.work
backbone, esm, head, focal = settings.backbone, settings.esm, settings.esm.head, settings.esm.focal
precision, source = settings.compute.precision, settings.data.dataset
table = artifacts.load_table(settings)
main_set = splits.held_out_sets(table)[0]
print(f"{settings.run_name}: {settings.title}, {len(table):,} proteins")

# %%
fig = diagrams.figure_2(**wording.sequence_diagram(settings))
show_figure(fig, None, "fig2_esm", "Fig. 2: tokens, frozen and trainable layers, pooling, head, threshold")

# %% [markdown]
# ## From a sequence to tokens
# ESM-2 reads one token per residue between `<cls>` and `<eos>`. Three residues become five tokens. The protein that we
# follow through all notebooks goes the same way.

# %%
locations = list(DATASETS[source].locations)
name = artifacts.example_protein(table)
protein = table.set_index("accession").loc[name]
print("MKV ->", tokenize(["MKV"])[0].tolist())
print(f"{name}: {len(protein['sequence'])} residues, found in", ", ".join(k for k in locations if protein[k]))

# %% [markdown]
# `SequenceData` tokenizes the proteins of the table, truncates what is too long for the model, and batches proteins
# until a budget of tokens is full. How much of the proteins is read:

# %%
data = SequenceData(
    table,
    locations,
    max_tokens=backbone.max_tokens,
    truncation=backbone.truncation,
    train_tokens=esm.train_tokens,
    tokens_per_batch=esm.tokens_per_batch,
    with_composition=head.composition > 0,
    seed=settings.seed,
)
read_share = pd.read_csv(settings.source.results / "read_share.csv")
batches = data.train_dataloader().batch_sampler
print(f"{len(batches)} training batches of about {batches.lengths.sum() / len(batches):,.0f} tokens")
display(Markdown(wording.reading(read_share, main_set)))

# %% [markdown]
# ## The paper's model, step by step
# Section 2.1: ESM-2 with its last two layers trainable, a weighted mean over the residues, one linear layer. All of
# it fits into one line, and everything that follows takes it apart.

# %%
shape = backbone.random and backbone.random.model_dump()
esm2 = load_esm2(backbone.source, revision=backbone.revision, shape=shape, seed=settings.seed)
L.seed_everything(settings.seed, verbose=False)
paper_model = EsmClassifier(esm2, n_locations=len(locations), trainable_layers=2).eval()
print(f"ESM-2: {esm2.config.num_hidden_layers} layers, D = {esm2.config.hidden_size} channels")
print("parameters: {:,}, of which {:,} learn".format(*parameter_counts(paper_model)))

# %% [markdown]
# A forward pass of our protein, with its shapes: $T$ tokens become states $[1, T, D]$; without those of the special
# tokens they are $L = T - 2$ residues $h_1 \dots h_L$.

# %%
row = int(np.flatnonzero(table["accession"] == name)[0])
tokens = data.tokens[row][None]  # [1, T]
token_mask = torch.ones_like(tokens, dtype=torch.bool)
with torch.no_grad():
    states = paper_model.encoder(tokens, token_mask)  # [1, T, D]
    residues, residue_mask = residues_of(states, token_mask)  # [1, L, D], [1, L]
print("tokens", tuple(tokens.shape), "-> states", tuple(states.shape), "-> residues", tuple(residues.shape))

# %% [markdown]
# **Attention pooling** scores every residue and takes the weighted mean, so that few residues of a sorting signal can
# outweigh hundreds of others:
#
# $$ a_i = \frac{\exp(w^\top h_i + b)}{\sum_j \exp(w^\top h_j + b)}, \qquad z = \sum_i a_i\, h_i $$
#
# By hand, with three residues of two channels and $w = (2, 0)$, $b = 0$: the scores are 2, 0 and 2.

# %%
h = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
a = torch.softmax(h @ torch.tensor([2.0, 0.0]), dim=0)
print("attention", a.numpy().round(3), "sum", float(a.sum().round(decimals=3)), "-> z", (a @ h).numpy().round(3))

# %% [markdown]
# The layer of the model does the same to our protein. The head then gives one logit per location, and the logistic
# function one probability each: several may be high, because a protein can be in several places.

# %%
with torch.no_grad():
    weights = paper_model.pooling.weights(residues, residue_mask)  # [1, L]
    z = paper_model.pooling(residues, residue_mask)  # [1, D]
    logits = paper_model.head(z)  # [1, K]
by_hand = (
    torch.softmax(residues[0] @ paper_model.pooling.score.weight[0] + paper_model.pooling.score.bias, 0) @ residues[0]
)
print("attention", tuple(weights.shape), "-> z", tuple(z.shape), "-> logits", tuple(logits.shape))
print("the layer and the formula differ by at most", f"{(z[0] - by_hand).abs().max():.0e}")

# %% [markdown]
# **Focal loss** (Lin et al. 2017) is the cross-entropy with less weight on what is already right. For a location with
# label $y$ let $p_t = p$ if $y = 1$, else $1 - p$:
#
# $$ \mathrm{FL} = -\alpha\,(1 - p_t)^{\gamma} \log p_t $$
#
# With $\gamma = 0$ it is the cross-entropy. With the paper's $\gamma = 2$ a sure and right answer costs next to
# nothing, and an error almost as much as before:

# %%
p_true = torch.tensor([0.95, 0.6, 0.1])  # probability given to the true answer
y = torch.ones_like(p_true)
rows = {"p of the truth": p_true, "cross-entropy": -p_true.log(), "focal, gamma 2": -((1 - p_true) ** 2) * p_true.log()}
display(styled(pd.DataFrame(rows), "One location, three answers"))
ours = [float(FocalLoss(gamma)(p_true.logit()[:, None], y[:, None])) for gamma in (0.0, 2.0)]
mean = [float(F.binary_cross_entropy(p_true, y)), float(rows["focal, gamma 2"].mean())]
print("FocalLoss with gamma 0 and 2:", np.round(ours, 4), "- by hand:", np.round(mean, 4))

# %% [markdown]
# ## The model of this run
# Where the profile keeps to the paper this is the model above. Small backbones need more help, and what helps has
# classes of its own: region attention with a hidden layer, logits from the composition of the whole protein, and an
# offset for rare locations.

# %%
L.seed_everything(settings.seed, verbose=False)
layers = backbone.trainable_layers
if head.pooling == "attention":
    model = EsmClassifier(esm2, len(locations), layers)
else:
    model = RegionClassifier(esm2, len(locations), layers, head.channels, head.hidden, head.dropout, head.composition)
encoder = model.encoder
encoder.compiled = compiles(settings.compute.compile)
if focal.balance:
    labels = splits.label_matrix(table[table["split"] == "train"], locations)
    model = RarityOffset(model, focal.balance * splits.log_odds(labels))
everything, learning = parameter_counts(model)
print(f"backbone {backbone.source}: {everything:,} parameters, {learning:,} of them learn")
display(Markdown(wording.sequence_model(settings)))

# %%
deviations = wording.deviations(settings)
write_csv(paths.results / "deviations.csv", deviations)
display(styled(deviations[deviations["model"] == wording.SEQUENCE].drop(columns="model"), "Not as in the paper"))
display(Markdown(wording.deviation_sentence(deviations, wording.SEQUENCE)))

# %% [markdown]
# ## Embeddings before fine-tuning
# Layers that do not learn give the same states in every epoch. They are computed once and kept; training starts from
# them. Table 1 of the paper compares graph networks on pre-trained and on fine-tuned embeddings, so the pre-trained
# ones are stored as well: one row per residue, in the order of the sequence.

# %%
data.trunk = cache_trunk(encoder, data, settings.source.work / "trunk.npy", precision)
pretrained = embed(SplitEsm2(esm2, layers), data, work / "pretrained.npy", precision)
print(f"{len(pretrained):,} proteins, {pretrained.width} values per residue")

# %% [markdown]
# ## Fine-tuning
# AdamW minimises the focal loss over the training proteins. After every epoch the threshold is swept on validation,
# and the weights of the epoch with the best macro F1 stay. The folder remembers: the same call reads them back.

# %%
run = fit(
    model,
    FocalLoss(focal.gamma, focal.alpha),
    data,
    work / "esm",
    epochs=esm.epochs,
    learning_rate=esm.learning_rate,
    weight_decay=esm.weight_decay,
    schedule=esm.schedule,
    plateau=(esm.plateau_patience, esm.plateau_factor),
    rates=dict.fromkeys(("pooling", "head", "composition"), head.learning_rate or esm.learning_rate),
    compute=settings.compute,
    seed=settings.seed,
    budget="esm.tokens_per_batch",
)
write_csv(paths.results / "esm_training.csv", run.history)
print(f"best epoch: {run.best_epoch} of {len(run.history)}")

# %%
fig = plots.training_curves({"ESM": run.history}, settings.title)
show_figure(fig, paths.figures, "esm_training", "Loss on training and validation, and validation macro F1, per epoch")

# %% [markdown]
# What does the fine-tuned model attend to in our protein? For the paper's pooling these are the residues with most
# weight; region attention has ten attentions and is not shown.

# %%
with torch.no_grad():
    tuned, _ = residues_of(encoder(tokens, token_mask), token_mask)
if isinstance(model, EsmClassifier):
    attention = model.pooling.weights(tuned, residue_mask)[0]  # [L]
    top = attention.topk(5).indices.sort().values
    print(f"five residues of {name} hold {attention[top].sum():.0%} of the attention:", (top + 1).tolist())

# %% [markdown]
# The figure of the opening once more, now with the shapes of this protein on its arrows.

# %%
sizes = (int(residue_mask.sum()), tuned.shape[-1], len(locations))
heat = attention[: sizes[0]].numpy() if isinstance(model, EsmClassifier) else None
fig = diagrams.figure_2(**wording.sequence_diagram(settings), protein=sizes, attention=heat)
alt = (
    "Fig. 2: tokens, frozen and trainable layers, pooling, head, threshold, with the shape of the numbers on each arrow"
)
show_figure(fig, paths.figures, "fig2_esm", alt)

# %% [markdown]
# ## Threshold
# The network runs once per protein; the sweep only reads the stored probabilities. The threshold carries the name of
# the split it was chosen on.

# %%
predictions = predict(run, data, precision)
artifacts.save_predictions(settings, "esm", predictions)
val = test_sets.evaluation_set(table, "val", source)
step = settings.evaluation.threshold_step
sweep = thresholds.threshold_sweep(val.y, val.join(predictions), step)
write_csv(paths.results / "threshold_sweep.csv", sweep)
threshold = scoring.tune(table, predictions, source, step)
print(
    f"chosen on {threshold.chosen_on}: {threshold.value:.2f}; the paper has {published.text_value('esm_threshold'):.2f}"
)

# %%
fig = plots.sweep_curve(sweep, threshold.value, f"validation ({settings.title})")
show_figure(
    fig, paths.figures, "threshold_sweep", "Macro F1, micro F1 and accuracy on validation against the threshold"
)

# %%
probabilities = predictions.set_index("accession").loc[name, locations].astype(float)
answer = pd.DataFrame({"location": locations, "probability": probabilities.to_numpy()})
answer = answer.assign(
    predicted=answer["probability"] >= threshold.on(main_set), annotated=[bool(protein[k]) for k in locations]
)
display(
    styled(
        answer.sort_values("probability", ascending=False, ignore_index=True).head(4),
        f"{name}, its four likeliest locations",
    )
)

# %% [markdown]
# ## How good is sequence alone?
# Three systems that cost nothing stand beside the model. The first copies the labels of the training protein with the
# most similar 6-mers, and learns nothing. The second is a multilayer perceptron on shares of amino acids in the whole
# protein, in its first 50 and its last 30 residues, and on its length: it knows no motif, but it does read the ends and
# all of what truncation cuts from the model's input. The third is the mean of the model's probabilities and the
# second's: what any second opinion, of a graph network too, should be read against.

# %%
systems = {"nearest": baselines.nearest_neighbour(table, locations)}
systems |= {"composition": baselines.composition_baseline(table, locations, settings.seed)}
steps, parameters = ladder.climb(settings, table)
systems |= steps | {"esm": predictions}
systems["esm_composition_mean"] = baselines.mean_of(predictions, systems["composition"])
for system, found in systems.items():
    artifacts.save_predictions(settings, system, found)

# %%
bootstrap = {"resamples": settings.evaluation.bootstrap, "seed": settings.seed}
options = {"step": step, **bootstrap}
metrics = pd.concat([scoring.measure_plain(table, n, found, source, **options) for n, found in systems.items()])
write_csv(paths.results / "metrics_sequence.csv", metrics)
views = test_sets.held_out_views(table, source)
print(scoring.macro_sentence(views.values()))
display(styled(scoring.headline(metrics, main_set), f"Sequence systems on {main_set} ({settings.title})"))

# %% [markdown]
# ## Beyond the paper: a threshold per location
# The paper has one threshold for all locations. Rare ones are predicted with less confidence, so one each, also chosen
# on validation, can help. This is an extension: its values stay in a table of their own.

# %%
per_location, extended = scoring.measure_label_thresholds(table, "esm", predictions, source, **options)
write_csv(paths.results / "metrics_label_thresholds.csv", extended)
values = pd.DataFrame({"location": list(per_location), "threshold": [t.value for t in per_location.values()]})
display(styled(values, "Threshold per location", digits=2))
both = {"one threshold": metrics[metrics["system"] == "esm"], "one per location": extended}
compared = pd.concat({kind: scoring.headline(m, main_set) for kind, m in both.items()}).droplevel(1)
display(styled(compared.rename_axis("threshold"), f"Fine-tuned ESM on {main_set}"))

# %% [markdown]
# ## Embeddings after fine-tuning
# The graph networks of notebook 04 read these.

# %%
finetuned = embed(encoder, data, work / "finetuned.npy", precision)
print(f"{len(finetuned):,} proteins, {sum(finetuned.length(a) for a in finetuned.accessions):,} residues")

# %% [markdown]
# ## Use it elsewhere
# What was learned, with its threshold, goes into a small directory. `locate_proteins` predicts any sequences with it
# (on the command line: `python -m halo_utils predict my.fasta`); here it is tried on a hundred test proteins.

# %%
predictor = HaloPredictor(
    locations,
    threshold.value,
    threshold.chosen_on,
    backbone={"source": backbone.source, "revision": backbone.revision, "shape": shape, "seed": settings.seed},
    trainable_layers=layers,
    head=None
    if head.pooling == "attention"
    else {k: getattr(head, k) for k in ("channels", "hidden", "dropout", "composition")},
    reading={"max_tokens": backbone.max_tokens, "truncation": backbone.truncation},
    tokens_per_batch=esm.tokens_per_batch,
).learn_from(model)
predictor.save_pretrained(work / "classifier")
some = table[table["split"] == main_set].head(100)
again = locate_proteins(work / "classifier", dict(zip(some["accession"], some["sequence"], strict=True)))

# %%
annotated = ["; ".join(np.array(locations)[row]) for row in splits.label_matrix(some, locations).astype(bool)]
size = sum(path.stat().st_size for path in (work / "classifier").iterdir())
print(f"{size / 1e6:.1f} MB; all locations right: {(again['predicted'] == annotated).sum()} of {len(some)} proteins")

# %% [markdown]
# ## Paper, ours, difference
# Table 2 has a column for the fine-tuned ESM on DeepLoc 2.0; for luo2024 the paper has HALO's alone (Table 4).

# %%
comparison = published.beside_paper(2, metrics, source, main_set, ("esm",))
print(published.compared_with(2, source, main_set))
if 2 in published.published_columns(source, main_set):
    write_csv(paths.results / "esm_beside_paper.csv", comparison)
display(published.readable(comparison))

# %% [markdown]
# ## What this run found
# The difference to the composition baseline is measured on the same resampled proteins.

# %%
view = views[main_set]
measured = []
for system in ("esm", "composition"):
    prob = view.join(systems[system])
    measured.append((system, prob >= scoring.tune(table, systems[system], source, step).on(main_set), prob))
differences = scoring.compare(view, *measured, **bootstrap)
write_csv(paths.results / "differences_sequence.csv", differences)
display(Markdown(in_short.in_short_02(settings, metrics, differences, deviations, main_set)))

# %%
recorded = provenance.record(
    settings,
    "02_esm_finetuning",
    splits.fingerprint(table),
    parameters=parameters | {"esm": everything},
    trainable_parameters=learning,
    best_epoch=run.best_epoch,
    threshold=threshold.value,
)
print("provenance written to", recorded.name)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Checks
# What must hold on every machine; nbval compares these cells.

# %% tags=["nbval-check-output"]
print("MKV ->", tokenize(["MKV"])[0].tolist())
lengths = [len(s) for s in data.sequences]
print("tokens minus residues read, per protein:", {len(t) - n for t, n in zip(data.tokens, lengths, strict=True)})
print("one row per residue read:", sum(finetuned.length(a) for a in finetuned.accessions) == sum(lengths))

# %% tags=["nbval-check-output"]
print("attention sums to one:", bool(torch.allclose(weights.sum(1), torch.ones(1), atol=1e-5)))
print("pooling as in the formula:", bool(torch.allclose(z[0], by_hand, atol=1e-4)))
print("focal loss as in the formula, gamma 0 and 2:", bool(np.allclose(ours, mean, atol=1e-5)))

# %% tags=["nbval-check-output"]
losses = run.history["train_loss"]
print("training loss fell:", bool(losses.iloc[-1] < losses.iloc[0]), "- parameters frozen:", learning < everything)
print(
    "epochs:",
    len(run.history) == esm.epochs,
    "- fine-tuning moved the states:",
    pretrained.content != finetuned.content,
)

# %% tags=["nbval-check-output"]
print("thresholds tried:", len(sweep), "from", sweep["threshold"].min(), "to", sweep["threshold"].max())
try:
    threshold.on("val")
except LeakError as error:
    print("refused:", str(error).split(":")[1].strip())
print("thresholds per location:", len(per_location), "- chosen on", {t.chosen_on for t in per_location.values()})

# %% [markdown]
# The demo's bar: on the synthetic test proteins the sequence model must find the planted signals.

# %% tags=["nbval-check-output"]
esm_metrics = metrics.query("system == 'esm' and split == @main_set").set_index(["metric", "label"])["value"]
if settings.is_synthetic:
    print("micro F1 of the fine-tuned ESM at least 0.70:", bool(esm_metrics["micro_f1", ""] >= 0.70))
    print("ROC AUC (micro) at least 0.85:", bool(esm_metrics["roc_auc_micro", ""] >= 0.85))

# %% tags=["nbval-check-output"]
before = predictions.set_index("accession").loc[some["accession"], locations].to_numpy()
print("exported, the same probabilities within 0.02:", bool(np.abs(again[locations].to_numpy() - before).max() < 0.02))
