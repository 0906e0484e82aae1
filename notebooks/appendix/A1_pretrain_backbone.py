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
# # Pre-train a small ESM-2 of our own
# **Does** train a masked-language model with ESM-2's architecture, tokenizer and task, and compare it with residue frequencies.
#
# **Needs** nothing for `demo`, which learns the synthetic proteome; the corpus of `HALO_DATA_DIR` for `mini`.
#
# **Makes** `pretraining.csv`, the figure `pretraining`, and checkpoints from which an interrupted run goes on.
#
# **Takes** seconds for `demo`; hours on two CPU cores or minutes on a GPU for `mini`.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`.

# %% tags=["parameters"]
profile: str = "demo"  # demo, mini, or the path of a YAML file with a block pretrain
seed: int = -1  # seed of weights, crops and masks
rounds: int = -1  # rounds of training, each of a fixed number of steps
ship_to: str = ""  # folder for the result as a Hugging Face directory, e.g. data/checkpoints/my-model

# %%
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib import pyplot as plt

from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.core.paths import REPOSITORY
from halo_utils.embeddings.esm2 import load_tokenizer
from halo_utils.figures import plots, style
from halo_utils.pretraining import masking, model_card, train
from halo_utils.pretraining.corpus import TRAIN

settings = load_settings(profile, seed=seed, rounds=rounds)
paths, own = settings.paths.make(), settings.pretrain
source = ", ".join(own.files) or "synthetic demo proteome"
print(f"{settings.run_name}: {source}; {own.shape.layers} layers, {own.shape.width} wide, {own.shape.heads} heads")

# %% [markdown]
# ## Train
# Every round ends with the perplexity of the held-out proteins and a checkpoint. What has been trained is read back.

# %%
done = train.pretrain(settings)
facts = done.facts
print(f"{facts['parameters']:,} parameters, {facts['tokens']:,} tokens, {facts['seconds']:,} s")
display(done.corpus.audit)

# %% [markdown]
# No held-out protein, and none that shares many 6-mers with one, was trained on. Nothing is dropped unseen: the parts
# add up to the corpus.

# %% tags=["nbval-check-output"]
parts = [facts[name] for name in ("proteins_trained_on", "proteins_held_out", "relatives_left_out")]
print("trained on, held out, relatives left out:", parts, "of", int(done.corpus.audit["kept"].sum()))

# %% [markdown]
# ## What a batch looks like
# Crops lie end to end. Of every hundred residues fifteen are to be predicted: twelve are masked, one or two replaced,
# one or two left as they are.

# %%
dataset = masking.MaskedDataset(done.corpus.store, done.corpus.names(TRAIN), own.crop, settings.seed)
batch = dataset[1, [0, 1, 2]]
letters = load_tokenizer(settings.backbone).convert_ids_to_tokens(batch.tokens[:40].tolist())
print("".join("_" if token == "<mask>" else token for token in letters))

# %% tags=["nbval-check-output"]
share = np.mean([len(dataset[i, [0, 1, 2]].picked) / len(dataset[i, [0, 1, 2]].tokens) for i in range(1, 200)])
print(f"residues to predict: {share:.2f} of all tokens")

# %% [markdown]
# ## Perplexity
# The perplexity is the number of residues the model still hesitates between, were they all equally likely. The dashed
# line knows residue frequencies alone.

# %%
write_csv(paths.results / "pretraining.csv", done.history)
fig = plots.pretraining_figure(done.history, facts["unigram_perplexity"], f"Pre-training ({source})")
style.save(fig, paths.figures, "pretraining")
plt.show()

# %%
summary = pd.DataFrame(
    {
        "held-out perplexity": [facts["perplexity"], facts["unigram_perplexity"]],
        "masked residues right": [facts["accuracy"], facts["unigram_accuracy"]],
    },
    index=["model", "residue frequencies"],
)
display(summary.round(3))

# %% tags=["nbval-check-output"]
print("perplexity under nine tenths of the frequencies':", facts["perplexity"] < 0.9 * facts["unigram_perplexity"])
print("more masked residues right than by the most frequent one:", facts["accuracy"] > facts["unigram_accuracy"])

# %% [markdown]
# ## Ship
# With `ship_to`, the model becomes a directory that `from_pretrained` loads like any ESM-2, with a model card written
# from the log above.

# %%
if ship_to:
    folder = model_card.ship(done.model, done.history, facts, REPOSITORY / ship_to)
    print(sorted(path.name for path in folder.iterdir()))
else:
    print("not shipped: ship_to is empty")

# %% [markdown]
# **In short.** A small ESM-2 trains here from nothing, on one process or several, and stops and goes on without a
# trace. What it learns from the synthetic proteome says nothing about real proteins; the model card of a shipped
# backbone says what that one has seen.

# %%
print("finished:", len(done.history), "rounds")
