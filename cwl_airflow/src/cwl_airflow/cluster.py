"""What Airflow is told where a site has several hosts, which reach each other over TLS.

Each name here is the value of an option of ``airflow.cfg``: ``[core] hostname_callable``,
``[database] sql_alchemy_connect_args_async`` and ``[logging] logging_config_class``.
"""

from __future__ import annotations

import ssl
from copy import deepcopy
from typing import Any

from airflow.config_templates.airflow_local_settings import DEFAULT_LOGGING_CONFIG
from airflow.configuration import conf
from airflow.utils.log.file_task_handler import FileTaskHandler

#: How asynchronous connections reach the database: who answers must have a certificate for the address.
ASYNC_DATABASE = {"ssl": ssl.create_default_context()}


def host_address() -> str:
    """Return where other hosts of the site find this one, as its tasks note it: a name might be none of theirs."""
    return str(conf.get_mandatory_value("cwl", "host_address"))


class EncryptedTaskHandler(FileTaskHandler):
    """Reads the logs of tasks from the hosts that ran them over HTTPS, for which Airflow has no option."""

    def _get_log_retrieval_url(self, *arguments: Any, **values: Any) -> tuple[str | None, str | None]:
        url, path = super()._get_log_retrieval_url(*arguments, **values)
        return (url.replace("http:", "https:", 1) if url else url), path


def _logging() -> dict[str, Any]:
    logging = deepcopy(DEFAULT_LOGGING_CONFIG)
    logging["handlers"]["task"]["class"] = f"{__name__}.{EncryptedTaskHandler.__name__}"
    return logging


LOGGING = _logging()
