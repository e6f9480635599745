"""The verb demo: every step is one that a person can type."""

from typing import TYPE_CHECKING

from lookalike.cli.arguments import read_settings
from lookalike.cli.model_verbs import evaluate
from lookalike.cli.predict_verb import predict_files
from lookalike.cli.training_verbs import train
from lookalike.terminal import show

if TYPE_CHECKING:
    from lookalike.settings.verbs import DemoCommand


def demo(settings: "DemoCommand") -> int:
    """`lookalike demo`."""
    from lookalike.data.example import find_example
    from lookalike.data.reading import read_data

    example = find_example(settings.data.root)
    run, root = f"demo-{example.name}", f"data.root={example.root}"
    held = [f"data.validation_share={settings.data.validation_share}", f"data.seed={settings.data.seed}"]
    show(f"1. train on {example.root}")
    code = train(read_settings("train", [root, *held, f"run={run}", *example.settings]))
    bundle = f"bundle=models/{run}"
    show(f"\n2. evaluate on {example.split}")
    code |= evaluate(read_settings("eval", [bundle, root, f"split={example.split}"]))
    show("\n3. predict")
    manifest = read_data(str(example.root), **settings.data.model_dump(include={"validation_share", "seed"}))
    queries = manifest.protocol("validation").queries["path"]
    chosen = [manifest.file(path) for path in queries.iloc[:: max(1, len(queries) // 6)][:6]]
    code |= predict_files(read_settings("predict", [bundle, f"image={chosen[0]}", "k=5"]), chosen)
    show(
        f"\nThe model is in models/{run} (its README.md tells what it is), the figures in reports/, the pictures in "
        f"predictions/.\nNext: lookalike predict {bundle} image=<your photograph>, or lookalike train "
        "data.root=<your folder>"
    )
    return code
