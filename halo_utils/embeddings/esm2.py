"""ESM-2 backbones: loading, tokens, and the split into a frozen trunk and a trainable top.

Loading goes through Hugging Face's ``from_pretrained`` for hub ids and local directories alike; the named
source ``random`` makes the same architecture with random weights. Source: Lin et al. 2023.
"""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import EsmConfig, EsmModel, EsmTokenizer
from transformers.utils import logging as transformers_logging

from halo_utils.core.errors import SettingsError
from halo_utils.core.files import sha256
from halo_utils.core.paths import REPOSITORY
from halo_utils.embeddings.packed_encoder import PackedEncoder
from halo_utils.profile import BackboneSettings

VOCABULARY = Path(__file__).with_name("esm2_vocab.txt")  # the 33 tokens of every ESM-2 checkpoint, in id order
VOCABULARY_SIZE = 33


def esm2_config(layers: int, width: int, heads: int, ffn_ratio: int = 4, init_std: float = 0.02) -> EsmConfig:
    """Return an ESM-2 configuration of the given shape: rotary positions, no dropout, token dropout.

    Raises:
        SettingsError: if the width is not a multiple of twice the heads, which rotary positions need.
    """
    if width % (2 * heads):
        raise SettingsError(
            f"backbone width {width} must be a multiple of twice its heads ({heads}), for rotary positions"
        )
    return EsmConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=ffn_ratio * width,
        position_embedding_type="rotary",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=1026,
        emb_layer_norm_before=False,
        token_dropout=True,
        initializer_range=init_std,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        mask_token_id=32,
    )


def load_backbone(settings: BackboneSettings, seed: int) -> EsmModel:
    """Return the backbone of a profile in evaluation mode, float32, without a pooler.

    Args:
        settings: source, revision and, for ``random``, the shape.
        seed: seed of the random weights; unused for pre-trained ones.

    Raises:
        SettingsError: if a hub id or directory cannot be loaded; the message names it and the remedies.
    """
    if settings.source == "random":
        if settings.random is None:
            raise SettingsError("backbone.source 'random' needs backbone.random (layers, width, heads)")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return EsmModel(esm2_config(**settings.random.model_dump()), add_pooling_layer=False).eval()
    transformers_logging.set_verbosity_error()
    where = backbone_folder(settings) or settings.source
    try:
        model = EsmModel.from_pretrained(
            where, revision=settings.revision, add_pooling_layer=False, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise SettingsError(
            f"backbone {settings.source!r} could not be loaded: {str(error).splitlines()[0]}. Expected an ESM-2 on the"
            " Hugging Face hub that is reachable or cached, or a local directory with config.json and"
            " model.safetensors"
        ) from error
    _check_esm2(settings.source, model)
    return model.float().eval()


def backbone_folder(settings: BackboneSettings) -> Path | None:
    """Return the local directory that ``source`` names (absolute, or relative to the repository), or None for a hub id.

    Raises:
        SettingsError: if it is a directory without config.json or without weights as safetensors; pickled weights
            are never read.
    """
    folder = REPOSITORY / settings.source
    if settings.source == "random" or not folder.is_dir():
        return None
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not list(folder.glob("model*.safetensors")):
        missing.append("model.safetensors")
    if missing:
        pickled = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        hint = f"; {', '.join(pickled)} is not read, because a pickle can run code: convert it" if pickled else ""
        raise SettingsError(
            f"backbone directory {settings.source!r} lacks {', '.join(missing)}: expected what save_pretrained"
            f" writes{hint}"
        )
    return folder


def _check_esm2(source: str, model: EsmModel) -> None:
    """Refuse a checkpoint that the packed encoder does not compute: other alphabet, positions or embeddings."""
    config = model.config
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


def load_tokenizer(settings: BackboneSettings) -> EsmTokenizer:
    """Return the ESM-2 tokenizer; the same 33 tokens for every source."""
    return EsmTokenizer(vocab_file=str(VOCABULARY))


def backbone_key(settings: BackboneSettings, seed: int) -> dict[str, object]:
    """Return what identifies a backbone's weights, for cache keys: a pinned revision, file contents, or a seed."""
    folder = backbone_folder(settings)
    files = sorted([folder / "config.json", *folder.glob("model*.safetensors")]) if folder else []
    return {
        "source": "directory" if folder else settings.source,
        "files": [sha256(path) for path in files],
        "revision": settings.revision,
        "shape": settings.random and settings.random.model_dump(),
        "seed": seed if settings.source == "random" else None,
    }


def token_ids(sequences: Sequence[str], tokenizer: EsmTokenizer) -> list[Tensor]:
    """Return one [L + 2] int64 tensor per sequence: <cls>, residues, <eos>."""
    return [torch.tensor(ids) for ids in tokenizer(list(sequences), add_special_tokens=True)["input_ids"]]


def split_backbone(model: EsmModel, trainable_layers: int | str) -> tuple[PackedEncoder, PackedEncoder]:
    """Split a backbone into a trunk and a top whose composition is the whole model, bit for bit.

    The trunk keeps the embeddings and the first blocks; the top holds the last ``trainable_layers`` blocks and the
    last norm. Exact because ESM-2 uses no dropout and adds rotary positions inside every block.

    Args:
        model: whole backbone; it is not changed.
        trainable_layers: blocks of the top, or ``all``, which also lets the embeddings learn.

    Raises:
        SettingsError: if there are fewer blocks than asked for.
    """
    blocks = len(model.encoder.layer)
    count = blocks if trainable_layers == "all" else int(trainable_layers)
    if not 0 <= count <= blocks:
        raise SettingsError(f"trainable_layers is {count}, the backbone has {blocks} blocks: use 0..{blocks} or 'all'")
    trunk = PackedEncoder(copy.deepcopy(model), 0, blocks - count)
    top = PackedEncoder(copy.deepcopy(model), blocks - count, blocks)
    trunk.norm = None
    top.embeddings = None
    trunk.requires_grad_(trainable_layers == "all")
    top.requires_grad_(True)
    return trunk, top
