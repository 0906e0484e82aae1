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
# # Train the graph networks and weight their features
# [← 03 Read its confidence](03_confidence_analysis.ipynb) · [05 Join the two models →](05_halo_ensemble.ipynb)
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/YOUR--ACCOUNT/halo-companion/blob/main/notebooks/04_gat_weighting.ipynb) [![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/YOUR--ACCOUNT/halo-companion/main?urlpath=lab/tree/notebooks/04_gat_weighting.ipynb)
#
# All notebooks: [00](00_your_proteins.ipynb) · [01](01_data_preparation.ipynb) · [02](02_esm_finetuning.ipynb) · [03](03_confidence_analysis.ipynb) · **04** · [05](05_halo_ensemble.ipynb) · [06](06_benchmark_comparison.ipynb) · [11](11_attribution.ipynb) · [A1](appendix/A1_pretrain_backbone.ipynb) · [what each one answers](../README.md#the-notebooks)
#
# **Does** build residue graphs, take a graph attention layer apart, train the networks of Table 1 on pre-trained, fine-tuned and weighted features, and choose the weights as the profile says (fixed, from a grid, or learned).
#
# **Needs** notebooks 01 and 02 of the same profile.
#
# **Makes** `table1.csv` (not for luo2024, which the table is not about), `metrics_gat.csv`, `deviations.csv`, `edges.csv`, `learned_thresholds.csv`, `weight_grid.csv` where the weights come from a grid, `metrics_on_graphs.csv` where proteins have a graph, predictions of every graph network.
#
# **Takes** a minute for `demo`; a quarter of an hour for `mini` on two CPU cores.

# %% [markdown]
# ## Parameters
# Leave a value empty or at -1 to take the profile's own. papermill overrides them with `-p name value`.
# Another `cutoff_angstrom` or `weight_mode` makes a variation: this notebook reads the run of the plain name, writes
# under a name of its own, and no later notebook reads that. To carry a change through all notebooks, put it into a
# profile.

# %% tags=["parameters"]
profile: str = "demo"  # demo, quick, mini, paper, or the path of a YAML file
dataset: str = ""  # synthetic, deeploc2 or luo2024
max_proteins: int = -1  # size of the stratified subset, 0 for all proteins
seed: int = -1  # seed of data, weights and resampling
cutoff_angstrom: float = -1.0  # C-alpha distance of an edge, the paper uses 10
weight_mode: str = ""  # fixed, grid or learned

# %% tags=["set-up"] jupyter={"source_hidden": true} cellView="form"
# @title Set-up: nothing to do in a checkout; alone, install the package and make the inputs
from importlib import metadata, util

from IPython import get_ipython

if util.find_spec("halo_utils") is None:  # with the running kernel's own packages left as they are
    kept = [f"{name}=={metadata.version(name)}" for name in ("ipykernel", "ipython", "pyzmq", "tornado")]
    package = "halo-utils@git+https://github.com/YOUR--ACCOUNT/halo-companion"
    get_ipython().run_line_magic("pip", " ".join(["install --quiet", package, *kept]))
from halo_utils.commands.standalone import set_up

set_up("04_gat_weighting", globals())

# %%
import lightning as L
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display
from torch_geometric.data import Batch
from torch_geometric.nn import global_mean_pool

from halo_utils.config import load_settings
from halo_utils.core.files import write_csv
from halo_utils.data import datasets, splits
from halo_utils.evaluation import published, scoring, seeds, test_sets
from halo_utils.evaluation.systems import TITLES
from halo_utils.figures import diagrams, plots
from halo_utils.figures.style import show_figure
from halo_utils.figures.tables import styled
from halo_utils.models.coordinate_frame import RandomFrame
from halo_utils.models.gat import GatClassifier
from halo_utils.models.graph_attention import GraphAttention
from halo_utils.models.losses import FocalLoss
from halo_utils.models.rarity_offset import RarityOffset
from halo_utils.runs import artifacts, hybrid, in_short, provenance, wording
from halo_utils.structures.edge_controls import rewired_edges
from halo_utils.structures.edges import edge_report, radius_edges
from halo_utils.structures.reader import CA
from halo_utils.structures.residue_graph import residue_graph
from halo_utils.training.fit import fit, parameter_counts
from halo_utils.training.graph_data import GraphData
from halo_utils.training.predict import predict

# %%
settings = load_settings(
    profile,
    dataset=dataset,
    max_proteins=max_proteins,
    seed=seed,
    cutoff_angstrom=cutoff_angstrom,
    weight_mode=weight_mode,
)
paths, gat, source = settings.paths.make(), settings.gat, settings.data.dataset
reading = {"max_tokens": settings.backbone.max_tokens, "truncation": settings.backbone.truncation}
table = artifacts.load_table(settings)
locations = list(datasets.DATASETS[source].locations)
structures = artifacts.load_structures(settings, table)
print(f"{settings.run_name}: {settings.title}, {len(table):,} proteins, {len(structures):,} with a structure")

# %% [markdown]
# ## From a structure to a graph
# A residue is a node at its C-alpha atom $x_i$. Two residues closer than 10 angstrom share an edge, in both directions:
#
# $$ (i, j) \in E \iff i \ne j \ \text{and}\ \lVert x_i - x_j \rVert < 10\ \text{Å} $$
#
# By hand, four atoms on a line, 6 angstrom apart: only neighbours are joined.

# %%
line = np.array([[0.0, 0, 0], [6, 0, 0], [12, 0, 0], [18, 0, 0]])
line_edges = radius_edges(line, cutoff_angstrom=10.0)  # [2, E]
print("edges of the line:", [tuple(edge) for edge in line_edges.T.tolist()])

# %% [markdown]
# A node carries three groups of features: its coordinates relative to the centre of the protein, its fine-tuned
# embedding, and four biochemical properties. The protein that we follow:

# %%
name = artifacts.example_protein(table)
protein = table.set_index("accession").loc[name]
finetuned = artifacts.load_embeddings(settings, "finetuned")
ca = structures.rows(name)[:, CA] if name in structures else None
edges = None if ca is None else radius_edges(ca, gat.cutoff_angstrom)
labels = protein[locations].to_numpy(dtype=float)
graph = residue_graph(name, protein["sequence"], labels, finetuned.rows(name), ca, edges, **reading)
print(f"{name}: {graph.num_nodes} nodes, x {tuple(graph.x.shape)}, edge_index {tuple(graph.edge_index.shape)}")
print(f"width of a node: 3 coordinates + {finetuned.width} of the embedding + 4 properties = {graph.x.shape[1]}")

# %% [markdown]
# The whole model in one picture. Where the proteins are synthetic, the one that we follow stands above it: its contacts,
# and the numbers on its nodes.

# %%
drawn = (
    (ca, edges, graph.x.numpy()) if settings.is_synthetic and ca is not None and graph.num_nodes == len(ca) else None
)
fig = diagrams.figure_3(**wording.graph_diagram(settings), protein=drawn)
show_figure(fig, paths.figures, "fig3_gat", "Fig. 3: three groups of node features, edges, GAT layers, mean, loss")

# %% [markdown]
# A protein without a structure keeps the same width, with zero coordinates and no edges (section 2.2). Its nodes can
# then only look at themselves.

# %%
bare = residue_graph(name, protein["sequence"], labels, finetuned.rows(name), **reading)
print(f"without structure: x {tuple(bare.x.shape)}, edges {bare.num_edges}")

# %% [markdown]
# ## Graph attention
# A layer mixes every node with its neighbours $N(i)$, itself among them, and learns how much each counts (Veličković et
# al. 2018):
#
# $$ e_{ij} = \mathrm{LeakyReLU}\left(a_1^\top W h_i + a_2^\top W h_j\right), \quad
#    \alpha_{ij} = \frac{\exp e_{ij}}{\sum_{m \in N(i)} \exp e_{im}}, \quad
#    h_i' = \sum_{j \in N(i)} \alpha_{ij} W h_j $$
#
# On the four atoms of the line, with one number per node and $W = 1$, the layer and the formula:

# %%
layer = GraphAttention(1, 1, heads=1, bias=False)
h = torch.tensor([[1.0], [2.0], [3.0], [4.0]])  # [N, 1]
with torch.no_grad():
    layer.lin.weight.fill_(1.0), layer.att_src.fill_(0.5), layer.att_dst.fill_(0.25)
    mixed = layer(h, torch.from_numpy(line_edges))  # [N, 1]
near = torch.eye(4, dtype=torch.bool)  # every node is its own neighbour
near[line_edges[0], line_edges[1]] = True
e = F.leaky_relu(0.25 * h + 0.5 * h.T, 0.2)  # [N, N], row i looks at column j
alpha = e.masked_fill(~near, -torch.inf).softmax(dim=1)
print("attention of the second atom:", alpha[1].numpy().round(3))
print("layer:", mixed[:, 0].numpy().round(3), "- formula:", (alpha @ h)[:, 0].numpy().round(3))

# %% [markdown]
# ## The network
# Section 2.2 and the released model class: layers with several heads side by side, batch norm, ELU, dropout; a last
# layer with one head gives $K$ numbers per residue, and their mean over the residues is the logit of the protein. Before
# all this each group of features is multiplied by its weight. A forward pass of our protein through a network of the
# profile's size:

# %%
widths = (3, finetuned.width, 4)
size = {"layers": gat.layers, "heads": gat.heads, "hidden": gat.hidden, "dropout": gat.dropout}
L.seed_everything(settings.seed, verbose=False)
network = GatClassifier(widths, len(locations), **size, weights=(0.5, 1.0, 0.5)).eval()
batch = Batch.from_data_list([graph])
with torch.no_grad():
    x = network.feature_weights(batch.x)  # [N, 3 + D + 4]
    print("weighted features", tuple(x.shape))
    for conv, norm in zip(network.convs, network.norms, strict=True):
        x = F.elu(norm(conv(x, batch.edge_index)))
        print(f"{gat.heads} heads of {gat.hidden} channels", tuple(x.shape))
    x = network.last(x, batch.edge_index)
    logits = global_mean_pool(x, batch.batch)
    print("one head", tuple(x.shape), "-> mean over residues", tuple(logits.shape))
print(f"parameters: {parameter_counts(network)[0]:,}")

# %% [markdown]
# The **loss** is the focal loss of notebook 02 with a learnable threshold $\tau_k$ per location. The paper gives no
# formula for it; here the threshold shifts the logit, so that the probability crosses one half where the plain one
# crosses $\tau_k$:
#
# $$ p_k = \sigma\left(\text{logit}_k - \log\frac{\tau_k}{1 - \tau_k}\right) $$

# %%
loss = FocalLoss(gamma=2.0, n_locations=2)
with torch.no_grad():
    loss.threshold_logit.copy_(torch.tensor([0.3, 0.8]).logit())
    print("plain probabilities 0.3 and 0.8 become", loss.probability(torch.tensor([[0.3, 0.8]]).logit()).numpy())

# %% [markdown]
# ## What the cut-off really was
# The released code measures distances on coordinates it has already multiplied by their weight of 0.5, so its 10
# angstrom act at 20. Here are the edges per residue under both readings.

# %%
all_edges = artifacts.load_edges(settings, table, structures)
density = edge_report(table, structures, all_edges, gat.cutoff_angstrom, scale=0.5).dropna()  # the same proteins
summary = density[["paper", "released_code"]].describe().loc[["mean", "min", "max"]]
summary = summary.rename_axis("edges per residue").reset_index()
write_csv(paths.results / "edges.csv", summary)
display(styled(summary, "Edges per residue", digits=1))

# %%
cuts = (gat.cutoff_angstrom, 2 * gat.cutoff_angstrom)
if settings.is_synthetic and ca is not None:
    graphs = {cut: radius_edges(ca, cut) for cut in cuts}
    counted = [(cut, found.shape[1], found.shape[1] / len(ca)) for cut, found in graphs.items()]
    columns = ["cutoff_angstrom", "edges", "edges_per_residue"]
    write_csv(paths.results / "contact_graph.csv", pd.DataFrame(counted, columns=columns))
    fig = diagrams.contact_graphs(ca, graphs, f"{name} ({settings.title})")
    alt = f"The C-alpha trace of {name} over its contacts under {cuts[0]:g} and under {cuts[1]:g} angstrom."
    show_figure(fig, paths.figures, "contact_graph", alt)
else:
    print("the contact graph of a real protein is not drawn here: the example is no part of the repository")

# %% [markdown]
# ## Training a network
# One function for all networks of this notebook: data, model, loss, and the call that trains. Training stops when
# validation macro F1 has not improved for some epochs, and the best epoch stays. The folder remembers what was trained.
# Where the profile sets a number of steps, an epoch is a part of them: a network trained on few proteins then learns as
# long as one trained on many.

# %%
stores = {kind: artifacts.load_embeddings(settings, kind) for kind in ("pretrained", "finetuned")}
options = {**reading, "nodes_per_batch": gat.nodes_per_batch, "seed": settings.seed, "steps": gat.steps_per_epoch}
data = {kind: GraphData(table, locations, store, structures, all_edges, **options) for kind, store in stores.items()}
train_labels = splits.label_matrix(table[table["split"] == "train"], locations)


# %%
def train(embeddings, weights, learned=False, epochs=None):
    """Train a graph network on pretrained or finetuned embeddings with weights of its three groups of features."""
    L.seed_everything(settings.seed, verbose=False)
    model = GatClassifier(widths, len(locations), **size, weights=weights, learned_weights=learned)
    if gat.coordinates == "scaled":
        model = RandomFrame(model)
    if gat.focal.balance:
        model = RarityOffset(model, gat.focal.balance * splits.log_odds(train_labels))
    return fit(
        model,
        FocalLoss(gat.focal.gamma, gat.focal.alpha, n_locations=len(locations)),
        data[embeddings],
        settings.source.work / "gat",
        epochs=epochs or gat.epochs,
        learning_rate=gat.learning_rate,
        weight_decay=gat.weight_decay,
        schedule=None if gat.schedule == "constant" else gat.schedule,
        patience=gat.patience,
        compute=settings.compute,
        seed=settings.seed,
        budget="gat.nodes_per_batch",
    )


# %% [markdown]
# ## Weights
# The paper speaks of learnable weights in one place and of tested combinations in another; the released checkpoint is
# named for one combination. A profile chooses one of the three. Where it asks for a grid, a short network is trained
# per pair of weights, and only validation is looked at. A linear layer follows the weights, so they change how training
# starts and is regularised rather than what the network can express.

# %%
mode = weight_mode or gat.weights.mode
weights = fixed = (gat.weights.coord, gat.weights.esm, gat.weights.bio)
grid = pd.DataFrame()
if mode == "grid":
    short = {
        pair: train("finetuned", (pair[0], 1.0, pair[1]), epochs=gat.weights.grid_epochs) for pair in gat.weights.pairs
    }
    rows = [(coord, 1.0, bio, run.history["val_macro_f1"].max()) for (coord, bio), run in short.items()]
    grid = pd.DataFrame(rows, columns=["coord", "esm", "bio", "val_macro_f1"])
    grid = grid.sort_values("val_macro_f1", ascending=False, kind="stable", ignore_index=True)
    write_csv(paths.results / "weight_grid.csv", grid)
    weights = tuple(grid.iloc[0][["coord", "esm", "bio"]])
display(Markdown(wording.weights_mode(settings)))
print("coordinates, embedding, biochemistry:", ", ".join(f"{w:g}" for w in weights))

# %%
if mode == "grid":
    noise = seeds.validation_spread(paths, TITLES["gat_finetuned"])
    epochs = wording.count(gat.weights.grid_epochs, "epoch")
    fig = plots.weight_heatmap(grid, noise, f"{epochs} each ({settings.title})")
    if fig is None:
        apart = grid["val_macro_f1"].max() - grid["val_macro_f1"].min()
        print(
            f"not drawn: the pairs differ by {apart:.3f} in macro F1, and fewer than {plots.LEAST_SEEDS} seeds, or as"
        )
        print("large a difference between seeds, do not tell that from noise")
    else:
        show_figure(fig, paths.figures, "weight_grid", "How far every pair of weights falls short of the best")

# %% [markdown]
# ## Four networks
# The three variants of Table 1, and one that learns its weights along with everything else.

# %%
display(Markdown(wording.graph_model(settings)))

# %%
runs = {
    "gat_pretrained": train("pretrained", (0.0, 1.0, 0.0)),
    "gat_finetuned": train("finetuned", (0.0, 1.0, 0.0)),
    "gat_weighted": train("finetuned", weights, learned=mode == "learned"),
    "gat_learned": train("finetuned", fixed, learned=True),
}
predictions = {}
for system, run in runs.items():
    embeddings = "pretrained" if system == "gat_pretrained" else "finetuned"
    predictions[system] = predict(run, data[embeddings], settings.compute.precision)
    artifacts.save_predictions(settings, system, predictions[system])

# %%
networks = {system: hybrid.network_of(run.model) for system, run in runs.items()}
final = {system: [float(w) for w in network.feature_weights.values] for system, network in networks.items()}
summary = pd.DataFrame(
    {
        "network": [TITLES[system] for system in runs],
        "best epoch": [run.best_epoch for run in runs.values()],
        "weights of coordinates, embedding, biochemistry": [", ".join(f"{w:.2f}" for w in final[s]) for s in runs],
        "validation macro F1": [run.history["val_macro_f1"].max() for run in runs.values()],
    }
)
display(styled(summary, f"Graph networks ({settings.title})"))

# %%
histories = {TITLES[system]: run.history for system, run in runs.items()}
write_csv(paths.results / "gat_training.csv", pd.concat([h.assign(system=n) for n, h in histories.items()]))
fig = plots.training_curves(histories, settings.title)
show_figure(fig, paths.figures, "gat_training", "Loss and validation macro F1 of the four graph networks per epoch")

# %% [markdown]
# The learnable thresholds of the loss. They act like a bias of the last layer, so they need not move far.

# %%
learned = pd.DataFrame({"location": locations, "threshold": runs["gat_weighted"].loss.thresholds.numpy()})
write_csv(paths.results / "learned_thresholds.csv", learned)
display(styled(learned, "Learned thresholds"))

# %%
probability = predictions["gat_weighted"].set_index("accession").loc[name, locations].astype(float)
answer = pd.DataFrame({"location": locations, "probability": probability.to_numpy(), "annotated": labels > 0})
display(
    styled(
        answer.sort_values("probability", ascending=False, ignore_index=True).head(4),
        f"{name}, what the weighted GAT says",
    )
)

# %% [markdown]
# ## Test sets

# %%
bootstrap = {"resamples": settings.evaluation.bootstrap, "seed": settings.seed}
step = settings.evaluation.threshold_step
measured = [scoring.measure_plain(table, n, p, source, step=step, **bootstrap) for n, p in predictions.items()]
metrics = pd.concat(measured, ignore_index=True)
write_csv(paths.results / "metrics_gat.csv", metrics)
views = test_sets.held_out_views(table, source)
main_set, view = next(iter(views.items()))
print(scoring.macro_sentence(views.values()))
display(styled(scoring.headline(metrics, main_set), f"Graph networks on {main_set} ({settings.title})"))


# %%
def decided(system):
    """Return a system with its labels and probabilities on the main test set."""
    prob = view.join(predictions[system])
    return system, prob >= scoring.tune(table, predictions[system], source, step).on(main_set), prob


predictions["composition"] = artifacts.load_predictions(settings, "composition")
pairs = [("gat_finetuned", "gat_pretrained"), ("gat_weighted", "gat_finetuned"), ("gat_weighted", "gat_pretrained")]
pairs.append(("gat_weighted", "composition"))
compared = [scoring.compare(view, decided(first), decided(second), **bootstrap) for first, second in pairs]
differences = pd.concat(compared, ignore_index=True)
write_csv(paths.results / "differences_gat.csv", differences)
columns = ["first", "second", "difference", "ci_low", "ci_high", "resampled"]
display(styled(differences.loc[differences["metric"] == "macro_f1", columns], f"Differences in macro F1 on {main_set}"))

# %% [markdown]
# ## Do the edges matter?
# A network that beats another may owe it to its features, its proteins or its training. So the same network is trained
# again, on the proteins that have a graph and with the same number of steps, and only the edges change:
#
# * **none**: a residue sees itself alone;
# * **sequence neighbours**: $|i - j| \le 4$, a fold that anyone can guess;
# * **rewired**: the contacts of the protein, its residues permuted, so that every number of neighbours stays;
# * **another protein**: the contacts of a protein of about the same length.
#
# On the line of four atoms, rewired, the two ends still have one neighbour each, but other ones:

# %%
print("own:    ", [tuple(edge) for edge in line_edges.T.tolist()])
print("rewired:", [tuple(edge) for edge in rewired_edges(line_edges, 4, np.random.default_rng(0)).T.tolist()])

# %% [markdown]
# If contacts tell where a protein is, the network with its own edges is better than all four. Beside the controls the
# four networks above are trained on those proteins alone. Where structure letters are known, 3Di and secondary structure,
# a network that reads them as well stands beside one that does not, on the proteins that have letters. Each table holds
# the same test proteins in every row, and thresholds come from validation proteins of the same kind.

# %%
compared = (*hybrid.on_graphs(weights, fixed, mode == "learned"), *hybrid.CONTROLS)
trained = hybrid.train_all(settings, table, compared) if gat.hybrid else {}
for found in trained.values():
    for system, probabilities in found.items():
        artifacts.save_predictions(settings, system, probabilities)

# %%
measured = []
for what, found in trained.items():
    same = table["accession"].isin(next(iter(found.values()))["accession"])
    ground = test_sets.restrict(view, np.isin(view.accessions, table.loc[same, "accession"]), what)
    for system, stored in (predictions | found).items():
        cut, prob = scoring.tune(table[same], stored, source, step), ground.join(stored)
        measured.append(scoring.measure(ground, system, prob >= cut.on(ground.name), prob, cut, **bootstrap))
    display(styled(scoring.headline(pd.concat(measured), ground.name), f"{len(ground.y):,} proteins of {ground.name}"))
if measured:
    write_csv(paths.results / "metrics_on_graphs.csv", pd.concat(measured, ignore_index=True))

# %% [markdown]
# ## Table 1: paper, ours, difference
# The table is about DeepLoc 2.0. Its precision and recall are micro averages: 2PR/(P+R) gives its micro F1. What
# separates our networks from the published columns comes before anything is read off their difference.

# %%
deviations = wording.deviations(settings)
write_csv(paths.results / "deviations.csv", deviations)
display(styled(deviations[deviations["model"] == wording.GAT].drop(columns="model"), "Not as in the paper"))
display(Markdown(wording.deviation_sentence(deviations, wording.GAT)))

# %%
table1 = published.beside_paper(1, metrics, source, main_set, ("gat_pretrained", "gat_finetuned", "gat_weighted"))
print(published.compared_with(1, source, main_set))
if 1 in published.published_columns(source, main_set):
    write_csv(paths.results / "table1.csv", table1)
display(published.readable(table1))

# %% [markdown]
# ## What this run found

# %%
noise = seeds.validation_spread(paths, TITLES["gat_finetuned"])
chosen = in_short.chosen_weights(weights, grid, noise)
display(Markdown(in_short.in_short_04(settings, metrics, differences, chosen, deviations, main_set)))

# %%
recorded = provenance.record(
    settings,
    "04_gat_weighting",
    splits.fingerprint(table),
    weights=list(weights),
    with_structure=len(structures),
    gat_parameters={s: parameter_counts(n)[0] + len(locations) for s, n in networks.items()},
)
print("provenance written to", recorded.name)

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ## Checks
# What must hold on every machine; nbval compares these cells.

# %% tags=["nbval-check-output"]
print("width of a node:", graph.x.shape[1], "= 3 +", finetuned.width, "+ 4")
print("edges go both ways:", bool(graph.is_undirected()), "- self-loops:", bool(graph.has_self_loops()))
print(
    "without structure: width",
    bare.x.shape[1],
    "- edges",
    bare.num_edges,
    "- coordinates all zero:",
    bool((bare.x[:, :3] == 0).all()),
)

# %% tags=["nbval-check-output"]
print("attention sums to one:", bool(torch.allclose(alpha.sum(1), torch.ones(4))))
print("layer as in the formula:", bool(torch.allclose(mixed, alpha @ h, atol=1e-5)))
print("step by step as in one call:", bool(torch.allclose(network(batch), logits, atol=1e-5)))

# %% tags=["nbval-check-output"]
print(
    "the released code's graphs are more than twice as dense:",
    bool(density["released_code"].mean() > 2 * density["paper"].mean()),
)
print("pairs of weights tried:", len(grid))

# %% tags=["nbval-check-output"]
print("networks trained:", len(runs), "- learned thresholds:", len(learned))
print("thresholds between 0 and 1:", bool(learned["threshold"].between(0, 1).all()))

# %% [markdown]
# The demo's bar: fine-tuned, weighted features beat raw ones.

# %% tags=["nbval-check-output"]
macro = metrics[(metrics["metric"] == "macro_f1") & (metrics["split"] == main_set)].set_index("system")["value"]
if settings.is_synthetic:
    better = bool(macro["gat_weighted"] > macro["gat_pretrained"])
    print("weighted GAT beats the GAT on pre-trained embeddings in macro F1:", better)
