"""The layouts of published data sets: one file per layout, which recognises it, reads it, and knows its protocol.

In reading order:

    layout      what a layout is: evidence, reader, and the protocol of its papers
    market      Market-1501's folders, VeRi-776's and their like, and what their file names say
    msmt17      MSMT17's folders and lists
    registry    all of them, and which one a folder has
"""
