"""All renamings."""

from lookalike.recognition.renaming.renamed import Renaming

RENAMINGS: tuple[Renaming, ...] = ()
