"""The rules of the house that a machine can hold: budgets, layers, hygiene."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "operator" / "readiness"
MODULES = sorted(SOURCE.rglob("*.py"))
COMPOSITION_ROOTS = {
    "__main__.py",
    "run.py",
    "plan.py",
    "judgement.py",
    "drilling.py",
    "restoring.py",
    "saving.py",
    "drilled.py",
    "drill_target.py",
}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_the_source_root_does_not_shadow_the_standard_library():
    assert not (ROOT / "operator" / "__init__.py").exists()
    code = "import operator; assert operator.eq(1, 1)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_stay_small_and_say_why_they_exist(path: Path):
    text = path.read_text(encoding="utf-8")
    module = tree(path)

    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(module), "a module says why it exists and what it must not know"


def test_the_median_module_is_small():
    sizes = [len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES]

    assert statistics.median(sizes) <= 150


def test_functions_stay_small():
    sizes = {}
    for path in MODULES:
        for function in functions(tree(path)):
            sizes[f"{path.relative_to(SOURCE)}:{function.name}"] = code_lines(function)

    assert {k: v for k, v in sizes.items() if v > 40} == {}
    assert statistics.quantiles(sizes.values(), n=10)[8] <= 25


def test_every_function_is_annotated():
    bare = []
    for path in MODULES:
        for function in functions(tree(path)):
            arguments = [*function.args.args, *function.args.kwonlyargs, *function.args.posonlyargs]
            unannotated = [
                a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")
            ]
            if function.returns is None or unannotated:
                bare.append(f"{path.name}:{function.name}")

    assert bare == []


def test_exceptions_to_the_linters_are_few_and_have_reasons():
    found = []
    for path in MODULES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"#\s*(type: ignore|noqa)", line):
                found.append((f"{path.name}:{number}", line))

    assert [
        w
        for w, line in found
        if not re.search(r"(type: ignore\[[a-z-]+\]|noqa: [A-Z0-9]+)\s*(--|#)\s*\S", line)
    ] == []
    assert len(found) <= 10, found


def test_broad_excepts_are_two():
    found = []
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                name = ast.unparse(node.type) if node.type else "bare"
                if name in ("bare", "Exception", "BaseException"):
                    found.append(path.name)

    assert sorted(found) == ["judgement.py", "scheduler.py"]


def test_what_tests_import_by_its_bare_name_is_there_once():
    """Of two modules of one name, as in tests/hold and e2e, a process imports one: suites that run together would not be collected."""
    paths = [path for folder in ("tests", "e2e") for path in (ROOT / folder).rglob("*.py")]
    roots = {
        path.parent
        for path in paths
        if path.name == "conftest.py" and "sys.path" in path.read_text(encoding="utf-8")
    }
    stems = Counter(path.stem for path in paths if path.parent in roots)
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for node in ast.walk(tree(path))
        for name in imported(node)
        if stems[name] > 1
    ]

    assert found == []


def imported(node: ast.AST) -> list[str]:
    """The modules that a statement imports by their bare names."""
    if isinstance(node, ast.ImportFrom):
        return [node.module] if node.module and not node.level else []
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_models_are_imported_where_objects_are_read():
    """At the top of any other module they, and pydantic, cost a short command more than its work."""
    light = {
        "readiness.api",
        "readiness.api.durations",
        "readiness.api.plain",
    }
    found = [
        f"{path.relative_to(SOURCE)}: {node.module}"
        for path in MODULES
        if path.parent.name != "api"
        and path.name not in ("crd.py", "drilled.py", "drill_target.py")
        for node in tree(path).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("readiness.api")
        if node.module not in light
    ]

    assert found == [], "import it under TYPE_CHECKING, or inside the function that needs it"


def test_nothing_in_the_api_names_a_namespace():
    pattern = re.compile(r"^\s+(\w*namespace\w*): ", re.MULTILINE)
    found = [
        name
        for p in sorted((SOURCE / "api").glob("*.py"))
        for name in pattern.findall(p.read_text())
    ]

    assert found == ["namespace_selector"]


def test_the_layers_are_drawn_as_they_are_checked():
    drawn = (ROOT / "ARCHITECTURE.md").read_text().partition("```text\n__main__")[2].partition("```")[0]  # fmt: skip
    words = re.sub(r"── .*|\([\w ]+\)", "", f"__main__{drawn}").split(">")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]  # fmt: skip
    (layers,) = [each["layers"] for each in contracts if each["type"] == "layers"]

    assert [sorted(each.replace("|", " ").split()) for each in words] == [
        sorted(each.replace("|", " ").split()) for each in layers
    ]


def test_commits_carry_no_machine_paths_or_private_hosts():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    bad = []
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in (".lock", ".sum", ".png") or not path.is_file() or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if re.search(r"/work/(main|shared|\.)|\.\./shared", text):
            bad.append(name)

    assert bad == []
