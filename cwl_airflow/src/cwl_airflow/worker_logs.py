"""The server of a worker's task logs, on the address that ``[logging] worker_log_server_host`` says.

Airflow's own binds all addresses of the host and has no option for that, so that workers are started with
``--skip-serve-logs``.
"""

from __future__ import annotations

import multiprocessing

#: What makes the application, which checks the token that the api-server sends along.
APPLICATION = "airflow.utils.serve_logs.log_server:get_app"


def start_log_server() -> None:
    """Serve the logs in a process of its own, which ends with this one; do nothing if no address is set."""
    from airflow.configuration import conf

    if host := conf.get("logging", "worker_log_server_host", fallback=""):
        port = conf.getint("logging", "worker_log_server_port")
        multiprocessing.Process(target=serve_logs, args=(host, port), name="logs", daemon=True).start()


def serve_logs(host: str, port: int) -> None:
    """Serve the logs until told to stop.

    :param host: the address to listen on.
    """
    import uvicorn
    from setproctitle import setproctitle

    setproctitle("airflow serve-logs")
    # Who reads which log, the api-server's log says.
    uvicorn.run(APPLICATION, host=host, port=port, log_config=None, access_log=False)
