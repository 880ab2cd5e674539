"""The rules of the house that a machine can check: quick help, import floors, file sizes, names, pins."""

import ast
import importlib.util
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cli.__main__ import COMMANDS
from tasks.__main__ import TASKS

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("cli", "flows", "tasks", "openseek", "kernels", "infra")
HELP_SECONDS = 0.5
MOST_LINES = 400
HEAVY = ("numba", "numpy", "pyarrow", "torch", "prefect", "mlflow", "distributed", "transformers", "deepspeed")
EMPTY_NAMES = {"utils", "common", "helpers", "misc", "base", "core"}


def sources(*folders: str) -> list[Path]:
    """The Python files below these folders of the repository."""
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


def children_seconds() -> float:
    """CPU seconds, user and system, of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in the repository."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "120"}
    # Where Python may not keep what it compiled, every start compiles a hundred modules: users keep it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def timed(*words: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """`openseek WORDS` and the CPU seconds it took."""
    before = children_seconds()
    done = run("-m", "cli", *words)
    return done, children_seconds() - before


def modules_after(statement: str) -> set[str]:
    """Top-level names in sys.modules after `statement` in a fresh interpreter."""
    done = run("-c", f"{statement}\nimport sys\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("name", ["", *COMMANDS, *TASKS])
def test_help_is_complete_and_quick(name: str) -> None:
    """CPU time, since the wall clock of a busy machine measures its neighbours; the best of five."""
    words = [name, "--help"] if name else ["--help"]
    done, best = timed(*words)
    for _ in range(4):
        if best >= HELP_SECONDS:
            best = min(best, timed(*words)[1])
    assert done.returncode == 0, done.stderr
    assert best < HELP_SECONDS, f"openseek {name} --help took {best:.2f} CPU seconds"
    names = [*COMMANDS, *TASKS] if not name else ["--help"]
    assert all(word in done.stdout for word in names)


@pytest.mark.parametrize("name", TASKS)
def test_help_of_a_task_tells_its_inputs_and_every_field(name: str) -> None:
    """Every field of the config has an option with a text beside it."""
    text = run("-m", "cli", name, "--help").stdout
    assert "--config." in text
    assert "--root" in text
    assert "--where" in text
    options = re.findall(r"(--config\.[\w.-]+)", text)
    assert options


def test_unknown_name_is_refused_with_the_code_for_wrong_arguments() -> None:
    done = run("-m", "cli", "no_such_task")
    assert done.returncode == 2
    assert "no_such_task" in done.stderr


def test_data_imports_no_torch() -> None:
    """Everything below openseek.data and openseek.synthesis, imported in one fresh process."""
    files = sources("openseek/data", "openseek/synthesis")
    names = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__") for path in files]
    assert "openseek.data" in names
    modules = modules_after("\n".join(f"import {name}" for name in names))
    assert "pyarrow" in modules, "the check sees no imports at all"
    assert not modules & {"torch", "transformers", "deepspeed", "triton"}


def test_recipes_and_tasks_import_nothing_heavy() -> None:
    """The whole Recipe with all its configs, and every module of tasks/: what each --help imports."""
    names = [f"tasks.{path.stem}" for path in sources("tasks") if path.stem not in ("__init__", "__main__")]
    modules = modules_after("\n".join(f"import {name}" for name in [*names, "tasks.__main__", "openseek.recipes"]))
    assert "openseek" in modules, "the check sees no imports at all"
    assert not modules & set(HEAVY)


def test_import_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    assert linter.exists(), "import-linter is not installed: run `make setup`"
    done = subprocess.run([linter], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_the_named_files_import_what_is_fenced() -> None:
    """The same rule by text, with function bodies: prefect, mlflow and submitit each have one door."""
    doors = {
        "prefect": ("tasks/task.py", "flows/"),
        "mlflow": ("openseek/tracking.py",),
        "submitit": ("tasks/launch.py",),
    }
    for path in sources(*PACKAGES):
        place = path.relative_to(REPOSITORY).as_posix()
        imported = {name.split(".")[0] for name in imports_of(path)}
        for package, allowed in doors.items():
            assert package not in imported or place.startswith(allowed), f"{place} imports {package}"


def imports_of(path: Path) -> list[str]:
    """The dotted names that a file imports anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.append(node.module)
    return names


def test_files_are_short_and_named_after_what_they_do() -> None:
    for path in sources(*PACKAGES, "samples", "tests"):
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= MOST_LINES, f"{path.relative_to(REPOSITORY)} has {lines} lines: is it two subjects?"
        assert path.stem not in EMPTY_NAMES, path.relative_to(REPOSITORY)


def test_functions_fit_a_screen() -> None:
    long = []
    for path in sources(*PACKAGES, "samples"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    long.append(f"{path.relative_to(REPOSITORY)}: {node.name} has {length} lines")
    assert not long, "\n".join(long)


def test_modules_say_what_they_are() -> None:
    silent = [
        path.relative_to(REPOSITORY).as_posix()
        for path in sources(*PACKAGES)
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_tests_have_no_packages_and_no_classes() -> None:
    assert not list((REPOSITORY / "tests").rglob("__init__.py"))
    for path in sources("tests"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test")]
        assert not classes, path.relative_to(REPOSITORY)


def test_requirements_are_pinned_exactly() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-model.txt"):
        for line in (REPOSITORY / name).read_text().splitlines():
            requirement = line.split("#")[0].strip()
            assert not requirement or "==" in requirement, f"{name}: {requirement} is not pinned"


def test_what_the_code_imports_is_required() -> None:
    """Every third-party import of the six folders is met by a line of its own in requirements.txt."""
    spelled = {"yaml": "pyyaml", "sklearn": "scikit-learn", "lm_eval": "lm-eval", "fasttext": "fasttext-predict"}
    spelled |= {"hydra": "hydra-core", "distributed": "dask"}  # the latter is its extra of that name
    required = {
        re.split(r"[\[=<>;]", line.split("#")[0].strip())[0].lower()
        for name in ("requirements.txt", "requirements-model.txt")
        for line in (REPOSITORY / name).read_text().splitlines()
    }
    missing = set()
    for path in sources(*PACKAGES):
        for name in {name.split(".")[0] for name in imports_of(path)}:
            if name in sys.stdlib_module_names or name in (*PACKAGES, "benchmarks"):
                continue
            if spelled.get(name, name.replace("_", "-")).lower() not in required:
                missing.add(f"{path.relative_to(REPOSITORY)}: {name}")
    assert not missing, "\n".join(sorted(missing))
    assert importlib.util.find_spec("pytest"), "development tools are in requirements-dev.txt"
