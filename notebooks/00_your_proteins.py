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
# # Where are your proteins?
# [← README](../README.md) · [01 Prepare the data →](01_data_preparation.ipynb)
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR--ACCOUNT/halo-companion/blob/main/notebooks/00_your_proteins.ipynb) [![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/YOUR--ACCOUNT/halo-companion/main?urlpath=lab/tree/notebooks/00_your_proteins.ipynb)
#
# All notebooks: **00** · [01](01_data_preparation.ipynb) · [02](02_esm_finetuning.ipynb) · [03](03_confidence_analysis.ipynb) · [04](04_gat_weighting.ipynb) · [05](05_halo_ensemble.ipynb) · [06](06_benchmark_comparison.ipynb) · [11](11_attribution.ipynb) · [A1](appendix/A1_pretrain_backbone.ipynb) · [what each one answers](../README.md#the-notebooks)
#
# **Does** predict the locations of proteins that you bring, and shows what the answer rests on: probabilities, gate, residues, structure.
#
# **Needs** no other notebook; a FASTA of yours, and a folder with structures if you have them. Without one it takes synthetic examples.
#
# **Makes** the folder `your_proteins` with a table, JSON Lines and a report that opens offline; the figure `c_alpha_trace`.
#
# **Takes** seconds for the examples.

# %% [markdown]
# ## Parameters
# Give `fasta` a file, or paste the records themselves between triple quotes; `structures` is a folder with
# `<name>.pdb` or `<name>.cif` files, named like the proteins. papermill overrides them with `-p name value`.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file: where files go
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of the examples
fasta: str = ""  # a file, or """>name ...""" pasted; empty for the examples
structures: str = ""  # folder of PDB or mmCIF files; empty for none
model: str = ""  # folder of a model; empty for the one that ships
protein: str = ""  # name of the protein to look at closely; empty for the first

# %% tags=["set-up"] jupyter={"source_hidden": true} cellView="form"
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{name}=={metadata.version(name)}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+https://github.com/YOUR--ACCOUNT/halo-companion"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("00_your_proteins", globals())

# %%
import json
from pathlib import Path

import numpy as np
from IPython.display import HTML, Markdown, display

from halo_utils.commands.predict import LINES, REPORT, load_predictor, model_folder, predict_fasta
from halo_utils.config import load_settings
from halo_utils.core.errors import DataError
from halo_utils.core.files import sha256, write_text
from halo_utils.core.paths import shown
from halo_utils.data.synthetic.proteome import write_examples
from halo_utils.figures import protein_view
from halo_utils.figures.style import show_figure
from halo_utils.models.gate import Decision, halo_gate
from halo_utils.runs import in_short, provenance

# %%
settings = load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed)
paths, folder = settings.paths.make(), Path(structures) if structures else None
examples, source = not fasta.strip(), Path(fasta.strip() or ".")
if examples:
    made_for = ("Nucleus", "Extracellular", "Cell membrane", "Peroxisome")
    source, folder = write_examples(paths.work / "examples", made_for, 800, settings.seed)
elif fasta.lstrip().startswith(">"):
    source = write_text(paths.work / "pasted.fasta", fasta.strip() + "\n")
print(source.read_text(encoding="utf-8")[:400] if examples else f"{source.name}: your proteins")

# %% [markdown]
# ## Ask
# The command line does the same: `python -m halo_utils predict my_proteins.fasta --structures folder`.
# Of the first proteins the importance of every residue is measured, too: nine of them are masked at a time.

# %%
chosen = model_folder(Path(model) if model else None)
predictor = load_predictor(chosen)
out = predict_fasta(source, model=chosen, out=paths.work / "your_proteins", structures=folder)
answers = [json.loads(line) for line in (out / LINES).read_text(encoding="utf-8").splitlines()]
print("the report, to open in a browser or to send:", shown(out / REPORT))

# %% [markdown]
# ## What an answer is
# The sequence model gives every location $k$ a probability $p_k$ of its own; they need not sum to one, because a protein
# may be in several places. A location is predicted from the threshold $t$ on. From the confidence $c$ of the gate on,
# the sequence model decides alone; between the two a graph network over the structure is asked, whose probability
# $q_k$ has the threshold $t_q$:
#
# $$ \text{predicted}_k = \begin{cases} p_k \ge t & \text{if } p_k \ge c \text{ or there is no graph network or no structure} \\
#    p_k \ge t \;\text{and}\; q_k \ge t_q & \text{otherwise} \end{cases} $$
#
# Where no location reaches $t$, the nearest is named. A probability is no certainty: how often the model is right, for
# each location, stands in its model card.

# %%
shown_here = answers[:50]  # all are in the folder
caption = f"Probability of every location, {len(shown_here)} of {len(answers)}{' synthetic' * examples} proteins"
display(protein_view.answer_table(shown_here, caption))
for one in shown_here:
    print("\n".join(f"{one['name']}: {warning}" for warning in one["warnings"]), end="\n" if one["warnings"] else "")

# %% [markdown]
# ## One protein closely
# Its gate, drawn on the axis of probability: a black line is the threshold, the dashed line the confidence, and between
# them, hatched, the graph network is asked.

# %%
names = [one["name"] for one in answers]
if protein and protein not in names:
    raise DataError(f"protein {protein!r} is not among {', '.join(names[:10])}: give one of the names in the FASTA")
one = answers[names.index(protein) if protein else 0]
confident = predictor.gate["confident"]
words = ", ".join(f"{name} {v['probability']:.2f}" for name, v in one["locations"].items())
gate = {"image/svg+xml": protein_view.bars(one, confident), "text/plain": f"{one['name']}: {words}"}
display(gate, raw=True)

# %% [markdown]
# By hand: the gate's decision on its most probable location.

# %%
surest = max(one["locations"], key=lambda name: one["locations"][name]["probability"])
v, has_structure = one["locations"][surest], np.array([one["mode"] == "hybrid"])
limits = {"esm_threshold": v["threshold"], "gat_threshold": (predictor.graph_facts or {}).get("threshold", 0.5)}
p, q = np.array([[v["probability"]]]), np.array([[v["graph_probability"] or 0.0]])
by_hand = Decision(halo_gate(p, q, has_structure, **limits, **predictor.gate).decision[0, 0]).name.lower()
said = protein_view.WORDS[by_hand]
print(f"{surest}: {v['probability']:.2f} against {v['threshold']:.2f} and {confident:.2f}: {said}")

# %% [markdown]
# ## Its residues
# Attention is where the model looks; importance is how far the logit of the location falls when the residues around one
# are masked (notebook 11 compares them). Orange bars are rules from the literature for sorting signals: simple patterns
# that find signals and chance alike. Where importance and a rule meet, there is something to follow up.

# %%
if "track" in one:
    along = {"image/svg+xml": protein_view.residues(one), "text/plain": f"{one['name']}: attention, importance, rules"}
    display(along, raw=True)
else:
    print(f"{one['name']}: only the first proteins of a file have residue tracks; put it further up")

# %% [markdown]
# ## Its structure
# The C-alpha trace, coloured by importance or by pLDDT, AlphaFold's confidence. Drag it, or use the arrow keys. The
# pictures below it are the same trace for places that run no scripts, such as GitHub.

# %%
solid = "structure" in one.get("track", {})
if solid:
    display(HTML(protein_view.structure(one)))
    fig = protein_view.trace_figure(one, f"{one['name']}" + (", synthetic structure" if examples else ""))
    alt = f"C-alpha trace of {one['name']}, coloured by importance and, where there is one, by pLDDT."
    show_figure(fig, paths.figures, "c_alpha_trace", alt)
else:
    print(f"{one['name']}: no structure was given, or none that fits; see the report's remarks")

# %% [markdown]
# ## Move the thresholds
# Nothing is computed again: the sliders apply other thresholds to the stored probabilities. A lower threshold finds more
# and is wrong more often; notebook 02 says how it was chosen, on validation proteins. Move none of them to please a result.

# %%
limits = {"graph_threshold": limits["gat_threshold"], "rule": predictor.gate["rule"]}
if util.find_spec("ipywidgets"):
    display(protein_view.gate_sliders(shown_here, v["threshold"], confident, **limits))
else:
    print("ipywidgets is not installed: pip install ipywidgets brings the sliders")

# %% [markdown]
# Without sliders, what other thresholds would have said:

# %%
for threshold in (0.1, 0.2, 0.3, 0.5, 0.7):
    found = protein_view.decided_again(one, threshold, confident, **limits)
    print(f"threshold {threshold:.1f}: {', '.join(found['predicted']) or 'none'}")

# %% [markdown]
# ## What came out

# %%
display(Markdown(in_short.in_short_00(answers, examples)))

# %%
facts = {"proteins": len(answers), "model": chosen.name, "threshold": predictor.threshold}
recorded = provenance.record(settings, "00_your_proteins", sha256(source), **facts)
print("provenance written to", recorded.name)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Checks
# What must hold on every machine; nbval compares these cells.

# %% tags=["nbval-check-output"]
print("proteins answered:", len(answers))
probabilities = np.array([[v["probability"] for v in one["locations"].values()] for one in answers])
print("probabilities:", probabilities.shape, bool(((probabilities >= 0) & (probabilities <= 1)).all()))
print("by hand is the gate of the answer:", by_hand == one["locations"][surest]["decision"])

# %% tags=["nbval-check-output"]
own = [protein_view.decided_again(a, predictor.threshold, confident, **limits) for a in answers]
same = all(a["predicted"] == b["predicted"] for a, b in zip(own, answers, strict=True))
print("the model's own thresholds change nothing:", same)
print("a threshold above one predicts:", protein_view.decided_again(one, 1.01, confident, **limits)["predicted"])

# %% tags=["nbval-check-output"]
print("residues drawn:", [len(a["track"]["structure"]["ca"]) == a["length"] for a in answers if examples])
page = (out / REPORT).read_text(encoding="utf-8")
print("the report fetches nothing:", "http" not in page.replace("http-equiv", "") and "default-src 'none'" in page)
