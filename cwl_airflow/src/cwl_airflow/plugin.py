"""What Airflow's plug-in manager loads of this package: the api-server asks who starts a run."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from .callers import CallerMiddleware


class CWLAirflowPlugin(AirflowPlugin):
    """The plug-in of this package."""

    name = "cwl_airflow"
    # Of two, the later one is asked first: what knows other tokens than Airflow's has to come after this.
    fastapi_root_middlewares = [{"name": "Who starts a run", "middleware": CallerMiddleware}]  # noqa: RUF012
