"""The generated blocks of README.md and of the pages it leads to, and the page on structure, for authors.

Numbers reach the documents only through here, between ``<!-- name -->`` and ``<!-- /name -->`` marks.
"""

import re
import sys
from pathlib import Path

from halo_utils.core.errors import HaloError
from halo_utils.core.files import write_text
from halo_utils.core.paths import REPOSITORY, RunPaths, data_dir
from halo_utils.runs.in_short import confidence_sentence
from tools import first_screen, ledger, opening, report, statements, structure_page
from tools.bench_page import bench_table, demo_times, memory_of_predict, unirep_checks
from tools.data_card import matches_here, sources_table, structures_summary
from tools.exit_code import exit_code
from tools.predict_example import block


def fill(path: Path, blocks: dict[str, str]) -> None:
    """Replace the text between the marks of every block in a Markdown file.

    Raises:
        HaloError: if a mark is missing.
    """
    text = path.read_text(encoding="utf-8")
    for name, content in blocks.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise HaloError(
                f"{path.name} has no <!-- {name} --> ... <!-- /{name} --> marks: add them where the table goes"
            )
        text = pattern.sub(lambda found, content=content: f"{found[1]}\n{content}\n\n{found[2]}", text)
    write_text(path, text)


def deeploc_blocks(run: RunPaths) -> dict[str, str]:
    """Return the results page's blocks about the DeepLoc 2.0 run."""
    results = f"{report.results_table(run)}\n\n{statements.protocol_note()}"
    read = " ".join(filter(None, (statements.read_sentence(run), statements.corpus_sentence(run))))
    declared = f"{statements.deviation_sentence(run)}\n\n{statements.gat_note(run)}"
    blocks = {
        "facts": f"{statements.run_facts(run)} {statements.gate_sentence(run)}\n\n{statements.profile_note(run)}",
        "results": results,
        "claims": report.claims_table(run),
    }
    blocks |= {"reading": f"{read}\n\n{declared}"}
    page = f"[{structure_page.TITLE}](structure.md) reads all runs, on both grounds and over seeds."
    structures = f"{report.structures_table(run)}\n\n{page}"
    blocks |= {"confidence": confidence_sentence(run), "structures": structures}
    hpa = f"{statements.matches_sentence(run, 'hpa')}\n\n{report.results_table(run, 'hpa', published=False)}"
    return blocks | {"hpa": hpa, "seeds": report.seeds_table(run)}


def luo_blocks(run: RunPaths) -> dict[str, str]:
    """Return the results page's blocks about the luo2024 run."""
    facts = f"{statements.run_facts(run)} {statements.gate_sentence(run)} {statements.leak_sentence(run)}"
    facts = f"{facts}\n\n{statements.profile_note(run)}"
    return {"luo": f"{facts}\n\n{report.luo_table(run)}", "luo_seeds": report.luo_seeds_table(run)}


MAIN_RUN = "deeploc2-mini"  # the one whose tables README shows
BACKBONE_CARD = REPOSITORY / "data" / "checkpoints" / "halo-mini" / "README.md"  # of the model those runs start from
RUNS = {"deeploc2-mini": deeploc_blocks, "luo2024-mini": luo_blocks}  # the committed runs that the results page shows


def _counted(run: RunPaths) -> bool:
    """Return whether a run says how much of its proteins was read."""
    return (run.results / "read_share.csv").is_file()


def write_documents() -> None:
    """Write the generated blocks of the documents; those about a run without results stay as they are."""
    blocks = {}
    for name, make in RUNS.items():
        run = RunPaths(name)
        blocks |= make(run) if (run.results / "metrics.csv").is_file() else {}
    structure_page.write_page()
    table = ledger.write_ledger()
    fill(REPOSITORY / "data" / "results" / "README.md", blocks | {"ledger": ledger.page_block(table)})
    bench = RunPaths("bench").results
    bench_parts = (bench_table, demo_times, memory_of_predict, unirep_checks)
    fill(
        REPOSITORY / "benchmarks" / "README.md",
        {"bench": "\n\n".join(filter(None, (part(bench) for part in bench_parts)))},
    )
    first = first_screen.blocks(RunPaths(MAIN_RUN), opening.repository(), table)
    fill(REPOSITORY / "README.md", first | {"predicted": block()})
    card = {"sources": sources_table()}
    if (folder := data_dir()) is not None:
        card |= {"structures": structures_summary(folder / "structures" / "files"), "matches": matches_here()}
        fill(REPOSITORY / "data" / "results" / "README.md", {"matches": card["matches"]})
    fill(REPOSITORY / "data" / "README.md", card)
    audited = [run for run in map(RunPaths, RUNS) if (run.results / "audit_leakage.csv").is_file()]
    read = [f"In `{run.name}`: {statements.read_sentence(run)}" for run in audited if _counted(run)]
    fill(BACKBONE_CARD, {"seen": "\n\n".join([report.corpus_table(audited), *read])})


def main() -> int:
    """Write the documents; return the exit code."""
    return exit_code(write_documents)


if __name__ == "__main__":
    sys.exit(main())
