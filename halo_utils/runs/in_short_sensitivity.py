"""The last paragraph of notebook 12, from the tables it wrote."""

from collections.abc import Mapping

import pandas as pd

from halo_utils.config import Settings
from halo_utils.evaluation.learned_gates import TITLES as GATES
from halo_utils.evaluation.seeds import MINIMUM
from halo_utils.evaluation.sensitivity import ORACLE, RULE
from halo_utils.runs.in_short import SYNTHETIC
from halo_utils.runs.wording import count

INTERVAL = "{difference:+.3f} [{ci_low:+.3f}, {ci_high:+.3f}]"


def gate_sentence(sweep: pd.DataFrame, chosen: float) -> str:
    """Return what the gate gains on a set at the ``chosen`` confidence, and the oracle's most, from one sweep."""
    rows = (
        sweep.query("metric == 'macro_f1'").set_index(["opinion", "confidence"]).rename(columns={"gain": "difference"})
    )
    rule, oracle = rows.loc[(RULE, chosen)], rows.loc[ORACLE]
    return (
        f"On {sweep['split'].iloc[0]} the gate at the confidence {chosen:g}, chosen on validation, asks about"
        f" {count(int(rule['asked']), 'label')} and changes macro F1 by {INTERVAL.format(**rule)}; a graph network that"
        f" knew every label would by {oracle.loc[chosen, 'difference']:+.3f} there and by"
        f" {oracle['difference'].max():+.3f} at the widest band."
    )


def learned_sentence(compared: pd.DataFrame, chosen: str, seeds: int = 1) -> str:
    """Return what the learned gate that validation chose gains over the rule and over its control."""
    rows = compared.query("metric == 'macro_f1'").set_index(["first", "second"])
    gain, control = rows.loc[(chosen, "rule")], rows.loc[(f"{chosen}_sequence", "rule")]
    sure = "the interval excludes zero" if gain["ci_low"] > 0 or gain["ci_high"] < 0 else "not sure"
    few = "" if seeds >= MINIMUM else f" ({count(seeds, 'seed')}, no verdict)"
    return (
        f"The learned gate that validation chose ({GATES[chosen]}) differs from the rule by {INTERVAL.format(**gain)}"
        f" in macro F1, {sure}{few}; the same classifier without the graph network by {INTERVAL.format(**control)}."
    )


def errors_sentence(shared: pd.DataFrame, effects: pd.DataFrame) -> str:
    """Return how many errors both models share, and what the gate saved and lost."""
    row, total = shared.iloc[0], effects.iloc[0]
    return (
        f"Of {row['first_wrong']:,} wrong pairs of the sequence model the graph network shares {row['both']:,},"
        f" {row['ratio']:.1f} times as many as models that err independently would; the gate removed"
        f" {count(int(total['false_removed']), 'false label')} and {count(int(total['true_removed']), 'true one')},"
        f" which made {count(int(total['saved']), 'protein')} right and {count(int(total['lost']), 'protein')} wrong."
    )


def trials_sentence(verdicts: pd.DataFrame, relevant: float) -> str:
    """Return how many trained variants differ from their reference by a relevant size, and how far intervals reach."""
    words = ", ".join(f"{number} {name}" for name, number in verdicts["verdict"].value_counts().items())
    narrowest = (verdicts["ci_high"] - verdicts["ci_low"]).min() / 2
    text = f"Of {len(verdicts)} trained variants, beside a relevant size of {relevant:.3f} macro F1: {words}."
    return f"{text} The narrowest interval reaches {narrowest:.3f} to either side."


def in_short_12(settings: Settings, sentences: Mapping[str, str]) -> str:
    """Return the paragraph; ``sentences`` are those of this file, by subject, in order."""
    return " ".join(["**In short.**", *sentences.values(), *([SYNTHETIC] if settings.is_synthetic else [])])
