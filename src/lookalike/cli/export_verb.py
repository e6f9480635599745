"""The verb export: a bundle's network for programs without lookalike."""

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.cli.inputs import inputs_of
from lookalike.terminal import give, show, wrote

if TYPE_CHECKING:
    from lookalike.settings.sharing import ExportCommand


def export(settings: "ExportCommand") -> int:
    """`lookalike export`."""
    from lookalike.inference.bundle import load_bundle
    from lookalike.outputs import need_folder
    from lookalike.portable.onnx_draft import PortableError
    from lookalike.portable.portable import write_portable

    if settings.format == "torchscript":
        raise PortableError(
            "format=torchscript: expected onnx, openvino or tensorrt: TorchScript is deprecated by PyTorch, and "
            "what reads it needs torch: give format=onnx"
        )
    folder = Path(settings.bundle).resolve()
    kind = settings.format
    output = Path(settings.output) if settings.output else folder.with_name(f"{folder.name}-{kind}")
    images = Path(settings.images) if settings.images else None
    inputs = inputs_of(settings) | ({"images": images} if images else {})
    need_folder(output, inputs, replaced=True, ours="model.json")
    made = write_portable(load_bundle(Path(settings.bundle)), kind, output, images, settings.gallery)
    check = made.check
    show(
        f"{kind}: cosine to the bundle at least {check.min_cosine:.6f} on {check.images} images, "
        f"largest difference {check.max_difference:.1e}"
    )
    if made.kept:
        show(f"what stood there is kept: {made.kept}")
    show(f"written: {made.folder} ({', '.join(made.files)}; {made.bytes / 2**20:.1f} MiB)")
    wrote(made.folder)
    if kind == "tensorrt":
        show("not run here: trtexec.sh builds the engine on the machine with the graphics card")
    give(format=kind, bytes=made.bytes, files=made.files, cosine=check.min_cosine, check=check)
    return 0
