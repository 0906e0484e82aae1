"""Bad input: one message each, naming the item, what was expected and the remedy; and good input in odd wrapping."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import EsmModel

from halo_utils.__main__ import main
from halo_utils.config import load_settings
from halo_utils.core.errors import DataError, HaloError, SettingsError, TrainingError
from halo_utils.data.deeploc import read_deeploc2, read_hpa
from halo_utils.data.download import Patience
from halo_utils.data.locations import DEEPLOC, HPA, LUO2024
from halo_utils.data.luo2024 import read_luo2024
from halo_utils.data.splits import check_splits
from halo_utils.data.tables import check_accession, is_safe, is_uniprot, read_fasta
from halo_utils.embeddings.esm2 import esm2_config, load_esm2
from halo_utils.runs import artifacts, prepare
from halo_utils.structures.alphafold import Client
from halo_utils.training.checkpoints import read_checkpoint
from halo_utils.training.fit import weights_digest

HEADER = ",ACC,Kingdom,Partition,Membrane," + ",".join(DEEPLOC) + ",Sequence"
ONE = "1.0" + ",0.0" * 9


def row(acc: str = "P1", partition: str = "0", labels: str = ONE, seq: str = "MKV") -> str:
    return f"0,{acc},Metazoa,{partition},0.0,{labels},{seq}"


def table(*rows: str, header: str = HEADER) -> bytes:
    return ("\n".join([header, *rows]) + "\n").encode()


# What stands in the file, and the message (a regular expression) that the reader must give.
DEEPLOC_FILES: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", r"f.csv is empty: fetch the file again"),
    "only white space": (b"\n \n", r"f.csv is empty: fetch the file again"),
    "no rows": (table(), r"f.csv has a header but no rows: fetch the file again"),
    "a web page": (b"<html><p>moved</p></html>\n<p>\n", r"f.csv: column\(s\) ACC, Kingdom, .* missing; found <html>"),
    "a missing column": (
        table(row(), header=HEADER.replace("Partition,", "")),
        r"column\(s\) Partition missing; found .*; expected ACC, Kingdom, Partition",
    ),
    "a renamed column": (
        table(row(), header=HEADER.replace("Golgi apparatus", "Golgi Aparatus")),
        r"Golgi apparatus \(is it called 'golgi aparatus'\?\) missing",
    ),
    "an extra column": (
        table(row() + ",1", header=HEADER + ",Vesicle"),
        r"unknown column\(s\) Vesicle; expected ACC, .*; remove the column",
    ),
    "a repeated column": (table(row() + ",1", header=HEADER + ",Nucleus"), r"column\(s\) Nucleus occur twice; remove"),
    "a short row": (table(row(), "1,P2,Metazoa,0"), r"f.csv row 3: 4 fields, the header names 16; correct the row"),
    "a long row": (table(row(seq="MKV,MKL")), r"f.csv row 2: 17 fields, the header names 16"),
    "an open quote": (table(row(seq='"MKV')), r"f.csv is not a valid CSV \(.*\): check its quotes"),
    "a partition out of range": (table(row(), row("P2", "7")), r"row 3 \(P2\): Partition is '7'; expected 0, 1, 2, 3"),
    "a partition in words": (table(row(partition="one")), r"row 2 \(P1\): Partition is 'one'; expected 0, 1, 2, 3 or"),
    "a partition missing": (table(row(partition="")), r"row 2 \(P1\): Partition is ''; expected"),
    "a label of 2": (table(row(labels="2" + ",0" * 9)), r"row 2 \(P1\): Cytoplasm is '2'; expected 0 or 1"),
    "a label of a half": (table(row(labels="0.5" + ",0" * 9)), r"Cytoplasm is '0.5'; expected 0 or 1"),
    "a label in words": (table(row(labels="yes" + ",0" * 9)), r"Cytoplasm is 'yes'; expected 0 or 1"),
    "a label missing": (table(row(labels="" + ",0" * 9)), r"Cytoplasm is ''; expected 0 or 1"),
    "a label that is NaN": (table(row(labels="1,nan" + ",0" * 8)), r"Nucleus is 'nan'; expected 0 or 1"),
    "no label anywhere": (table(row(labels="0" + ",0" * 9)), r"all 1 proteins were left out \(no location\)"),
    "an empty sequence": (table(row(seq="")), r"row 2 \(P1\): empty sequence; remove the row or fill it in"),
    "a lower-case sequence": (table(row(seq="mkv")), r"illegal residue\(s\) k m v; .* write it in upper case"),
    "a stop codon": (table(row(seq="MKV*")), r"row 2 \(P1\): illegal residue\(s\) \*; .* remove the sign of the stop"),
    "a gap": (table(row(seq="MK-V")), r"row 2 \(P1\): illegal residue\(s\) -; .* mask unknown residues as X"),
    "a space in a sequence": (table(row(seq="MK V")), r"illegal residue\(s\)  ; expected one-letter amino acids"),
    "digits in a sequence": (table(row(seq="MK1V")), r"illegal residue\(s\) 1; expected one-letter amino acids"),
    "letters of another alphabet": (table(row(seq="MKΩ")), r"illegal residue\(s\) Ω; expected one-letter"),
    "no accession": (table(row(acc="")), r"row 2 \(no accession\): accession '' is not valid: expected up to 64"),
    "an accession that climbs": (table(row(acc="../P1")), r"accession '../P1' is not valid: .* inner dots"),
    "an absolute path": (table(row(acc="/etc/passwd")), r"row 2 \(/etc/passwd\): accession '/etc/passwd' is not valid"),
    "an address": (table(row(acc="P1?x=1&y")), r"accession 'P1\?x=1&y' is not valid"),
    "an accession with a space": (table(row(acc="P1 P2")), r"accession 'P1 P2' is not valid"),
    "an accession with two sequences": (
        table(row(), row(seq="MKL")),
        r"row 3 \(P1\): accession occurs before with another sequence; keep one of the two rows",
    ),
    "an accession with other labels": (
        table(row(), row(labels="1,1" + ",0" * 8)),
        r"row 3 \(P1\): accession occurs before with other locations; keep one",
    ),
    "an accession in two partitions": (table(row(), row(partition="4")), r"row 3 \(P1\): accession occurs before with"),
    "Latin-1 bytes": (table(row()) + b"1,P2,M\xe9tazoa,0\n", r"f.csv row 3: bytes that are not UTF-8 text; save"),
    "a zero byte": (table(row(), row("P2", seq="MK\0V")), r"f.csv row 3: a zero byte, text was expected"),
    "a gzip that was cut off": (gzip.compress(table(row()))[:-12], r"f.csv is damaged or cut off \(.*\): fetch"),
    "an xz that was cut off": (lzma.compress(table(row()))[:-12], r"f.csv is damaged or cut off \(.*\): fetch"),
    "a gzip with damage": (b"\x1f\x8b" + b"\0" * 40, r"f.csv is damaged or cut off"),
}


@pytest.mark.parametrize("case", DEEPLOC_FILES)
def test_badinput_in_a_table(tmp_path: Path, case: str) -> None:
    content, message = DEEPLOC_FILES[case]
    (tmp_path / "f.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_deeploc2(tmp_path / "f.csv")


def test_badinput_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.csv not found: set HALO_DATA_DIR to the folder that holds it"):
        read_deeploc2(tmp_path / "none.csv")


def test_badinput_what_is_left_out_is_counted(tmp_path: Path) -> None:
    rows = [row("P1"), row("P1"), row("P2", labels="0" + ",0" * 9), row("P3"), row("P3"), row("P3")]
    (tmp_path / "f.csv").write_bytes(table(*rows))
    kept, dropped = read_deeploc2(tmp_path / "f.csv")
    assert kept["accession"].tolist() == ["P1", "P3"] and len(kept) + len(dropped) == len(rows)
    assert dropped.groupby("reason").size().to_dict() == {"no location": 1, "repeated accession, same sequence": 3}
    assert dropped["file"].eq("f.csv").all() and dropped["split"].eq("train").all()


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda b: b,
    "Windows line ends": lambda b: b.replace(b"\n", b"\r\n"),
    "old Mac line ends": lambda b: b.replace(b"\n", b"\r"),
    "a byte order mark": lambda b: b"\xef\xbb\xbf" + b,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "no last line end": lambda b: b.rstrip(b"\n"),
    "blank lines at the end": lambda b: b + b"\n\n",
    "quotes": lambda b: b.replace(b"MKV", b'"MKV"'),
    "everything": lambda b: gzip.compress(b"\xef\xbb\xbf" + b.replace(b"\n", b"\r\n")),
}


@pytest.mark.parametrize("case", WRAPPINGS)
def test_good_table_in_odd_wrapping_is_not_badinput(tmp_path: Path, case: str) -> None:
    (tmp_path / "f.csv").write_bytes(WRAPPINGS[case](table(row("P1"), row("P2", "4", seq="MUXBZO"))))
    kept, dropped = read_deeploc2(tmp_path / "f.csv")
    assert kept[["accession", "sequence", "split"]].to_numpy().tolist() == [
        ["P1", "MKV", "train"], ["P2", "MUXBZO", "test"]
    ]  # fmt: skip
    assert dropped.empty


def luo_files(folder: Path, **changed: str) -> list[Path]:
    """Write the four luo2024 files; ``changed`` replaces the rows of one."""
    train = "\n".join(f"A{i:02d},MKV{'A' * i},{LUO2024[i % 10]}" for i in range(100))
    rows = {"Swiss_train": train, "Swiss_test": "S1,MKL,Nucleus"}
    rows |= {"TrEMBL_independent_test": "T1,MMM,Nucleus\nT2,MMK,Secreted"}
    rows |= {"non_homology_TrEMBL_independent_test": "T2,MMK,Secreted"} | changed
    for name, body in rows.items():
        (folder / f"{name}.csv").write_text(f"Entry_ID,Sequence,label\n{body}\n")
    return [folder / f"{name}.csv" for name in rows]


LUO_FILES: dict[str, tuple[dict[str, str], str]] = {
    "an unknown label": ({"Swiss_test": "S1,MKL,Moon"}, r"Swiss_test.csv row 2 \(S1\): label 'Moon'; expected one of"),
    "an empty label": ({"Swiss_test": "S1,MKL,"}, r"Swiss_test.csv row 2 \(S1\): label ''; expected one of"),
    "N outside T": (
        {"non_homology_TrEMBL_independent_test": "X9,MMM,Nucleus"},
        r"non_homology_TrEMBL_independent_test.csv: 1 proteins such as X9 not in T",
    ),
    "too few to validate": (
        {"Swiss_train": "\n".join(f"A{i},MKV,{LUO2024[i % 10]}" for i in range(20))},
        r"Swiss_train.csv: 20 proteins are too few for a validation set with every location",
    ),
    "two sequences over files": ({"Swiss_test": "A00,MMM,Nucleus"}, r"luo2024: A00 has different sequences in two"),
    "two labels in a file": ({"Swiss_test": "S1,MKL,Nucleus\nS1,MKL,Secreted"}, r"row 3 \(S1\): .* other locations"),
}


@pytest.mark.parametrize("case", LUO_FILES)
def test_badinput_in_luo2024(tmp_path: Path, case: str) -> None:
    changed, message = LUO_FILES[case]
    with pytest.raises(DataError, match=message):
        read_luo2024(luo_files(tmp_path, **changed))


def test_badinput_in_hpa(tmp_path: Path) -> None:
    (tmp_path / "hpa.csv").write_text("sid," + ",".join(HPA) + ",Lengths,fasta\nE1,0,3,0,0,0,0,1,0,3,MKV\n")
    with pytest.raises(DataError, match=r"hpa.csv row 2 \(E1\): Cytoplasm is '3'; expected 0 or 1"):
        read_hpa(tmp_path / "hpa.csv")


FASTA_FILES: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", r"f.fasta is empty"),
    "no header": (b"MKV\n>P1\nMKV\n", r"f.fasta row 1: 'MKV.*expected a FASTA header that starts with '>'"),
    "an empty sequence": (b">P1\n>P2\nMKV\n", r"f.fasta record 1 \(P1\): empty sequence"),
    "an empty header": (b">\nMKV\n", r"f.fasta record 1 \(no accession\): accession '' is not valid"),
    "lower case": (b">P1\nmkv\n", r"record 1 \(P1\): illegal residue\(s\) k m v; .* write it in upper case"),
    "an illegal letter": (b">P1\nMKV\n>P2\nMJV\n", r"record 2 \(P2\): illegal residue\(s\) J; .* mask unknown"),
    "an accession that climbs": (b">../../P1 x\nMKV\n", r"accession '../../P1' is not valid"),
    "two sequences": (b">P1\nMKV\n>P1\nMKL\n", r"record 2 \(P1\): accession occurs before with another sequence"),
    "a cut gzip": (gzip.compress(b">P1\nMKV\n")[:-9], r"f.fasta is damaged or cut off"),
    "a table": (b"ACC,Sequence\nP1,MKV\n", r"f.fasta row 1: 'ACC,Sequence"),
}


@pytest.mark.parametrize("case", FASTA_FILES)
def test_badinput_in_fasta(tmp_path: Path, case: str) -> None:
    content, message = FASTA_FILES[case]
    (tmp_path / "f.fasta").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_fasta(tmp_path / "f.fasta")


@pytest.mark.parametrize("case", sorted(WRAPPINGS.keys() - {"quotes"}))
def test_good_fasta_in_odd_wrapping_is_not_badinput(tmp_path: Path, case: str) -> None:
    text = b">sp|P04637|P53_HUMAN Cellular tumor antigen\nMKV\nAAU\n>tag|Q1 x\nMKV\n>Q1\nMKV\n"
    (tmp_path / "f.fasta").write_bytes(WRAPPINGS[case](text))
    kept, dropped = read_fasta(tmp_path / "f.fasta")
    assert dict(kept.to_numpy().tolist()) == {"P04637": "MKVAAU", "Q1": "MKV"}
    assert dropped["reason"].tolist() == ["repeated accession, same sequence"]


START = "description: x\ndata: {dataset: synthetic}\n"
RANDOM = "backbone: {source: random, random: {layers: 1, width: 8, heads: 1}}\n"
PROFILES: dict[str, tuple[str, str]] = {
    "an unknown key": (START + RANDOM + "seeds: 3\n", "seeds: Extra inputs"),
    "two problems": (START + RANDOM + "seed: x\ngat: {layer: 3}\n", "seed: Input.*; gat.layer: Extra inputs"),
    "an unknown key in a block": (START + RANDOM + "gat: {layer: 3}\n", "gat.layer: Extra inputs"),
    "a wrong type": (START + RANDOM + "esm: {epochs: many}\n", "esm.epochs: Input should be a valid integer"),
    "a share above one": (START + RANDOM + "gat: {dropout: 1.5}\n", "gat.dropout: Input should be less than 1"),
    "no epochs": (START + RANDOM + "esm: {epochs: 0}\n", "esm.epochs: Input should be greater than or equal to 1"),
    "an infinite rate": (
        START + RANDOM + "esm: {learning_rate: .inf}\n",
        "esm.learning_rate: Input should be a finite",
    ),
    "more tokens than ESM-2 reads": (
        START + "backbone: {source: random, max_tokens: 4096, random: {layers: 1, width: 8, heads: 1}}\n",
        "backbone.max_tokens: Input should be less than or equal to 1026",
    ),
    "an unknown rule": (START + RANDOM + "gate: {rule: coin}\n", "gate.rule: Input should be 'paper'"),
    "an empty grid": (START + RANDOM + "gat: {weights: {grid_bio: []}}\n", "gat.weights.grid_bio: Tuple should have"),
    "a negative weight": (
        START + RANDOM + "gat: {weights: {grid_bio: [-1]}}\n",
        "gat.weights.grid_bio.0: Input should",
    ),
    "no device": (START + RANDOM + "compute: {devices: 0}\n", "compute.devices"),
    "an unknown data set": ("description: x\ndata: {dataset: mine}\n" + RANDOM, "data.dataset: Input should be"),
    "no data": ("description: x\n" + RANDOM, "data.dataset: Field required"),
    "a block that is no block": (START + RANDOM + "gat: 3\n", "gat: Input should be a valid dictionary"),
    "blocks for no data set": (
        START + RANDOM + "datasets: {luo: {esm: {}}}\n",
        "datasets.luo.* Input should be 'synthetic', 'deeploc2'",
    ),
    "a data set without blocks": (
        START + RANDOM + "datasets: {synthetic: 3}\n",
        "datasets.synthetic: Input should be a valid dictionary",
    ),
    "a data set's seed": (
        START + RANDOM + "datasets: {synthetic: {seed: 3}}\n",
        "datasets.synthetic.seed: Input should be a valid dictionary",
    ),
    "a data set's unknown block": (START + RANDOM + "datasets: {synthetic: {esn: {epochs: 3}}}\n", "esn: Extra inputs"),
    "a key written twice": (START + RANDOM + "seed: 1\nseed: 2\n", "not valid YAML: seed written twice"),
    "not YAML": (START + "backbone: {source: [\n", "is not valid YAML"),
    "an object to construct": (
        START + "seed: !!python/object/apply:os.system ['true']\n",
        "is not valid YAML: could not",
    ),
    "a list": ("- demo\n", "is empty or not a mapping: start from profiles/demo.yaml"),
    "nothing": ("", "is empty or not a mapping"),
    "its own name": (START + RANDOM + "run_name: ../../x\n", "sets run_name, which follows from the file's name"),
    "a random backbone without shape": (START + "backbone: {source: random}\n", "needs backbone.random"),
    "a hub id without revision": (START + "backbone: {source: facebook/esm2}\n", "needs backbone.revision"),
    "a branch for a revision": (
        START + "backbone: {source: facebook/esm2, revision: main}\n",
        "backbone.revision: String should match pattern",
    ),
}


@pytest.mark.parametrize("case", PROFILES)
def test_badinput_in_a_profile(tmp_path: Path, case: str) -> None:
    text, message = PROFILES[case]
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SettingsError, match=f"profile mine.yaml.*{message}"):
        load_settings(str(tmp_path / "mine.yaml"))


PARAMETERS: dict[str, tuple[dict[str, object], str]] = {
    "a seed in words": ({"seed": "three"}, r"seed: Input should be a valid integer \(not 'three'"),
    "a seed of a half": ({"seed": 1.5}, r"seed: Input should be a valid integer \(not 1.5"),
    "a truth value": ({"max_proteins": True}, r"data.max_proteins: Input should be a valid integer \(not True"),
    "a number for a name": ({"dataset": 2}, "data.dataset: Input should be .synthetic"),
    "an unknown data set": ({"dataset": "deeploc"}, "data.dataset: Input should be 'synthetic', 'deeploc2' or"),
    "an unknown profile": ({"profile": "dmeo"}, "unknown profile 'dmeo': use one of demo, mini, paper, quick"),
    "a seed below zero": ({"seed": -3}, "seed: Input should be greater than or equal to 0"),
    "no epochs": ({"epochs": 0}, "esm.epochs: Input should be greater than or equal to 1"),
    "a folder for a profile": ({"profile": "/"}, "unknown profile '/'"),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_badinput_in_a_parameter(case: str) -> None:
    values, message = PARAMETERS[case]
    with pytest.raises(SettingsError, match=message):
        load_settings(**({"profile": "demo"} | values))


def test_badinput_in_a_profile_name_and_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my profile.yaml").write_text(START + RANDOM)
    with pytest.raises(SettingsError, match="expected a file name of letters, digits"):
        load_settings(str(tmp_path / "my profile.yaml"))
    for lone in (["-p", "gate_rule"], ["-pgate_rule"]):
        assert main(["run", "--profile", "demo", "--notebook", "05", *lone]) == 2
        assert "-p gate_rule: expected a name and a value" in capsys.readouterr().err
    assert main(["run", "--profile", "demo", "-p", "seed", "three"]) == 2
    assert "seed: Input should be a valid integer (not 'three')" in capsys.readouterr().err


def test_badinput_a_subset_without_validation_proteins(root: Path, five_proteins: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"mine: 2 proteins, none of them in val, test; every split needs some: use mo"):
        check_splits(five_proteins[:2], "mine")
    check_splits(five_proteins, "mine")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../P1", "P1/../P2", "/P1", "P1/", "P1?a", "P1#a", "P1%2f", "P1\\a", "P1\n", "a..b", "A" * 65],
)
def test_badinput_accessions_never_reach_a_path(tmp_path: Path, name: str) -> None:
    assert not is_safe(name)
    with pytest.raises(DataError, match="is not valid: expected up to 64 letters"):
        check_accession(name)
    with pytest.raises(DataError, match="is not valid"):
        Client("http://127.0.0.1:1", tmp_path, Patience(tries=1)).outcome(name, "MKV")


@pytest.mark.parametrize("name", ["P04637", "A0A0A0MS01", "P04637-2", "Q9Y2X3"])
def test_good_accessions_are_not_badinput(name: str) -> None:
    assert is_safe(name) and is_uniprot(name) and check_accession(name) == name
    assert is_safe("ENSP00000355743") and not is_uniprot("ENSP00000355743") and is_safe("NP_001.2")


# ---- backbones and checkpoints: nothing is ever unpickled


class Bomb:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (self.path,)


def save_backbone(folder: Path, **shape: int) -> Path:
    """Save a small random ESM-2 as a Hugging Face directory."""
    EsmModel(esm2_config(**{"layers": 1, "width": 16, "heads": 2} | shape), add_pooling_layer=False).save_pretrained(
        folder
    )
    return folder


def damage(path: Path) -> None:
    """Turn one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def other_alphabet(folder: Path) -> None:
    config = esm2_config(1, 16, 2)
    config.vocab_size = 30
    EsmModel(config, add_pooling_layer=False).save_pretrained(save_backbone(folder))


def pickled(folder: Path) -> None:
    (save_backbone(folder) / "model.safetensors").unlink()
    torch.save({"x": Bomb(folder / "exploded")}, folder / "pytorch_model.bin")


def truncated(folder: Path) -> None:
    path = save_backbone(folder) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])


BACKBONES: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty directory": (lambda p: p.mkdir(), "lacks config.json, model.safetensors: expected what save_pretrained"),
    "no configuration": (lambda p: (save_backbone(p) / "config.json").unlink(), "lacks config.json: expected what"),
    "pickled weights": (pickled, "lacks model.safetensors: .*pytorch_model.bin is not read, because a pickle can run"),
    "cut weights": (truncated, "could not be loaded: .*Expected an ESM-2 on the Hugging Face hub"),
    "another alphabet": (other_alphabet, "has 30 tokens and rotary positions; expected an ESM-2 with 33 tokens"),
    "a damaged configuration": (lambda p: (save_backbone(p) / "config.json").write_text("{"), "could not be loaded"),
}


@pytest.mark.parametrize("case", BACKBONES)
def test_badinput_in_a_backbone_directory(tmp_path: Path, case: str) -> None:
    make, message = BACKBONES[case]
    make(tmp_path / "model")
    with pytest.raises(SettingsError, match=f"backbone.*{message}"):
        load_esm2(str(tmp_path / "model"))
    assert not (tmp_path / "model" / "exploded").exists()


def test_good_backbone_directory_and_its_key(tmp_path: Path) -> None:
    good = load_esm2(str(save_backbone(tmp_path / "model")))
    assert good.config.num_hidden_layers == 1
    before = weights_digest(good)
    damage(tmp_path / "model" / "model.safetensors")
    assert weights_digest(load_esm2(str(tmp_path / "model"))) != before  # other bytes, other caches


def test_badinput_a_backbone_without_some_of_its_weights(tmp_path: Path) -> None:
    path = save_backbone(tmp_path / "model") / "model.safetensors"
    weights = load_file(path)
    del weights["encoder.layer.0.output.dense.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(SettingsError, match="no weights for encoder.layer.0.output.dense.weight"):
        load_esm2(str(tmp_path / "model"))


def test_badinput_a_hub_backbone_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SettingsError, match="backbone 'nobody/nothing' could not be loaded: .*reachable or cached"):
        load_esm2("nobody/nothing", revision="a" * 40)


def test_badinput_a_malicious_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "callbacks": Bomb(tmp_path / "exploded")}, tmp_path / "epoch=00.ckpt")
    with pytest.raises(TrainingError, match="epoch=00.ckpt is damaged or not a checkpoint of this project"):
        read_checkpoint(tmp_path / "epoch=00.ckpt")
    assert not (tmp_path / "exploded").exists()


def test_badinput_a_damaged_table_of_an_earlier_notebook(root: Path, tiny_profile: Path) -> None:
    settings = load_settings(str(tiny_profile))
    artifacts.save_table(settings, prepare.read_inputs(settings).table)
    damage(settings.paths.dataset)
    with pytest.raises(HaloError, match="dataset.parquet is damaged .*: run notebook 01_data_preparation"):
        artifacts.load_table(settings)


def test_badinput_list_is_long_enough() -> None:
    lists = [DEEPLOC_FILES, LUO_FILES, FASTA_FILES, PROFILES, PARAMETERS, BACKBONES]
    assert sum(len(cases) for cases in lists) >= 40
