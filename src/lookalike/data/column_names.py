"""Which column of a table is which: by our names, by those of open-metric-learning, and by those a person gives.

Nothing here reads a cell; what cannot be told is a `ValueError` whose text says what was seen.
"""

from collections.abc import Collection, Mapping

from lookalike.errors import did_you_mean

BOX = ("x1", "y1", "x2", "y2")
OML_NAMES = {"x_1": "x1", "y_1": "y1", "x_2": "x2", "y_2": "y2"}
_SHOWN = 20  # columns in an error


def incomplete_box(count: int) -> str:
    """What is wrong with a box of that many numbers; "" for all or none."""
    return "" if count in (0, len(BOX)) else f"a box of {count} numbers: expected {', '.join(BOX)} or none of them"


def own_columns(names: list[str], given: Mapping[str, str], ours: Collection[str]) -> dict[str, int]:
    """Under which name each column of a table goes on, and where it stands.

    A column that is ours by its name keeps that meaning when it is named for another one, too: a column `site` may be
    the cameras as well. Unknown ones keep their names, with a number where that name is taken.

    Args:
        names: Of its columns, in its order.
        given: Our name -> that of the table.
        ours: All names that mean something.

    Raises:
        ValueError: Two columns mean the same, or a given name is not there.
    """
    places = {mine: _place(mine, header, names) for mine, header in given.items()}
    renamed = set(places.values())
    plain_names = {name.casefold() for name in names}
    for place, name in enumerate(names):
        plain = name.casefold()
        mine = OML_NAMES.get(plain, plain)
        if mine in ours and mine not in given and (name == plain or plain not in names):
            if mine in places:
                raise ValueError(f"the columns {names[places[mine]]} and {name} both mean {mine}: keep one of them")
            places[mine] = place
        elif place not in renamed:
            places[free_name(name, {*places, *(plain_names & {*ours})})] = place
    return places


def _place(mine: str, header: str, names: list[str]) -> int:
    """Where a named column stands: written so, else the only one that differs in capitals or blanks at its ends."""
    if names.count(header) == 1:
        return names.index(header)
    alike = [place for place, name in enumerate(names) if name.casefold() == header.strip().casefold()]
    if len(alike) == 1:
        return alike[0]
    what = f"{len(alike)} columns are called so" if alike else f"no such column{did_you_mean(header, names)}"
    raise ValueError(f"data.columns.{mine}={header}: {what}; there are {', '.join(names[:_SHOWN])}")


def free_name(name: str, taken: set[str]) -> str:
    """A name that no other column has: `label.1` for a second `label`."""
    free, number = name, 0
    while free in taken:
        number += 1
        free = f"{name}.{number}"
    return free
