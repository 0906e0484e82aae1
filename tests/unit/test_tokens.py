"""Golden tokens, and exactly one row per residue whatever the batch."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import EsmForMaskedLM, EsmModel

from halo_utils.core.errors import SettingsError
from halo_utils.embeddings.esm2 import SplitEsm2, esm2_config, load_esm2, pad, residues_of, tokenize
from halo_utils.embeddings.packed_encoder import PackedEncoder, attend, attend_padded
from halo_utils.embeddings.truncation import seen_residues, truncate
from halo_utils.training.sequence_data import ProteinDataset, collate_proteins

SHAPE = {"layers": 3, "width": 16, "heads": 2}


def random_esm2(seed: int = 1) -> EsmModel:
    return load_esm2("random", shape=SHAPE, seed=seed)


# Ids of facebook/esm2 vocab.txt: <cls> 0, <pad> 1, <eos> 2, residues from L = 4 in the order of the alphabet.
GOLDEN = {
    "MKV": [0, 20, 15, 7, 2],
    "ACDEFGHIKLMNPQRSTVWY": [0, 5, 23, 13, 9, 18, 6, 21, 12, 15, 4, 20, 17, 14, 16, 10, 8, 11, 7, 22, 19, 2],
    "XBUZO": [0, 24, 25, 26, 27, 28, 2],
}


@pytest.mark.parametrize("sequence", GOLDEN)
def test_golden_tokens(sequence: str) -> None:
    assert tokenize([sequence])[0].tolist() == GOLDEN[sequence]


def test_a_batch_is_a_rectangle_with_a_mask_and_gives_one_row_per_residue() -> None:
    dataset = ProteinDataset(["a", "b"], tokenize(["MK", "MKVLA"]), np.zeros((2, 3)))
    batch = collate_proteins([dataset[0], dataset[1]])
    assert batch.tokens.tolist() == [[0, 20, 15, 2, 0, 0, 0], [0, 20, 15, 7, 4, 5, 2]]
    assert batch.token_mask.sum(dim=1).tolist() == [4, 7] and batch.y.shape == (2, 3)
    residues, mask = residues_of(batch.tokens, batch.token_mask)
    assert [row[keep].tolist() for row, keep in zip(residues, mask, strict=True)] == [[20, 15], [20, 15, 7, 4, 5]]


@pytest.mark.parametrize(
    ("length", "policy", "expected"),
    [(5, "head", [0, 1, 2, 3, 4]), (9, "head", [0, 1, 2, 3, 4, 5]), (9, "head_tail", [0, 1, 2, 6, 7, 8])],
)
def test_truncation(length: int, policy: str, expected: list[int]) -> None:
    assert seen_residues(length, max_tokens=8, truncation=policy).tolist() == expected


def test_truncate_keeps_both_ends() -> None:
    assert truncate("ABCDEFGHI".replace("B", "C"), 8, "head_tail") == "ACCGHI"
    assert truncate("MKV", 8, "head_tail") == "MKV"


LENGTHS = [5, 7]
PAIR, MASK = pad([torch.tensor(GOLDEN["MKV"]), torch.tensor([0, 20, 15, 7, 4, 5, 2])])


@pytest.mark.parametrize("layers", [0, 1, 2, 3, "all"])
def test_trunk_and_top_make_the_whole_model(layers: int | str) -> None:
    model = random_esm2()
    split = SplitEsm2(model, layers)
    with torch.no_grad():
        whole = PackedEncoder(model, 0, 3)(PAIR, MASK)
        assert (whole - split(PAIR, MASK)).abs().max() == 0
        assert (whole - split(split.trunk_states(PAIR, MASK), MASK)).abs().max() == 0


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packed_encoder_equals_the_padded_model_of_transformers(attention: str) -> None:
    model = random_esm2()
    model.set_attn_implementation(attention)
    with torch.no_grad():
        theirs = model(input_ids=PAIR.masked_fill(~MASK, 1), attention_mask=MASK.long()).last_hidden_state
        ours = PackedEncoder(model, 0, 3)(PAIR, MASK)
    assert torch.allclose(ours[MASK], theirs[MASK], atol=2e-6) and not ours[~MASK].any()


def test_attention_alone_and_under_a_mask_agree() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 12, 2, 8)
    one, other = attend(query, key, value, LENGTHS), attend_padded(query, key, value, LENGTHS)
    assert torch.allclose(one, other, atol=1e-6)
    assert not torch.allclose(one, attend(query, key, value, [12]), atol=1e-2)  # proteins do not see each other


def test_only_the_top_learns() -> None:
    split = SplitEsm2(random_esm2(), 2)
    assert not any(p.requires_grad for p in split.trunk.parameters())
    assert all(p.requires_grad for p in split.top.parameters())
    assert (len(split.trunk.layers), len(split.top.layers)) == (1, 2)


def test_too_many_layers_refused() -> None:
    with pytest.raises(SettingsError, match="trainable_layers is 9, the backbone has 3 layers"):
        SplitEsm2(random_esm2(), 9)


def test_width_refused() -> None:
    with pytest.raises(SettingsError, match="multiple of twice its heads"):
        esm2_config(2, 30, 4)


def test_random_weights_follow_the_seed() -> None:
    one, same, other = (random_esm2(s).embeddings.word_embeddings.weight for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_local_directory_and_missing_one(tmp_path: pytest.TempPathFactory) -> None:
    model = random_esm2(4)
    model.save_pretrained(tmp_path / "backbone")
    again = load_esm2(str(tmp_path / "backbone"))
    weights = dict(again.named_parameters())
    assert all(torch.equal(p, weights[name]) for name, p in model.named_parameters())
    with pytest.raises(SettingsError, match="could not be loaded"):
        load_esm2(str(tmp_path / "nothing"))


def publish(folder: Path) -> str:
    """Write an ESM-2 of three layers under the names of facebook/esm2 checkpoints, frequencies rounded to float16."""
    torch.manual_seed(0)
    model = EsmForMaskedLM(esm2_config(3, 64, 2, init_std=0.1))
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    frequency = weights.pop("esm.rotary_embeddings.inv_freq").half().float()
    for i in range(3):
        weights[f"esm.encoder.layer.{i}.attention.self.rotary_embeddings.inv_freq"] = frequency.clone()
    weights["esm.embeddings.position_ids"] = torch.arange(1026)[None]
    assert {"esm.contact_head.regression.weight", "lm_head.decoder.weight"} <= set(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_dict() | {"architectures": ["EsmForMaskedLM"]}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def test_published_checkpoints_keep_their_rotary_frequencies(tmp_path: Path) -> None:
    backbone = load_esm2(publish(tmp_path))
    tokens = torch.cat([torch.tensor([0]), torch.arange(1022) * 7 % 20 + 4, torch.tensor([2])])
    with torch.no_grad():
        reference = EsmModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
        theirs = reference(input_ids=tokens[None]).last_hidden_state[0]
        split, mask = SplitEsm2(backbone, 1), torch.ones(1, 1024, dtype=torch.bool)
        ours = split(tokens[None], mask)[0]
        for encoder in (split.trunk, split.top):
            encoder.frequency = 10_000.0 ** (-torch.arange(0, 32, 2) / 32)  # what float32 would compute
        recomputed = split(tokens[None], mask)[0]
    assert (ours - theirs).abs().max() < 1e-5
    assert (recomputed - theirs).abs().max() > 1e-3  # so the comparison can tell


@pytest.mark.parametrize(("name", "value"), [("token_dropout", False), ("emb_layer_norm_before", True)])
def test_embeddings_that_the_encoder_does_not_compute_are_refused(tmp_path: Path, name: str, value: bool) -> None:
    random_esm2(4).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {name: value}))
    with pytest.raises(SettingsError, match=f"has {name}={value} in its config.json; expected {not value}"):
        load_esm2(str(tmp_path))


def test_compiled_layers_compute_the_same() -> None:
    whole = SplitEsm2(random_esm2(), 0).trunk
    outputs = []
    for whole.compiled in (False, True):
        for lengths in ([5, 9, 9], [30, 3]):  # another number of tokens is not compiled again
            tokens = torch.arange(sum(lengths)) % 20 + 4
            with torch.no_grad():
                outputs.append(whole.packed(tokens, lengths))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(outputs[:2], outputs[2:], strict=True))
