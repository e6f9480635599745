"""`~` is the home folder in every path: of settings, of Python's arguments, of cells of tables."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from command_line import NEEDED, train
from image_folders import column, csv, pictures
from lookalike import Dataset, Gallery, Model, audit
from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.cli.verbs import VERBS
from lookalike.data.images import ImageError
from lookalike.data.reading import read_manifest
from lookalike.data.tables import ManifestError
from lookalike.settings.check import SettingsError, check
from lookalike.settings.data import Columns
from lookalike.settings.paths import PathError, PathText, address_at_home, at_home
from lookalike.settings.types import Settings

NO_PATHS = {
    "tracker",
    "layout",
    "pattern",
    "backbone",
    "ckpt_key",
    "shard",
    "host",
    "run",
    "name",
    "note",
    "source",
    "to",
    "place",
    "address",  # of a cluster
    "uri",  # an address, whose ~ address_at_home expands
    "license",
    "data_license",
    "data_name",
    *Columns.model_fields,
}  # text that means something else

IN_OBJECT_STORES = {("embed", "output"), ("embed", "data.root"), ("embed", "data.images")} | {
    ("eval", "queries"),
    ("eval", "references"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and another working folder in which no `~` may be made."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def text_settings(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Dotted names of the settings that take any text, and whether they are paths."""
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from text_settings(inner, f"{prefix}{name}.")
            continue
        options = [inner, *(() if get_origin(inner) in (dict, list) else get_args(inner))]
        if any(option is str or (get_origin(option) is Annotated and str in get_args(option)) for option in options):
            expands = any("BeforeValidator" in repr(option) for option in (*options, *field.metadata))
            yield prefix + name, expands


@pytest.mark.parametrize("verb", ["predict", "eval", "gallery list", "gallery create"])
@pytest.mark.parametrize("address", ["postgresql://anna:s3cret@h:1/db?gallery=shop", "POSTGRES:/h", "postgresql://~/x"])
def test_a_gallery_may_be_an_address(verb: str, address: str) -> None:
    needed = [argument for argument in NEEDED[verb] if not argument.startswith("gallery=")]
    assert read_settings(verb, [*needed, f"gallery={address}"]).gallery == address


@pytest.mark.parametrize(
    "argument",
    ["image=postgresql://anna:s3cret@h/db", "image=https://anna:s3cret@h/x.jpg", "index=postgresql://anna:s3cret@h/db"],
)
def test_no_error_shows_a_password(argument: str) -> None:
    with pytest.raises(SettingsError, match=r"^(image|index)=.*://h/.*: expected|: an address") as caught:
        read_settings("predict", ["gallery=g", "image=i.jpg", argument])
    assert "s3cret" not in str(caught.value)
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("true", True),
        ("True", True),
        ("no", False),
        ("false", False),
        ("./true", "./true"),
        ("new things", "new things"),
    ],
)
def test_a_switch_or_a_folder(typed: str, kept: bool | str, home: Path) -> None:
    assert read_settings("predict", ["image=i.jpg", f"keep_unknown={typed}"]).keep_unknown == kept
    assert read_settings("predict", ["image=i.jpg", "keep_unknown=~/x"]).keep_unknown == str(home / "x")


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_setting_that_is_a_path_expands(verb: str, home: Path) -> None:
    """A new setting is either a path or listed as none."""
    paths = [name for name, expands in text_settings(VERBS[verb].settings_type) if expands]
    others = {name.rpartition(".")[2] for name, expands in text_settings(VERBS[verb].settings_type) if not expands}
    assert others <= NO_PATHS, f"{others - NO_PATHS}: paths need the type PathText"
    for name in paths:
        suffix = {"eval": ".json", "inspect": ".json", "report": ".html"}.get(verb, "") if name == "output" else ""
        value: Any = read_settings(verb, [*NEEDED[verb], f"{name}=~/a b{suffix}"])
        for part in name.split("."):
            value = getattr(value, part)
        assert value == f"{home}/a b{suffix}"


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_setting_that_is_a_path_refuses_nothing_and_addresses(verb: str) -> None:
    """A variable of the shell that is not set leaves `image=`, which would be the folder one stands in."""
    for name in (name for name, expands in text_settings(VERBS[verb].settings_type) if expands):
        for empty in ("", " "):
            text = rf"^{re.escape(name)}={empty}: expected a path, found an empty text, as a variable .*: give one$"
            with pytest.raises(SettingsError, match=text):
                read_settings(verb, [*NEEDED[verb], f"{name}={empty}"])
        if (verb, name) in IN_OBJECT_STORES:
            assert read_settings(verb, [*NEEDED[verb], f"{name}=S3://bucket/x/"])
            with pytest.raises(
                SettingsError, match=r"^s3://bucket/x: a login in an address would stand in logs"
            ) as caught:
                read_settings(verb, [*NEEDED[verb], f"{name}=s3://anna:s3cret@bucket/x"])
            assert "s3cret" not in str(caught.value)
            with pytest.raises(SettingsError, match=rf"^{re.escape(name)}=gs://b/x: an address, and addresses are not"):
                read_settings(verb, [*NEEDED[verb], f"{name}=gs://b/x"])
            continue
        with pytest.raises(SettingsError, match=rf"^{re.escape(name)}=s3://b/x: an address, and addresses are not fet"):
            read_settings(verb, [*NEEDED[verb], f"{name}=s3://b/x"])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("https://a.org/b.jpg", r"https://a\.org/b\.jpg: an address, .*: download it and give the path"),
        (Path("http://a.org/b.jpg"), r"http://a\.org/b\.jpg: an address"),
        ("S3://bucket/x", "s3://bucket/x: an address"),
        ("hdfs://x", "hdfs://x: an address"),
        ("odd+1://x", r"odd\+1://x: an address"),
        ("file:///data/x", r"addresses are not fetched: write the path alone, /data/x"),
    ],
)
def test_addresses_are_not_fetched(path: str | Path, text: str) -> None:
    with pytest.raises(PathError, match=f"{text}$" if text.endswith(("path", "x")) else text):
        at_home(path)


def test_what_looks_like_an_address_and_is_there_is_a_path(home: Path) -> None:
    Path("https:", "a.org").mkdir(parents=True)
    assert at_home("https://a.org") == "https://a.org"
    for plain in ("c:/x", "c:\\x", "a/http://b", "x:y", "hf-hub:timm/x"):
        assert at_home(plain) == plain


def test_programs_give_no_empty_path_and_no_address(bundle_path: Path) -> None:
    model = Model.load(bundle_path)
    asks = {
        "Model.load": Model.load,
        "Model.from_checkpoint": Model.from_checkpoint,
        "Gallery.create": lambda path: Gallery.create(path, model),
        "Gallery.open": lambda path: Gallery.open(path, model),
        "audit: output": lambda path: audit("data", output=path),
        "audit: bundle": lambda path: audit("data", bundle=path),
    }
    for name, ask in asks.items():
        with pytest.raises(PathError, match=f"^{name}: expected a path, found an empty text"):
            ask("")
        with pytest.raises(PathError, match=r"^https://a\.org/b: an address, and addresses are not fetched"):
            ask("https://a.org/b")
    for image in ("https://a.org/b.jpg", Path("https://a.org/b.jpg")):
        with pytest.raises(ImageError, match=r"^https://a\.org/b\.jpg: an address, and addresses are not fetched"):
            model.predict(image)
        (item,) = model.predict([image])
        assert item.error.startswith("https://a.org/b.jpg: an address")
    with pytest.raises(ImageError, match=r"^image: expected a path, found an empty text"):
        model.embed("")
    with pytest.raises(PathError, match=r"^--config: expected a path, found an empty text"):
        read_settings("train", ["--config="])


def test_places_of_trackers_are_no_empty_text_and_no_address() -> None:
    for logger, option in (("mlflow", "uri"), ("csv", "folder"), ("tensorboard", "folder")):
        with pytest.raises(SettingsError, match=rf"^logger: {logger}\.{option}: expected a path, found an empty text"):
            train(f"logger={logger}", f"logger.{logger}.{option}=")
    with pytest.raises(SettingsError, match=r"^logger: s3://b: an address, and addresses are not fetched"):
        train("logger=csv", "logger.csv.folder=s3://b")
    for uri in ("http://host:5000", "postgresql://host/db", "file:///x", "sqlite:///m.db"):
        assert train("logger=mlflow", f"logger.mlflow.uri={uri}").logger["mlflow"]["uri"] == uri


def test_stores_of_trackers_expand(home: Path) -> None:
    places = [("mlflow", "uri"), ("csv", "folder"), ("tensorboard", "folder")]
    for logger, option in places:
        settings = train(f"logger={logger}", f"logger.{logger}.{option}=~/x")
        assert settings.logger[logger][option] == f"{home}/x"
    assert train("logger.mlflow.uri=sqlite:///~/m.db").logger["mlflow"]["uri"] == f"sqlite:///{home}/m.db"
    with pytest.raises(SettingsError, match=r"^logger: ~no-such/x: ~ stands for a home folder, and no user"):
        train("logger.mlflow.uri=~no-such/x")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("sqlite:///~/m.db", "sqlite:///HOME/m.db"),
        ("sqlite:///reports/~/m.db", "sqlite:///reports/~/m.db"),
        ("file:~/runs", "file://HOME/runs"),
        ("file:///~/runs", "file://HOME/runs"),
        ("http://host/~me", "http://host/~me"),
        ("~/runs", "HOME/runs"),
        ("mlruns", "mlruns"),
    ],
)
def test_addresses(address: str, expected: str, home: Path) -> None:
    assert address_at_home(address) == expected.replace("HOME", str(home))


def test_text_and_paths_keep_their_kind(home: Path) -> None:
    assert at_home("~") == str(home)
    assert at_home("~/a/") == f"{home}/a/"
    assert at_home(Path("~/a")) == home / "a"
    for plain in ("a~", "a/~/b", "./~", "/~", ""):
        assert at_home(plain) == plain


@pytest.mark.skipif(os.name == "nt", reason="users are no folders there")
def test_the_home_of_another_user(home: Path) -> None:
    import pwd

    assert at_home("~root/x") == f"{pwd.getpwnam('root').pw_dir}/x"


def test_a_name_that_is_no_user_is_refused_unless_it_is_there(home: Path) -> None:
    with pytest.raises(PathError, match=r"^~\$1\.jpg: .* no user is called \$1\.jpg: write \./~\$1\.jpg$"):
        at_home("~$1.jpg")
    Path("~$1.jpg").touch()
    assert at_home("~$1.jpg") == "~$1.jpg"
    with pytest.raises(SettingsError, match=r"^models_dir=~no-such/x: .*: write \./~no-such/x$"):
        train("models_dir=~no-such/x")


def test_without_a_home_nothing_called_tilde_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda text: text)
    with pytest.raises(PathError, match=r"^~/x: no home folder is known for ~: set HOME, or write the whole path$"):
        at_home("~/x")


class Example(Settings):
    place: PathText | None


def test_settings_take_paths_of_python_and_refuse_what_is_none(home: Path) -> None:
    assert check(Example, {"place": Path("~/x")}).place == f"{home}/x"
    assert check(Example, {"place": b"~/x"}).place == f"{home}/x"
    assert check(Example, {"place": "null"}).place is None
    with pytest.raises(SettingsError, match=r"^place=3: expected a valid string$"):
        check(Example, {"place": 3})
    with pytest.raises(SettingsError, match=r"^place=.*: expected a path, found a NUL byte in it: leave it out$"):
        check(Example, {"place": "a\0b"})


@pytest.mark.parametrize(("text", "value"), [("~", None), ("'~'", "HOME"), ("~/x", "HOME/x")])
def test_in_a_config_file_a_bare_tilde_is_yamls_nothing(text: str, value: str | None, home: Path) -> None:
    (home / "c.yaml").write_text(f"data: {{root: {text}}}\n")
    settings = train("--config", "~/c.yaml")
    assert settings.data.root == (value and value.replace("HOME", str(home)))


def test_verbs_read_and_write_at_home(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(home / "data", "train/a/1.png", "train/b/1.png")
    (home / "out.csv").write_text("path,reason\ntrain/b/1.png,blurred\n")
    assert main(["manifest", "data.root=~/data", "data.exclude=~/out.csv", "output=~/m.csv"]) == 0
    assert (home / "m.csv").read_text().count("\n") == 2
    assert main(["augment", "data.root=~/data", "per_class=2", "output=~/copies", "threads=1"]) == 0
    assert (home / "copies" / "manifest.csv").is_file()
    assert main(["predict", "bundle=~/no", "image=~/x.jpg"]) == 2
    assert f"{home}/no" in capsys.readouterr().err
    assert not list(Path().iterdir()), "nothing was made here"


def test_python_reads_and_writes_at_home(home: Path, bundle_path: Path, digits: Path) -> None:
    (home / "bundle").symlink_to(bundle_path, target_is_directory=True)
    (home / "digits").symlink_to(digits, target_is_directory=True)
    for root in ("~/digits", Path("~/digits")):
        assert Dataset(root).source["root"] == str(home / "digits")
    model = Model.load("~/bundle")
    image = next((digits / "test").rglob("*.png")).relative_to(digits)
    assert model.predict(f"~/digits/{image}", k=1).neighbours
    gallery = Gallery.create(Path("~/gallery"), model)
    gallery.add([Path("~/digits") / image, "~/digits/test/digit 1"])
    assert len(Gallery.open("~/gallery", model)) == 5
    assert gallery.remove(source=f"~/digits/{image}") == 1
    model.predict([f"~/digits/{image}"], k=1).write("~/predictions")
    assert len(list((home / "predictions").glob("*.json"))) == 1
    assert model.evaluate("~/digits").write("~/report.json", worst=0)[0] == home / "report.json"
    assert not list(Path().iterdir()), "nothing was made here"


def test_paths_in_tables_lead_home(home: Path) -> None:
    pictures(home, "1.png", "2.png")
    pictures(Path(), "~3.png")
    file = csv(Path(), "path,label\n~/1.png,a\n ~/2.png ,b\n~3.png,c\n")
    assert column(read_manifest(file), "path") == [f"{home}/1.png", f"{home}/2.png", "~3.png"]
    csv(Path(), "path,reason\n~/2.png,dark\n~3.png,dark\n", "exclude.csv")
    assert column(read_manifest(file), "path") == [f"{home}/1.png"]
    with pytest.raises(ManifestError, match=re.escape("~no-such/4.png: No such file or directory")):
        read_manifest(csv(Path(), "path,label\n~no-such/4.png,a\n"))


@pytest.mark.parametrize(("typed", "reason"), [("[]", "an empty list: give one"), ("[a.pth,' ']", "an empty text, as")])
def test_one_of_several_paths_that_is_none(typed: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=rf"^ckpt_path=.*: expected a path, found {reason}"):
        read_settings("inspect", [f"ckpt_path={typed}"])
