"""The repository keeps its word: README commands and links exist, no pickle, no machine path, one licence."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pandas as pd
import pytest

from halo_utils.commands.run import notebooks, related_notebooks
from halo_utils.core.paths import REPOSITORY, RunPaths
from halo_utils.evaluation.systems import TITLES
from tools import first_screen, opening, report
from tools.pairs import MACHINE_PATH
from tools.readme import fill

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DOCUMENTS = ["README.md", "RUNNING.md", "CONTRIBUTING.md", "data/README.md", "data/results/README.md"]
DOCUMENTS += ["data/results/structure.md", "benchmarks/README.md"]
MOST_LINES_OF_README = 150
PACKAGE = sorted(p for room in ("halo_utils", "benchmarks", "tools") for p in (REPOSITORY / room).rglob("*.py"))


def tracked() -> list[Path]:
    done = subprocess.run(["git", "-C", str(REPOSITORY), "ls-files"], capture_output=True, text=True)
    if done.returncode or not done.stdout:
        pytest.skip("not a git checkout")
    return [REPOSITORY / name for name in done.stdout.split("\n") if name and (REPOSITORY / name).is_file()]


def commands() -> list[str]:
    text = README + (REPOSITORY / "RUNNING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", text, re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip() and line[0] != "#"]


def test_readme_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    used = {c.split()[1] for c in commands() if c.startswith("make ")} | set(re.findall(r"`make ([a-z]+)`", README))
    assert {"run", "test"} <= used <= targets


def test_readme_modules_and_notebooks_exist() -> None:
    for command in commands():
        for module in re.findall(r"python -m ((?:benchmarks|tools)\.[\w.]+)", command):
            assert (REPOSITORY / f"{module.replace('.', '/')}.py").is_file(), command
        for notebook in re.findall(r"notebooks/\S+\.ipynb", command):
            assert (REPOSITORY / notebook).is_file(), command


@pytest.mark.parametrize("verb", ["run", "fetch", "train", "pretrain", "export-model", "summary"])
def test_verbs_explain_themselves(verb: str) -> None:
    done = subprocess.run([sys.executable, "-m", "halo_utils", verb, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--profile" in done.stdout


def test_notebooks_import_the_package_and_nothing_else_of_the_repository() -> None:
    """JupyterLab and nbval start a notebook in its own folder, where only what is installed can be imported."""
    sources = [*(REPOSITORY / "notebooks").rglob("[0-9A]*.py")]
    lines = [line for path in sources for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(sources) == 14 and not [
        line for line in lines if re.match(r"\s*(from|import) (tools|benchmarks|tests)\b", line)
    ]


def test_notebooks_that_do_not_train_load_no_network_library() -> None:
    sources = [path.with_suffix(".py") for path in notebooks() if path.stem[:2] in ("01", "03", "05", "06")]
    nodes = [node for path in sources for node in ast.parse(path.read_text(encoding="utf-8")).body]
    imports = [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    imports.append("import sys; print(*sys.modules)")
    done = subprocess.run([sys.executable, "-c", "\n".join(imports)], capture_output=True, text=True, check=True)
    assert len(sources) == 4 and not {"torch", "transformers", "lightning"} & set(done.stdout.split())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_relative_links_exist(document: str) -> None:
    path = REPOSITORY / document
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text) + re.findall(r'<img src="([^":]+)"', text)
    broken = [link for link in links if not (path.parent / link).exists()]
    assert not broken


def test_readme_is_one_page_whose_first_screen_shows_the_method_and_the_command() -> None:
    lines = README.splitlines()
    first = "\n".join(lines[:32])
    assert len(lines) <= MOST_LINES_OF_README and "fig1_halo.png" in first and "make run" in first


def test_badges_lead_to_the_published_address_and_to_files_that_exist() -> None:
    shown = first_screen.badges(opening.repository())
    assert shown in README and first_screen.start(opening.repository()) in README
    owner = opening.repository().removeprefix("https://github.com/")
    (notebook,) = re.findall(rf"colab\.research\.google\.com/github/{owner}/blob/main/(\S+?)\)", shown)
    (workflow,) = set(re.findall(rf"{owner}/actions/workflows/([\w.]+)", shown))
    (folder,) = re.findall(rf"mybinder\.org/v2/gh/{owner}/main\?urlpath=lab/tree/(\w+)", shown)
    assert all((REPOSITORY / p).exists() for p in (notebook, f".github/workflows/{workflow}", folder, "LICENSE"))


def test_readme_mentions_every_notebook() -> None:
    assert len(notebooks()) == 8
    assert all(path.stem in README for path in notebooks() + related_notebooks())


def test_no_pickle_is_read_or_written() -> None:
    forbidden = re.compile(
        r"import pickle|pickle\.load|joblib|read_pickle|to_pickle|allow_pickle=True|weights_only=False"
    )
    assert [p.name for p in PACKAGE if forbidden.search(p.read_text(encoding="utf-8"))] == []
    loads = [line for p in PACKAGE for line in p.read_text(encoding="utf-8").splitlines() if "torch.load(" in line]
    assert loads and all("weights_only=True" in line for line in loads)


def test_nothing_tracked_shows_a_machine_path_or_a_real_sequence() -> None:
    sequence = re.compile(r"[ACDEFGHIKLMNPQRSTVWY]{200,}")
    for path in tracked():
        if path.suffix in {".png", ".safetensors"} or path.name == Path(__file__).name:
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix in {".ipynb", ".json", ".csv", ".md"}:
            assert not MACHINE_PATH.search(text), path.name
        outside_images = re.sub(r'"image/png": "[^"]*"', "", text)
        assert not sequence.search(outside_images), path.name


def test_tracked_files_are_small() -> None:
    weights = REPOSITORY / "data" / "checkpoints"
    large = [p.name for p in tracked() if p.stat().st_size > (16e6 if p.is_relative_to(weights) else 2e6)]
    assert large == []


# Every room of the package, and the rooms it may import from; evaluation reads settings nowhere, models need no data.
LEFT_OF_MODELS = {"core", "embeddings", "models"}
LEFT_OF_EVALUATION = LEFT_OF_MODELS | {"data", "structures", "evaluation"}
SETTINGS = {"config", "profile"}
LEFT_OF_RUNS = LEFT_OF_EVALUATION | SETTINGS
ARROWS = {
    "core": {"core"},
    "data": {"core", "data"},
    "profile": {"core", "data", "profile"},
    "config": {"core", "data"} | SETTINGS,
    "embeddings": {"core", "data", "embeddings"},
    "structures": {"core", "data", "embeddings", "structures"},
    "models": LEFT_OF_MODELS,
    "evaluation": LEFT_OF_EVALUATION,
    "training": LEFT_OF_RUNS | {"training"},
    "figures": LEFT_OF_EVALUATION | {"figures"},
    "pretraining": LEFT_OF_RUNS | {"training", "pretraining"},
    "attribution": LEFT_OF_RUNS | {"training", "attribution"},
    "runs": LEFT_OF_RUNS | {"training", "pretraining", "attribution", "runs"},  # a recipe calls training
    "commands": LEFT_OF_RUNS | {"training", "attribution", "figures", "runs", "pretraining", "commands"},
    "__main__": LEFT_OF_RUNS | {"training", "attribution", "figures", "runs", "pretraining", "commands"},
}
MOST_LINES, MOST_LINES_OF_A_MODULE, MOST_ROOMS = 18300, 260, 14


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    files = sorted((REPOSITORY / "halo_utils").rglob("*.py"))
    names = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in files]
    return {name.removesuffix(".__init__"): path for name, path in zip(names, files, strict=True)}


def imports() -> dict[str, set[str]]:
    """Return module -> modules of the package that it imports anywhere, also inside functions."""
    known, found = modules(), {}
    for name, path in known.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names} & set(known)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name} imports by dots"
                members = {f"{node.module}.{alias.name}" for alias in node.names} & set(known)
                found[name] |= members or ({node.module} & set(known))
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "halo_utils"


def test_rooms_import_one_way() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, others in imports().items()
        for other in others
        if room(name) != "halo_utils" and room(other) not in ARROWS[room(name)]
    ]
    assert sorted(wrong) == []


def test_no_module_imports_itself_through_others() -> None:
    TopologicalSorter(imports()).prepare()  # raises CycleError, which names the circle


def test_there_are_few_rooms_and_none_hides_imports() -> None:
    rooms = {path.parent for path in modules().values() if path.name == "__init__.py"} - {REPOSITORY / "halo_utils"}
    assert len({path for path in rooms if path.parent == REPOSITORY / "halo_utils"}) <= MOST_ROOMS
    for path in (path for path in modules().values() if path.name == "__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree) and not re.search(r"^\s*(from|import) ", ast.unparse(tree.body[1:]), re.M), path


def test_module_sizes() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE}
    assert {path.name: n for path, n in lines.items() if n > MOST_LINES_OF_A_MODULE} == {}
    assert sum(n for path, n in lines.items() if path.is_relative_to(REPOSITORY / "halo_utils")) <= MOST_LINES


def test_fill_replaces_marked_blocks(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("x\n<!-- t -->\nold\n<!-- /t -->\ny\n")
    fill(document, {"t": "new"})
    fill(document, {"t": "new"})
    assert document.read_text() == "x\n<!-- t -->\n\nnew\n\n<!-- /t -->\ny\n"
    with pytest.raises(Exception, match="has no <!-- z -->"):
        fill(document, {"z": "new"})


def test_luo_seeds_stand_in_the_order_of_table_4(root: Path) -> None:
    paths = RunPaths("luo2024-x").make()
    rows = [(split, s, m) for split in ("N", "S") for s in report.SHORT for m in report.LUO_METRICS]
    table = pd.DataFrame(rows, columns=["split", "system", "metric"]).assign(label="", seeds=3)
    table = table.assign(mean=0.5, sd=0.1, lowest=0.4, highest=0.625)
    table.loc[(table["split"] == "S") & (table["system"] == "esm"), "mean"] = 0.55
    table.loc[table["system"] == "gat_weighted", "seeds"] = 2
    table.to_csv(paths.results / "seeds.csv", index=False)
    lines = report.luo_seeds_table(paths).splitlines()
    assert lines[0] == "| system | seeds | metric, mean ± SD (range) | S | N |"
    spread = "0.550 ± 0.100 (0.400 to 0.625) | 0.500 ± 0.100 (0.400 to 0.625)"
    assert f"| fine-tuned ESM | 3 | Macro F1 | {spread} |" in lines
    left_out = TITLES["gat_weighted"]
    assert lines[-1] == f"Fewer than 3 seeds have been run of: {left_out}."
    assert not any(left_out in line for line in lines[:-1])
    table.assign(seeds=1).to_csv(paths.results / "seeds.csv", index=False)
    assert report.luo_seeds_table(paths) == "1 seed has been run; a mean and a range over seeds need 3 or more."
