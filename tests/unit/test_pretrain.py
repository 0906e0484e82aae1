"""Masked-language-model training: corpus, masks, network, exact resume, and the directory that is shipped."""

import gzip
import json
import lzma
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback
from torch.nn.utils.rnn import pad_sequence
from transformers import EsmForMaskedLM

from halo_utils.__main__ import main
from halo_utils.config import Settings, load_settings
from halo_utils.core.errors import DataError, TrainingError
from halo_utils.core.paths import REPOSITORY
from halo_utils.data.synthetic.proteome import make_proteome
from halo_utils.data.tables import stream_fasta
from halo_utils.embeddings.esm2 import esm2_config, load_esm2
from halo_utils.embeddings.packed_encoder import MASK
from halo_utils.pretraining import train as module
from halo_utils.pretraining.corpus import FACTS, HELD_OUT, LEFT_OUT, TRAIN, open_corpus
from halo_utils.pretraining.language_model import MaskedLanguageModel, Pretrainer
from halo_utils.pretraining.masking import MaskedBatch, MaskedDataset, RoundSampler, crop_tokens, mask_tokens
from halo_utils.pretraining.model_card import LOG, card, ship
from halo_utils.pretraining.train import pretrain
from halo_utils.training import fit

SHIPPED = sorted((REPOSITORY / "data" / "checkpoints").glob(f"*/{FACTS}"))
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
SMALL = {"shape": {"layers": 2, "width": 16, "heads": 2}, "crop": 64, "tokens_per_batch": 512, "steps_per_round": 4}
SMALL |= {"rounds": 3, "warmup_steps": 3, "held_out": 0.1}


def proteins(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["M" + "".join(rng.choice(LETTERS, rng.integers(30, 150))) for _ in range(count)]


def fasta(path: Path, sequences: list[str]) -> Path:
    text = "".join(f">tag|odd name {i % 3}\n{s[:40]}\n{s[40:]}\n" for i, s in enumerate(sequences)).encode()
    pack = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(text))
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MKV\n", "row 1: .*expected a FASTA header"),
        (b"", "is empty"),
        (b">a\nmkv\n", r"record 1: illegal residue\(s\) k m v; .* upper case"),
        (b">a\nMKV\n>b\nMK1V\n", r"record 2: illegal residue\(s\) 1; expected"),
        (b">a\nMK\xff\n", "not UTF-8"),
        (lzma.compress(b">a\nMKV\n" * 500)[:-20], "damaged or cut off"),
        (gzip.compress(b">a\nMKV\n" * 500)[:-20], "damaged or cut off"),
    ],
    ids=["no header", "empty", "lower case", "a digit", "not text", "xz cut off", "gzip cut off"],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.fasta").write_bytes(content)
    with pytest.raises(DataError, match=f"bad.fasta.*{message}"):
        open_corpus([tmp_path / "bad.fasta"], tmp_path, 0.1, 0)


def test_corpus_counts_what_it_leaves_out(tmp_path: Path) -> None:
    first, second = proteins(30, 1), proteins(10, 2)
    files = [
        fasta(tmp_path / "a.fasta.gz", [*first, "MKV", first[0]]),
        fasta(tmp_path / "b.fasta.xz", [*second, first[1]]),
    ]
    corpus = open_corpus(files, tmp_path, 0.1, 0)
    rows = corpus.audit.set_index("file").loc[["a.fasta.gz", "b.fasta.xz"], ["records", "too short", "copies", "kept"]]
    assert rows.to_numpy().tolist() == [[32, 1, 1, 30], [11, 0, 1, 10]]
    letters = (REPOSITORY / "halo_utils" / "embeddings" / "esm2_vocab.txt").read_text().split()
    for name, sequence in zip(corpus.store.accessions, first + second, strict=True):
        assert "".join(letters[i] for i in corpus.store.rows(name)[:, 0]) == sequence
    before = corpus.store.path.stat().st_mtime_ns
    assert open_corpus(files, tmp_path, 0.1, 0).store.path.stat().st_mtime_ns == before  # read back, not made again


def test_relatives_of_held_out_proteins_are_not_trained_on(tmp_path: Path) -> None:
    families = proteins(40, 3)
    rng = np.random.default_rng(0)

    def relative(sequence: str) -> str:
        changed = list(sequence)
        for i in rng.choice(len(changed), len(changed) // 12, replace=False):
            changed[i] = str(rng.choice(LETTERS))
        return "".join(changed)

    corpus = open_corpus([fasta(tmp_path / "a.fasta", families + [relative(s) for s in families])], tmp_path, 0.1, 5)
    family = np.arange(80) % 40
    held_out = set(family[corpus.role == HELD_OUT])
    assert len(corpus.names(HELD_OUT)) == 8
    assert not held_out & set(family[corpus.role == TRAIN])
    assert set(family[corpus.role == LEFT_OUT]) <= held_out


def test_a_corpus_too_small_to_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a corpus of 1 sequences leaves none to train"):
        open_corpus([fasta(tmp_path / "a.fasta", proteins(1, 0))], tmp_path, 0.1, 0)


def test_masks_follow_esm2() -> None:
    tokens = np.tile(np.array([0, *range(4, 24), 2]), 5000)
    masked, picked = mask_tokens(tokens, np.random.default_rng(0))
    residues = tokens >= 4
    assert len(picked) / residues.sum() == pytest.approx(0.15, abs=0.003)
    assert residues[picked].all() and (np.delete(masked, picked) == np.delete(tokens, picked)).all()
    now, before = masked[picked], tokens[picked]
    assert (now == MASK).mean() == pytest.approx(0.8, abs=0.01)
    # one of twenty replacements is the residue that was there
    assert ((now != MASK) & (now != before)).mean() == pytest.approx(0.1 * 19 / 20, abs=0.01)
    assert set(now[now != MASK]) <= set(range(4, 24))


@given(st.integers(1, 400), st.integers(16, 200), st.integers(0, 10**6))
def test_a_crop_is_a_window_and_ends_only_where_the_protein_does(length: int, crop: int, seed: int) -> None:
    residues = np.random.default_rng(seed).integers(4, 24, length)
    whole = [0, *residues.tolist(), 2]
    window = crop_tokens(residues, crop, np.random.default_rng(seed)).tolist()
    assert len(window) == min(len(whole), crop)
    assert any(whole[i : i + len(window)] == window for i in range(len(whole) - len(window) + 1))


def test_crops_reach_both_ends_as_often_as_the_middle() -> None:
    rng, seen = np.random.default_rng(0), np.zeros(1002)
    for _ in range(4000):
        window = crop_tokens(np.arange(1000) + 100, 102, rng)
        seen[np.where(window == 0, 0, np.where(window == 2, 1001, window - 99))] += 1
    assert seen[[0, 1, 30, 1000, 1001]].min() > 0.5 * seen[300:700].mean()


def masked_batch() -> MaskedBatch:
    rng = np.random.default_rng(1)
    crops = sorted((crop_tokens(rng.integers(4, 24, n), 64, rng) for n in (30, 62, 100, 200, 50)), key=len)
    tokens = np.concatenate(crops)
    masked, picked = mask_tokens(tokens, rng)
    parts = (torch.from_numpy(x) for x in (masked, picked, tokens[picked]))
    return MaskedBatch([len(c) for c in crops], *parts)


def test_the_packed_network_is_hugging_faces_token_dropout_included() -> None:
    torch.manual_seed(0)
    model = EsmForMaskedLM(esm2_config(3, 32, 4, init_std=0.2)).eval()
    batch = masked_batch()
    with torch.no_grad():
        ours = MaskedLanguageModel(model)(batch)
        ids = pad_sequence(list(batch.tokens.split(batch.lengths)), batch_first=True, padding_value=1)
        theirs = model(input_ids=ids, attention_mask=(ids != 1).long()).logits
    theirs = torch.cat([row[:n] for row, n in zip(theirs, batch.lengths, strict=True)])[batch.picked]
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
    assert (batch.tokens == MASK).any()


def test_learning_rate_warms_up_and_decays_to_zero(settings: Settings) -> None:
    trainer = Pretrainer(MaskedLanguageModel(module.new_model(settings)), settings.pretrain)
    made, rates = trainer.configure_optimizers(), []
    for _ in range(13):
        rates.append(made["optimizer"].param_groups[0]["lr"] / settings.pretrain.learning_rate)
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    assert rates[0] == 0.0 and rates[3] == 1.0 and rates[12] == 0.0  # three steps of warm-up, twelve in all
    assert (np.diff(rates[:4]) > 0).all() and (np.diff(rates[3:]) < 0).all()
    decays = {len(group["params"]): group["weight_decay"] for group in made["optimizer"].param_groups}
    assert sorted(decays.values()) == [0.0, settings.pretrain.weight_decay]


def test_rounds_go_through_the_whole_corpus_before_repeating_it() -> None:
    lengths = np.random.default_rng(0).integers(5, 60, 90).tolist()
    sampler, jobs = RoundSampler(lengths, 200, 4, seed=2), []
    for number in range(2 * -(-len(sampler.passes) // 4)):
        sampler.set_epoch(number)
        jobs += list(sampler)
    assert [step for step, _ in jobs] == list(range(1, len(jobs) + 1))
    size = len(sampler.passes)
    first, second = (sorted(i for _, part in jobs[k * size : (k + 1) * size] for i in part) for k in (0, 1))
    assert first == second == list(range(90))
    assert [part for _, part in jobs[:size]] != [part for _, part in jobs[size : 2 * size]]


@pytest.fixture
def settings(root: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A pre-training of seconds on sequences of its own."""
    fasta(root / "mine.fasta", proteins(60, 4))
    monkeypatch.setattr(module, "_files", lambda settings, folder: [root / "mine.fasta"])
    return load_settings("demo", pretrain=SMALL)


class StopAfter(Callback):
    """Stands for a killed process: the round's checkpoint is written, the next one is under way."""

    def on_train_batch_end(self, trainer, *_: object) -> None:
        if trainer.global_step == 6:
            raise KeyboardInterrupt


def test_an_interrupted_run_ends_as_an_undisturbed_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    make = fit.make_trainer
    monkeypatch.setattr(module, "make_trainer", lambda c, e, callbacks, **k: make(c, e, [*callbacks, StopAfter()], **k))
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        pretrain(settings)
    monkeypatch.setattr(module, "make_trainer", make)
    resumed = pretrain(settings)
    whole = pretrain(settings.model_copy(update={"run_name": "undisturbed"}))
    pairs = zip(resumed.model.state_dict().items(), whole.model.state_dict().items(), strict=True)
    assert all(torch.equal(a, b) for (_, a), (_, b) in pairs)
    pd.testing.assert_frame_equal(resumed.history.drop(columns="seconds"), whole.history.drop(columns="seconds"))
    assert resumed.history["tokens"].is_monotonic_increasing and (resumed.history["seconds"] > 0).all()
    assert [round(r, 6) for r in whole.history["round"]] == [1, 2, 3]


def test_a_damaged_checkpoint_is_named(settings: Settings) -> None:
    pretrain(settings)
    last = next((settings.paths.work / "pretrain").glob("*/last.ckpt"))
    last.write_bytes(last.read_bytes()[:-2000])
    with pytest.raises(TrainingError, match="last.ckpt is damaged"):
        pretrain(settings)
    last.unlink()
    assert len(pretrain(settings).history) == 3


def test_it_goes_on_from_a_shipped_model(settings: Settings, root: Path) -> None:
    first = pretrain(settings)
    folder = ship(first.model, first.history, first.facts, root / "first")
    second = pretrain(settings, folder)
    assert second.facts["started_from"]["tokens"] == first.facts["tokens"]
    assert second.history["train_loss"].iloc[0] < first.history["train_loss"].iloc[0]
    assert f"first, after {first.facts['tokens']:,} tokens" in card("second", second.facts)
    assert "random weights" in card("first", first.facts)
    wide = {"shape": settings.pretrain.shape.model_copy(update={"width": 32})}
    other = settings.model_copy(update={"pretrain": settings.pretrain.model_copy(update=wide)})
    with pytest.raises(DataError, match="has 2 layers, 16 wide, 2 heads"):
        pretrain(other, folder)
    with pytest.raises(DataError, match=r"holds no model.safetensors"):
        pretrain(settings, root / "nowhere")


def test_it_trains_in_bf16_too(settings: Settings) -> None:
    """Emulated where there are no units for it; clipped gradients and mixed precision do not suit every optimizer."""
    compute = settings.compute.model_copy(update={"precision": "bf16-mixed"})
    done = pretrain(settings.model_copy(update={"compute": compute}))
    assert done.facts["precision"] == "bf16-mixed" and np.isfinite(done.facts["perplexity"])


def test_a_loss_that_is_no_number_is_named(settings: Settings) -> None:
    wild = settings.model_copy(update={"pretrain": settings.pretrain.model_copy(update={"learning_rate": 1e30})})
    with pytest.raises(TrainingError, match="lower pretrain.learning_rate"):
        pretrain(wild)


def test_it_learns_and_what_ships_loads_like_any_esm2(root: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["pretrain", "--profile", "demo", "--ship", str(root / "tiny-esm")]) == 0
    assert "perplexity" in capsys.readouterr().out
    folder = root / "tiny-esm"
    names = {p.name for p in folder.iterdir()}
    assert {"config.json", "model.safetensors", "vocab.txt", "README.md", LOG, FACTS} <= names
    backbone = load_esm2(str(folder))
    assert backbone.dtype == torch.float32 and not backbone.training
    facts = json.loads((folder / FACTS).read_text())
    assert facts["perplexity"] < 0.9 * facts["unigram_perplexity"]
    assert facts["accuracy"] > facts["unigram_accuracy"]
    check_card(folder)


def without_block(text: str) -> str:
    """Leave out the table that ``tools.readme`` fills from finished runs."""
    return re.sub(r"(<!-- seen -->).*(<!-- /seen -->)", r"\1\2", text, flags=re.DOTALL)


def check_card(folder: Path) -> None:
    """Every number of the card follows from the log and the file of facts."""
    facts, log = json.loads((folder / FACTS).read_text()), pd.read_csv(folder / LOG)
    last = log.iloc[-1]
    assert facts["tokens"] == last["tokens"] and facts["seconds"] == round(last["seconds"])
    assert facts["perplexity"] == pytest.approx(last["val_perplexity"], abs=1e-3)
    assert facts["accuracy"] == pytest.approx(last["val_accuracy"], abs=1e-4)
    assert len(log) == facts["pretrain"]["rounds"]
    text = (folder / "README.md").read_text()
    assert without_block(text) == without_block(card(folder.name, facts))
    for number in (f"{facts['tokens']:,}", str(facts["perplexity"]), f"{facts['parameters']:,}"):
        assert number in text
    weights = EsmForMaskedLM.from_pretrained(folder)
    assert sum(p.numel() for p in weights.parameters()) == facts["parameters"]
    assert sum(p.stat().st_size for p in folder.iterdir()) < 16_000_000


@pytest.mark.parametrize("config", SHIPPED, ids=lambda p: p.parent.name)
def test_the_card_of_a_shipped_backbone_is_true(config: Path) -> None:
    check_card(config.parent)


def test_a_damaged_card_is_noticed(root: Path, settings: Settings) -> None:
    done = pretrain(settings)
    folder = ship(done.model, done.history, done.facts, root / "mine")
    (folder / FACTS).write_text(json.dumps({**done.facts, "tokens": done.facts["tokens"] + 1}))
    with pytest.raises(AssertionError):
        check_card(folder)


def masked_accuracy(folder: Path, sequences: list[str]) -> tuple[float, float]:
    """Return the shares of picked residues that a shipped model and the most frequent residue get right."""
    model = MaskedLanguageModel(EsmForMaskedLM.from_pretrained(folder, dtype=torch.float32)).eval()
    rng = np.random.default_rng(0)
    letters = (REPOSITORY / "halo_utils" / "embeddings" / "esm2_vocab.txt").read_text().split()
    code = {letter: i for i, letter in enumerate(letters)}
    crops = [crop_tokens(np.array([code[a] for a in s]), 256, rng) for s in sequences]
    tokens = np.concatenate(crops)
    masked, picked = mask_tokens(tokens, rng)
    parts = (torch.from_numpy(x) for x in (masked, picked, tokens[picked]))
    batch = MaskedBatch([len(c) for c in crops], *parts)
    with torch.no_grad():
        right = (model(batch).argmax(dim=1) == batch.target).float().mean()
    return float(right), float(np.bincount(tokens[picked]).max() / len(picked))


@pytest.mark.parametrize("config", SHIPPED, ids=lambda p: p.parent.name)
def test_a_shipped_backbone_beats_residue_frequencies_on_generated_proteins(config: Path) -> None:
    right, frequent = masked_accuracy(config.parent, list(make_proteome(120, seed=3)[0]["sequence"]))
    assert right > frequent, (right, frequent)


@pytest.mark.parametrize("config", SHIPPED, ids=lambda p: p.parent.name)
@pytest.mark.real
def test_a_shipped_backbone_beats_residue_frequencies_on_real_proteins(config: Path, real_data: Path) -> None:
    records = list(islice(stream_fasta(real_data / "corpus" / "euk.fasta.xz"), 4000))
    right, frequent = masked_accuracy(config.parent, [s for _, s in records[::40]])
    assert right > 1.2 * frequent, (right, frequent)


def test_same_job_same_batch(tmp_path: Path) -> None:
    corpus = open_corpus([fasta(tmp_path / "a.fasta", proteins(30, 1))], tmp_path, 0.1, 0)
    dataset = MaskedDataset(corpus.store, corpus.names(TRAIN), 64, seed=1)
    a, b, c = dataset[3, [1, 2]], dataset[3, [1, 2]], dataset[4, [1, 2]]
    assert torch.equal(a.tokens, b.tokens) and not torch.equal(a.picked, c.picked)
    assert re.fullmatch(r"\d+", corpus.names(TRAIN)[0])
