# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,jp-MarkdownHeadingCollapsed
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
# **Does** fine-tune the sequence model that the profile describes, say what it is and where it differs from the paper's, sweep the threshold on validation, measure the test sets, and store an embedding for every residue.
#
# **Needs** notebook 01 of the same profile.
#
# **Makes** `esm_training.csv`, `threshold_sweep.csv`, `metrics_sequence.csv`, `metrics_label_thresholds.csv`, `differences_sequence.csv`, `deviations.csv`, probabilities, the residue stores `pretrained` and `finetuned`.
#
# **Takes** under a minute for `demo`; hours for `paper` on one GPU.

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

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from halo_utils.commands import predict
from halo_utils.config import load_settings
from halo_utils.core.errors import LeakError
from halo_utils.core.files import write_csv
from halo_utils.data import splits
from halo_utils.embeddings import truncation
from halo_utils.embeddings.esm2 import load_tokenizer, token_ids
from halo_utils.evaluation import published, scoring, test_sets, thresholds
from halo_utils.figures import plots, style
from halo_utils.models import baselines
from halo_utils.runs import artifacts, in_short, provenance, wording
from halo_utils.training import ladder, sequence_data

# %%
settings = load_settings(
    profile,
    dataset=dataset,
    max_proteins=max_proteins,
    seed=seed,
    epochs=epochs,
    esm={"compare_heads": compare_heads},
)
paths = settings.paths.make()
table = artifacts.load_table(settings)
print(f"{settings.run_name}: {settings.title}, {len(table):,} proteins")

# %% [markdown]
# ## The model
# What is trained, written from the settings of this run, and how much of the proteins it reads.

# %%
share = pd.read_csv(settings.source.results / "read_share.csv")
main_set = splits.held_out_sets(table)[0]
display(Markdown(wording.sequence_model(settings)))
display(Markdown(wording.reading(share, main_set)))

# %% [markdown]
# ## Tokens
# ESM-2 reads one token per residue between `<cls>` and `<eos>`. Three residues become five tokens, and only the three
# in the middle ever leave the model.

# %% tags=["nbval-check-output"]
example = token_ids(["MKV"], load_tokenizer(settings.backbone))[0]
print("MKV ->", example.tolist())

# %%
stage = sequence_data.prepare(settings, table)
everything, learning = sequence_data.parameter_counts(stage.classifier)
print(f"backbone {settings.backbone.source}: {everything:,} parameters, {learning:,} of them learn")

# %% tags=["nbval-check-output"]
print(
    "tokens minus residues read, per protein:",
    {len(t) - len(s) for t, s in zip(stage.tokens, truncation.seen_sequences(settings, table), strict=True)},
)
print("parameters frozen:", learning < everything)

# %% [markdown]
# The proteins of a batch lie end to end, and attention stays inside each: nothing is padded, whatever lengths meet.

# %%
sampler = stage.loader(stage.rows("train"), shuffle=True).batch_sampler
size = [sampler.lengths[batch] for batch in sampler.batches]
waste = 1 - sum(s.sum() for s in size) / sum(len(s) * s.max() for s in size)
print(f"{len(size)} batches of about {np.mean([s.sum() for s in size]):,.0f} tokens; padding would waste {waste:.0%}")

# %% [markdown]
# ## Embeddings before fine-tuning
# Table 1 of the paper compares graph networks on pre-trained and on fine-tuned embeddings, so the first are stored now.

# %%
pretrained = sequence_data.embed_residues(stage, "pretrained")
print(f"{len(pretrained):,} proteins, {pretrained.width} values per residue")

# %% [markdown]
# ## Fine-tuning
# Loss, optimizer and schedule are those described above. Every epoch leaves a checkpoint; the weights of the epoch with
# the best validation macro F1 are kept.

# %%
result = sequence_data.finetune(stage)
write_csv(paths.results / "esm_training.csv", result.history)
fig = plots.training_curves({"ESM": result.history}, f"Fine-tuning ({settings.title})")
style.save(fig, paths.figures, "esm_training")
plt.show()

# %% tags=["nbval-check-output"]
saved = sequence_data.checkpoint_files(stage)
print(f"{len(saved)} checkpoints for {settings.esm.epochs} epochs")
losses = result.history["train_loss"]
print("training loss fell:", bool(losses.iloc[-1] < losses.iloc[0]))

# %% [markdown]
# ## Threshold
# The network runs once per protein; the sweep only reads the stored probabilities. The threshold carries the name of
# the split it was chosen on.

# %%
predictions = sequence_data.predict_held_out(stage, result)
artifacts.save_predictions(settings, "esm", predictions)
source, step = settings.data.dataset, settings.evaluation.threshold_step
bootstrap = {"resamples": settings.evaluation.bootstrap, "seed": settings.seed}
val = test_sets.evaluation_set(table, "val", source)
sweep = thresholds.threshold_sweep(val.y, val.join(predictions), step)
write_csv(paths.results / "threshold_sweep.csv", sweep)
threshold = scoring.tune(table, predictions, source, step)
print(f"chosen on {threshold.chosen_on}: {threshold.value:.2f}")

# %%
fig = plots.sweep_curve(sweep, threshold.value, f"Threshold sweep on validation ({settings.title})")
style.save(fig, paths.figures, "threshold_sweep")
plt.show()

# %% [markdown]
# Using it on validation would report a number that was optimised there. The evaluation refuses that.

# %% tags=["nbval-check-output"]
print("thresholds tried:", len(sweep), "from", sweep["threshold"].min(), "to", sweep["threshold"].max())
try:
    threshold.on("val")
except LeakError as error:
    print("refused:", str(error).split(":")[1].strip())

# %% [markdown]
# ## How good is sequence alone?
# Three systems that cost nothing stand beside the model. The first copies the labels of the training protein with the
# most similar 6-mers, and learns nothing. The second is a multilayer perceptron on shares of amino acids in the whole
# protein, in its first 50 and its last 30 residues, and on its length: it knows no motif, but it does read the ends and
# all of what truncation cuts from the model's input. The third is the mean of the model's probabilities and the
# second's: what any second opinion, of a graph network too, should be read against.

# %%
systems = {"nearest": baselines.nearest_neighbour(table, stage.places)}
systems |= {"composition": baselines.composition_baseline(table, stage.places, settings.seed)}
steps, parameters = ladder.climb(settings, table)
systems |= steps | {"esm": predictions}
systems["esm_composition_mean"] = baselines.mean_of(predictions, systems["composition"])
for name, found in systems.items():
    artifacts.save_predictions(settings, name, found)
metrics = pd.concat(
    [scoring.measure_plain(table, n, found, source, step=step, **bootstrap) for n, found in systems.items()]
)
write_csv(paths.results / "metrics_sequence.csv", metrics)
views = test_sets.held_out_views(table, source)
main_set = next(iter(views))
print(scoring.macro_sentence(views.values()))
scoring.headline(metrics, main_set).round(3)

# %% [markdown]
# The demo's bar: on the synthetic test proteins the sequence model must find the planted signals.

# %% tags=["nbval-check-output"]
own = metrics[(metrics["system"] == "esm") & (metrics["split"] == main_set)].set_index(["metric", "label"])["value"]
if settings.is_synthetic:
    print("micro F1 of the fine-tuned ESM at least 0.70:", bool(own["micro_f1", ""] >= 0.70))
    print("ROC AUC (micro) at least 0.85:", bool(own["roc_auc_micro", ""] >= 0.85))

# %% [markdown]
# ## Beyond the paper: a threshold per location
# The paper has one threshold for all locations. Rare ones are predicted with less confidence, so one each, also chosen
# on validation, can help. This is an extension: its values stay in a table of their own.

# %%
label_thresholds, extended = scoring.measure_label_thresholds(table, "esm", predictions, source, step=step, **bootstrap)
write_csv(paths.results / "metrics_label_thresholds.csv", extended)
display(pd.Series({place: t.value for place, t in label_thresholds.items()}, name="threshold").to_frame().T)
both = {"one threshold": metrics[metrics["system"] == "esm"], "one per location": extended}
display(pd.concat({name: scoring.headline(m, main_set) for name, m in both.items()}).droplevel(1).round(3))

# %% tags=["nbval-check-output"]
print(
    "thresholds per location:", len(label_thresholds), "- chosen on", {t.chosen_on for t in label_thresholds.values()}
)

# %% [markdown]
# ## Embeddings after fine-tuning
# One row per residue, special tokens stripped, in the order of the sequence. The graph networks read these.

# %%
finetuned = sequence_data.embed_residues(stage, "finetuned")

# %% tags=["nbval-check-output"]
rows = sum(finetuned.length(a) for a in finetuned.accessions)
print("one row per residue read:", rows == sum(len(s) for s in truncation.seen_sequences(settings, table)))

# %% [markdown]
# ## Use it elsewhere
# What was learned, with its threshold, goes into a small directory. `export.locate_proteins` predicts any sequences
# with it; here it is tried on a hundred test proteins.

# %%
folder = predict.export_classifier(stage, result, threshold, paths.work / "classifier")
size = sum(path.stat().st_size for path in folder.iterdir())
some = table[table["split"] == main_set].head(100)
again = predict.locate_proteins(folder, dict(zip(some["accession"], some["sequence"], strict=True)))
annotated = ["; ".join(np.array(stage.places)[row]) for row in splits.label_matrix(some, stage.places).astype(bool)]
print(f"{size / 1e6:.1f} MB; all locations right: {(again['predicted'] == annotated).sum()} of {len(some)} proteins")

# %% tags=["nbval-check-output"]
before = predictions.set_index("accession").loc[some["accession"], stage.places].to_numpy()
print("same probabilities within 0.02:", bool(np.abs(again[stage.places].to_numpy() - before).max() < 0.02))

# %% [markdown]
# ## Paper, ours, difference
# Table 2 has a column for the fine-tuned ESM on DeepLoc 2.0; for luo2024 the paper has HALO's alone (Table 4). The
# settings that are not the paper's stand first.

# %%
deviations = wording.deviations(settings)
write_csv(paths.results / "deviations.csv", deviations)
display(deviations[deviations["model"] == wording.SEQUENCE].drop(columns="model"))
display(Markdown(wording.deviation_sentence(deviations, wording.SEQUENCE)))

# %%
comparison = published.beside_paper(2, metrics, source, main_set, ("esm",))
print(published.compared_with(2, source, main_set))
if 2 in published.published_columns(source, main_set):
    write_csv(paths.results / "esm_beside_paper.csv", comparison)
display(published.readable(comparison))

# %%
print(f"threshold: paper {published.text_value('esm_threshold'):.2f}, ours {threshold.value:.2f}")

# %% [markdown]
# ## What this run found
# The difference to the composition baseline is measured on the same resampled proteins.

# %%
view = test_sets.evaluation_set(table, main_set, source)
both = []
for name in ("esm", "composition"):
    prob = view.join(systems[name])
    both.append((name, prob >= scoring.tune(table, systems[name], source, step).on(main_set), prob))
differences = scoring.compare(view, *both, **bootstrap)
write_csv(paths.results / "differences_sequence.csv", differences)
display(Markdown(in_short.in_short_02(settings, metrics, differences, deviations, main_set)))

# %%
recorded = provenance.record(
    settings,
    "02_esm_finetuning",
    splits.fingerprint(table),
    parameters=parameters | {"esm": everything},
    trainable_parameters=learning,
    best_epoch=result.best_epoch,
    threshold=threshold.value,
)
print("provenance written to", recorded.name)
