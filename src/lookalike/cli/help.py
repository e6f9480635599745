"""The help of a verb: its settings with their defaults and meaning."""

from lookalike.cli.setting_rows import group_options, setting_rows
from lookalike.cli.verbs import GALLERY, VERBS, Verb, gallery_actions

OPTIONS = """options:
  --NAME VALUE    the same as NAME=VALUE, for any setting; a dash in a name may stand for _
  --config FILE   read settings from a YAML or JSON file; the command line wins over it
  --quiet         neither progress nor notes on standard error: results and errors alone
  --json          the result as one JSON document on standard output, its fields in docs/schemas
  --debug         show the traceback of an error
  --help          this text; after a verb, its settings
  --version       print the version"""


def general_help() -> str:
    """The verbs and the options."""
    verbs = {verb.name: verb.help for verb in VERBS.values() if not verb.name.startswith(f"{GALLERY} ")}
    verbs[GALLERY] = "images that are enrolled, renamed, removed and searched without training; see gallery --help"
    lines = "\n".join(f"  {name:<12}{text}" for name, text in verbs.items())
    return f"usage: lookalike <verb> [setting=value ...] [options]\n\nverbs:\n{lines}\n\n{OPTIONS}"


def gallery_help() -> str:
    """The actions of the verb `gallery`."""
    lines = "\n".join(f"  {verb.name.partition(' ')[2]:<10}{verb.help}" for verb in gallery_actions())
    return (
        f"usage: lookalike {GALLERY} <action> {GALLERY}=<folder> [setting=value ...]\n\nactions:\n{lines}\n\n"
        f"lookalike {GALLERY} <action> --help lists its settings; predict and eval search it: {GALLERY}=<folder>\n\n"
        f"{OPTIONS}"
    )


def verb_help(verb: Verb) -> str:
    """Settings of a verb with their defaults and meaning."""
    lines = [f"usage: lookalike {verb.name} [setting=value ...]", "", verb.help, "", "settings and their defaults:"]
    for row in setting_rows(verb):
        meaning = "; ".join(filter(None, (" | ".join(row.choices), row.meaning)))
        lines.append(f"{f'  {row.name}={row.default}':<44}  {meaning}".rstrip())
    groups = [f"  {name}= {', '.join(options)}" for name, options in group_options(verb).items()]
    return "\n".join([*lines, *(["", "groups (a file under configs/ each):", *groups] if groups else []), "", OPTIONS])
