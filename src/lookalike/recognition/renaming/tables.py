"""All renamings."""

from lookalike.recognition.renaming import clip, hugging_face, torchvision
from lookalike.recognition.renaming.renamed import Renaming

RENAMINGS: tuple[Renaming, ...] = (*torchvision.RENAMINGS, *hugging_face.RENAMINGS, *clip.RENAMINGS)
