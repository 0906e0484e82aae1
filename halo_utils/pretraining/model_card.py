"""A pre-trained backbone as a Hugging Face directory, with the model card written from the training log."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_only
from transformers import EsmForMaskedLM, EsmTokenizer

from halo_utils.core.files import write_csv, write_json, write_text
from halo_utils.embeddings.esm2 import VOCABULARY
from halo_utils.pretraining.corpus import COLUMNS, FACTS

LOG = "history.csv"
CARD = """---
license: mit
library_name: transformers
pipeline_tag: fill-mask
tags: [protein, esm2]
---
# {name}

A small protein language model with ESM-2's architecture, tokenizer and training task, made for the companion of HALO,
where no pre-trained ESM-2 is at hand. It is not ESM-2: it has {parameters:,} parameters and has seen {tokens:,} tokens.

| | |
|---|---|
| shape | {layers} layers, {width} wide, {heads} heads |
| parameters | {parameters:,}, shipped as float16 |
| held-out perplexity | {perplexity} (residue frequencies alone: {unigram_perplexity}) |
| held-out masked-residue accuracy | {accuracy} (most frequent residue: {unigram_accuracy}) |
| training | {tokens:,} tokens in {rounds} rounds of {steps_per_round} steps, {seconds:,} s on {machine} |
| started from | {start} |
| held out | {proteins_held_out:,} proteins; {relatives_left_out:,} relatives of them were left out of training |

## Training data
{corpus}

{proteins_trained_on:,} proteins were trained on: sequences of at least 30 residues, exact copies once. A relative
shares at least 15 % of its 6-mers with the held-out proteins. The collection leaves out every exact copy of a
validation, test or HPA sequence of DeepLoc 2.0 and of a test sequence of luo2024 (its validation set, drawn from
training proteins, may be in it), and everything that shares its first or last 60 residues with a test sequence.
**Near duplicates and more distant homologs of test proteins remain in it**, as they do in UniRef, on which ESM-2 was
trained. Where evaluation proteins have been compared with the {proteins_trained_on:,}, this is how many have
half of their 6-mers, or nine tenths, in one of them:

<!-- seen -->
not compared yet
<!-- /seen -->

## Method
Masked-language modelling as in ESM-2 (Lin et al. 2023): 15 % of the residues are predicted, of which 80 % are masked,
10 % replaced and 10 % left; rotary positions; token dropout; crops of {crop} tokens; AdamW, warm-up, linear decay.
`history.csv` holds every round, `facts.json` every number of this card.

## Use and limits
`EsmModel.from_pretrained` and `EsmForMaskedLM.from_pretrained` load it like any ESM-2. Use it to run and study the
companion offline. Its representations are far weaker than those of the smallest published ESM-2, which has seen
more than a thousand times as many tokens; it must not be used to judge what HALO can reach with ESM-2, nor for any
decision about real proteins beyond what the reported test metrics carry.
"""


def card(name: str, facts: dict[str, Any]) -> str:
    """Return the model card of a backbone from the facts of ``pretrain``."""
    group, machine, start = facts["pretrain"], facts["hardware"], facts.get("started_from")
    files = pd.DataFrame(facts["corpus"])[list(COLUMNS)]
    head = "| " + " | ".join(files.columns) + " |\n|" + "---|" * len(files.columns)
    rows = ["| " + " | ".join(str(v) for v in row) + " |" for row in files.itertuples(index=False)]
    words = {**group, **group["shape"], **facts, "name": name, "corpus": "\n".join([head, *rows])}
    words["start"] = f"{start['name']}, after {start.get('tokens', 0):,} tokens" if start else "random weights"
    words["machine"] = machine["gpu"] or f"{machine['cores']} CPU cores ({machine['processor']})"
    return CARD.format(**words)


@rank_zero_only
def ship(model: EsmForMaskedLM, history: pd.DataFrame, facts: dict[str, Any], folder: Path) -> Path:
    """Write configuration, float16 weights, vocabulary, log and model card; the directory appears when it is complete.

    It is named like the model; one that is there is replaced. ``model`` is not changed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        complete = Path(temporary) / folder.name
        half = {name: value.to(torch.float16) for name, value in model.state_dict().items()}
        model.save_pretrained(complete, state_dict=half)
        EsmTokenizer(vocab_file=str(VOCABULARY)).save_pretrained(complete)
        write_csv(complete / LOG, history, decimals=10)  # tokens need all their digits
        write_json(complete / FACTS, facts)
        write_text(complete / "README.md", card(folder.name, facts))
        shutil.rmtree(folder, ignore_errors=True)
        complete.rename(folder)
    return folder
