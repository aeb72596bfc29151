"""What a user may import: `__all__` is complete, sorted and works, and no submodule hides a public function."""

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import automl
import search_spaces


@pytest.mark.parametrize("package", [automl, search_spaces], ids=lambda package: package.__name__)
def test_all_is_sorted_and_every_name_is_there(package: ModuleType) -> None:
    assert package.__all__ == sorted(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)


@pytest.mark.parametrize("package", [automl, search_spaces], ids=lambda package: package.__name__)
def test_all_holds_every_public_name(package: ModuleType) -> None:
    code = f"import {package.__name__} as package; print(*vars(package))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    helpers = {"annotations", "import_module", "TYPE_CHECKING", "Any"}
    public = {name for name in names if not name.startswith("_")} - modules - helpers
    assert public <= set(package.__all__)


@pytest.mark.parametrize("package", [automl, search_spaces], ids=lambda package: package.__name__)
def test_no_module_is_named_like_a_public_name(package: ModuleType) -> None:
    assert not {module.name for module in pkgutil.iter_modules(package.__path__)} & set(package.__all__)


@pytest.mark.parametrize("name", automl.__all__)
def test_lazy_names_survive_the_import_of_every_module(name: str) -> None:
    before = getattr(automl, name)
    importlib.import_module("automl.api")
    assert getattr(automl, name) is before


def test_dir_and_unknown_names() -> None:
    assert set(automl.__all__) < set(dir(automl))
    with pytest.raises(AttributeError, match="no attribute 'serch'"):
        automl.__getattr__("serch")
