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
ORDER = (  # each may import what stands behind it, and nothing before it
    *(
        "cli",
        "serving",
        "api",
        "sharing",
        "gallery",
        "model",
        "reports",
        "experiments",
        "training",
        "auditing",
        "datamodules",
        "export",
        "recognition",
    ),
    *("models", "portable", "evaluation", "inference", "data", "metrics", "settings"),
    *(
        "pages",
        "palette",
        "devices",
        "parallel",
        "jit",
        "outputs",
        "storage",
        "console",
        "terminal",
        "files",
        "special_files",
    ),
    *("seals", "errors"),
)
TORCH_FREE = (
    "cli",
    "serving",
    "sharing",
    "auditing",
    "evaluation",
    "gallery",
    "portable",
    "inference",
    "data",
    "metrics",
    "settings",
)
HEAVY = ("torch", "lightning", "timm", "pytorch_metric_learning", "albumentations", "mlflow")


def module(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(file): file for file in FILES}


def own_imports(tree: ast.Module) -> set[str]:
    """Modules of ours that a module imports, anywhere in it; names inside a module count as that module."""
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: import by full name"
            assert node.module is not None
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            imported |= {name if name.partition(".")[2] in MODULES else node.module for name in inside}
    return {name.partition(".")[2] for name in imported if name.startswith("lookalike.")}


def floor(name: str) -> str:
    return name.partition(".")[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_arrows_point_one_way(name: str) -> None:
    own = floor(name)
    if own == "__main__":
        return
    assert own in ORDER, f"{own} is new: give it a place in ORDER and a line in the README"
    upward = {other for other in own_imports(TREES[MODULES[name]]) if ORDER.index(floor(other)) < ORDER.index(own)}
    assert not upward, f"{name} must not import {sorted(upward)}: data flows one way"


@pytest.mark.parametrize("file", FILES, ids=module)
def test_what_is_private_to_a_file_stays_in_it(file: Path) -> None:
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lookalike"):
            private = [alias.name for alias in node.names if alias.name.startswith("_") and alias.name != "__version__"]
            assert not private, f"line {node.lineno}: {private}"


FOLDERS = [name for name, file in MODULES.items() if file.name == "__init__.py" and name]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_lists_its_modules_in_reading_order(folder: str) -> None:
    """As its docstring says; no module imports a later one of its folder."""
    place = MODULES[folder].parent
    there = {path.stem for path in place.iterdir() if path.suffix == ".py"} - {"__init__"}
    there |= {path.name for path in place.iterdir() if (path / "__init__.py").is_file()}
    listed = re.findall(r"^    (\w+)/? +\S", ast.get_docstring(TREES[MODULES[folder]]) or "", re.MULTILINE)
    assert sorted(listed) == sorted(there)
    for number, name in enumerate(listed):
        if f"{folder}.{name}" not in MODULES or MODULES[f"{folder}.{name}"].name == "__init__.py":
            continue
        inside = {other.removeprefix(f"{folder}.") for other in own_imports(TREES[MODULES[f"{folder}.{name}"]])}
        assert not inside & set(listed[number + 1 :]), f"{name} imports what is listed behind it"


def test_only_one_module_knows_hydra() -> None:
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
    assert users == {"settings.compose"}


def loaded_after(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after a statement."""
    packages = "{name.partition('.')[0] for name, module in sys.modules.items() if getattr(module, '__spec__', None)}"
    code = f"{statement}\nimport sys\nprint('LOADED', *{packages})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("folder", TORCH_FREE)
def test_what_serves_loads_nothing_of_training(folder: str) -> None:
    """Every module of the folder, those aside that are torch's own and say so in their names."""
    names = [name for name in MODULES if f"{name}.".startswith(f"{folder}.") and not name.endswith("_torch")]
    loaded = loaded_after("; ".join(f"import lookalike.{name}" for name in names))
    assert "lookalike" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("arguments", [["predict", "bundle=/no where", "image=x.jpg"], ["train", "--help"]])
def test_commands_that_do_not_train_load_nothing_of_training(arguments: list[str]) -> None:
    loaded = loaded_after(f"from lookalike.cli.main import main\nmain({arguments})")
    assert "hydra" in loaded
    assert not loaded & set(HEAVY)


# What a command may load beyond Python's own library: every addition costs each start.
SETTINGS = {"annotated_types", "antlr4", "attr", "hydra", "omegaconf", "packaging", "pydantic", "pydantic_core"} | {
    "typing_extensions",
    "typing_inspection",
    "yaml",
}
PREDICT = SETTINGS | {"PIL", "absl", "cv2", "numpy", "openvino", "rich", "threadpoolctl"}


def loaded_by(*arguments: str) -> set[str]:
    """Third-party packages that a command has loaded when it ends."""
    loaded = loaded_after(f"from lookalike.cli.main import main\nmain({list(arguments)})")
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
    assert {"cv2", "openvino"} <= loaded <= PREDICT


def test_the_package_itself_loads_nothing() -> None:
    assert not loaded_after("import lookalike") & {*HEAVY, "numpy", "cv2", "pandas", "hydra", "openvino", "faiss"}


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Public functions, classes and methods with their dotted names; the setter of a property is told by its getter."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node.name, node
            for part in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(part, Definition) and "overload" in map(ast.unparse, part.decorator_list):
                    continue
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
            named = re.match(r"    \*{0,2}(\w+)( \([^)]*\))?: \S", line)
            assert named, f"not `name: what it is`: {line}"
            names.append(named[1])
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


@pytest.mark.parametrize("file", FILES, ids=module)
def test_html_stands_in_templates(file: Path) -> None:
    """Not in strings: there nothing escapes what is put in."""
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            written = re.search(r"</?(style|script|table|t[rdh]|div|p|h[1-6]|img|figure|section|html)\b", node.value)
            assert not written, f"line {node.lineno}: {written and written[0]}"


@pytest.mark.parametrize("file", FILES, ids=module)
def test_names_say_what_things_are(file: Path) -> None:
    """A pronoun makes the reader look for what it stands for."""
    for node in ast.walk(TREES[file]):
        name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
        assert name not in {"found", "told", "one", "known", "it", "this", "that", "those", "thing"}, f"{node.lineno}"


@pytest.mark.parametrize("file", FILES, ids=module)
def test_a_bundle_is_read_by_name_not_by_key(file: Path) -> None:
    """Only `inference.bundle_config` knows the keys of config.json."""
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute):
            assert node.value.attr != "config" or module(file) == "inference.bundle_config", f"line {node.lineno}"


def test_parameters_have_types() -> None:
    """`Any` says that nobody knows."""
    vague = [
        f"{name}.{node.name}"
        for name, file in MODULES.items()
        for node in ast.walk(TREES[file])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for part in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
        if part is not None and part.annotation is not None and ast.unparse(part.annotation) == "Any"
    ]
    assert len(vague) < 20, vague


@pytest.mark.parametrize("file", [file for file in FILES if file.name != "__init__.py"], ids=module)
def test_every_module_has_tests_where_it_is_looked_for(file: Path) -> None:
    place = Path(__file__).parent / file.relative_to(SOURCE).parent / f"test_{file.name}"
    assert place.is_file() or len(file.read_text(encoding="utf-8").splitlines()) < 60, f"{place} is missing"


def test_half_of_the_modules_fit_a_screen_or_two() -> None:
    lengths = sorted(len(file.read_text(encoding="utf-8").splitlines()) for file in FILES)
    assert lengths[len(lengths) // 2] <= 150


def test_no_drawer_for_odds_and_ends() -> None:
    parts = {part for name in MODULES for part in name.split(".")}
    assert not parts & {"utils", "util", "core", "base", "common", "helpers", "interfaces", "misc"}


def test_the_readme_lists_every_folder_with_one_line() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^    ([a-z_]+)(?:/|\.py) +\S", readme, re.MULTILINE)
    assert [name for name in listed if name in ORDER] == [name for name in ORDER if name in {floor(n) for n in MODULES}]
