"""Sentences about what a run does, written from its settings, so that prose cannot describe another model."""

import json
import re
from typing import Any

import pandas as pd
from pydantic import BaseModel

from halo_utils.config import Settings, load_settings
from halo_utils.core.paths import REPOSITORY
from halo_utils.embeddings.truncation import SPECIAL_TOKENS
from halo_utils.profile import GatSettings

SEQUENCE, GAT = "sequence model", "GAT"  # the two models whose settings are compared with the paper's
# Where the name of a field does not say what it sets; every other field is called by its name.
READABLE = {
    "source": "backbone", "random": "shape", "max_tokens": "tokens read", "trainable_layers": "layers that learn",
    "focal.gamma": "gamma of the loss", "focal.alpha": "alpha of the loss",
    "focal.balance": "share of the log-odds in the logits", "head.pooling": "pooling",
    "head.channels": "channels of region attention", "head.composition": "units of the composition network",
    "head.hidden": "units of the hidden layer", "head.dropout": "dropout of the head",
    "head.learning_rate": "learning rate of the head", "train_tokens": "tokens of a training step",
    "plateau_patience": "patience of the schedule",
    "cutoff_angstrom": "cut-off in angstrom",
    "weights.mode": "feature weights", "weights.coord": "weight of coordinates",
    "weights.esm": "weight of the embedding", "weights.bio": "weight of biochemistry",
    "weights.grid_coord": "coordinate weights tried", "weights.grid_bio": "biochemistry weights tried",
    "weights.grid_epochs": "epochs of a pair of weights", "steps": "steps of training",
}  # fmt: skip
NOT_OF_THE_MODEL = ("compare_heads", "hybrid", "revision")  # which rows a table gets; what the source says already
# The paper tells neither the size of a batch in these units nor the combinations of weights that it tested.
UNSTATED = ("tokens_per_batch", "nodes_per_batch", "weights.grid_coord", "weights.grid_bio", "weights.grid_epochs")
NOT_STATED = "not stated"


def count(number: int, noun: str) -> str:
    """Return ``1 epoch`` or ``4 epochs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """Return a share as ``12.3 %``."""
    return f"{100 * share:.1f} %"


def backbone_name(source: str) -> str:
    """Return what the source of a backbone is called: ``ESM-2 650M``, ``halo-mini``, ``random ESM-2``."""
    if source == "random":
        return "random ESM-2"
    published = re.search(r"esm2_t\d+_(\d+[MB])", source)
    return f"ESM-2 {published[1]}" if published else source.rstrip("/").rsplit("/", 1)[-1]


def loss_words(gamma: float) -> str:
    """Return the name of the loss; without focusing it is not called focal."""
    return f"focal loss, gamma {gamma:g}" if gamma else "binary cross-entropy"


def _loss(gamma: float, balance: float) -> str:
    offset = f", with {balance:g} of each label's log-odds added to its logit" if balance else ""
    return f"The loss is {loss_words(gamma)}{'' if gamma else ' (focal loss without focusing)'}{offset}."


def _backbone(settings: Settings) -> str:
    group, name, layers = settings.backbone, backbone_name(settings.backbone.source), settings.backbone.trainable_layers
    facts = REPOSITORY / group.source / "facts.json"  # of a backbone that notebook A1 trained
    origin = f"{name} with pre-trained weights (`{group.source}`)"
    if group.source == "random":
        shape = f"{count(group.random.layers, 'layer')}, {group.random.width} wide"
        origin = f"an ESM-2 with random weights ({shape}): nothing is pre-trained, and what the tables call pre-trained"
        origin += " embeddings comes from these weights"
    elif facts.is_file():
        known = json.loads(facts.read_text(encoding="utf-8"))
        origin = f"{name}, an ESM-2 of {known['parameters']:,} parameters, pre-trained by this project on"
        origin += f" {known['tokens']:,} tokens of masked-language modelling"
    learns = {"all": "all of it", 0: "nothing", 1: "the last layer"}.get(layers, f"the last {layers} layers")
    read = "its start" if group.truncation == "head" else "both ends, the middle cut out"
    return (
        f"The backbone is {origin}; what learns of it: {learns}. It reads {group.max_tokens:,} tokens, which are"
        f" {group.max_tokens - SPECIAL_TOKENS:,} residues; of a longer protein {read}."
    )


def _head(settings: Settings) -> str:
    head, text = settings.esm.head, "Attention pooling over the residues"
    if head.pooling != "attention":
        text = f"Region attention ({head.channels} channels) over the whole protein and regions at both its ends"
    last = f"a hidden layer of {head.hidden} units" if head.hidden else "a linear layer"
    text += f" makes a vector of a protein, and {last} its logits"
    text += f" (dropout {head.dropout:g})." if head.dropout else "."
    if not head.composition:
        return text
    units = f"{head.composition} hidden units"
    return f"{text} A composition network ({units}) adds logits made from the whole, uncut protein."


def _training(settings: Settings) -> str:
    esm = settings.esm
    head = f" ({esm.head.learning_rate:g} above the backbone)" if esm.head.learning_rate else ""
    falls = "rises during a short warm-up and then falls linearly to zero"
    if esm.schedule == "plateau":
        step = "halved" if esm.plateau_factor == 0.5 else f"multiplied by {esm.plateau_factor:g}"
        patience = count(esm.plateau_patience, "epoch")
        falls = f"is {step} when the validation loss has not fallen for more than {patience}"
    shown = f" A training step sees {esm.train_tokens:,} tokens of a protein." if esm.train_tokens else ""
    return (
        f"AdamW, learning rate {esm.learning_rate:g}{head}, weight decay {esm.weight_decay:g},"
        f" {count(esm.epochs, 'epoch')}; the rate {falls}.{shown}"
    )


def sequence_model(settings: Settings) -> str:
    """Return what notebook 02 trains: backbone, tokens, pooling, head, loss, and schedule."""
    focal = settings.esm.focal
    return " ".join([_backbone(settings), _head(settings), _loss(focal.gamma, focal.balance), _training(settings)])


def graph_model(settings: Settings) -> str:
    """Return what notebook 04 trains: layers, loss, and epochs."""
    gat, focal = settings.gat, settings.gat.focal
    return (
        f"Each network has {count(gat.layers, 'layer')} with {count(gat.heads, 'head')} of {gat.hidden} channels,"
        f" dropout {gat.dropout:g}, and the mean over the residues at the end. {_loss(focal.gamma, focal.balance)}"
        f" Every label has a learnable threshold. {_coordinates(gat.coordinates)} AdamW, learning rate"
        f" {gat.learning_rate:g}{', falling linearly to zero' * (gat.schedule == 'linear')}, weight decay"
        f" {gat.weight_decay:g}, {_length(gat)}; training stops after {count(gat.patience, 'epoch')} without a better"
        " macro F1 on validation."
    )


def _coordinates(kind: str) -> str:
    if kind == "raw":
        return "Coordinates are in angstrom, in the frame of the file."
    return "Coordinates are in units of 10 angstrom, and every protein is turned at random in training."


def _length(gat: GatSettings) -> str:
    if gat.steps is None:
        return f"at most {count(gat.epochs, 'epoch')}"
    return f"{gat.steps:,} steps whatever the number of proteins, in {count(gat.epochs, 'part')} called epochs"


def sequence_diagram(settings: Settings) -> dict[str, Any]:
    """Return the arguments of ``diagrams.figure_2`` for a run."""
    group, head = settings.backbone, settings.esm.head
    pooling = {"attention": "attention pooling\nover residues"}.get(
        head.pooling, "region attention,\nwhole and both ends"
    )
    return {
        "backbone": backbone_name(group.source), "max_tokens": group.max_tokens, "pooling": pooling,
        "trainable_layers": group.trainable_layers, "hidden": head.hidden, "composition": head.composition,
        "loss": loss_words(settings.esm.focal.gamma),
    }  # fmt: skip


def graph_diagram(settings: Settings) -> dict[str, Any]:
    """Return the arguments of ``diagrams.figure_3`` for a run."""
    numbers = {name: getattr(settings.gat, name) for name in ("cutoff_angstrom", "layers", "heads", "hidden")}
    return numbers | {"weights": settings.gat.weights.mode, "loss": loss_words(settings.gat.focal.gamma)}


def weights_mode(settings: Settings) -> str:
    """Return how this run comes to the weights of coordinates, embedding and biochemistry."""
    group = settings.gat.weights
    if group.mode == "grid":
        return (
            f"Mode `grid`: {count(len(group.pairs), 'pair')} of weights of coordinates and biochemistry, the"
            f" embedding's staying at 1, {count(group.grid_epochs, 'epoch')} each; the best on validation is taken."
        )
    values, released = (f"{g.coord:g}, {g.esm:g}, {g.bio:g}" for g in (group, type(group)()))
    values += " (those of the released checkpoint)" if values == released else ""
    if group.mode == "learned":
        return f"Mode `learned`: the weights start at {values} and are trained with the network; no grid is run."
    return f"Mode `fixed`: the weights of coordinates, embedding and biochemistry are {values}; no grid is run."


def reading(share: pd.DataFrame, split: str) -> str:
    """Return how much of a split's proteins the models read; ``share`` from ``truncation.read_share``."""
    row = share.set_index("split").loc[split]
    end = "from its start" if row["truncation"] == "head" else "from both ends"
    text = (
        f"The models read at most {row['tokens'] - SPECIAL_TOKENS:,} residues of a protein, {end}. That cuts"
        f" {percent(row['cut'])} of the {split} proteins and leaves {percent(row['residues_read'])} of their residues;"
        f" the {row['paper_tokens'] - SPECIAL_TOKENS:,} residues of the paper would cut {percent(row['paper_cut'])}."
    )
    if not row["structures"]:
        return text
    structures = count(row["structures"], "structure")
    return f"{text} Of the contacts in their {structures} {percent(row['contacts_read'])} remain."


def settings_by_name(group: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Return dotted name -> value of a group of settings and the groups inside; a shape stays one value."""
    values: dict[str, Any] = {}
    for name, value in group:
        inner = isinstance(value, BaseModel) and name != "random"
        values |= settings_by_name(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return values


def _shown(value: Any, name: str = "") -> str:
    if value is None:
        return "–"
    if name == "source":
        return backbone_name(str(value))
    if isinstance(value, BaseModel):
        return f"{value.layers} layers, {value.width} wide, {value.heads} heads"
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def deviations(settings: Settings) -> pd.DataFrame:
    """Return every setting of the two models that is not the paper's: model, setting, paper, this run."""
    rows, columns = [], ["model", "setting", "paper", "this run"]
    # The paper's values are the defaults (sections 2.1 and 2.2); a backbone has none.
    groups = [(SEQUENCE, settings.backbone, load_settings("paper").backbone)]
    groups += [(SEQUENCE, settings.esm, type(settings.esm)()), (GAT, settings.gat, type(settings.gat)())]
    for model, group, published in groups:
        expected = settings_by_name(published)
        for name, value in settings_by_name(group).items():
            if value != expected[name] and name not in NOT_OF_THE_MODEL:
                known = NOT_STATED if name in UNSTATED else _shown(expected[name], name)
                rows.append((model, READABLE.get(name, name.replace("_", " ")), known, _shown(value, name)))
    return pd.DataFrame(rows, columns=columns)


def deviation_sentence(table: pd.DataFrame, model: str) -> str:
    """Return the settings of one model that are not what the paper states, in one sentence."""
    apart = table[(table["model"] == model) & (table["paper"] != NOT_STATED)]
    if apart.empty:
        return f"Every setting of the {model} that the paper states is the paper's."
    rows = zip(apart["setting"], apart["paper"], apart["this run"], strict=True)
    changes = "; ".join(f"{setting} {paper} → {ours}" for setting, paper, ours in rows)
    return f"The {model} differs from the paper's (paper → this run): {changes}."
