"""Golden tokens, and exactly one row per residue whatever the batch."""

import numpy as np
import pytest
import torch

from halo_utils.backbones import (
    esm2_config,
    load_backbone,
    load_tokenizer,
    seen_residues,
    split_backbone,
    token_ids,
    truncate,
)
from halo_utils.batching import SequenceDataset, collate_proteins
from halo_utils.blocks import BackboneSettings
from halo_utils.errors import SettingsError

SETTINGS = BackboneSettings(source="random", random={"layers": 3, "width": 16, "heads": 2})

# Ids of facebook/esm2 vocab.txt: <cls> 0, <pad> 1, <eos> 2, residues from L = 4 in the order of the alphabet.
GOLDEN = {
    "MKV": [0, 20, 15, 7, 2],
    "ACDEFGHIKLMNPQRSTVWY": [0, 5, 23, 13, 9, 18, 6, 21, 12, 15, 4, 20, 17, 14, 16, 10, 8, 11, 7, 22, 19, 2],
    "XBUZO": [0, 24, 25, 26, 27, 28, 2],
}


@pytest.mark.parametrize("sequence", GOLDEN)
def test_golden_tokens(sequence: str) -> None:
    assert token_ids([sequence], load_tokenizer(SETTINGS))[0].tolist() == GOLDEN[sequence]


def test_padding_token_and_masks() -> None:
    tokens = token_ids(["MK", "MKVLA"], load_tokenizer(SETTINGS))
    dataset = SequenceDataset(["a", "b"], tokens, np.zeros((2, 3)))
    batch = collate_proteins([dataset[0], dataset[1]])
    assert batch.input_ids.tolist()[0] == [0, 20, 15, 2, 1, 1, 1]
    assert batch.attention_mask.sum(1).tolist() == [4, 7]
    assert batch.residue_mask.tolist()[0] == [False, True, True, False, False, False, False]
    assert batch.residue_mask.sum(1).tolist() == [2, 5]


@pytest.mark.parametrize(
    ("length", "policy", "expected"),
    [(5, "head", [0, 1, 2, 3, 4]), (9, "head", [0, 1, 2, 3, 4, 5]), (9, "head_tail", [0, 1, 2, 6, 7, 8])],
)
def test_truncation(length: int, policy: str, expected: list[int]) -> None:
    assert seen_residues(length, max_tokens=8, truncation=policy).tolist() == expected


def test_truncate_keeps_both_ends() -> None:
    assert truncate("ABCDEFGHI".replace("B", "C"), 8, "head_tail") == "ACCGHI"
    assert truncate("MKV", 8, "head_tail") == "MKV"


@pytest.mark.parametrize("layers", [0, 1, 2, 3, "all"])
def test_trunk_and_top_make_the_whole_model(layers: int | str) -> None:
    model = load_backbone(SETTINGS, seed=1)
    tokens = torch.stack([torch.tensor(GOLDEN["MKV"] + [1]), torch.tensor([0, 20, 15, 7, 4, 2])])
    mask = (tokens != 1).long()
    trunk, top = split_backbone(model, layers)
    with torch.no_grad():
        whole = model(input_ids=tokens, attention_mask=mask).last_hidden_state
        hidden = trunk(input_ids=tokens, attention_mask=mask).last_hidden_state
        parts = top(inputs_embeds=hidden, attention_mask=mask).last_hidden_state
    assert (whole - parts)[mask.bool()].abs().max() == 0


def test_only_the_top_learns() -> None:
    trunk, top = split_backbone(load_backbone(SETTINGS, 1), 2)
    assert not any(p.requires_grad for p in trunk.parameters())
    assert all(p.requires_grad for p in top.parameters())
    assert len(trunk.encoder.layer) == 1
    assert len(top.encoder.layer) == 2


def test_too_many_layers_refused() -> None:
    with pytest.raises(SettingsError, match="trainable_layers is 9, the backbone has 3 blocks"):
        split_backbone(load_backbone(SETTINGS, 1), 9)


def test_width_refused() -> None:
    with pytest.raises(SettingsError, match="multiple of twice its heads"):
        esm2_config(2, 30, 4)


def test_random_weights_follow_the_seed() -> None:
    one, same, other = (load_backbone(SETTINGS, s).embeddings.word_embeddings.weight for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_local_directory_and_missing_one(tmp_path: pytest.TempPathFactory) -> None:
    model = load_backbone(SETTINGS, 4)
    model.save_pretrained(tmp_path / "backbone")
    again = load_backbone(BackboneSettings(source=str(tmp_path / "backbone")), 0)
    weights = dict(again.named_parameters())
    assert all(torch.equal(p, weights[name]) for name, p in model.named_parameters())
    with pytest.raises(SettingsError, match="could not be loaded"):
        load_backbone(BackboneSettings(source=str(tmp_path / "nothing")), 0)
