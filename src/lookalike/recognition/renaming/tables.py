"""All renamings."""

from lookalike.recognition.renaming import children, clip, hugging_face, torchvision
from lookalike.recognition.renaming.renamed import Renaming

RENAMINGS: tuple[Renaming, ...] = (
    *(*torchvision.RENAMINGS, *hugging_face.RENAMINGS, *clip.RENAMINGS),
    *children.RENAMINGS,
)
