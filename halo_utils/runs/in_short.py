"""The last paragraph of every notebook, from the tables it wrote; ``split`` is the main test set."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from halo_utils.config import Settings
from halo_utils.core.paths import RunPaths
from halo_utils.data.audit import SEEN
from halo_utils.data.locations import locations
from halo_utils.evaluation.published import text_value
from halo_utils.runs.wording import GAT, NOT_STATED, SEQUENCE, count, percent, reading

TITLES = {"micro_f1": "micro F1", "macro_f1": "macro F1"}
SYNTHETIC = "The proteins are synthetic: the numbers show that the procedure works, not how good HALO is."


def _paragraph(settings: Settings, *sentences: str) -> str:
    return " ".join(["**In short.**", *filter(None, sentences), *([SYNTHETIC] if settings.is_synthetic else [])])


def _score(metrics: pd.DataFrame, split: str, system: str) -> str:
    rows = metrics[(metrics["split"] == split) & (metrics["system"] == system)].set_index("metric")
    text = "{title} {value:.3f} [{ci_low:.3f}, {ci_high:.3f}]"
    return " and ".join(text.format(title=title, **rows.loc[metric]) for metric, title in TITLES.items())


def _gap(differences: pd.DataFrame, first: str, second: str) -> str:
    rows = differences[(differences["first"] == first) & (differences["second"] == second)].set_index("metric")
    text = "{difference:+.3f} [{ci_low:+.3f}, {ci_high:+.3f}]"
    return " and ".join(f"{text.format(**rows.loc[metric])} in {title}" for metric, title in TITLES.items())


def _apart(deviations: pd.DataFrame, model: str) -> str:
    number = int(((deviations["model"] == model) & (deviations["paper"] != NOT_STATED)).sum())
    if not number:
        return f"The {model} has every setting that the paper states."
    return f"The {model} differs from the paper's in {count(number, 'setting')}: published values are another model's."


def in_short_00(answers: Sequence[Mapping[str, Any]], synthetic: bool) -> str:
    """Return what was said of a user's proteins, or of the ``synthetic`` examples that stand in for them."""
    found = pd.Series([name for one in answers for name in one["predicted"]], dtype=str).value_counts()
    decisions = [v["decision"] for one in answers for v in one["locations"].values()]
    unsure = sum(decision in ("agreed", "vetoed", "no_structure") for decision in decisions)
    words = ", ".join(f"{name} ({number})" for name, number in found.items()) or "none"
    last = "A model says so, no experiment."
    if synthetic:
        last = "The proteins are synthetic: the model, which has read real ones, can be right about them or not."
    return " ".join([
        f"**In short.** {count(len(answers), 'protein')}; predicted locations: {words}.",
        f"{count(unsure, 'label')} above the threshold and below the confidence of the gate:"
        f" {decisions.count('agreed')} confirmed by the graph network, {decisions.count('vetoed')} dropped,"
        f" {decisions.count('no_structure')} kept because it could not be asked.",
        last,
    ])  # fmt: skip


def in_short_01(settings: Settings, table: pd.DataFrame, leaks: pd.DataFrame, share: pd.DataFrame, split: str) -> str:
    """Return what the data of a run are; ``leaks`` from ``audit.leakage``, ``share`` from ``truncation.read_share``."""
    labels = table[list(locations(settings.data.dataset))]
    sizes = ", ".join(f"{n:,} {name}" for name, n in table["split"].value_counts(sort=False).items())
    near = ", ".join(f"{percent(s)} of {n}" for n, s in zip(leaks["set"], leaks["near_duplicate_share"], strict=True))
    structures = share.set_index("split").loc[split, "structures"]
    return _paragraph(
        settings,
        f"{len(table):,} proteins ({sizes}), {percent((labels.sum(axis=1) > 1).mean())} of them in several locations;"
        f" the rarest, {labels.sum().idxmin()}, has {labels.sum().min():,}.",
        f"Near duplicates of proteins that the models have seen ({' and '.join(SEEN)}): {near}. 6-mers miss distant"
        " homologs, so these shares are lower bounds.",
        reading(share, split),
        "" if structures else f"No {split} protein has a structure.",
    )


def in_short_02(
    settings: Settings, metrics: pd.DataFrame, differences: pd.DataFrame, deviations: pd.DataFrame, split: str
) -> str:
    """Return how good sequence alone is, beside the composition baseline."""
    esm = metrics[(metrics["split"] == split) & (metrics["system"] == "esm")].iloc[0]
    return _paragraph(
        settings,
        f"On {split} ({esm['n']:,} proteins) the fine-tuned ESM reaches {_score(metrics, split, 'esm')} at the"
        f" threshold {esm['threshold']:.2f}, chosen on validation; the composition baseline reaches"
        f" {_score(metrics, split, 'composition')}.",
        f"The difference is {_gap(differences, 'esm', 'composition')}.",
        _apart(deviations, SEQUENCE),
    )


def in_short_03(settings: Settings, crossings: pd.DataFrame, error: float, inside: int, true: int, split: str) -> str:
    """Return where confidence is reliable; ``inside`` labels of the band, ``true`` ones, the calibration ``error``."""
    rows = zip(crossings["where"], crossings["reliable above"], strict=True)
    words = "; ".join(f"{where} {'none' if pd.isna(value) else f'{100 * value:.0f} %'}" for where, value in rows)
    share = f", {percent(true / inside)} of them true" if inside else ""
    return _paragraph(
        settings,
        "The confidence from which on every range is right at least"
        f" {100 * text_value('accuracy_below_gate'):.0f} % of the time: {words}.",
        f"The expected calibration error on {split} is {error:.3f}, and the band of the gate holds"
        f" {count(inside, 'label')}{share}.",
    )


def in_short_04(
    settings: Settings,
    metrics: pd.DataFrame,
    differences: pd.DataFrame,
    weights: str,
    deviations: pd.DataFrame,
    split: str,
) -> str:
    """Return what the graph networks add; ``weights`` from ``chosen_weights``."""
    return _paragraph(
        settings,
        f"On {split} the GAT on weighted, fine-tuned features reaches {_score(metrics, split, 'gat_weighted')}.",
        f"Against the composition baseline that is {_gap(differences, 'gat_weighted', 'composition')}; against the GAT"
        f" on embeddings before fine-tuning {_gap(differences, 'gat_weighted', 'gat_pretrained')}; against fine-tuned"
        f" embeddings alone {_gap(differences, 'gat_weighted', 'gat_finetuned')}.",
        weights,
        _apart(deviations, GAT),
    )


def chosen_weights(weights: tuple[float, ...], grid: pd.DataFrame, seeds: tuple[int, float]) -> str:
    """Return the weights and whether the grid tells them from noise; ``seeds`` from ``seeds.validation_spread``."""
    used = f"Its weights of coordinates, embedding and biochemistry are {', '.join(f'{w:g}' for w in weights)}"
    if grid.empty:
        return f"{used}."
    (low, high), (number, noise) = grid["val_macro_f1"].agg(["min", "max"]), seeds
    spread, pairs = high - low, count(len(grid), "pair")
    text = f"{used}, the best of {pairs} whose macro F1 on validation runs from {low:.3f} to {high:.3f}"
    if number < 2:
        return f"{text}; one seed does not tell whether this spread of {spread:.3f} is more than noise."
    verdict = "more" if spread > noise else "no more"
    return f"{text}: a spread of {spread:.3f}, {verdict} than the {noise:.3f} between {number} seeds of one network."


def in_short_05(settings: Settings, changes: pd.DataFrame, differences: pd.DataFrame, split: str) -> str:
    """Return what the gate did; ``changes`` from ``gate.decision_counts`` on that set, ``differences`` of one pair."""
    gate, (first, second) = settings.gate, differences[["first", "second"]].iloc[0]
    labels, true = (changes.groupby("decision")[column].sum() for column in ("labels", "true"))
    asked = labels["agreed"] + labels["vetoed"]
    return _paragraph(
        settings,
        f"Of {labels.sum():,} decisions on {split} {asked + labels['no_structure']:,} lie where the gate looks"
        f" (rule `{gate.rule}`, below {gate.confident:.2f}); {labels['no_structure']:,} of them belong to proteins"
        f" without a structure, so the GAT was asked about {count(asked, 'label')}: it kept {labels['agreed']:,} and"
        f" vetoed {labels['vetoed']:,}, {true['vetoed']:,} of them true.",
        f"HALO minus the fine-tuned ESM: {_gap(differences, first, second)}.",
    )


def in_short_06(settings: Settings, ledger: pd.DataFrame, runs: int, split: str) -> str:
    """Return how the paper's claims fared; ``runs`` differ in their seed, this one included."""
    kinds = ledger["verdict"].str.replace(r"^(not testable here):.*", r"\1", regex=True).value_counts()
    verdicts = "; ".join(f"{verdict} ({number})" for verdict, number in kinds.items())
    claims, where = count(len(ledger), "claim"), f"{split} of {settings.title} with {count(runs, 'seed')}"
    return _paragraph(settings, f"{claims} of the paper, and what {where} says of them: {verdicts}.")


def in_short_11(
    settings: Settings, parts: pd.DataFrame, planted: pd.DataFrame, lost: pd.DataFrame, rates: pd.DataFrame
) -> str:
    """Return where importance lies; the tables are those that notebook 11 writes, empty where there is none."""
    ends = parts.assign(**{end: parts[end] / parts[f"{end}, chance"] for end in ("N-terminus", "C-terminus")})
    first, last = (ends.loc[ends[end].idxmax(), ["location", end]] for end in ("N-terminus", "C-terminus"))
    found = planted[planted["method"] == "occlusion"] if len(planted) else planted
    most = lost.iloc[1:].sort_values("macro_f1").iloc[0] if len(lost) else None
    return _paragraph(
        settings,
        f"Masking finds {last.iloc[1]:.1f} times the importance expected by chance in the last residues of"
        f" {last['location']} proteins and {first.iloc[1]:.1f} times in the first ones of {first['location']}.",
        ""
        if found.empty
        else f"Inside planted signals lies {found['times_chance'].min():.1f} to {found['times_chance'].max():.1f} times"
        f" the share of importance expected by chance, at least 3 times for {(found['times_chance'] >= 3).sum()} of"
        f" {count(len(found), 'location')}.",
        ""
        if most is None
        else f"The graph network loses most without {most['left out']}: macro F1 {lost.iloc[0]['macro_f1']:.3f} becomes"
        f" {most['macro_f1']:.3f} on validation.",
        f"The rules match {percent(rates['rate there'].min())} to {percent(rates['rate there'].max())} of the proteins"
        f" annotated with their location and {percent(rates['rate elsewhere'].min())} to"
        f" {percent(rates['rate elsewhere'].max())} of the others.",
    )


def confidence_sentence(paths: RunPaths) -> str:
    """Return where accuracy falls under 60 %, with intervals, beside the paper's statement."""
    found = pd.read_csv(paths.results / "confidence_crossing.csv").set_index("where")
    paper, test = found["reliable above"].iloc[0], found.iloc[1]
    where = [_crossing(row) + f" on {name.removeprefix('ours, ')}" for name, row in found.iloc[1:].iterrows()]
    inside = "inside" if test["ci_low"] - 1e-9 <= paper <= test["ci_high"] + 1e-9 else "outside"
    return (
        f"Predicted labels are right at least 60 % of the time in every range {' and '.join(where)}; the paper reads"
        f" {paper:.0%} off its Fig. 4, {inside} the interval on {found.index[1].removeprefix('ours, ')}."
    )


def _crossing(row: pd.Series) -> str:
    """Return a row of ``confidence_crossing.csv`` in words; at 1 no range is reliable."""
    start = "at no confidence" if row["reliable above"] == 1 else f"from {row['reliable above']:.0%} confidence on"
    ends = (f"{end:.0%}" if end < 1 else "none" for end in row[["ci_low", "ci_high"]])
    return f"{start} (95 % interval {' to '.join(ends)})"
