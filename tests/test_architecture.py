"""The arrows of the design, the torch-free half, and what every module owes its reader, read from the sources."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike

SOURCE = Path(lookalike.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
HELPERS = {"errors", "files", "progress"}
ALLOWED = {
    "manifest": "exclusions images market tables",
    "exclusions": "tables",
    "market": "images",
    "tables": "",
    "compiled": "",
    "area_kernel": "compiled",
    "images": "area_kernel",
    "augment": "manifest images",
    "sampler": "",
    "datamodules": "",
    "datamodules.image_datamodule": "manifest images augment",
    "datamodules.market_datamodule": "manifest images augment datamodules.image_datamodule",
    "models": "",
    "models.embedder": "",
    "models.losses": "",
    "models.products": "",
    "models.optimizer": "models.products",
    "models.arithmetic": "models.embedder models.optimizer models.products",
    "trunk_cache": "datamodules.image_datamodule images models.embedder",
    "tensors": "",
    "models.pretrained": "models.embedder tensors",
    "models.foreign": "models.embedder tensors",
    "models.metric_learning_module": "models.arithmetic models.embedder models.losses models.optimizer "
    "evaluate manifest measure",
    "checkpoint": "models.metric_learning_module",
    "bundle": "gallery images",
    "networks": "models.embedder",
    "embed": "bundle images models.embedder networks",
    "rank_kernels": "compiled",
    "ranking": "rank_kernels rank_torch",
    "rank_torch": "rank_kernels",
    "bootstrap": "",
    "openset": "",
    "inputs": "ranking",
    "camera_pairs": "inputs ranking",
    "rerank": "ranking rerank_kernels",
    "rerank_kernels": "compiled rank_kernels",
    "evaluate": "ranking bootstrap openset rerank inputs",
    "compare": "bootstrap evaluate inputs",
    "comparison": "bundle compare embed evaluate manifest measure settings train",
    "comparison_page": "comparison page_parts",
    "page_parts": "",
    "search_space": "setting_types",
    "tune": "bundle checkpoint epoch_lines loss_settings manifest models.embedder models.losses sampler search_space "
    "settings train",
    "tune_page": "page_parts tune",
    "report": "assess bundle embed images inputs manifest measure",
    "report_plots": "page_parts report",
    "report_page": "page_parts report report_plots",
    "gallery": "",
    "measure": "bundle camera_pairs embed evaluate exclusions gallery images manifest market ranking rerank",
    "restore": "checkpoint datamodules.image_datamodule images manifest measure models.embedder models.foreign "
    "models.metric_learning_module",
    "assess": "bundle embed manifest measure pictures restore settings",
    "predict": "bundle embed gallery images ranking",
    "pictures": "images",
    "file_facts": "embed images manifest",
    "duplicates": "embed file_facts",
    "suspects": "",
    "findings": "",
    "audit_files": "exclusions file_facts findings images manifest tables",
    "leaks": "manifest measure",
    "audit": "audit_files duplicates embed exclusions file_facts findings leaks manifest market suspects",
    "audit_page": "audit findings page_parts",
    "untrained": "embed export images models.embedder models.pretrained networks",
    "export": "bundle embed evaluate gallery images manifest measure models.embedder networks openset",
    "quantize": "bundle embed evaluate gallery images manifest measure networks openset",
    "trackers": "",
    "epoch_lines": "checkpoint models.metric_learning_module trackers",
    "setting_types": "",
    "loss_settings": "setting_types",
    "settings": "loss_settings search_space setting_types",
    "demo": "images",
    "errors": "",
    "files": "",
    "progress": "",
    "__main__": "cli",
}
ANYTHING = {"train", "cli", "commands"}
TORCH_FREE = (
    "cli",
    "predict",
    "embed",
    "bundle",
    "gallery",
    "evaluate",
    "manifest",
    "measure",
    "pictures",
    "assess",
    "audit",
    "quantize",
)
HEAVY = ("torch", "lightning", "timm", "pytorch_metric_learning", "albumentations", "mlflow")


def module(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(file): file for file in FILES}


def own_imports(tree: ast.Module) -> set[str]:
    """Modules of ours that a module imports, anywhere in it; names inside a module count as that module."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: import by full name"
            assert node.module is not None
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name.partition(".")[2] in MODULES else node.module for name in inside}
    return {name.partition(".")[2] for name in found if name.startswith("lookalike.")}


@pytest.mark.parametrize("name", [name for name in MODULES if name and name not in ANYTHING])
def test_arrows_point_one_way(name: str) -> None:
    assert name in ALLOWED, f"{name} is new: give it a row in ALLOWED and a line in the README"
    wrong = own_imports(TREES[MODULES[name]]) - set(ALLOWED[name].split()) - HELPERS
    assert not wrong, f"{name} must not import {sorted(wrong)}"


def test_the_table_names_only_modules_that_exist() -> None:
    assert {*ALLOWED, *ANYTHING, ""} == set(MODULES)
    assert {name for names in ALLOWED.values() for name in names.split()} <= set(MODULES)


def test_helpers_import_only_each_other() -> None:
    for name in HELPERS:
        assert own_imports(TREES[MODULES[name]]) <= HELPERS


def test_only_the_command_line_knows_hydra() -> None:
    users = {
        module(file)
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("hydra", "omegaconf"))
        or (
            isinstance(node, ast.Import)
            and any(alias.name.split(".")[0] in ("hydra", "omegaconf") for alias in node.names)
        )
    }
    assert users == {"cli"}


def loaded_after(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after a statement."""
    packages = "{name.partition('.')[0] for name, module in sys.modules.items() if getattr(module, '__spec__', None)}"
    code = f"{statement}\nimport sys\nprint('LOADED', *{packages})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("name", TORCH_FREE)
def test_serving_loads_nothing_of_training(name: str) -> None:
    loaded = loaded_after(f"import lookalike.{name}")
    assert "lookalike" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("arguments", [["predict", "bundle=/no where", "image=x.jpg"], ["train", "--help"]])
def test_commands_that_do_not_train_load_nothing_of_training(arguments: list[str]) -> None:
    loaded = loaded_after(f"from lookalike.cli import main\nmain({arguments})")
    assert "hydra" in loaded
    assert not loaded & set(HEAVY)


# What a command may load beyond Python's own library: every addition costs each start.
SETTINGS = {"annotated_types", "antlr4", "attr", "hydra", "omegaconf", "packaging", "pydantic", "pydantic_core"} | {
    "typing_extensions",
    "typing_inspection",
    "yaml",
}
PREDICT = SETTINGS | {"PIL", "numba", "llvmlite", "absl", "cv2", "faiss", "numpy", "openvino", "rich"}


def loaded_by(*arguments: str) -> set[str]:
    """Third-party packages that a command has loaded when it ends."""
    loaded = loaded_after(f"from lookalike.cli import main\nmain({list(arguments)})")
    made_by_the_interpreter = {"_distutils_hack", "__main__", "__mp_main__", "sitecustomize", "usercustomize"}
    own = {name for name in loaded if name.startswith(("_sysconfigdata", "__editable__", "_virtualenv"))}
    return loaded - set(sys.stdlib_module_names) - made_by_the_interpreter - own - {"lookalike"}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_nothing(argument: str) -> None:
    assert not loaded_by(argument)


@pytest.mark.parametrize("verb", ["train", "predict", "eval", "quantize", "audit"])
def test_help_of_a_verb_loads_only_what_reads_settings(verb: str) -> None:
    assert loaded_by(verb, "--help") <= SETTINGS


def test_predicting_loads_only_what_it_needs(bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    file = next((digits / "test").rglob("*.png"))
    loaded = loaded_by("predict", f"bundle={bundle_path}", f"image={file}", f"output={tmp_path}", "k=3")
    assert list(tmp_path.glob("*.json"))
    assert {"cv2", "faiss", "openvino"} <= loaded <= PREDICT


def test_the_package_itself_loads_nothing() -> None:
    assert not loaded_after("import lookalike") & {*HEAVY, "numpy", "cv2", "pandas", "hydra", "openvino", "faiss"}


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Public functions, classes and methods with their dotted names; the setter of a property is told by its getter."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node.name, node
            for part in node.body if isinstance(node, ast.ClassDef) else []:
                setter = f"{part.name}.setter" if isinstance(part, Definition) else ""
                if setter and part.name[0] != "_" and setter not in map(ast.unparse, part.decorator_list):
                    yield f"{node.name}.{part.name}", part


def entries(docstring: str, title: str) -> list[str]:
    """Names described in one section of a Google docstring."""
    lines = docstring.splitlines()
    if f"{title}:" not in lines:
        return []
    names = []
    for line in lines[lines.index(f"{title}:") + 1 :]:
        if line and not line.startswith(" "):
            break
        if line.startswith("    ") and not line.startswith("     "):
            found = re.match(r"    \*{0,2}(\w+)( \([^)]*\))?: \S", line)
            assert found, f"not `name: what it is`: {line}"
            names.append(found[1])
    assert names, f"{title}: is empty"
    return names


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    given = node.args
    several = [argument for argument in (given.vararg, given.kwarg) if argument]
    return {part.arg for part in (*given.posonlyargs, *given.args, *given.kwonlyargs, *several)} - {"self", "cls"}


def class_names(node: ast.ClassDef) -> tuple[set[str], set[str]]:
    """What a class is built from, and what its instances have."""
    fields = {
        part.target.id for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    }
    methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
    kept = {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self"
    }
    return parameters(methods["__init__"]) if "__init__" in methods else fields, fields | set(methods) | kept


@pytest.mark.parametrize("file", FILES, ids=module)
def test_everything_public_is_documented_and_names_what_exists(file: Path) -> None:
    assert ast.get_docstring(TREES[file]), "the module has no docstring"
    for name, node in public(TREES[file]):
        text = ast.get_docstring(node)
        assert text, f"{name} has no docstring"
        built, has = class_names(node) if isinstance(node, ast.ClassDef) else (parameters(node), set())
        assert set(entries(text, "Args")) <= built, name
        assert set(entries(text, "Attributes")) <= has, name


def test_the_docstring_reader_reads() -> None:
    text = "One line.\n\nArgs:\n    a: First.\n        More: of it.\n    *rest (int): Others.\n\nReturns:\n    x: No.\n"
    assert entries(text, "Args") == ["a", "rest"]
    assert entries(text, "Attributes") == []
    with pytest.raises(AssertionError, match="not `name: what it is`"):
        entries("Args:\n    without a colon\n", "Args")


@pytest.mark.parametrize("file", FILES, ids=module)
def test_modules_and_functions_are_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 50, f"{node.name}: {length} lines"


def test_no_drawer_for_odds_and_ends() -> None:
    parts = {part for name in MODULES for part in name.split(".")}
    assert not parts & {"utils", "util", "core", "base", "common", "helpers", "interfaces", "misc"}


def test_the_readme_lists_every_module_with_one_line() -> None:
    import re

    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w/]+\.py)` \| \S.* \|$", readme, re.MULTILINE)
    package = Path(__file__).parents[1] / "src" / "lookalike"
    there = {file.relative_to(package).as_posix() for file in package.rglob("*.py") if file.name != "__init__.py"}
    assert sorted(listed) == sorted(there)
