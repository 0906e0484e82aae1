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
# # Prepare the proteins and audit the split
# **Does** read (or, for the demo, make) the proteins, keep the data set's split, parse every structure once, and ask whether the split is honest.
#
# **Needs** nothing for `demo`; for real data the files of `data/README.md`, found through `HALO_DATA_DIR` or downloaded. Profiles `quick` and `paper` also fetch the structures that are missing from AlphaFold DB.
#
# **Makes** the dataset table and the structure store of the run, `audit_*.csv`, `read_share.csv`, the figure `co_occurrence`.
#
# **Takes** half a minute for `demo`, about four minutes for all of DeepLoc 2.0, on two CPU cores.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of data, weights and resampling

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.data import audit, kmers, splits
from halo_utils.data.locations import locations
from halo_utils.embeddings import truncation
from halo_utils.embeddings.truncation import SPECIAL_TOKENS
from halo_utils.figures import plots, style
from halo_utils.runs import artifacts, in_short, prepare, provenance, wording
from halo_utils.structures import store

settings = load_settings(profile, dataset=dataset, max_proteins=max_proteins, seed=seed)
paths = settings.paths.make()
places = list(locations(settings.data.dataset))
print(f"{settings.run_name}: {settings.title}")
print(settings.description)

# %% [markdown]
# ## Proteins
# One table holds everything later notebooks need: accession, sequence, split and one 0/1 column per location. A reader
# returns what it kept and what it left out, with reasons; nothing disappears on the way. What cannot be read exactly as
# meant (a label that is neither 0 nor 1, an accession with two sequences, a letter that is no residue) stops here, with
# the row and the remedy.

# %%
found = prepare.read_inputs(settings)
table = found.table
artifacts.save_table(settings, table)
print(f"kept {len(table):,} proteins, left out {len(found.dropped):,}")
display(table.dtypes.rename("type").to_frame().T)

# %%
left_out = found.dropped.groupby(["split", "reason"]).size().rename("proteins").reset_index()
write_csv(paths.results / "audit_left_out.csv", left_out)
display(left_out)

# %% [markdown]
# The numbers below are the same on every machine: they are tagged, and nbval compares them.

# %% tags=["nbval-check-output"]
print("proteins per split:", table["split"].value_counts().sort_index().to_dict())

# %% tags=["nbval-check-output"]
print("accessions are unique:", table["accession"].is_unique)
print("every protein has a location:", bool((table[places].sum(axis=1) > 0).all()))

# %% [markdown]
# ## Labels
# Locations are very uneven, and a good part of the proteins has more than one. Both shape everything that follows:
# macro F1 is decided by the rare locations, micro F1 by the common ones.

# %%
counts = audit.label_counts(table, places)
write_csv(paths.results / "audit_labels.csv", counts)
display(counts)

# %% tags=["nbval-check-output"]
share = (table[places].sum(axis=1) > 1).mean()
print(f"share of proteins with several locations: {share:.2f}")
print("rarest location:", table[places].sum().idxmin(), "- most common:", table[places].sum().idxmax())

# %% [markdown]
# Which locations occur together? The diagonal counts all proteins of a location.

# %%
together = audit.co_occurrence(table, places)
write_csv(paths.results / "audit_co_occurrence.csv", together.reset_index(names="location"))
fig = plots.co_occurrence_map(together, f"Locations that occur together ({settings.title})")
style.save(fig, paths.figures, "co_occurrence")
plt.show()

# %% [markdown]
# ## Lengths and truncation
# The model reads a fixed number of tokens, two of which mark the ends. What lies beyond is lost, under the policy that
# the profile names (`head` keeps the start, as in the paper).

# %%
max_residues = settings.backbone.max_tokens - SPECIAL_TOKENS
length_table = audit.lengths(table, max_residues)
write_csv(paths.results / "audit_lengths.csv", length_table)
print(f"at most {max_residues:,} residues are read, truncation policy {settings.backbone.truncation!r}")
display(length_table)

# %% [markdown]
# ## Is the split honest?
# For every protein of an evaluation set we look for the largest share of its 6-mers that occurs in one single protein
# the models have seen. Half or more means a near duplicate: a copy, a close homolog, or an isoform. A model that was
# pre-trained has seen its corpus too: where that is at hand, the columns `corpus_...` count its near duplicates by the
# same definition, and how many share nine tenths. They are empty where it is not.

# %%
leaks = audit.leakage(table, splits.evaluation_sets(table))
write_csv(paths.results / "audit_leakage.csv", leaks)
display(leaks)
display(audit.within_split_copies(table))
for share in (kmers.NEAR_DUPLICATE, kmers.ALMOST_EQUAL):
    print(f"{share:.0%} of the 6-mers in common means about {kmers.identity(share):.0%} identity")

# %% tags=["nbval-check-output"]
print("exact copies of seen proteins in the evaluation sets:", int(leaks["exact_copies"].sum()))

# %% [markdown]
# Relatives inside one set matter too: they are right or wrong together, so they are resampled together when intervals
# are computed. Two proteins of a set are linked where one holds enough of the other's 6-mers; all that are linked,
# directly or through others, are a family.

# %%
relatives = audit.family_sizes(table, splits.evaluation_sets(table))
write_csv(paths.results / "audit_families.csv", relatives)
print(f"linked from {kmers.FAMILY:.0%} of the distinct {kmers.KMER}-mers of one of the two")
display(relatives)

# %% [markdown]
# ## Structures
# Each file is parsed once, aligned to the sequence of the table, and stored as C-alpha positions and pLDDT of the
# residues the model reads. A protein without a structure stays in; it runs sequence-only later. So does one whose file
# belongs to another sequence (identity under 90 %) or cannot be read: both are counted here and named below.

# %%
report = store.store_structures(settings, table, found.structures)
by_split = report.merge(table[["accession", "split"]], on="accession", validate="1:1")
structure_counts = by_split.groupby(["split", "status"]).size().rename("proteins").reset_index()
write_csv(paths.results / "audit_structures.csv", structure_counts)
display(structure_counts)

# %%
matched = report[report["status"] == "matched"]
fit = {"residues": matched["residues"].sum(), "with coordinates": matched["placed"].sum()}
fit |= {"of another kind": matched["mismatches"].sum(), "in the file only": matched["extra"].sum()}
display(pd.Series(fit, name="matched structures").astype(int).to_frame().T)

# %% [markdown]
# How much of the proteins, and of the contacts in their whole structures, do the models read?

# %%
share = truncation.read_share(table, settings.backbone, report)
write_csv(paths.results / "read_share.csv", share)
display(share.round(3))
main_set = splits.held_out_sets(table)[0]
display(Markdown(wording.reading(share, main_set)))

# %%
problems = report.loc[report["problem"].notna(), "problem"]
print("\n".join(problems) if len(problems) else "no file was unreadable or belonged to another protein")

# %% tags=["nbval-check-output"]
print("structures:", report["status"].value_counts().sort_index().to_dict())

# %% [markdown]
# Two checks of the geometry: neighbouring C-alpha atoms are 3.8 angstrom apart in any real or realistic chain, and
# pLDDT runs from 0 to 100. Files whose B-factors are something else (some tools overwrite them) count as "pLDDT unknown".

# %% tags=["nbval-check-output"]
arrays = store.load_structure_arrays(settings, table)
steps = np.concatenate([np.linalg.norm(np.diff(a[:, :3], axis=0), axis=1) for a in arrays.values()])
plddt = np.concatenate([a[:, 3] for a in arrays.values()])
print(f"median C-alpha step: {np.nanmedian(steps):.1f} angstrom")
print("pLDDT within 0..100:", bool(np.nanmin(plddt) >= 0 and np.nanmax(plddt) <= 100))
print("structures without pLDDT:", sum(bool(np.isnan(a[:, 3]).all()) for a in arrays.values()))

# %% [markdown]
# ## What the paper says about its data, and what we find
# The paper calls its splits "minimal homology". The table shows what that means for the proteins of this run.

# %%
statement = pd.DataFrame(
    {
        "set": leaks["set"],
        "paper": "minimal homology",
        "ours: near duplicates": leaks["near_duplicate_share"].map("{:.1%}".format),
        "ours: exact copies": leaks["exact_copies"],
    }
)
display(statement)

# %% [markdown]
# ## What this run found

# %%
display(Markdown(in_short.in_short_01(settings, table, leaks, share, main_set)))

# %%
recorded = provenance.record(settings, "01_data_preparation", splits.fingerprint(table), proteins=len(table))
print("provenance written to", recorded.name)
