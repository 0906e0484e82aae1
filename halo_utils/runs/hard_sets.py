"""The last part of notebook 08: heads on frozen states, tested where Light Attention was (Stärk et al. 2021)."""

import numpy as np
import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.paths import REFERENCE
from halo_utils.data.audit import SEEN
from halo_utils.data.deeploc import DEEPLOC, DEEPLOC2
from halo_utils.data.deeploc1 import FILES, read_deeploc1
from halo_utils.data.kmers import families
from halo_utils.data.overlap import APART, closeness, count_left_out
from halo_utils.data.registry import local_copy
from halo_utils.data.splits import check_splits, label_matrix
from halo_utils.embeddings.embedder import Embedder
from halo_utils.embeddings.truncation import seen_sequences
from halo_utils.evaluation.metrics import Resampled, draw, values
from halo_utils.evaluation.seeds import over_seeds
from halo_utils.runs.embedder_comparison import states_of
from halo_utils.runs.sequence_baselines import NEAREST, fit_head, heads_for, nearest_labels
from halo_utils.training.state_store import StateStore, store_states

PUBLISHED_HEADS = {NEAREST: NEAREST, "FFN on the mean": "MLP", "Light Attention": "Light Attention"}  # ours -> theirs
PUBLISHED_EMBEDDER = "UniRep"
Answers = dict[tuple[str, int], pd.DataFrame]  # (head, repeat) -> K probabilities outside train
ACCURACY = ("accuracy_argmax", "")  # Q10: the share of proteins whose one location is the most probable one


def read_sets(settings: Settings) -> pd.DataFrame | None:
    """Return the proteins of both sets, their names made unlike those of DeepLoc 2.0, or None where they do not apply.

    That is where a run is not on DeepLoc 2.0, or one of the files is not on this machine. Column ``family`` says which
    proteins of a set are relatives.
    """
    paths = {name: local_copy(file) for name, file in FILES.items()}
    if settings.data.dataset != DEEPLOC2.name or None in paths.values():
        return None
    table = pd.concat([read_deeploc1(path, name)[0] for name, path in paths.items()], ignore_index=True)
    return table.assign(accession=table["split"] + ":" + table["accession"], family=families(table))


def without_overlap(
    settings: Settings, table: pd.DataFrame, everything: pd.DataFrame, asked: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a dataset table of what is left of train and val, and of the sets; and the counts of what left.

    ``table`` has the sequences as models read them, ``everything`` whole ones, which are compared; those of ``asked``
    (from ``read_sets``) are whole, and are cut here as the run cuts them. DataError if a split is left empty.
    """
    seen = table[table["split"].isin(SEEN)].reset_index(drop=True)
    whole = list(everything.set_index("accession").loc[seen["accession"], "sequence"])
    sets = {name: list(part["sequence"]) for name, part in asked.groupby("split", sort=False)}
    levels = pd.DataFrame({name: closeness(whole, sequences) for name, sequences in sets.items()})
    read = seen_sequences(asked["sequence"], settings.backbone.max_tokens, settings.backbone.truncation)
    parts = [seen[(levels == APART).all(axis=1)], asked.assign(sequence=read)]
    joined = pd.concat([part[list(asked)] for part in parts], ignore_index=True)
    check_splits(joined, f"{settings.title} without the overlap")
    return joined, count_left_out(seen["split"], levels)


def states_beside(settings: Settings, embedder: Embedder, table: pd.DataFrame, asked: pd.DataFrame) -> StateStore:
    """Return the states of the run's proteins, which all heads share, and of ``asked``, kept in a folder beside them.

    Where the disk holds the means alone of one of the two, it is means of both.
    """
    known = states_of(settings, embedder, table, pooled=False)
    folder, names = settings.source.work / "states" / f"{embedder.name}-hard", list(asked["accession"])
    added = store_states(embedder, names, list(asked["sequence"]), folder, pooled=known.pooled)
    if added.pooled:
        known = states_of(settings, embedder, table, pooled=True)
    return StateStore(known.parts + added.parts, added.pooled, embedder.width)


def unweighted(prob: np.ndarray, weights: np.ndarray | float) -> np.ndarray:
    """Return probabilities [B, K] without the weights of positives [K] in the cross-entropy they were learned with.

    Where positives count w-fold, the loss is least at w times the odds.
    """
    return prob / (prob + weights * (1 - prob))


def decided_on_validation(hard: pd.DataFrame, found: pd.DataFrame, weights: np.ndarray | None) -> pd.DataFrame:
    """Return predictions as they are, or ``unweighted`` if more validation proteins of one location are right then.

    Weights favour rare locations, no weights those that many proteins have beside another one: which of the two makes
    the better choice of one location is not known before. Without weights, or where both are right as often, nothing
    changes.
    """
    if weights is None:
        return found
    names = list(DEEPLOC)
    single = hard[(hard["split"] == "val") & (hard[names].sum(axis=1) == 1)]
    other = found.assign(**dict(zip(names, unweighted(found[names].to_numpy(), weights).T, strict=True)))
    truth = label_matrix(single, names).argmax(axis=1)
    said = (t.set_index("accession").loc[single["accession"], names].to_numpy() for t in (found, other))
    as_is, undone = ((prob.argmax(axis=1) == truth).sum() for prob in said)
    return other if undone > as_is else found


def ask_heads(
    settings: Settings,
    embedder: Embedder,
    hard: pd.DataFrame,
    states: StateStore,
    *,
    epochs: int,
    residues_per_batch: int,
    repeats: int,
    titles: str = "",
) -> Answers:
    """Train heads of ``PUBLISHED_HEADS`` on the table of ``without_overlap`` and return what they say of the sets.

    Of several labels of a nearest neighbour the one most frequent in training counts most; ``titles`` as ``heads_for``.
    """
    names = list(DEEPLOC)
    nearest = nearest_labels(hard, names, states)
    nearest[names] = nearest[names] * hard.loc[hard["split"] == "train", names].mean()
    said = {(NEAREST, 0): nearest}
    for head in (head for head in heads_for(states, titles) if head.title in PUBLISHED_HEADS):
        for repeat in range(repeats):
            how = {"epochs": epochs, "residues_per_batch": residues_per_batch, "seed": settings.seed + repeat}
            run, found = fit_head(settings, head, embedder, hard, names, states=states, **how)
            weights = getattr(run.loss, "positive_weights", None)
            weights = None if weights is None else weights.numpy()
            said[head.title, repeat] = decided_on_validation(hard, found, weights)
    return said


def accuracies(hard: pd.DataFrame, said: Answers, embedder: str, *, resamples: int, seed: int) -> pd.DataFrame:
    """Return how often the most probable location is right, per set and head, beside the published accuracy.

    Columns set, embedder (its title), head, value, ci_low, ci_high, lowest, highest, repeats, n, published. The
    interval is of proteins or families (the wider one, the mean over repeats) and, with more repeats, of their mean.
    """
    rows = []
    for name, asked in hard[~hard["split"].isin(SEEN)].groupby("split", sort=False):
        truth = label_matrix(asked, DEEPLOC).argmax(axis=1)
        drawn = draw(len(asked), resamples, seed, asked["family"].to_numpy())
        for (head, repeat), found in said.items():
            prob = found.set_index("accession").loc[asked["accession"], list(DEEPLOC)].to_numpy()
            right = prob.argmax(axis=1) == truth
            samples = {unit: {ACCURACY: w @ right / w.sum(axis=1)} for unit, w in drawn.items()}
            row = values(Resampled({ACCURACY: float(right.mean())}, samples)).iloc[0]
            rows.append({"set": name, "head": head, "repeat": repeat, "n": len(asked)} | row.to_dict())
    rows = pd.DataFrame(rows)
    table = (
        over_seeds(rows, ["set", "head", "n"], "value").assign(embedder=embedder).rename(columns={"seeds": "repeats"})
    )
    table[["ci_low", "ci_high"]] = table[["ci_low", "ci_high"]].clip(0, 1)
    published = pd.read_csv(REFERENCE / "light_attention.csv").set_index(["embedder", "head"])
    theirs = [published.loc[(PUBLISHED_EMBEDDER, PUBLISHED_HEADS[r.head]), r.set] / 100 for r in table.itertuples()]
    columns = ["set", "embedder", "head", "value", "ci_low", "ci_high", "lowest", "highest", "repeats", "n"]
    return table[columns].assign(published=theirs)


def beside_published(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``accuracies`` for reading, in percent: a row per head, per set ours with interval and the published."""
    shown = {}
    for row in table.itertuples():
        ours = "{:.0f} [{:.0f}, {:.0f}]".format(*(100 * x for x in (row.value, row.ci_low, row.ci_high)))
        cells = {f"{row.set}, ours": ours, f"{row.set}, published": f"{100 * row.published:.0f}"}
        shown.setdefault(row.head, {}).update(cells)
    return pd.DataFrame.from_dict(shown, orient="index").rename_axis("head").reset_index()
