"""The one module that imports pymilvus, whose log stays out of the process's own."""

import logging

_ROOT = logging.getLogger()
_BEFORE = (_ROOT.level, list(_ROOT.handlers))

from pymilvus import DataType, MilvusClient, MilvusException  # noqa: E402 - what it sets is put back below

_ROOT.setLevel(_BEFORE[0])
for _handler in [handler for handler in _ROOT.handlers if handler not in _BEFORE[1]]:
    _ROOT.removeHandler(_handler)
# It prints a traceback for every answer that is an error, credentials of the request perhaps included.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)

__all__ = ["DataType", "MilvusClient", "MilvusException"]
