"""Every notebook calls halo_utils as it is: a name or an argument may change, and no test runs all notebooks."""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.pairs import sources


def imported(tree: ast.Module) -> dict[str, object]:
    """Return what a source imports from halo_utils, by the name it has there."""
    found = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("halo_utils"):
            continue
        module = importlib.import_module(node.module)
        for alias in node.names:
            if not hasattr(module, alias.name):
                importlib.import_module(f"{node.module}.{alias.name}")
            found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


def resolved(node: ast.expr, known: dict[str, object]) -> object:
    """Return what a name or an attribute of a module or class is, None where a variable of the notebook comes first."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and (owner := resolved(node.value, known)) is not None:
        assert hasattr(owner, node.attr) or inspect.isclass(owner), (
            f"line {node.lineno}: {ast.unparse(node)} is not there"
        )
        return getattr(owner, node.attr, None)
    return None


def signature_of(function: Callable) -> inspect.Signature | None:
    """Return what a function takes; None where it does not say, as built-in ones and exceptions."""
    try:
        return inspect.signature(function)
    except ValueError:
        return None


def wrong_calls(text: str) -> Iterator[str]:
    """Yield the calls of a source that their function would refuse; arguments in ``*`` and ``**`` may be any."""
    tree = ast.parse(text)
    known = imported(tree)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = resolved(call.func, known)
        if not callable(function) or (signature := signature_of(function)) is None:
            continue
        starred = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)
        try:
            args = [None for a in call.args if not isinstance(a, ast.Starred)]
            named = {k.arg: None for k in call.keywords if k.arg is not None}
            (signature.bind_partial if starred else signature.bind)(*args, **named)
        except TypeError as error:
            yield f"line {call.lineno}: {ast.unparse(call)[:80]}: {error}"


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_a_notebook_calls_what_is_there_as_it_is(source: Path) -> None:
    assert list(wrong_calls(source.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("halo_gate()", "missing a required argument"),
        ("halo_gate(1, 2, 3, esm_treshold=0.5, gat_threshold=0.5)", "esm_t"),
        ("gate.halo_gate(*three, treshold=0.5)", "unexpected keyword argument 'treshold'"),
    ],
)
def test_a_call_that_is_refused_is_seen(call: str, said: str) -> None:
    imports = "from halo_utils.models import gate\nfrom halo_utils.models.gate import halo_gate\n"
    assert re.search(said, "; ".join(wrong_calls(imports + call)))


def test_a_name_that_is_gone_is_seen() -> None:
    with pytest.raises(AssertionError, match="line 2: gate.veto is not there"):
        list(wrong_calls("from halo_utils.models import gate\ngate.veto(1)"))
    with pytest.raises(ImportError):
        list(wrong_calls("from halo_utils.models.gate import veto"))
