"""How the numbers about structure are read: stated rules that turn verdicts into a conclusion, for and against."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from halo_utils.evaluation.claims import HALO_ESM, LEAST_ASKED, OWN_EDGES, RELEVANT
from halo_utils.evaluation.ledger import holm
from halo_utils.evaluation.seeds import MINIMUM

LEVEL = 0.05  # of a location that is called, after Holm's correction over the locations of one comparison
YES, NO, UNSURE, UNKNOWN = "yes", "no", "not sure", "not tested"
AGAINST = ("contradicted", "no effect of relevant size", "no difference", "no more than a random veto")
DECISIVE = ("gat_rewired", "gat_sequence_edges")  # controls with as many edges, or with those the sequence gives

RULES = (
    f"A difference is the mean over seeds. Its 95 % interval holds two things: the test set (paired resamples of"
    f" proteins and of families, the wider) and the seeds (t interval). A verdict needs {MINIMUM} seeds. A gain counts"
    f" where the interval excludes zero and the size is at least {RELEVANT:.0%} of what separates HALO from ESM in the"
    f" paper's Table 2; the gate also needs {LEAST_ASKED} asked labels in every seed and more than the upper 2.5 % of"
    " random vetoes of equal size. Contacts count as used where a network on a protein's own contacts is better than on"
    " rewired ones and than on sequence neighbours, in micro or macro F1, both in the same. A location is called where"
    f" its MCC changes at {LEVEL:.0%} after Holm's correction over locations; no random veto stands beside it, so a"
    " location whose asked labels were all false gains by any veto."
)
CONCLUSIONS = {
    (YES, YES): "**Yes.** The gate improves the sequence model, and the graph network uses the contacts.",
    (YES, NO): "**Not by structure.** The gate improves the sequence model, but the graph network is no better on a"
    " protein's own contacts than on a control's: a second network helps, its contacts do not.",
    (
        NO,
        YES,
    ): "**No, although contacts carry information.** The graph network is better on a protein's own contacts than"
    " on a control's, but the gate adds nothing of relevant size to the sequence model.",
    (NO, NO): "**No.** Neither does the gate improve the sequence model, nor is the graph network better on a protein's"
    " own contacts than on a control's.",
}
OPEN = {
    ("gate", YES): "the gate improves the sequence model",
    ("gate", NO): "the gate does not improve the sequence model",
    ("gate", UNSURE): "whether the gate improves the sequence model is not sure",
    ("gate", UNKNOWN): "the gate is not tested",
    ("contacts", YES): "the graph network uses the contacts",
    ("contacts", NO): "the graph network is no better on a protein's own contacts than on a control's",
    ("contacts", UNSURE): "whether the graph network uses the contacts is not sure",
    ("contacts", UNKNOWN): "the graph network is not compared with the controls",
}


def answer(verdict: str) -> str:
    """Return what a verdict of ``claims.check_structure`` says about its claim."""
    if verdict.startswith("not "):
        return UNKNOWN
    return YES if verdict == "reproduced" else NO if verdict in AGAINST else UNSURE


def _together(answers: list[str], needed: Callable[[Iterable[bool]], bool]) -> str:
    """Return the answer to all (``all``) or to one (``any``) of several questions."""
    if needed(a == YES for a in answers):
        return YES
    decided_against = any if needed is all else all
    if decided_against(a == NO for a in answers):
        return NO
    return UNSURE if UNSURE in answers or len(set(answers)) > 1 else UNKNOWN


def answers(ledger: pd.DataFrame) -> tuple[str, str]:
    """Return whether the gate helps and whether contacts are used, from ``claims.check_structure``."""
    found = ledger.assign(answer=ledger["verdict"].map(answer)).set_index(["first", "second", "metric"])["answer"]
    metrics = list(pd.unique(ledger["metric"]))
    gate = _together([found[(*HALO_ESM, metric)] for metric in metrics], any)
    contacts = [_together([found[OWN_EDGES, other, metric] for other in DECISIVE], all) for metric in metrics]
    return gate, _together(contacts, any)


def conclusion(ledger: pd.DataFrame) -> str:
    """Return the conclusion on one ground, in a sentence or two, from ``claims.check_structure``."""
    gate, contacts = answers(ledger)
    if (gate, contacts) in CONCLUSIONS:
        return CONCLUSIONS[gate, contacts]
    parts = f"{OPEN['gate', gate]}, and {OPEN['contacts', contacts]}."
    head = "**Not tested.**" if gate == contacts == UNKNOWN else "**Not decided.**"
    text = f"{head} {parts[0].upper()}{parts[1:]}"
    few = ledger.loc[ledger["verdict"].str.contains("seeds?: not sure"), "seeds"]
    if len(few):
        ran = "1 seed has been run" if few.max() == 1 else f"{few.max()} seeds have been run"
        text += f" {ran}, and a verdict needs {MINIMUM}."
    return text


def locations_that_change(differences: pd.DataFrame, split: str, first: str, second: str) -> pd.DataFrame:
    """Return the MCC difference of every location, first minus second, from ``seeds.differences_over_seeds``.

    Columns label, difference, ci_low, ci_high, seeds, p (``seeds.p_values``), holm (p corrected over the locations),
    called (gains, loses or empty).
    """
    chosen = (differences["split"] == split) & (differences["metric"] == "mcc")
    rows = differences[chosen & (differences["first"] == first) & (differences["second"] == second)]
    rows = rows[["label", "difference", "ci_low", "ci_high", "seeds", "p"]].reset_index(drop=True)
    corrected = holm(rows["p"].to_numpy())
    word = np.where(rows["difference"] > 0, "gains", "loses")
    return rows.assign(holm=corrected, called=np.where(corrected < LEVEL, word, ""))


def locations_sentence(table: pd.DataFrame, what: str) -> str:
    """Return which locations gain or lose by ``what``, from ``locations_that_change``; empty for no location."""
    if table.empty:
        return ""
    text = "{label} ({difference:+.3f} [{ci_low:+.3f}, {ci_high:+.3f}])"
    named = {
        word: [text.format(**row) for _, row in table[table["called"] == word].iterrows()]
        for word in ("gains", "loses")
    }
    said = "; ".join(f"{word}: {', '.join(rows)}" for word, rows in named.items() if rows)
    few = f" ({table['seeds'].max()} of {MINIMUM} seeds: not sure)" if table["seeds"].max() < MINIMUM else ""
    return f"By {what}{few}, {said or 'no location gains or loses beyond chance'}."
