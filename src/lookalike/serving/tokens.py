"""Who may ask and who may change: tokens from a file, held and compared as checksums."""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from lookalike.data.image_limits import BeyondLimitError, read_bytes
from lookalike.errors import LookalikeError, one_line

Right = Literal["read", "write"]
_RIGHTS = ("read", "write")
_LEAST = 16  # letters: what can be guessed is no secret
_MOST_BYTES = 1 << 20
_EXAMPLE = "echo \"write $(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')\" > tokens.txt"


class TokenError(LookalikeError):
    """A file of tokens cannot be used, or there is none where one is needed."""


@dataclass(frozen=True)
class Tokens:
    """The tokens of a service.

    Attributes:
        digests: SHA-256 of each token, and what it allows; empty where no token is asked for.
    """

    digests: tuple[tuple[bytes, Right], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.digests)

    def allows(self, token: str) -> Right | None:
        """What a token allows, None for a wrong one; every token is compared, in a time that tells nothing.

        Args:
            token: As it was sent.
        """
        sent = sha256(token.encode("utf-8", "surrogateescape")).digest()
        allowed = [right for digest, right in self.digests if hmac.compare_digest(digest, sent)]
        return "write" if "write" in allowed else allowed[0] if allowed else None


def read_tokens(file: str | Path) -> Tokens:
    """Reads a file of lines such as `read <token>` and `write <token>`; `#` begins a comment.

    Args:
        file: UTF-8, readable for its owner, and for its group at most: so clusters hand secrets to a program that does
            not own them.

    Raises:
        TokenError: It is not there, its group can change it, all others can do anything with it, or a line is wrong. No
                token is ever in the text.
    """
    path = Path(file)
    try:
        content = read_bytes(path)
        loose = path.stat().st_mode & 0o027  # a group may read it
        lines = content[:_MOST_BYTES].decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = one_line(getattr(error, "strerror", None) or "not UTF-8")
        raise TokenError(f"tokens={file}: {reason}: make it, such as by {_EXAMPLE}") from error
    except BeyondLimitError as error:
        raise TokenError(
            f"tokens={file}: expected a small file of text, found a pipe, a device or a large one: make one, such as "
            f"by {_EXAMPLE}"
        ) from error
    if loose:
        raise TokenError(f"tokens={file}: others on this computer can read or change it: chmod 600 {file}")
    digests: list[tuple[bytes, Right]] = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != len(_RIGHTS) or words[0] not in _RIGHTS:
            raise TokenError(f"tokens={file}: line {number}: expected `read <token>` or `write <token>`: correct it")
        if len(words[1]) < _LEAST:
            raise TokenError(f"tokens={file}: line {number}: a token has {_LEAST} letters or more: make another")
        if not words[1].isascii():
            raise TokenError(f"tokens={file}: line {number}: a token is of ASCII letters, as headers are: make another")
        digests.append((sha256(words[1].encode()).digest(), "write" if words[0] == "write" else "read"))
    if not digests:
        raise TokenError(f"tokens={file}: holds no token: add a line, such as by {_EXAMPLE}")
    return Tokens(tuple(digests))


def need_tokens(host: str, tokens: Tokens) -> None:
    """Refuses to listen for other computers without a token.

    Args:
        host: The address that is listened on.
        tokens: Those that are asked for.

    Raises:
        TokenError: There is none.
    """
    if not tokens and host not in LOOPBACK:
        raise TokenError(
            f"host={host}: other computers reach it, so it needs tokens: {_EXAMPLE} && chmod 600 tokens.txt, then "
            "give tokens=tokens.txt"
        )


LOOPBACK = ("127.0.0.1", "::1", "localhost")
