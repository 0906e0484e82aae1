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
# # Prepare the proteins and audit the split
# [← 00 Your own proteins](00_your_proteins.ipynb) · [02 Fine-tune the sequence model →](02_esm_finetuning.ipynb)
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR--ACCOUNT/halo-companion/blob/main/notebooks/01_data_preparation.ipynb) [![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/YOUR--ACCOUNT/halo-companion/main?urlpath=lab/tree/notebooks/01_data_preparation.ipynb)
#
# All notebooks: [00](00_your_proteins.ipynb) · **01** · [02](02_esm_finetuning.ipynb) · [03](03_confidence_analysis.ipynb) · [04](04_gat_weighting.ipynb) · [05](05_halo_ensemble.ipynb) · [06](06_benchmark_comparison.ipynb) · [11](11_attribution.ipynb) · [A1](appendix/A1_pretrain_backbone.ipynb) · [what each one answers](../README.md#the-notebooks)
#
# **Does** read (or, for the demo, make) the proteins, keep the data set's split, parse every structure once, and ask whether the split is honest.
#
# **Needs** nothing for `demo`; for real data the files of `data/README.md`, found through `HALO_DATA_DIR` or downloaded. Profiles `quick` and `paper` also fetch the structures that are missing from AlphaFold DB.
#
# **Makes** the dataset table and the structure store of the run, `audit_*.csv`, `read_share.csv`, the figures `co_occurrence` and `example_protein`.
#
# **Takes** seconds for `demo`; for real proteins a few minutes, and longer where structures are fetched.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of data, weights and resampling

# %% tags=["set-up"] jupyter={"source_hidden": true} cellView="form"
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{name}=={metadata.version(name)}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+https://github.com/YOUR--ACCOUNT/halo-companion"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("01_data_preparation", globals())

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from scipy.spatial.distance import pdist

from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.data import audit, kmers, same_sequence, splits
from halo_utils.data.datasets import DATASETS
from halo_utils.embeddings import truncation
from halo_utils.evaluation import published
from halo_utils.figures import diagrams, plots
from halo_utils.figures.style import show_figure
from halo_utils.figures.tables import styled
from halo_utils.runs import artifacts, in_short, prepare, provenance, wording
from halo_utils.structures.edges import GRAPH_SOURCES, edge_report, graph_sources, radius_edges
from halo_utils.structures.reader import CA, MIN_IDENTITY, PLDDT
from halo_utils.structures.store import store_structures

settings = load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed)
paths = settings.paths.make()
locations = list(DATASETS[settings.data.dataset].locations)
print(f"{settings.run_name}: {settings.title}")
print(settings.description)

# %% [markdown]
# ## HALO in one figure
# Fig. 1 of the paper: a language model reads the sequence, a graph network reads the structure with the language model's
# embeddings on its nodes, and a gate joins the two. The bar is the probability that the sequence model gives to one
# location, here with the paper's threshold. This notebook prepares what both models read; notebook 02 is the upper row,
# 04 the lower one, 05 the gate, which draws this figure again with the counts of the run on every branch.

# %%
show_figure(
    diagrams.figure_1(settings.gate.confident, published.text_value("esm_threshold")),
    None,  # notebook 05 saves it, with counts
    "fig1_halo",
    "Diagram: a protein sequence enters the fine-tuned ESM. Labels of high confidence become locations at once; for the"
    " others a graph attention network on the AlphaFold structure has to agree, else the label is dropped.",
)

# %% [markdown]
# ## Proteins
# One table holds everything later notebooks need: accession, sequence, split and one 0/1 column per location. A reader
# returns what it kept and what it left out, with reasons; nothing disappears on the way. What cannot be read exactly as
# meant (a label that is neither 0 nor 1, an accession with two sequences, a letter that is no residue) stops here, with
# the row and the remedy.

# %%
inputs = prepare.read_inputs(settings)
table = inputs.table
print(f"kept {len(table):,} proteins, left out {len(inputs.dropped):,}")
shown = ["accession", "sequence", "split", "kingdom", *locations[:3]]
styled(table[shown].head(4).assign(sequence=table["sequence"].str[:30] + "..."), "The first rows and columns")

# %%
left_out = inputs.dropped.groupby(["split", "reason"]).size().rename("proteins").reset_index()
write_csv(paths.results / "audit_left_out.csv", left_out)
styled(left_out, "Proteins left out") if len(left_out) else print("nothing was left out")

# %% [markdown]
# ## Labels
# The labels of $B$ proteins and $K$ locations are a matrix $Y \in \{0, 1\}^{B \times K}$. Locations are very uneven, and a
# good part of the proteins has more than one. Both shape everything that follows: macro F1 is decided by the rare
# locations, micro F1 by the common ones.

# %%
Y = splits.label_matrix(table, locations)
print("Y:", Y.shape, Y.dtype)
counts = audit.label_counts(table, locations)
write_csv(paths.results / "audit_labels.csv", counts)
styled(counts, "Proteins per location and split")

# %% [markdown]
# Which locations occur together? $Y^\top Y$ counts the proteins that two locations share; on the diagonal stand all
# proteins of a location.

# %%
together = pd.DataFrame(Y.astype(int).T @ Y, index=locations, columns=locations)
write_csv(paths.results / "audit_co_occurrence.csv", together.reset_index(names="location"))
alt = "Left: for every two locations the proteins that carry both. Right: bars, all proteins of every location."
if Y.sum(axis=1).max() > 1:
    show_figure(plots.co_occurrence_map(together, settings.title), paths.figures, "co_occurrence", alt)
else:
    print("every protein has one location: none occur together")

# %% [markdown]
# ## Lengths and truncation
# The model reads a fixed number of tokens, two of which mark the ends. What lies beyond is lost, under the policy that
# the profile names: `head` keeps the start, as in the paper; `head_tail` cuts the middle out, as DeepLoc 2.0 does, because
# sorting signals sit at both ends. A protein of ten residues and a model of eight tokens show both.

# %%
for policy in ("head", "head_tail"):
    print(f"{policy:<10}reads residues", truncation.seen_residues(10, max_tokens=8, truncation=policy).tolist())

# %%
reads = {"max_tokens": settings.backbone.max_tokens, "truncation": settings.backbone.truncation}
max_residues = reads["max_tokens"] - truncation.SPECIAL_TOKENS
length_table = audit.lengths(table, max_residues)
write_csv(paths.results / "audit_lengths.csv", length_table)
print(f"this model: at most {max_residues:,} residues, policy {reads['truncation']!r}")
styled(length_table, "Lengths in residues", digits=1)

# %% [markdown]
# ## Is the split honest?
# Take all windows of six residues, the 6-mers, of a protein $q$ as a set $W(q)$. Its *containment* is the largest share of
# them that occurs in one single protein the models have seen:
#
# $$c(q) = \max_{t \,\in\, \text{seen}} \frac{|W(q) \cap W(t)|}{|W(q)|}$$
#
# By hand, for two peptides that differ in one residue:

# %%
peptides = ["MKVLAAGHWYTDES", "MKVLAAGHWYTRES"]
windows = [{p[i : i + kmers.KMER] for i in range(len(p) - kmers.KMER + 1)} for p in peptides]
by_hand = len(windows[0] & windows[1]) / len(windows[0])
print(f"{len(windows[0])} windows, {len(windows[0] & windows[1])} of them in the other: c = {by_hand:.3f}")
display(
    Markdown(
        f"From {kmers.NEAR_DUPLICATE:.0%} on a protein counts as a *near duplicate*: a copy, a close homolog, or an isoform."
        " An exchanged residue breaks every window over it, so with changes spread evenly these"
        f" {kmers.NEAR_DUPLICATE:.0%} mean about {kmers.identity(kmers.NEAR_DUPLICATE):.0%} identity, and"
        f" {kmers.ALMOST_EQUAL:.0%} about {kmers.identity(kmers.ALMOST_EQUAL):.0%}."
    )
)

# %% [markdown]
# A model that was pre-trained has seen its corpus too: where that is at hand, the columns "corpus ..." count its near
# duplicates by the same definition. They are empty where it is not.

# %%
leaks = audit.leakage(table, splits.evaluation_sets(table))
write_csv(paths.results / "audit_leakage.csv", leaks)
display(styled(leaks, "What the models have already seen of the evaluation sets"))
copies = table.duplicated(["split", "sequence"]).groupby(table["split"]).sum().rename("repeated sequences")
styled(copies.reset_index(), "Sequences that occur before in the same split")

# %% [markdown]
# The paper calls its splits "minimal homology". The table shows what that means for the proteins of this run.

# %%
statement = leaks[["set"]].assign(paper="minimal homology", copies=leaks["exact_copies"])
statement["near"] = leaks["near_duplicate_share"].map("{:.1%}".format)
styled(statement, names={"copies": "ours: exact copies", "near": "ours: near duplicates"})

# %% [markdown]
# Relatives inside one set matter too: they are right or wrong together, so they are resampled together when intervals
# are computed. Two proteins of a set are linked where one holds enough of the other's 6-mers; all that are linked,
# directly or through others, are a family.

# %%
relatives = audit.family_sizes(table, splits.evaluation_sets(table))
write_csv(paths.results / "audit_families.csv", relatives)
print(f"linked from {kmers.FAMILY:.0%} of the distinct {kmers.KMER}-mers of one of the two")
styled(relatives, "Families")

# %% [markdown]
# ## Structures
# Each file is parsed once, aligned to the sequence of the table, and stored whole: for each of the $L$ residues the
# positions of N, C-alpha and C in angstrom, and the pLDDT, AlphaFold's confidence in it. A protein without a structure
# stays in; it runs sequence-only later. So does one whose file belongs to another sequence or cannot be read: both are
# counted here and named below. Structures bear UniProt accessions. A protein that a data set names otherwise, as the
# Human Protein Atlas set of DeepLoc 2.0 does (Ensembl's ENSP), is looked up by those of the proteins of equal sequence
# in the tables on this machine, too.

# %%
cutoff = settings.gat.cutoff_angstrom
report = store_structures(paths.work / "structures.npy", table, inputs.structures, cutoff_angstrom=cutoff, **reads)
structures = artifacts.load_structures(settings, table)
table["structure"] = table["accession"].isin(structures.accessions)
by_split = report.merge(table[["accession", "split"]], on="accession", validate="1:1")
structure_counts = by_split.groupby(["split", "status"]).size().rename("proteins").reset_index()
write_csv(paths.results / "audit_structures.csv", structure_counts)
print(f"a structure is another protein's under {MIN_IDENTITY:.0%} identity")
styled(structure_counts, "Structures")

# %%
matched = report[report["status"] == "matched"]
residues = matched[["residues", "placed", "mismatches", "extra"]].sum().astype(int).to_frame().T
names = {"placed": "with coordinates", "mismatches": "of another kind", "extra": "in the file only"}
display(styled(residues, "Residues of the matched structures", names=names))
problems = report.loc[report["problem"].notna(), "problem"]
print("\n".join(problems) if len(problems) else "no file was unreadable or belonged to another protein")

# %% [markdown]
# ## Graphs
# A graph network needs to know which residues are near each other, not where they are. A *contact map* is just that: the
# pairs of residues whose C-alpha atoms are closer than the cut-off. It takes far less space than a structure file, and
# archives of contact maps are a second source of graphs; such a protein has edges, but neither coordinates nor pLDDT.

# %%
sources = graph_sources(table, structures, artifacts.load_contact_maps(settings))
table["graph"] = sources["source"].isin(GRAPH_SOURCES).to_numpy()
artifacts.save_table(settings, table)
all_edges = artifacts.load_edges(settings, table, structures)
per_residue = edge_report(table, structures, all_edges, cutoff).set_index("accession")["paper"]
graph_table = audit.graph_counts(table.assign(source=sources["source"].to_numpy()), locations, per_residue)
write_csv(paths.results / "audit_graphs.csv", graph_table)
display(styled(graph_table[graph_table["group"] == "split"].drop(columns="group"), "Graphs and their sources"))
display(styled(graph_table[graph_table["group"] != "split"].drop(columns="group"), "Who has a graph"))
if len(matches := same_sequence.count_matches(table)):
    write_csv(paths.results / "audit_same_sequence.csv", matches)
    display(Markdown(same_sequence.sentence(matches)))

# %% [markdown]
# Where the shares differ between kingdoms or locations, proteins with a graph are another kind of protein than the rest.
# Systems are therefore only ever compared on the same proteins.

# %% [markdown]
# How much of the proteins, and of the contacts in their whole structures, do the models read? Residues $i$ and $j$ are in
# contact where their C-alpha atoms are close, $\lVert x_i - x_j \rVert < r$; these pairs are the edges of the graphs in
# notebook 04.

# %%
share = truncation.read_share(table, report, **reads)
write_csv(paths.results / "read_share.csv", share)
main_set = splits.held_out_sets(table)[0]
display(styled(share, "What the models read"))
display(Markdown(wording.reading(share, main_set)))

# %% [markdown]
# ## One protein to follow
# The same protein of the main test set appears in every notebook: here as it enters, in 02 as tokens and states, in 04 as
# a graph, in 05 at the gate. It is chosen by rule: the first with a structure and several locations, as far as there is
# one.

# %%
example = artifacts.example_protein(table)
protein = table.set_index("accession").loc[example]
sequence, found_in = protein["sequence"], [name for name in locations if protein[name]]
print(f"{example}: {len(sequence):,} residues, {' and '.join(found_in)}")
print(f"{sequence[:60]}{'...' if len(sequence) > 60 else ''}")
if protein["structure"]:
    rows = structures.rows(example)
    ca, plddt = rows[:, CA], rows[:, PLDDT]
    edges = radius_edges(ca, cutoff)
    print("rows of the store [L, 10]:", rows.shape, rows.dtype, "- C-alpha:", ca.shape)
    print(f"edges [2, E] under {cutoff:g} angstrom:", edges.shape, f"- {edges.shape[1] / len(rows):.1f} per residue")

# %%
if protein["structure"]:
    fig, (trace, contacts) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    placed = np.isfinite(ca).all(axis=1)
    centred = ca[placed] - ca[placed].mean(axis=0)
    x, y = (centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T).T  # the plane in which it is widest
    trace.plot(x, y, color="0.8", zorder=0)
    points = trace.scatter(x, y, c=plddt[placed], s=14, cmap="cividis", vmin=0, vmax=100)
    trace.set(title="C-alpha trace", xlabel="angstrom", ylabel="angstrom", aspect="equal")
    fig.colorbar(points, ax=trace, label="pLDDT")
    contacts.scatter(*edges, s=1, color="black")
    contacts.set(title=f"edges under {cutoff:g} angstrom", xlabel="residue", ylabel="residue", aspect="equal")
    fig.suptitle(f"{example}: every residue touches {edges.shape[1] / len(rows):.1f} others ({settings.title})")
    alt = f"Left: the C-alpha trace of {example}, coloured by pLDDT. Right: its edges, residue against residue."
    show_figure(fig, paths.figures, "example_protein", alt)
else:
    print(f"{example} has no structure: it will run sequence-only")

# %% [markdown]
# ## What this run found

# %%
display(Markdown(in_short.in_short_01(settings, table, leaks, share, main_set)))

# %%
recorded = provenance.record(settings, "01_data_preparation", splits.fingerprint(table), proteins=len(table))
print("provenance written to", recorded.name)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Checks
# The outputs below are the same on every machine: they are tagged, and nbval compares them.

# %% tags=["nbval-check-output"]
print("proteins per split:", table["split"].value_counts().sort_index().to_dict())

# %% tags=["nbval-check-output"]
print("accessions are unique:", table["accession"].is_unique)
print("every protein has a location:", bool((Y.sum(axis=1) > 0).all()))

# %% tags=["nbval-check-output"]
print(f"share of proteins with several locations: {(Y.sum(axis=1) > 1).mean():.2f}")
print("rarest location:", table[locations].sum().idxmin(), "- most common:", table[locations].sum().idxmax())
print("the diagonal of Y'Y counts every location:", bool((np.diag(together) == Y.sum(axis=0)).all()))

# %% tags=["nbval-check-output"]
print("exact copies of seen proteins in the evaluation sets:", int(leaks["exact_copies"].sum()))
print("containment by hand and by the library agree:", by_hand == kmers.kmer_containment(peptides[:1], peptides[1:])[0])

# %% tags=["nbval-check-output"]
print("structures:", report["status"].value_counts().sort_index().to_dict())

# %% [markdown]
# Two checks of the geometry: neighbouring C-alpha atoms are 3.8 angstrom apart in any real or realistic chain, and
# pLDDT runs from 0 to 100. Files whose B-factors are something else (some tools overwrite them) count as "pLDDT unknown".

# %% tags=["nbval-check-output"]
if len(structures):
    steps = [np.linalg.norm(np.diff(structures.rows(a)[:, CA], axis=0), axis=1) for a in structures.accessions]
    confidence = [structures.rows(a)[:, PLDDT] for a in structures.accessions]
    lowest, highest = np.nanmin(np.concatenate(confidence)), np.nanmax(np.concatenate(confidence))
    print(f"median C-alpha step: {np.nanmedian(np.concatenate(steps)):.1f} angstrom")
    print("pLDDT within 0..100:", bool(lowest >= 0 and highest <= 100))
    print("structures without pLDDT:", sum(bool(np.isnan(values).all()) for values in confidence))

# %% tags=["nbval-check-output"]
print("the protein to follow:", example)
if protein["structure"]:
    print("edges by all distances and by the library agree:", 2 * int((pdist(ca) < cutoff).sum()) == edges.shape[1])
