"""Figures of scores against what the models have seen before."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from halo_utils.evaluation.systems import TITLES
from halo_utils.figures.style import COLOURS, STYLE


def containment_curve(curve: pd.DataFrame, title: str) -> Figure:
    """Draw micro F1 against the share of 6-mers in one seen protein, one panel per test set.

    Args:
        curve: rows ``inside`` of ``similarity.by_containment`` of several systems and test sets.
        title: title of the figure.
    """
    plt.rcParams.update(STYLE)
    own = curve[(curve["range"] == "inside") & (curve["metric"] == "micro_f1")]
    panels = list(own.groupby("split", sort=False))
    fig, axes = plt.subplots(1, len(panels), figsize=(6.5 * len(panels), 5.0), layout="constrained", squeeze=False)
    for ax, (split, part) in zip(axes[0], panels, strict=True):
        lows = sorted(part["low"].unique())
        for i, (system, values) in enumerate(part.groupby("system", sort=False)):
            spread = np.abs(values[["ci_low", "ci_high"]].to_numpy().T - values["value"].to_numpy())
            x = np.searchsorted(lows, values["low"]) + 0.12 * (i - 1)
            label = TITLES[system] if ax is axes[0, 0] else None
            ax.errorbar(x, values["value"], spread, color=COLOURS[i], marker="os^"[i % 3], capsize=3, label=label)
        ticks = part.drop_duplicates("low").sort_values("low")
        names = [f"{r.low:.0%}–{r.high:.0%}\n{r.n:,}".replace("%–", "–") for r in ticks.itertuples()]
        ax.set_xticks(range(len(lows)), names, fontsize=10)
        ax.set(xlabel="6-mers in one seen protein; proteins", ylabel="micro F1", ylim=(0, 1.02), title=str(split))
    fig.suptitle(title)
    fig.legend(loc="outside lower center", ncols=3 if len(panels) > 1 else 1)
    return fig
