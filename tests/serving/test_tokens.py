"""Tokens: read from a file that only its owner reads, compared as checksums, and never in a text."""

import os
from pathlib import Path

import pytest

from lookalike.serving.tokens import TokenError, Tokens, need_tokens, read_tokens
from services import write_tokens

READ, WRITE = "reader-0123456789", "writer-0123456789"


def test_what_a_token_allows(tmp_path: Path) -> None:
    lines = ("# of the shop", "", f"read {READ}  # anna", f"\twrite\t{WRITE}")
    tokens = read_tokens(write_tokens(tmp_path / "tokens.txt", *lines))
    assert [tokens.allows(token) for token in (READ, WRITE, "other", "", READ[:-1], f"{READ} ", "\udcff")] == [
        "read",
        "write",
        *[None] * 5,
    ]
    assert tokens
    assert not Tokens()
    assert READ not in repr(tokens)


@pytest.mark.parametrize("order", [("read", "write"), ("write", "read")])
def test_a_token_that_stands_twice_allows_the_most(order: tuple[str, str], tmp_path: Path) -> None:
    tokens = read_tokens(write_tokens(tmp_path / "tokens.txt", *(f"{right} {READ}" for right in order)))
    assert tokens.allows(READ) == "write"


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ((), "holds no token: add a line, such as by echo"),
        (("# nothing",), "holds no token"),
        ((READ,), "line 1: expected `read <token>` or `write <token>`: correct it"),
        ((f"read {READ}", f"admin {WRITE}"), "line 2: expected `read"),
        ((f"read {READ} {WRITE}",), "line 1: expected `read"),
        ((f"Read {READ}",), "line 1: expected `read"),
        (("read short",), "line 1: a token has 16 letters or more: make another"),
        ((f"read {READ}é",), "line 1: a token is of ASCII letters, as headers are: make another"),
    ],
)
def test_a_wrong_line_is_refused_without_its_token(lines: tuple[str, ...], text: str, tmp_path: Path) -> None:
    file = write_tokens(tmp_path / "tokens.txt", *lines)
    with pytest.raises(TokenError, match=text) as raised:
        read_tokens(file)
    assert str(raised.value).startswith(f"tokens={file}: ")
    assert not {READ, WRITE} & set(str(raised.value).split())


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666, 0o601, 0o660, 0o620])
def test_a_file_that_others_read_or_change_is_refused(mode: int, tmp_path: Path) -> None:
    file = write_tokens(tmp_path / "tokens.txt", f"read {READ}")
    file.chmod(mode)
    with pytest.raises(TokenError, match=r"others on this computer can read or change it: chmod 600 .*tokens\.txt$"):
        read_tokens(file)


def test_a_file_that_a_group_reads_will_do(tmp_path: Path) -> None:
    """As a cluster hands secrets to a program that is not its owner."""
    file = write_tokens(tmp_path / "tokens.txt", f"read {READ}")
    file.chmod(0o440)
    assert read_tokens(file).allows(READ) == "read"


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="No such file or directory: make it, such as by echo"):
        read_tokens(tmp_path / "none.txt")
    with pytest.raises(TokenError, match="Is a directory: make it"):
        read_tokens(tmp_path)
    file = write_tokens(tmp_path / "tokens.txt")
    file.write_bytes(b"read \xff\xfe" + READ.encode())
    with pytest.raises(TokenError, match="not UTF-8: make it"):
        read_tokens(file)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(TokenError, match="expected a small file of text, found a pipe, a device or a large one"):
        read_tokens(tmp_path / "pipe")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "shop.example.org"])
def test_other_computers_need_a_token(host: str) -> None:
    with pytest.raises(
        TokenError, match=rf"host={host}: other computers reach it, so it needs tokens: .* tokens=tokens"
    ):
        need_tokens(host, Tokens())
    need_tokens(host, Tokens(((b"", "read"),)))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_computer_needs_none(host: str) -> None:
    need_tokens(host, Tokens())
