"""The command `lookalike`: finds the verb, runs it, and turns errors into one line and an exit code.

Exit codes: 0 done, 1 done with failures, 2 wrong use.
"""

import atexit
import errno
import logging
import os
import sys
from contextlib import ExitStack, suppress

from lookalike import __version__
from lookalike.cli.help import gallery_help, general_help, verb_help
from lookalike.cli.verbs import GALLERY, find_action, find_verb
from lookalike.errors import LookalikeError, import_problem
from lookalike.terminal import answering, complain, give, show, tolerant_streams

_OF_EVERY_VERB = ("--debug", "--json", "--quiet")
_WRONG_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def entry() -> None:
    """The console script."""
    codes: list[int] = []
    if sys.argv[1:2] == ["serve"]:
        atexit.register(_leave, codes)  # the first is called last, when the others have removed their temporary files
    codes.append(main(sys.argv[1:]))
    sys.exit(codes[0])


def _leave(codes: list[int]) -> None:
    """Ends the process now: a service has let go of everything, and to unload its libraries takes seconds."""
    if codes != [0]:
        return
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader has gone, or it is closed
            stream.flush()
    os._exit(0)


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit code and prints errors on one line."""
    options = {argument for argument in arguments if argument in _OF_EVERY_VERB}
    arguments = [argument for argument in arguments if argument not in options]
    tolerant_streams()
    try:
        with ExitStack() as stack:
            if "--quiet" in options:
                from lookalike.console import quiet

                stack.enter_context(quiet())
            if "--json" not in options:
                return _caught(arguments, "--debug" in options)
            answer = stack.enter_context(answering(_typed_verb(arguments)))
            code = _caught(arguments, "--debug" in options)
            answer.show(code)
            return code
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing more to say, and nothing to say it to at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _caught(arguments: list[str], debug: bool) -> int:
    try:
        return _run(arguments)
    except BrokenPipeError:
        raise
    except LookalikeError as error:
        if debug:
            raise
        complain(error)
        return 2
    except (ImportError, OSError) as error:
        problem = import_problem(error, verb=arguments[0])
        if debug or (problem is None and not isinstance(error, OSError)):
            raise
        complain(f"this {problem}" if problem else _said_by_the_system(error))
        return 2
    except KeyboardInterrupt:
        complain("stopped")
        return 130


def _typed_verb(arguments: list[str]) -> str:
    return " ".join(arguments[: 2 if arguments[:1] == [GALLERY] else 1])


def _said_by_the_system(error: ImportError | OSError) -> str:
    """No permission, a read-only disk, a file where a folder should be."""
    if not isinstance(error, OSError) or not error.filename:
        return str(error)
    hint = ": check the path and its permissions" if error.errno in _WRONG_PLACE else ""
    return f"{error.filename}: {error.strerror}{hint}"


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        return _helped(general_help())
    if arguments[0] == "--version":
        show(f"lookalike {__version__}")
        return 0
    if arguments[0] == GALLERY:
        if len(arguments) == 1 or arguments[1] in ("--help", "-h", "help"):
            return _helped(gallery_help())
        verb, behind = find_action(arguments[1]), arguments[2:]
    else:
        verb, behind = find_verb(arguments[0]), arguments[1:]
    if "--help" in behind or "-h" in behind:
        return _helped(verb_help(verb))
    return verb.run(behind)


def _helped(text: str) -> int:
    show(text)
    give(help=text)
    return 0
