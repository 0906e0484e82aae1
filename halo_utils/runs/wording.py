"""Sentences about what a run does, written from its settings, so that prose cannot describe another model."""

import json
import re
from typing import Any

import pandas as pd

from halo_utils.config import Settings, load_settings
from halo_utils.core.paths import REPOSITORY
from halo_utils.embeddings.truncation import SPECIAL_TOKENS
from halo_utils.profile import (
    BackboneSettings,
    Block,
    EsmSettings,
    FocalSettings,
    GatSettings,
    HeadSettings,
    RandomShape,
)

SEQUENCE, GAT = "sequence model", "GAT"  # the two models whose settings are compared with the paper's
# Where the name of a field does not say what it sets; every other field is called by its name.
READABLE = {
    "source": "backbone", "random": "shape", "max_tokens": "tokens read", "trainable_layers": "blocks that learn",
    "focal.gamma": "gamma of the loss", "focal.alpha": "alpha of the loss",
    "focal.balance": "share of the log-odds in the logits", "head.pooling": "pooling",
    "head.channels": "channels of light attention", "head.composition": "units of the composition network",
    "head.hidden": "units of the hidden layer", "head.dropout": "dropout of the head",
    "head.learning_rate": "learning rate of the head", "plateau_patience": "patience of the schedule",
    "cutoff_angstrom": "cut-off in angstrom",
    "weights.mode": "feature weights", "weights.coord": "weight of coordinates",
    "weights.esm": "weight of the embedding", "weights.bio": "weight of biochemistry",
    "weights.grid_coord": "coordinate weights tried", "weights.grid_bio": "biochemistry weights tried",
    "weights.grid_epochs": "epochs of a pair of weights",
}  # fmt: skip
NOT_OF_THE_MODEL = ("compare_heads", "revision")  # which rows a table gets; what the source says already
# The paper tells neither the size of a batch in these units nor the combinations of weights that it tested.
UNSTATED = ("tokens_per_batch", "nodes_per_batch", "weights.grid_coord", "weights.grid_bio", "weights.grid_epochs")
NOT_STATED = "not stated"


def count(number: int, noun: str) -> str:
    """Return ``1 epoch`` or ``4 epochs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def backbone_name(source: str) -> str:
    """Return what the source of a backbone is called: ``ESM-2 650M``, ``halo-mini``, ``random ESM-2``."""
    if source == "random":
        return "random ESM-2"
    published = re.search(r"esm2_t\d+_(\d+[MB])", source)
    return f"ESM-2 {published[1]}" if published else source.rstrip("/").rsplit("/", 1)[-1]


def blocks_that_learn(layers: int | str) -> str:
    """Return what of a backbone learns, such as ``the last 2 blocks``."""
    if layers in ("all", 0):
        return "all of it" if layers == "all" else "nothing"
    return "the last block" if layers == 1 else f"the last {layers} blocks"


def loss_words(focal: FocalSettings) -> str:
    """Return the name of the loss; without focusing it is not called focal."""
    return f"focal loss, gamma {focal.gamma:g}" if focal.gamma else "binary cross-entropy"


def _backbone(block: BackboneSettings) -> str:
    """Return where the backbone comes from and what of it learns."""
    facts = REPOSITORY / block.source / "facts.json"  # of a backbone that notebook A1 trained
    if block.random is not None and block.source == "random":
        shape = f"{count(block.random.layers, 'layer')}, {block.random.width} wide"
        origin = (
            f"an ESM-2 with random weights ({shape}): nothing is pre-trained, and what the tables call pre-trained"
            " embeddings comes from these weights"
        )
    elif facts.is_file():
        known = json.loads(facts.read_text(encoding="utf-8"))
        origin = (
            f"{backbone_name(block.source)}, an ESM-2 of {known['parameters']:,} parameters, pre-trained by"
            f" this project on {known['tokens']:,} tokens of masked-language modelling"
        )
    else:
        origin = f"{backbone_name(block.source)} with pre-trained weights (`{block.source}`)"
    return f"The backbone is {origin}; what learns of it: {blocks_that_learn(block.trainable_layers)}."


def _tokens(block: BackboneSettings) -> str:
    """Return how many tokens the backbone reads and which part of a longer protein."""
    part = "its start" if block.truncation == "head" else "both ends, the middle cut out"
    room = block.max_tokens - SPECIAL_TOKENS
    return f"It reads {block.max_tokens:,} tokens, which are {room:,} residues; of a longer protein {part}."


def _head(head: HeadSettings) -> str:
    """Return what turns the residues of a protein into logits."""
    pooling = "Attention pooling over the residues"
    if head.pooling == "light_attention":
        pooling = f"Light attention ({head.channels} channels) over the whole protein and regions at both its ends"
    last = f"a hidden layer of {head.hidden} units" if head.hidden else "a linear layer"
    text = f"{pooling} makes a vector of a protein, and {last} its logits"
    text += f" (dropout {head.dropout:g})." if head.dropout else "."
    if head.composition:
        text += (
            f" A composition network ({head.composition} hidden units) adds logits made from the whole, uncut protein."
        )
    return text


def _loss(focal: FocalSettings) -> str:
    """Return the loss, and what is added to the logits."""
    text = f"The loss is {loss_words(focal)}" + ("" if focal.gamma else " (focal loss without focusing)")
    return text + (f", with {focal.balance:g} of each label's log-odds added to its logit." if focal.balance else ".")


def _training(esm: EsmSettings) -> str:
    """Return optimizer, schedule and epochs."""
    own = esm.head.learning_rate
    rate = f"{esm.learning_rate:g}" + (f" ({own:g} above the backbone)" if own else "")
    falls = "the rate rises during a short warm-up and then falls linearly to zero"
    if esm.schedule == "plateau":
        step = "halved" if esm.plateau_factor == 0.5 else f"multiplied by {esm.plateau_factor:g}"
        patience = count(esm.plateau_patience, "epoch")
        falls = f"the rate is {step} when the validation loss has not fallen for more than {patience}"
    epochs = count(esm.epochs, "epoch")
    return f"AdamW, learning rate {rate}, weight decay {esm.weight_decay:g}, {epochs}; {falls}."


def sequence_model(settings: Settings) -> str:
    """Return what notebook 02 trains: backbone, tokens, pooling, head, loss, and schedule."""
    esm = settings.esm
    parts = [_backbone(settings.backbone), _tokens(settings.backbone), _head(esm.head), _loss(esm.focal)]
    return " ".join([*parts, _training(esm)])


def graph_model(settings: Settings) -> str:
    """Return what notebook 04 trains: layers, loss, and epochs."""
    gat = settings.gat
    return (
        f"Each network has {count(gat.layers, 'layer')} with {count(gat.heads, 'head')} of {gat.hidden} channels,"
        f" dropout {gat.dropout:g}, and the mean over the residues at the end. {_loss(gat.focal)} Every label has a"
        f" learnable threshold. AdamW, learning rate {gat.learning_rate:g}, weight decay {gat.weight_decay:g}, at most"
        f" {count(gat.epochs, 'epoch')}; training stops after {count(gat.patience, 'epoch')} without a better macro F1"
        " on validation."
    )


def weights_mode(settings: Settings) -> str:
    """Return how this run comes to the weights of coordinates, embedding and biochemistry."""
    block = settings.gat.weights
    if block.mode == "grid":
        return (
            f"Mode `grid`: {count(len(block.pairs), 'pair')} of weights of coordinates and biochemistry, the"
            f" embedding's staying at 1, {count(block.grid_epochs, 'epoch')} each; the best on validation is taken."
        )
    values = f"{block.coord:g}, {block.esm:g}, {block.bio:g}"
    own = type(block)()
    known = " (those of the released checkpoint)" if values == f"{own.coord:g}, {own.esm:g}, {own.bio:g}" else ""
    if block.mode == "learned":
        return f"Mode `learned`: the weights start at {values}{known} and are trained with the network; no grid is run."
    return f"Mode `fixed`: the weights of coordinates, embedding and biochemistry are {values}{known}; no grid is run."


def reading(share: pd.DataFrame, split: str) -> str:
    """Return how much of a split's proteins the models read.

    Args:
        share: from ``truncation.read_share``.
        split: the split.
    """
    row = share.set_index("split").loc[split]
    part = "from its start" if row["truncation"] == "head" else "from both ends"
    text = (
        f"The models read at most {row['tokens'] - SPECIAL_TOKENS:,} residues of a protein, {part}. That cuts"
        f" {row['cut']:.1%} of the {split} proteins and leaves {row['residues_read']:.1%} of their residues; the"
        f" {row['paper_tokens'] - SPECIAL_TOKENS:,} residues of the paper would cut {row['paper_cut']:.1%}."
    ).replace("%", " %")
    if row["structures"]:
        kept = f"{row['contacts_read']:.1%}".replace("%", " %")
        text += f" Of the contacts in their {count(row['structures'], 'structure')} {kept} remain."
    return text


def _flat(block: Block, prefix: str = "") -> dict[str, Any]:
    """Return dotted name -> value of a block and the blocks inside; a shape stays one value."""
    found: dict[str, Any] = {}
    for name in type(block).model_fields:
        value = getattr(block, name)
        inner = isinstance(value, Block) and not isinstance(value, RandomShape)
        found |= _flat(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return found


def _shown(value: object, name: str = "") -> str:
    """Return a setting as a reader wants it."""
    if name == "source" and value is not None:
        return backbone_name(str(value))
    if isinstance(value, RandomShape):
        return f"{value.layers} layers, {value.width} wide, {value.heads} heads"
    if isinstance(value, tuple):
        return ", ".join(_shown(part) for part in value)
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def deviations(settings: Settings) -> pd.DataFrame:
    """Return every setting of the two models that is not the paper's.

    The paper's values are the defaults of ``blocks`` (sections 2.1 and 2.2), and of the backbone those of the profile
    ``paper``, because a backbone has no default.

    Returns:
        Columns model, setting, paper, this run.
    """
    paper = load_settings("paper").backbone
    compared = [(SEQUENCE, settings.backbone, paper), (SEQUENCE, settings.esm, EsmSettings())]
    rows = []
    for model, own, published in [*compared, (GAT, settings.gat, GatSettings())]:
        values, expected = _flat(own), _flat(published)
        for name in (n for n in values if values[n] != expected[n] and n not in NOT_OF_THE_MODEL):
            known = NOT_STATED if name in UNSTATED else _shown(expected[name], name)
            setting = READABLE.get(name, name.replace("_", " "))
            rows.append({"model": model, "setting": setting, "paper": known, "this run": _shown(values[name], name)})
    return pd.DataFrame(rows, columns=["model", "setting", "paper", "this run"])


def deviation_sentence(table: pd.DataFrame, model: str) -> str:
    """Return the settings of one model that are not what the paper states, in one sentence.

    Args:
        table: from ``deviations``.
        model: ``sequence model`` or ``GAT``.
    """
    own = table[(table["model"] == model) & (table["paper"] != NOT_STATED)]
    if own.empty:
        return f"Every setting of the {model} that the paper states is the paper's."
    changes = "; ".join(f"{s} {p} → {t}" for s, p, t in zip(own["setting"], own["paper"], own["this run"], strict=True))
    return f"The {model} differs from the paper's (paper → this run): {changes}."
