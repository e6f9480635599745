"""Scripts that make a shell propose verbs, settings and the values of these.

The script holds all of them, so that nothing is started while somebody types; it is written again after an update.
"""

from shlex import quote

from lookalike.cli.setting_rows import group_options, setting_rows
from lookalike.cli.verbs import GALLERY, VERBS, Verb, gallery_actions

OPTIONS = ("--config", "--quiet", "--json", "--debug", "--help")
_TABLES = """_lookalike_words() {
    case "$1" in
%(words)s
    esac
}
_lookalike_values() {
    case "$1" in
%(values)s
    esac
}"""
_BASH = """# lookalike completion bash > ~/.local/share/bash-completion/completions/lookalike
%(tables)s
_lookalike() {
    local line="${COMP_LINE:0:COMP_POINT}" current verb
    current="${line##* }"
    local -a typed
    read -ra typed <<< "$line"
    [[ "$line" == *" " ]] || unset "typed[-1]"
    verb="${typed[1]-}"
    if [[ "$verb" == gallery && ${#typed[@]} -gt 2 ]]; then verb="gallery ${typed[2]}"; fi
    COMPREPLY=()
    if [[ "$current" == *=* ]]; then
        local values; values="$(_lookalike_values "$verb ${current%%%%=*}")"
        if [[ -n "$values" ]]; then mapfile -t COMPREPLY < <(compgen -W "$values" -- "${current#*=}")
        else compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "${current#*=}"); fi
    elif [[ "${typed[-1]-}" == --config ]]; then
        compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_lookalike_words "$verb")" -- "$current")
        if [[ ${#COMPREPLY[@]} == 1 && "${COMPREPLY[0]}" == *= ]]; then compopt -o nospace; fi
    fi
}
complete -F _lookalike lookalike"""
_ZSH = """#compdef lookalike
# lookalike completion zsh > a folder of $fpath/_lookalike
%(tables)s
_lookalike() {
    local verb="${words[2]-}" setting
    local -a proposed
    (( CURRENT == 2 )) && verb=""
    if [[ "$verb" == gallery ]] && (( CURRENT > 3 )); then verb="gallery ${words[3]}"; fi
    if compset -P '*='; then
        setting="${IPREFIX%%=}"
        proposed=(${=$(_lookalike_values "$verb $setting")})
        if (( ${#proposed} )); then compadd -a proposed; else _files; fi
    elif [[ "${words[CURRENT-1]}" == --config ]]; then
        _files
    else
        proposed=(${=$(_lookalike_words "$verb")})
        compadd -S '' -- ${(M)proposed:#*=}
        compadd -- ${proposed:#*=}
    fi
}
if [[ "${funcstack[1]-}" == _lookalike ]]; then _lookalike "$@"; else compdef _lookalike lookalike; fi"""


def script(shell: str) -> str:
    """What a shell is to read.

    Args:
        shell: `bash`, `zsh` or `fish`.
    """
    values = {name: proposed_values(verb) for name, verb in VERBS.items()}
    if shell == "fish":
        return "\n".join(_fish(values))
    words = {"": proposed_verbs(), GALLERY: [verb.name.partition(" ")[2] for verb in gallery_actions()]}
    for name, choices in values.items():
        words[name] = [*_alone(name, choices), *(f"{setting}=" for setting in choices), *OPTIONS]
    cases = [f"    {quote(name)}) echo {quote(' '.join(listed))} ;;" for name, listed in words.items()]
    chosen = [
        f"    {quote(f'{verb} {setting}')}) echo {quote(' '.join(listed))} ;;"
        for verb, choices in values.items()
        for setting, listed in choices.items()
        if listed
    ]
    tables = _TABLES % {"words": "\n".join(cases), "values": "\n".join(chosen)}
    return (_BASH if shell == "bash" else _ZSH) % {"tables": tables}


def proposed_verbs() -> list[str]:
    """What may stand first."""
    return [*dict.fromkeys(name.partition(" ")[0] for name in VERBS), "--help", "--version"]


def proposed_values(verb: Verb) -> dict[str, list[str]]:
    """Setting or group of a verb -> the values that are proposed; none where any will do.

    Args:
        verb: Of the table of verbs.
    """
    values = {}
    for row in setting_rows(verb):
        switch = ["true", "false"] if row.default in ("true", "false") else []
        values[row.name] = list(row.choices) or switch
    return {**values, **group_options(verb)}


def _alone(verb: str, choices: dict[str, list[str]]) -> list[str]:
    """Values that a verb takes without their setting."""
    return choices["shell"] if verb == "completion" else []


def _fish(values: dict[str, dict[str, list[str]]]) -> list[str]:
    """A line for every proposal."""
    lines = ["# lookalike completion fish > ~/.config/fish/completions/lookalike.fish"]
    lines += ["function __lookalike_is", "    set -l typed (commandline -opc)", "    set -l verb $typed[2]"]
    lines += [
        "    if test (count $typed) -gt 2; and test $typed[2] = gallery",
        '        set verb "gallery $typed[3]"',
        "    end",
    ]
    lines += ['    test "$verb" = "$argv[1]"', "end"]
    for name in proposed_verbs():
        text = VERBS[name].help if name in VERBS else ""
        lines.append(_proposal("", name, text))
    for action in gallery_actions():
        lines.append(_proposal(GALLERY, action.name.partition(" ")[2], action.help))
    for verb, choices in values.items():
        proposed = [f"{name}={value}" for name, listed in choices.items() for value in listed or [""]]
        lines.append(_proposal(verb, " ".join([*_alone(verb, choices), *proposed, *OPTIONS]), files=True))
    return lines


def _proposal(verb: str, words: str, text: str = "", files: bool = False) -> str:
    """A line of fish: the words that are proposed behind a verb."""
    condition = quote(f'__lookalike_is "{verb}"')
    described = f" -d {quote(text)}" if text else ""
    return f"complete -c lookalike {'' if files else '-f '}-n {condition} -a {quote(words)}{described}"
