"""The log of commits on a real server."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.gallery import milvus_log
from lookalike.gallery.milvus_log import MilvusLog, TakenError
from lookalike.gallery.milvus_place import milvus_place
from milvus_server import MilvusServer


def test_a_number_is_taken_once_and_content_comes_back(milvus: MilvusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus_log, "_PIECE", 50)
    monkeypatch.setattr(milvus_log, "_AT_ONCE", 3)
    monkeypatch.setattr(milvus_log, "_MOST", 4)  # rows of one query, so that the others come by batches
    place = milvus_place(milvus.url("logged"))
    with closing(MilvusLog(place)) as log, closing(MilvusLog(place)) as other:
        assert not log.exists()
        log.make()
        content = [["about", 1, [f"name {number}", "x" * number]] for number in range(60)]
        log.publish(0, content, whole=True)
        with pytest.raises(TakenError, match="another process took over while this one paused"):
            other.publish(0, [["about", 1, ["late", ""]]])
        for number in range(1, 7):
            other.publish(number, [["about", 0, [f"name {number}"]]])
        commits = log.commits()
        assert [commit.number for commit in commits] == list(range(7))
        assert commits[0].pieces > 3
        assert log.content(commits[0]) == content
        with pytest.raises(TakenError):
            log.publish(3, [])  # its mark is gone, its row is not
        other.publish(7, content, whole=True)
        assert [commit.number for commit in log.commits()] == [7]
        assert not log.finish(7)


def test_a_turn_is_of_one(milvus: MilvusServer) -> None:
    with closing(MilvusLog(milvus_place(milvus.url("turns")))) as log:
        assert log.take_turn("first")
        assert not log.take_turn("second")
        log.end_turn("second")
        assert log.turn_of() == "first"
        log.end_turn("first")
        assert log.turn_of() == ""


LOGGING = """
import logging, sys
root = logging.getLogger()
root.addHandler(logging.FileHandler(sys.argv[1]))
root.setLevel(logging.INFO)
import lookalike.gallery.milvus_client
assert len(root.handlers) == 1 and root.level == logging.INFO
root.info("still written")
"""


def test_the_log_of_the_process_stays_as_it_was(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LOGGING, str(tmp_path / "log")], check=True)
    assert (tmp_path / "log").read_text() == "still written\n"
