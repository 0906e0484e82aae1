"""ESM-2 backbones (Lin et al. 2023): loading, tokens, and the split into a frozen trunk and a trainable top."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import EsmConfig, EsmModel, EsmTokenizer
from transformers.utils import logging as transformers_logging

from halo_utils.core.devices import autocast
from halo_utils.core.errors import SettingsError
from halo_utils.core.files import sha256
from halo_utils.core.paths import REPOSITORY
from halo_utils.data.registry import registry
from halo_utils.embeddings.packed_encoder import PackedEncoder

VOCABULARY = Path(__file__).with_name("esm2_vocab.txt")  # the 33 tokens of every ESM-2 checkpoint, in id order
VOCABULARY_SIZE = 33


def esm2_config(layers: int, width: int, heads: int, ffn_ratio: int = 4, init_std: float = 0.02) -> EsmConfig:
    """Return an ESM-2 configuration: rotary positions, no dropout, token dropout; SettingsError for an odd shape."""
    if width % (2 * heads):
        raise SettingsError(
            f"backbone width {width} must be a multiple of twice its heads ({heads}), for rotary positions"
        )
    shape = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    shape |= {"intermediate_size": ffn_ratio * width, "initializer_range": init_std, "layer_norm_eps": 1e-5}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "token_dropout": True}
    tokens = {"vocab_size": VOCABULARY_SIZE, "pad_token_id": 1, "mask_token_id": 32, "max_position_embeddings": 1026}
    return EsmConfig(position_embedding_type="rotary", emb_layer_norm_before=False, **shape, **dropout, **tokens)


def load_esm2(
    source: str, *, revision: str | None = None, shape: Mapping[str, Any] | None = None, seed: int = 7
) -> EsmModel:
    """Return an ESM-2 in evaluation mode, float32, without a pooler; a SettingsError says what cannot be loaded.

    ``source`` is a hub id (at commit ``revision``), a local Hugging Face directory, absolute or relative to the
    repository, or ``random``: weights of ``seed`` in the ``shape`` that ``esm2_config`` takes.
    """
    if source == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return EsmModel(esm2_config(**shape), add_pooling_layer=False).eval()
    transformers_logging.set_verbosity_error()
    where = backbone_folder(source) or source
    options = {"add_pooling_layer": False, "use_safetensors": True, "output_loading_info": True}
    try:
        if where == source:
            check_weights(source, revision)
        model, info = EsmModel.from_pretrained(where, revision=revision, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise SettingsError(
            f"backbone {source!r} could not be loaded: {str(error).splitlines()[0]}. Expected an ESM-2 on the"
            " Hugging Face hub that is reachable or cached, or a local directory with config.json and"
            " model.safetensors"
        ) from error
    config = model.config  # the packed encoder computes no other alphabet, positions or embeddings
    if config.vocab_size != VOCABULARY_SIZE or config.position_embedding_type != "rotary":
        raise SettingsError(
            f"backbone {source!r} has {config.vocab_size} tokens and {config.position_embedding_type} positions;"
            f" expected an ESM-2 with {VOCABULARY_SIZE} tokens and rotary positions"
        )
    for name, expected in (("token_dropout", True), ("emb_layer_norm_before", False)):
        if bool(getattr(config, name)) is not expected:
            raise SettingsError(
                f"backbone {source!r} has {name}={getattr(config, name)} in its config.json; expected {expected}, as in"
                " every published ESM-2: use one of those, or correct config.json if it is one"
            )
    if missing := sorted(info["missing_keys"]):  # transformers would fill them with random numbers
        raise SettingsError(
            f"backbone {source!r} has no weights for {missing[0]} (and {len(missing) - 1} more): expected all of an"
            " ESM-2's; fetch it again, or save the whole model with save_pretrained"
        )
    return model.float().eval()


def check_weights(source: str, revision: str | None) -> None:
    """Compare the weights of a hub's model with the sha256 in ``data/sources.yaml``; SettingsError where they differ.

    A model, or a commit of it, that is not listed there is not compared.
    """
    known = registry().backbones.get(source)
    if known is None or known.revision != revision:
        return
    path = Path(hf_hub_download(source, "model.safetensors", revision=revision))
    if (actual := sha256(path)) != known.sha256:
        raise SettingsError(
            f"backbone {source!r}: model.safetensors has sha256 {actual[:12]}..., expected {known.sha256[:12]}...; it"
            f" is damaged or another file: delete {path} and fetch it again"
        )


def backbone_folder(source: str) -> Path | None:
    """Return the local directory of ``source``, None for a hub id; SettingsError if it lacks a file or is pickled."""
    folder = REPOSITORY / source
    if not folder.is_dir():
        return None
    needed = {"config.json": "config.json", "model.safetensors": "model*.safetensors"}  # weights may lie in parts
    if missing := [name for name, pattern in needed.items() if not any(folder.glob(pattern))]:
        pickled = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        hint = f"; {', '.join(pickled)} is not read, because a pickle can run code: convert it" if pickled else ""
        raise SettingsError(
            f"backbone directory {source!r} lacks {', '.join(missing)}: expected what save_pretrained writes{hint}"
        )
    return folder


def tokenize(sequences: Sequence[str]) -> list[Tensor]:
    """Return one [L + 2] int64 tensor per sequence: <cls>, residues, <eos>; every ESM-2 has the same 33 tokens."""
    tokenizer = EsmTokenizer(vocab_file=str(VOCABULARY))
    return [torch.tensor(ids) for ids in tokenizer(list(sequences), add_special_tokens=True)["input_ids"]]


def pad(tokens: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return B proteins, [T_b] tokens or [T_b, D] states, as [B, T] or [B, T, D] with zeros, and their mask [B, T]."""
    lengths = torch.tensor([len(t) for t in tokens])
    padded = pad_sequence(list(tokens), batch_first=True)
    return padded, torch.arange(padded.shape[1])[None] < lengths[:, None]


def residues_of(states: Tensor, token_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return states [B, L, D] and mask [B, L] of residues from those of T = L + 2 tokens: without <cls> and <eos>."""
    return states[:, 1:-1], token_mask[:, 2:]  # a residue's next token is there: another residue or <eos>


class SplitEsm2(nn.Module):
    """ESM-2 as a frozen trunk and a top that learns; one after the other they are the whole model, bit for bit.

    The trunk keeps the embeddings and the first layers; the top holds the last ``trainable_layers`` layers and the last
    norm. Exact because ESM-2 uses no dropout and adds rotary positions inside every layer. What a frozen trunk gives is
    computed once per protein and kept (``training.embed``). ``width`` is D; ``trainable_layers`` may be ``all``, which
    lets the embeddings learn too and leaves no trunk frozen. ``esm2`` is copied, not changed.
    """

    def __init__(self, esm2: EsmModel, trainable_layers: int | str = 2) -> None:
        super().__init__()
        layers = len(esm2.encoder.layer)
        count = layers if trainable_layers == "all" else int(trainable_layers)
        if not 0 <= count <= layers:
            raise SettingsError(
                f"trainable_layers is {count}, the backbone has {layers} layers: use 0..{layers} or 'all'"
            )
        self.width, self.trunk_is_frozen = esm2.config.hidden_size, trainable_layers != "all"
        self.trunk = PackedEncoder(copy.deepcopy(esm2), 0, layers - count)
        self.top = PackedEncoder(copy.deepcopy(esm2), layers - count, layers)
        self.trunk.norm = self.top.embeddings = None
        self.trunk.requires_grad_(not self.trunk_is_frozen)
        self.top.requires_grad_(True)

    @property
    def compiled(self) -> bool:
        """Whether the layers run through ``torch.compile``; the first batch then takes a minute."""
        return self.top.compiled

    @compiled.setter
    def compiled(self, value: bool) -> None:
        self.trunk.compiled = self.top.compiled = value

    def trunk_states(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return the trunk's output, [B, T, D], from tokens [B, T]; special tokens too, the top attends to them."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.trunk_is_frozen):
            return self.trunk(tokens, token_mask)

    def forward(self, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Return the last hidden states, [B, T, D], from tokens [B, T] or from the trunk's output [B, T, D]."""
        states = tokens if tokens.is_floating_point() else self.trunk_states(tokens, token_mask)
        return self.top(states, token_mask)


class Esm2States(nn.Module):
    """A whole ESM-2 as a source of residue states, in bf16 where the hardware has units for it."""

    def __init__(self, esm2: EsmModel) -> None:
        super().__init__()
        self.encoder, self.width = PackedEncoder(esm2, 0, len(esm2.encoder.layer)), esm2.config.hidden_size

    def forward(self, sequences: Sequence[str]) -> list[Tensor]:
        """Return the last states of residues, [L, D] per protein, without <cls> and <eos>."""
        return [protein[1:-1] for protein in self.with_ends(sequences)]

    def with_ends(self, sequences: Sequence[str]) -> list[Tensor]:
        """Return the last states, [L + 2, D] per protein: those of <cls> first and of <eos> last."""
        tokens = tokenize(sequences)
        with autocast("auto"):
            packed = torch.cat(tokens).to(self.encoder.frequency.device)
            states = self.encoder.packed(packed, [len(t) for t in tokens])
        return list(states.split([len(t) for t in tokens]))
