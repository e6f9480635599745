"""The one module that imports pymilvus, whose settings of logging stay out of the process.

On import it configures the whole process's logging, which also closes the handlers that others have.
"""

import logging.config

_configure = logging.config.dictConfig
logging.config.dictConfig = lambda config: None
try:
    from pymilvus import DataType, MilvusClient, MilvusException
finally:
    logging.config.dictConfig = _configure
# It prints a traceback for every answer that is an error, credentials of the request perhaps included.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)

__all__ = ["DataType", "MilvusClient", "MilvusException"]
