"""The profiles that download, end to end against a local server: tables, structures, backbone, the notebooks."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import gemmi
import pandas as pd
import pytest
import yaml
from transformers import EsmModel

from halo_utils.core.paths import PROFILES, REPOSITORY
from halo_utils.data.locations import DEEPLOC, HPA
from halo_utils.data.registry import measure
from halo_utils.data.synthetic.proteome import make_proteome, write_structures
from halo_utils.embeddings.esm2 import esm2_config
from halo_utils.structures.reader import structure_index
from tests.models import text
from tests.server import Server, serving
from tests.warm import PYTHON

NAME, HPA_NAME = "deeploc2/Swissprot_Train_Validation_dataset.csv", "deeploc2/hpa_testset.csv"
PARTITION = {"train": 0, "val": 3, "test": 4}
# What is shrunk in a shipped profile; everything else, hub id and pinned revision included, stays as it is.
SHRUNK = {
    "data": {"max_proteins": 70},
    "esm": {"epochs": 2, "tokens_per_batch": 4096},
    "gat": {"hidden": 4, "heads": 2, "layers": 2, "epochs": 2, "nodes_per_batch": 4000, "hybrid": False},
    "evaluation": {"bootstrap": 20},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server with DeepLoc's table, AlphaFold DB and a hub, all made from the synthetic proteome."""
    folder = tmp_path_factory.mktemp("world")
    table, folds = make_proteome(120, seed=5)
    write_structures(table, folds, folder / "models", seed=5)
    names = {a: f"P{i:05d}" for i, a in enumerate(table["accession"])}
    csv = pd.DataFrame({"ACC": table["accession"].map(names), "Kingdom": "Metazoa"})
    csv["Partition"] = table["split"].map(PARTITION)
    csv = csv.join(table[list(DEEPLOC)].astype(float)).assign(Membrane=0.0, Sequence=table["sequence"])
    body = csv.to_csv().encode()
    (folder / "published.csv").write_bytes(body)
    content = measure(folder / "published.csv", ("ACC", "Partition", *DEEPLOC, "Sequence"))
    other = make_proteome(60, seed=6)[0]
    hpa = other[list(HPA)].assign(sid=[f"ENSP{i:011d}" for i in range(len(other))], fasta=other["sequence"])
    with serving() as server:
        known = {"what": "test", "licence": "none", "citation": "none"}
        listed = known | {"address": server.add("/data.csv", body, faults=["busy", "cut"])}
        listed["content"] = json.loads(content.model_dump_json())
        body = hpa.to_csv(index=False).encode()
        second = known | {"address": server.add("/hpa.csv", body), "sha256": hashlib.sha256(body).hexdigest()}
        services = {"alphafold": known | {"addresses": [f"{server.address}/api/prediction"]}}
        services["human"] = known | {"addresses": [f"{server.address}/latest/UP000005640_9606_HUMAN_v6.tar"]}
        sources = {"files": {NAME: listed, HPA_NAME: second}, "structures": services}
        sources["backbones"] = {name: known | values for name, values in add_hub(server, folder).items()}
        (folder / "sources.yaml").write_text(yaml.safe_dump(sources))
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as file:
            for path in sorted((folder / "models").glob("*.pdb")):
                model = gemmi.read_structure(str(path))
                server.add_prediction(names[path.stem], text(model), faults=["cut"] if path.stem[-1] == "7" else [])
                content = gzip.compress(text(model))
                member = tarfile.TarInfo(f"AF-{names[path.stem]}-F1-model_v6.cif.gz")
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
        server.add("/latest/UP000005640_9606_HUMAN_v6.tar", archive.getvalue())
        yield server, folder


def add_hub(server: Server, folder: Path) -> dict[str, dict[str, str]]:
    """Serve the backbone of ``quick`` under its id and revision, in its shape; return what a list of sources says."""
    backbone = yaml.safe_load((PROFILES / "quick.yaml").read_text())["backbone"]
    EsmModel(esm2_config(6, 320, 20), add_pooling_layer=False).save_pretrained(folder / "hub")
    files = {f"/{backbone['source']}/resolve/{backbone['revision']}": folder / "hub"}
    for path, own in files.items():
        for file in own.iterdir():
            tag = hashlib.sha256(file.read_bytes()).hexdigest()
            headers = {"X-Repo-Commit": backbone["revision"], "ETag": f'"{tag}"'}
            server.add(f"{path}/{file.name}", file.read_bytes(), headers=headers)
    weights = hashlib.sha256((folder / "hub" / "model.safetensors").read_bytes()).hexdigest()
    return {backbone["source"]: {"revision": backbone["revision"], "sha256": weights}}


def shrink(name: str, folder: Path, backbone: dict[str, object]) -> Path:
    """Write a shipped profile, shrunk, under its own name."""
    profile = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    for block, values in SHRUNK.items():
        profile[block] = profile.get(block, {}) | values
    profile["backbone"] |= backbone
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(profile))
    return folder / f"{name}.yaml"


def call(module: str, root: Path, world: tuple[Server, Path], *arguments: str) -> subprocess.CompletedProcess:
    server, folder = world
    hidden = ("HALO_DATA_DIR", "HF_HUB_OFFLINE", "HALO_OFFLINE")
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | {"TQDM_DISABLE": "1"}
    environment |= {"HALO_ROOT": str(root), "HALO_SOURCES": str(folder / "sources.yaml")}
    environment |= {"HF_ENDPOINT": server.address, "HF_HOME": str(root / "hub")}
    command = [*PYTHON, "-m", "halo_utils", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)


def test_download_profile_quick_from_fetch_to_the_last_notebook(world: tuple[Server, Path], tmp_path: Path) -> None:
    server, _ = world
    root, profile = tmp_path / "root", str(shrink("quick", tmp_path / "profiles", {}))
    done = call("fetch", root, world, "--profile", profile)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "structures of 70 proteins: found" in done.stdout and ", failed 0, mismatched 0; each one is" in done.stdout
    assert "backbone facebook/esm2_t6_8M_UR50D: on this machine" in done.stdout
    server.log.clear()
    done = call("run", root, world, "--profile", profile)
    assert done.returncode == 0, done.stderr[-3000:]
    asked = [path for path in server.counts if "resolve" not in path and path != "/api/agent-harnesses"]
    assert asked == []  # everything came with the fetch; the hub is only asked whether its files changed
    results = root / "data" / "results" / "deeploc2-quick-70"
    assert len(pd.read_csv(results / "table2.csv")) == 51
    audit = pd.read_csv(results / "audit_structures.csv").groupby("status")["proteins"].sum()
    assert audit["matched"] > 20 and audit.sum() == 70
    record = json.loads((results / "provenance" / "02_esm_finetuning.json").read_text())
    assert record["profile"]["backbone"]["revision"] == "c731040fcd8d73dceaa04b0a8e6329b345b0f5df"
    done = call("fetch", root, world, "--verify")
    assert done.returncode == 0 and "2 of 2 files are here, 0 problem(s)" in done.stdout
    assert "sources.yaml" not in call("fetch", root, world, "--status").stderr


def test_download_profile_paper_with_a_backbone_directory(world: tuple[Server, Path], tmp_path: Path) -> None:
    """Without a fetch before: notebooks 01 and 02 download what they need; the hub is never asked."""
    server, _ = world
    EsmModel(esm2_config(3, 32, 2), add_pooling_layer=False).save_pretrained(tmp_path / "backbone")
    profile = str(shrink("paper", tmp_path / "profiles", {"source": str(tmp_path / "backbone"), "revision": None}))
    server.log.clear()
    for notebook in ("01", "02"):
        done = call("run", tmp_path / "root", world, "--profile", profile, "--notebook", notebook)
        assert done.returncode == 0, done.stderr[-3000:]
    assert server.counts["/data.csv"] >= 1 and not any("resolve" in path for path in server.counts)
    assert structure_index([tmp_path / "root" / "data" / "raw" / "structures"])
    assert (tmp_path / "root" / "data" / "results" / "deeploc2-paper-70" / "metrics_sequence.csv").is_file()


def test_download_of_structures_from_the_human_archive(world: tuple[Server, Path], tmp_path: Path) -> None:
    profile = str(shrink("paper", tmp_path / "profiles", {}))
    arguments = ["--profile", profile, "--only", "structures", "--structures-from", "human"]
    done = call("fetch", tmp_path / "root", world, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "structures copied to data/raw/structures for 70 proteins" in done.stdout
    assert len(structure_index([tmp_path / "root" / "data" / "raw" / "structures"])) > 20
    fasta = tmp_path / "mine.fasta"
    fasta.write_text(">P00001\nMKV\n>P99999\nMKL\n")
    done = call("fetch", tmp_path / "root", world, "--only", "structures", "--fasta", str(fasta))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "structures of 2 proteins: found 0, none 1, failed 0, mismatched 1" in done.stdout


def test_download_of_a_changed_table_stops_the_run(world: tuple[Server, Path], tmp_path: Path) -> None:
    server, _ = world
    profile = str(shrink("quick", tmp_path / "profiles", {}))
    whole = server.pages["/data.csv"].body
    server.pages["/data.csv"].body = b"\n".join(whole.splitlines()[:50])
    try:
        done = call("fetch", tmp_path / "root", world, "--profile", profile, "--only", "tables")
    finally:
        server.pages["/data.csv"].body = whole
    assert done.returncode == 2
    assert f"error: {NAME}: rows are 49, the published file has" in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "root").rglob("*.csv"))


def test_download_of_a_backbone_with_other_weights_is_refused(world: tuple[Server, Path], tmp_path: Path) -> None:
    server, folder = world
    profile = str(shrink("quick", tmp_path / "profiles", {}))
    backbone = yaml.safe_load((PROFILES / "quick.yaml").read_text())["backbone"]
    page = server.pages[f"/{backbone['source']}/resolve/{backbone['revision']}/model.safetensors"]
    weights, tag = page.body, page.headers["ETag"]
    page.body = weights[:-1] + bytes([weights[-1] ^ 1])
    page.headers["ETag"] = f'"{hashlib.sha256(page.body).hexdigest()}"'
    try:
        done = call("fetch", tmp_path / "root", world, "--profile", profile, "--only", "backbone")
    finally:
        page.body, page.headers["ETag"] = weights, tag
    assert done.returncode == 2 and "model.safetensors has sha256" in done.stderr and "Traceback" not in done.stderr
