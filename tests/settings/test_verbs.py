"""The settings of every verb: what has a default, and what is in range."""

import pytest

from command_line import NEEDED
from lookalike.cli.arguments import read_settings
from lookalike.cli.verbs import VERBS
from lookalike.settings.check import SettingsError


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_defaults_for_all_but_what_it_needs(verb: str) -> None:
    assert type(read_settings(verb, NEEDED[verb])) is VERBS[verb].settings_type
    for argument in NEEDED[verb]:
        name = argument.partition("=")[0]
        with pytest.raises(SettingsError, match=f"{name}: needs a value: give {name}="):
            read_settings(verb, [other for other in NEEDED[verb] if other != argument])


@pytest.mark.parametrize(
    ("verb", "setting"),
    [("predict", "k=0"), ("predict", "picture_rows=-1"), ("eval", "split=tests"), ("augment", "strength=0")],
)
def test_ranges_hold_for_the_other_verbs(verb: str, setting: str) -> None:
    with pytest.raises(SettingsError, match=f"^{setting}: expected"):
        read_settings(verb, [*NEEDED[verb], setting])


@pytest.mark.parametrize(
    ("verb", "argument", "message"),
    [
        ("compare", "seeds=[]", r"^seeds=\[\]: .*at least 1 item"),
        ("compare", "name=.hidden", r"^name=\.hidden: expected a name without slashes"),
        ("tune", "trials=0", r"^trials=0: expected greater than or equal to 1"),
        ("tune", "objective=minp", r"^objective=minp: expected 'accuracy@1' or 'map'"),
        ("augment", "per_class=null", r"^per_class: needs a value: give per_class="),
        ("quantize", "max_loss=2", r"^max_loss=2: expected less than or equal to 1"),
        ("quantize", "images=0", r"^images=0: expected greater than or equal to 1"),
        ("eval", "similarity=manhattan", r"^similarity=manhattan: expected 'cosine' or 'euclidean'"),
        ("eval", "rerank=x", r"^rerank=x: expected 'none', 'k_reciprocal' or 'expand'"),
        ("eval", "worst=-1", r"^worst=-1: expected greater than or equal to 0"),
        (
            "predict",
            "false_accept_rate=1.5",
            r"^false_accept_rate=1\.5: expected a share above 0 and below 1, such as 0\.05, or off",
        ),
        ("predict", "threshold=often", r"^threshold=often: expected -1 to 1, or off"),
        ("predict", "threshold=nan", r"^threshold=nan: expected -1 to 1, or off"),
        ("predict", "precision=int8", r"^precision=int8: expected 'auto', 'float32' or 'bf16'"),
        ("audit", "device=tpu", r"^device=tpu: expected 'auto', 'cpu' or 'cuda'"),
        ("report", "umap=2", r"^umap=2: expected a valid boolean"),
        ("embed", "precision=half", r"^precision=half: expected 'auto'"),
        ("manifest", "check=maybe", r"^check=maybe: expected a valid boolean"),
        ("demo", "data.seed=-1", r"^data\.seed=-1: expected greater than or equal to 0"),
    ],
)
def test_every_verb_checks_its_own_settings(verb: str, argument: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_settings(verb, [*NEEDED[verb], argument])


LITE = "model=efficientnet_lite2"


def test_embed_takes_a_bundle_or_a_recipe_without_what_is_of_training() -> None:
    bundle, lite = read_settings("embed", ["bundle=b"]), read_settings("embed", [LITE])
    assert (bundle.bundle, bundle.model, bundle.pixels) == ("b", None, None)
    assert lite.bundle is None
    assert lite.model.model_dump() == {
        "backbone": "tf_efficientnet_lite2",
        "weights": "package",
        "pooling": "avg",
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    assert (lite.pixels.height, lite.pixels.width, lite.pixels.resize) == (260, 260, "stretch")
    assert read_settings("embed", [LITE, "pixels.height=64"]).pixels.height == 64
    assert read_settings("embed", ["model=timm", "model.backbone=test_vit"]).pixels is None, "timm knows its size"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["bundle=b", LITE],
            r"^bundle=b: has a network and pixels of its own: leave out model and pixels, or the bundle$",
        ),
        (["bundle=b", "model.pooling=gem"], r"^bundle=b: has .* of its own: leave out model, or the bundle$"),
        (["bundle=b", "pixels.height=64"], r"^bundle=b: has .* of its own: leave out pixels, or the bundle$"),
        ([LITE, "model.embedding_size=64"], r"^model\.embedding_size=64: is of training, .*: leave it out, or train"),
        ([LITE, "model.trainable=[all]"], r"^model\.trainable=\[all\]: is of training"),
        ([LITE, "model.bn_neck=false"], r"^model\.bn_neck=false: is of training"),
        ([LITE, "model.weights=none"], r"^model\.weights=none: random weights are of no use without training: give"),
        ([LITE, "model.pool=gem"], r"^model\.pool: unknown setting; did you mean pooling\?; known here: backbone, we"),
        ([LITE, "pixels.height=4"], r"^pixels\.height=4: expected greater than or equal to 8"),
        (["model=timm"], r"^model\.backbone: needs a value: give model\.backbone=\.\.\.$"),
    ],
)
def test_what_embed_cannot_take_is_told(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        read_settings("embed", arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("verb", VERBS)
def test_no_class_of_settings_has_a_default_of_its_own(verb: str) -> None:
    """Defaults stand once, under configs/."""
    fields = VERBS[verb].settings_type.model_fields
    assert [name for name, field in fields.items() if not field.is_required()] == []
