"""Every setting: type, range, meaning; defaults stand in `configs/`.

In reading order:

    compose       from `configs/` to the plain settings of a verb
    split_names   what splits are called, in folders, tables and settings
    types         what all settings share
    paths         what `~` means at the start of a path
    data          the settings of a data set: where, which columns, what is held out
    losses        the settings of every loss of `models.losses`, with their ranges
    search_space  what a search may draw
    training      the settings of a training run
    checkpoints   what a person may say of a checkpoint of another project
    cluster       where `embed engine=ray` embeds
    check         every setting of every command
    preset        what is said of a preset
    verbs         the settings of every verb
    gallery       the settings of every action of the verb gallery
    serving       the settings of the verb serve
    sharing       the settings of the verbs push, pull and export
    machine       the settings of the verbs about this machine
"""
