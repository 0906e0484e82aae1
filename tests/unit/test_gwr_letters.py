"""GwR without coordinates: edges that letters tell of, its batches, and letters of a second source."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Batch

from halo_utils.core.errors import SettingsError
from halo_utils.core.residue_store import ResidueStore, write_store
from halo_utils.data.synthetic.folds import build_backbone
from halo_utils.embeddings.attention_graph import top_k_edges
from halo_utils.models.gwr import Gwr, LaGcn
from halo_utils.structures.coordinate_letters import store_coordinate_letters
from halo_utils.structures.structure_letters import WIDTH, one_hot
from halo_utils.training.letter_data import LetterData, fold_edges

D, K = 6, 2
LETTERS = {"P7": ("DDVVLLP", "LHHHHHL"), "P4": ("ACDE", "LLEE"), "P30": ("DV" * 15, "LHHHHH" * 5)}


def store(folder: Path, name: str, rows: dict[str, np.ndarray], dtype: str) -> ResidueStore:
    sizes, width = [len(part) for part in rows.values()], next(iter(rows.values())).shape[1]
    return write_store(folder / f"{name}.npy", name, list(rows), sizes, width, enumerate(rows.values()), dtype)


def data_of(folder: Path, **options: object) -> LetterData:
    """Three proteins, of which one has a contact map and one is longer than the language model reads."""
    rng, sizes = np.random.default_rng(0), {name: len(di) for name, (di, _) in LETTERS.items()}
    read = {name: min(n, 20) for name, n in sizes.items()}
    parts = (
        store(folder, "states", {a: rng.normal(size=(n, D)) + 5 for a, n in read.items()}, "float16"),
        store(folder, "attention", {a: top_k_edges(rng.random((n, n)), 2).T for a, n in read.items()}, "uint16"),
        store(folder, "letters", {a: one_hot(a, *text) for a, text in LETTERS.items()}, "uint8"),
        store(folder, "contacts", {"P4": np.array([[0, 3], [3, 0]])}, "uint16"),
    )
    table = pd.DataFrame({"accession": list(sizes), "sequence": ["A" * n for n in sizes.values()], "split": "test"})
    return LetterData(table.assign(x=[1, 0, 1], y=[0, 1, 0]), ["x", "y"], *parts, reading=(22, "head"), **options)


def test_letters_alone_say_who_is_near_along_the_chain_and_one_turn_of_a_helix() -> None:
    edges = {tuple(edge) for edge in fold_edges(one_hot("P7", *LETTERS["P7"])).T.tolist()}
    chain = {(i, j) for i in range(7) for j in range(7) if 0 < abs(i - j) <= 2}
    assert edges == chain | {(1, 5), (5, 1)}
    assert fold_edges(one_hot("P4", "ACDE", "HHHH")).shape[1] == 2 * (3 + 2)


def test_batches_have_contacts_where_they_are_known_and_no_state_where_nothing_was_read(tmp_path: Path) -> None:
    dataset = data_of(tmp_path).dataset(np.arange(3))
    seven, four, long = (dataset[i] for i in range(3))
    assert four.edge_index.tolist() == [[0, 3], [3, 0]] and seven.edge_index.shape[1] == 2 * (6 + 5 + 1)
    assert (long.states[:20] > 0).all() and not long.states[20:].any() and int(long.attention_index.max()) < 20
    batch = Batch.from_data_list([seven, four, long])
    assert int(batch.edge_index.max()) == 40 and int(batch.attention_index.max()) == 11 + int(
        long.attention_index.max()
    )


def test_branches_on_letters_answer_alone_as_in_a_batch_and_each_reads_its_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Gwr(LaGcn(D, 8), LaGcn(WIDTH, 8, nodes="letters", edges="edge_index"), K).eval()
    data = data_of(tmp_path).dataset(np.arange(3))
    parts = [data[i] for i in range(3)]
    before = model(Batch.from_data_list(parts))
    assert torch.allclose(torch.cat([model(Batch.from_data_list([one])) for one in parts]), before, atol=1e-5)
    for name in ("letters", "states", "edge_index", "attention_index"):
        changed = [data[i] for i in range(3)]
        value = changed[0][name]
        changed[0][name] = value[:, :2] if "index" in name else torch.flip(value, [0])
        after = model(Batch.from_data_list(changed))
        assert not torch.allclose(after[0], before[0], atol=1e-5), name
        assert torch.allclose(after[1:], before[1:], atol=1e-5), name


def test_an_alphabet_that_is_not_read_is_empty_and_false_letters_leave_edges_alone(tmp_path: Path) -> None:
    only = data_of(tmp_path, alphabets=["SS8"]).dataset(np.arange(3))[0]
    assert not only.letters[:, :20].any() and (only.letters[:, 20:].sum(dim=1) == 1).all()
    clean, false = (data_of(tmp_path, corrupted=share).dataset(np.arange(3))[2] for share in (0.0, 0.5))
    assert 0.2 < (clean.letters != false.letters).any(dim=1).float().mean() < 0.8
    assert torch.equal(clean.edge_index, false.edge_index)
    with pytest.raises(SettingsError, match="alphabet 'DSSP': use 3Di or SS8"):
        data_of(tmp_path, alphabets=["DSSP"])
    assert data_of(tmp_path, alphabets=["SS8"]).key != data_of(tmp_path).key


def test_letters_of_moved_atoms_are_kept_apart_and_differ_in_some_residues(tmp_path: Path) -> None:
    atoms = build_backbone("LHHHHHHHHHHLLEEEEEL" * 3, "compact", np.random.default_rng(0)).reshape(-1, 9)
    structures = store(tmp_path, "structures", {"P57": np.column_stack([atoms, np.full(len(atoms), 80.0)])}, "float32")
    clean, moved = (store_coordinate_letters(tmp_path / f"{n}.npy", structures, n) for n in (0.0, 1.0))
    share = (clean.rows("P57") != moved.rows("P57")).any(axis=1).mean()
    assert clean.key != moved.key and 0.1 < share < 1
    assert (moved.rows("P57").sum(axis=1) == 2).all()
