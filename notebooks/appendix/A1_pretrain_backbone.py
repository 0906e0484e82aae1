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
# # Pre-train a small ESM-2 of our own
# [Notebook 02, which fine-tunes such a backbone](../02_esm_finetuning.ipynb) · [notebook 01, where the reading begins](../01_data_preparation.ipynb)
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR--ACCOUNT/halo-companion/blob/main/notebooks/appendix/A1_pretrain_backbone.ipynb) [![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/YOUR--ACCOUNT/halo-companion/main?urlpath=lab/tree/notebooks/appendix/A1_pretrain_backbone.ipynb)
#
# All notebooks: [00](../00_your_proteins.ipynb) · [01](../01_data_preparation.ipynb) · [02](../02_esm_finetuning.ipynb) · [03](../03_confidence_analysis.ipynb) · [04](../04_gat_weighting.ipynb) · [05](../05_halo_ensemble.ipynb) · [06](../06_benchmark_comparison.ipynb) · [11](../11_attribution.ipynb) · **A1** · [what each one answers](../../README.md#the-notebooks)
#
# **Does** train a masked-language model with ESM-2's architecture, tokenizer and task, and compare it with residue frequencies.
#
# **Needs** nothing for `demo`, which learns the synthetic proteome; the corpus of `HALO_DATA_DIR` for `mini`.
#
# **Makes** `pretraining.csv`, the figure `pretraining`, and a checkpoint from which an interrupted run goes on.
#
# **Takes** seconds for `demo`; hours on two CPU cores or minutes on a GPU for `mini`.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`.

# %% tags=["parameters"]
profile: str = "demo"  # demo, mini, or the path of a YAML file with a group pretrain
seed: int = -1  # seed of weights, crops and masks
rounds: int = -1  # rounds of training, each of a fixed number of steps
ship_to: str = ""  # folder for the result as a Hugging Face directory, e.g. data/checkpoints/my-model

# %% tags=["set-up"] jupyter={"source_hidden": true} cellView="form"
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{name}=={metadata.version(name)}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+https://github.com/YOUR--ACCOUNT/halo-companion"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("A1_pretrain_backbone", globals())

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.core.paths import REPOSITORY
from halo_utils.embeddings.esm2 import VOCABULARY
from halo_utils.figures.plots import pretraining_figure
from halo_utils.figures.style import show_figure
from halo_utils.figures.tables import styled
from halo_utils.pretraining import masking, model_card, train
from halo_utils.pretraining.corpus import TRAIN
from halo_utils.pretraining.language_model import MaskedLanguageModel

settings = load_settings(profile, seed=seed, rounds=rounds)
paths, group = settings.paths.make(), settings.pretrain
source = ", ".join(group.files) or "synthetic demo proteome"
print(
    f"{settings.run_name}: {source}; {group.shape.layers} layers, {group.shape.width} wide, {group.shape.heads} heads"
)

# %% [markdown]
# ## Train
# Every round ends with the perplexity of the held-out proteins and a checkpoint. What has been trained is read back. No
# held-out protein, and none that shares many 6-mers with one, is trained on.

# %%
done = train.pretrain(settings)
facts = done.facts
print(f"{facts['parameters']:,} parameters, {facts['tokens']:,} tokens, {facts['seconds']:,} s")
display(styled(done.corpus.audit, "What the corpus holds, and what was left out of it"))

# %% [markdown]
# ## What a batch looks like
# Crops of proteins lie end to end. The network sees the masked tokens and answers only where something is to be
# predicted.

# %%
display(
    Markdown(
        f"{masking.PICKED:.0%} of the residues are to be predicted: {masking.MASKED:.0%} of those are masked,"
        f" {masking.SWAPPED:.0%} replaced, and the others left as they are."
    )
)
dataset = masking.MaskedDataset(done.corpus.store, done.corpus.names(TRAIN), group.crop, settings.seed)
batch = dataset[1, [0, 1, 2]]
letters = np.array(VOCABULARY.read_text(encoding="utf-8").split())
print("".join("_" if token == "<mask>" else token for token in letters[batch.tokens[:40].numpy()]))
print("tokens N", tuple(batch.tokens.shape), " to predict M", tuple(batch.picked.shape), " crops", batch.lengths)

# %% [markdown]
# ## One forward pass
# The loss is the cross-entropy of the picked tokens, $-\frac{1}{M}\sum_m \log p(t_m)$ with $t_m$ the token that was there.

# %%
with torch.no_grad():
    logits = MaskedLanguageModel(done.model)(batch)
probability = logits.softmax(dim=1)[range(len(batch.target)), batch.target]
print("logits [M, 33]:", tuple(logits.shape), " loss:", round(float(-probability.log().mean()), 3))

# %% [markdown]
# ## Perplexity
# The perplexity is the number of residues the model still hesitates between, were they all equally likely. The dashed
# line knows residue frequencies alone.

# %%
write_csv(paths.results / "pretraining.csv", done.history)
fig = pretraining_figure(done.history, facts["unigram_perplexity"], f"Pre-training ({source})")
alt = (
    f"Held-out perplexity against the tokens seen: from {done.history['val_perplexity'].iloc[0]:.1f} after the first"
    f" round to {facts['perplexity']:.1f}; residue frequencies alone reach {facts['unigram_perplexity']:.1f}."
)
show_figure(fig, paths.figures, "pretraining", alt)

# %%
summary = pd.DataFrame(
    {
        "": ["model", "residue frequencies"],
        "held-out perplexity": [facts["perplexity"], facts["unigram_perplexity"]],
        "masked residues right": [facts["accuracy"], facts["unigram_accuracy"]],
    }
)
display(styled(summary, "The model beside residue frequencies"))

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

# %%
display(
    Markdown(
        f"**In short.** A small ESM-2 has trained here from nothing on {facts['tokens']:,} tokens of the {source}; its"
        f" held-out perplexity is {facts['perplexity']:.1f}, that of residue frequencies"
        f" {facts['unigram_perplexity']:.1f}. It stops and goes on without a trace. What it learns from a synthetic"
        " proteome says nothing about real proteins; the model card of a shipped backbone says what that one has seen."
    )
)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Checks
# Nothing is dropped unseen: the shares add up to the corpus. The loss by hand is that of torch.

# %% tags=["nbval-check-output"]
shares = [facts[name] for name in ("proteins_trained_on", "proteins_held_out", "relatives_left_out")]
print("trained on, held out, relatives left out:", shares, "of", int(done.corpus.audit["kept"].sum()))

# %% tags=["nbval-check-output"]
picked = np.mean([len(dataset[i, [0, 1, 2]].picked) / len(dataset[i, [0, 1, 2]].tokens) for i in range(1, 200)])
print(f"residues to predict: {picked:.2f} of all tokens")

# %% tags=["nbval-check-output"]
by_torch = torch.nn.functional.cross_entropy(logits, batch.target)
print("loss by hand and by torch agree:", torch.allclose(-probability.log().mean(), by_torch, atol=1e-5))

# %% tags=["nbval-check-output"]
print("perplexity under nine tenths of the frequencies':", facts["perplexity"] < 0.9 * facts["unigram_perplexity"])
print("more masked residues right than by the most frequent one:", facts["accuracy"] > facts["unigram_accuracy"])
print("finished:", len(done.history), "rounds")
