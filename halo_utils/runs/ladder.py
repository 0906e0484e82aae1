"""The steps from the paper's sequence model to this run's: what does every addition bring on the same backbone?"""

import pandas as pd

from halo_utils.config import Settings
from halo_utils.profile import EsmSettings, FocalSettings, HeadSettings
from halo_utils.runs.recipe import train_sequence_model
from halo_utils.training.fit import parameter_counts
from halo_utils.training.predict import predict


def ladder(esm: EsmSettings) -> dict[str, EsmSettings]:
    """Return the settings on the way from the paper's sequence model to ours, ours left out; empty where they agree.

    The first step has the paper's pooling, head and loss (section 2.1) and our learning rates, schedule and epochs; the
    others add our loss, then our pooling and hidden layer; ours adds the network on composition.
    """
    plain = HeadSettings(learning_rate=esm.head.learning_rate)
    steps = {
        "esm_paper_head": esm.model_copy(update={"head": plain, "focal": FocalSettings()}),
        "esm_own_loss": esm.model_copy(update={"head": plain}),
        "esm_own_pooling": esm.model_copy(update={"head": esm.head.model_copy(update={"composition": 0})}),
    }
    kept: dict[str, EsmSettings] = {}
    for name, step in steps.items():
        kept |= {name: step} if step not in (esm, *kept.values()) else {}
    return kept


def climb(settings: Settings, table: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """Train every step of ``ladder`` as the model itself; return predictions and number of parameters by system."""
    predictions, parameters = {}, {}
    trained = {"all": None, "paper": 1, "none": 0}[settings.esm.compare_heads]  # how many of the first ones
    for name, esm in list(ladder(settings.esm).items())[:trained]:
        data, run = train_sequence_model(settings.model_copy(update={"esm": esm}), table)
        parameters[name] = parameter_counts(run.model)[0]
        predictions[name] = predict(run, data, settings.compute.precision)
    return predictions, parameters
