"""ProtBERT and the encoder of ProtT5-XL (Elnaggar et al. 2022): one token a residue, rare residues read as X.

Both tokenizers are written for residues with spaces between, which makes every residue a word of its own; the tables of
their words below give the same ids.
"""

from collections.abc import Sequence

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import BertModel, PreTrainedModel, T5EncoderModel
from transformers.utils import logging as transformers_logging

from halo_utils.core.devices import autocast, device
from halo_utils.core.errors import SettingsError
from halo_utils.embeddings.esm2 import backbone_folder
from halo_utils.embeddings.residue_ids import residue_ids

# On the hub, with the commit. Their only weights are a pytorch_model.bin, from which torch takes tensors, nothing else.
PROT_BERT = ("Rostlab/prot_bert", "7a894481acdc12202f0a415dd567f6cfdb698908")
PROT_T5 = ("Rostlab/prot_t5_xl_half_uniref50-enc", "94a6abc029ae13029317b140b7424e012bf8dfbf")

BERT_WORDS, BERT_START, BERT_END, BERT_VOCABULARY = "LAGVESIKRDTPNQFYMHCWX", 2, 3, 30  # [CLS], [SEP]
T5_WORDS, T5_END, T5_VOCABULARY = "ALGVSREDTIPKFQNYMHWCX", 1, 128  # </s>; an encoder alone takes no prefix
RARE = "UZOB"  # read as X, as both were trained


def _ids(words: str, first: int) -> dict[str, int]:
    known = {letter: i for i, letter in enumerate(words, start=first)}
    return known | dict.fromkeys(RARE, known["X"])


BERT_IDS, T5_IDS = _ids(BERT_WORDS, first=5), _ids(T5_WORDS, first=3)


class ProtTrans(nn.Module):
    """An encoder that puts the tokens ``start`` before and ``end`` after a protein; ``width`` is D."""

    def __init__(self, model: PreTrainedModel, ids: dict[str, int], start: list[int], end: list[int]) -> None:
        super().__init__()
        self.model, self.ids, self.start, self.end = model, ids, start, end
        self.width: int = model.config.hidden_size

    def forward(self, sequences: Sequence[str]) -> list[Tensor]:
        """Return the last states of residues, [L, D] per protein, without those of special tokens."""
        letters = residue_ids(sequences, self.ids, type(self.model).__name__)
        start, end = torch.tensor(self.start, dtype=torch.int64), torch.tensor(self.end, dtype=torch.int64)
        tokens = [torch.cat([start, ids, end]) for ids in letters]
        mask = pad_sequence([torch.ones_like(t) for t in tokens], batch_first=True)  # id 0 is padding in both
        half = self.model.dtype == torch.float16  # as published, computed in what it is stored in
        with autocast("32-true" if half else "auto"):
            where = self.model.device
            inputs = {"input_ids": pad_sequence(tokens, batch_first=True).to(where), "attention_mask": mask.to(where)}
            states = self.model(**inputs).last_hidden_state
        return [row[len(start) : len(start) + len(ids)] for row, ids in zip(states, letters, strict=True)]


def load_prot_bert(source: str = PROT_BERT[0], revision: str | None = PROT_BERT[1]) -> ProtTrans:
    """Return ProtBERT from the hub or a local folder, float32; SettingsError if it cannot be loaded."""
    model = _load(BertModel, source, revision, BERT_VOCABULARY, torch.float32, add_pooling_layer=False)
    return ProtTrans(model, BERT_IDS, [BERT_START], [BERT_END])


def load_prot_t5(source: str = PROT_T5[0], revision: str | None = PROT_T5[1]) -> ProtTrans:
    """Return ProtT5's encoder, float16 for a GPU and float32 for a CPU, as published; SettingsError as above."""
    dtype = torch.float16 if device().type == "cuda" else torch.float32
    return ProtTrans(_load(T5EncoderModel, source, revision, T5_VOCABULARY, dtype), T5_IDS, [], [T5_END])


def _load(
    kind: type[PreTrainedModel], source: str, revision: str | None, vocabulary: int, dtype: torch.dtype, **options: bool
) -> PreTrainedModel:
    """Return a model of the hub at its commit, or of a local folder, in evaluation mode."""
    transformers_logging.set_verbosity_error()
    folder = backbone_folder(source)
    if folder is not None:
        options |= {"use_safetensors": True}
    try:
        where, commit = (folder, None) if folder is not None else (source, revision)
        model, info = kind.from_pretrained(where, revision=commit, dtype=dtype, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError, StrictDataclassError) as error:
        raise SettingsError(
            f"{source!r} could not be loaded: {str(error).splitlines()[0]}. Expected a {kind.__name__} on the Hugging"
            " Face hub that is reachable or cached, or a local directory with config.json and model.safetensors"
        ) from error
    if missing := sorted(info["missing_keys"]):  # transformers would fill them with random numbers
        raise SettingsError(f"{source!r} has no weights for {missing[0]} (and {len(missing) - 1} more): fetch it again")
    if model.config.vocab_size != vocabulary:
        found = f"{source!r} has {model.config.vocab_size} tokens"
        raise SettingsError(f"{found}; expected the {vocabulary} of the published {kind.__name__}: use that")
    return model.eval()
