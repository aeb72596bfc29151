"""Imports go downwards only: the table is the one that CONTRIBUTING.md shows, so that the map is never older than the code."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "automl")
HEAVY = (
    "torch",
    "ray",
    "optuna",
    "pandas",
    "sklearn",
    "scipy",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "pyarrow",
    "rich",
    "tokenizers",
    "typer",
)


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def table() -> dict[str, int]:
    """Return the layer of each module, counted from the lowest: the rows of the tables in CONTRIBUTING.md, from the top."""
    layers: dict[str, int] = {}
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        package = re.match(r"`(\w+)`", section)
        if package and package[1] in PACKAGES:
            rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
            for layer, row in enumerate(rows):
                layers |= {f"{package[1]}.{name}": layer for name in re.findall(r"`([\w.]+)`", row)}
    return layers


def imports(path: Path, *, annotations: bool = False) -> Iterator[str]:
    """Yield the modules of ours that a file imports anywhere; those for annotations only (`if TYPE_CHECKING`) on demand."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for statement in block.body
        for node in ast.walk(statement)
    }
    known = modules()
    for node in ast.walk(tree):
        if node in hidden and not annotations:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            assert node.level == 0
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in PACKAGES)


def is_face(module: str) -> bool:
    """Whether a module is only the public face of what lies below it, or the docstring of a package."""
    return module in PACKAGES or module == "automl.__main__" or (is_package(module) and not list(imports(modules()[module])))


def is_package(module: str) -> bool:
    return modules()[module].name == "__init__.py"


def test_the_map_knows_every_module_and_no_other() -> None:
    assert set(table()) == {module for module in modules() if not is_face(module)}


@pytest.mark.parametrize("module", sorted(module for module in modules() if not is_face(module)))
def test_imports_go_down(module: str) -> None:
    layers, package = table(), module.partition(".")[0]
    for imported in imports(modules()[module]):
        if imported != package and imported.partition(".")[0] == package:
            assert layers[imported] <= layers[module], f"{module} imports {imported}, which isn't below it in CONTRIBUTING.md"


@pytest.mark.parametrize("module", sorted(module for module in modules() if module.startswith("search_spaces")))
def test_search_spaces_does_not_even_name_automl(module: str) -> None:
    assert not [name for name in imports(modules()[module], annotations=True) if name.startswith("automl")]


def test_import_automl_loads_no_heavy_library() -> None:
    code = f"import automl, sys; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
