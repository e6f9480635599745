"""Pages, snippets of notebooks and model cards from templates; in HTML every value is data, whatever signs it holds."""

import base64
import hashlib
import html
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.palette import VARIABLES

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.nodes import EvalContext

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        heads: A title per column; all empty for a table of names and values.
        rows: Texts, as many as there are heads in each.
        numbers: Columns that are set to the right.
        sortable: Whether a click on a title sorts.
    """

    heads: list[str]
    rows: list[list[str]]
    numbers: frozenset[int] = frozenset()
    sortable: bool = False


@dataclass(frozen=True)
class Picture:
    """An image of a page with what stands below it.

    Attributes:
        path: Its file, for people.
        jpeg: Its bytes; empty where it cannot be shown.
        title: First line.
        notes: More lines.
        right: Whether it answers rightly; None where nobody asked.
        width: On the page, pixels.
        height: On the page, pixels.
    """

    path: str
    jpeg: bytes
    title: str = ""
    notes: tuple[str, ...] = ()
    right: bool | None = None
    width: int = 112
    height: int = 112

    @property
    def uri(self) -> str:
        """The image itself, as an address."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


def render(template: str, **values: object) -> str:
    """A template with values in it.

    Args:
        template: A file of `templates/`; notebook.html gives a snippet for `_repr_html_`.
        **values: What the template names: all of it, or it raises.

    Returns:
        Text that UTF-8 can hold.
    """
    return _environment().get_template(template).render(**values)


def snippet(title: str, table: Table | None = None, pictures: Iterable[list[Picture]] = ()) -> str:
    """What a notebook shows of an object, for its `_repr_html_`.

    Args:
        title: A line above.
        table: Its figures, if it has any.
        pictures: Rows of images.
    """
    return render("notebook.html", title=title, table=table, pictures=list(pictures))


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_eval_context
    from markupsafe import Markup

    @pass_eval_context
    def shown(context: "EvalContext", value: object) -> object:
        """Names of files may hold what is no Unicode: a page could not be written with it."""
        if hasattr(value, "__html__"):
            return value
        text = str(value).encode("utf-8", "replace").decode()
        return Markup(html.escape(text)) if context.autoescape else text

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=shown,
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    made.globals |= {"colours": VARIABLES, "source": lambda name: Markup(_source(name)), "policy": _policy}
    return made


@cache
def _source(name: str) -> str:
    """A style sheet or a script as it is."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _policy(script: str = "") -> str:
    """What a browser may do with a page: use the styles and pictures inside it, and run this one script.

    The script is named by its hash: markup that got into a page by a mistake of ours would not run either.
    """
    allowed = ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
    if script:
        digest = base64.b64encode(hashlib.sha256(_source(script).encode()).digest()).decode()
        allowed.append(f"script-src 'sha256-{digest}'")
    return "; ".join([*allowed, "base-uri 'none'", "form-action 'none'"])
