"""Tidy up this host: by the rules of the section ``[cwl]`` of ``airflow.cfg``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from airflow.configuration import conf
from pydantic import BaseModel, Field, ValidationError

from ..dags.settings import CWLSettings
from ..gate.places import ATTACHMENTS, EMBEDDED, RUNNER
from .files import (
    remove_kept,
    remove_logs,
    remove_outputs,
    remove_run_data,
    remove_runner_documents,
    remove_runner_inputs,
)
from .images import remove_images
from .removal import Removal, log
from .rows import SiteRuns, remove_rows


class TidyingRules(BaseModel, frozen=True):
    """After how many days what goes; 0 is never. In ``airflow.cfg`` these are ``tidy_rows_days`` and so on."""

    #: Runs and other rows of Airflow's database.
    rows_days: float = Field(default=0, ge=0, allow_inf_nan=False)
    #: Logs of tasks and of the DAG processor.
    logs_days: float = Field(default=0, ge=0, allow_inf_nan=False)
    #: Outputs of runs.
    outputs_days: float = Field(default=0, ge=0, allow_inf_nan=False)
    #: What is kept of documents that nobody uses any more.
    documents_days: float = Field(default=0, ge=0, allow_inf_nan=False)
    #: Images that documents named.
    images_days: float = Field(default=0, ge=0, allow_inf_nan=False)
    #: Images that stay in any case.
    kept_images: tuple[str, ...] = ()

    @classmethod
    def read(cls) -> TidyingRules:
        """Read the rules.

        :raises ValueError: names the option, its value and what it must be.
        """
        days = [name for name in cls.model_fields if name.endswith("_days")]
        values = {name: text for name in days if (text := conf.get("cwl", f"tidy_{name}", fallback=""))}
        kept = conf.get("cwl", "tidy_kept_images", fallback="")
        try:
            return cls(**values, kept_images=tuple(kept.replace(",", " ").split()))  # type: ignore[arg-type]  # as texts
        except ValidationError as error:
            wrong = error.errors()[0]
            what = str(wrong["msg"]).removeprefix("Input should be ")
            raise ValueError(f"[cwl] tidy_{wrong['loc'][0]} is {wrong['input']}; it must be {what}") from error


def tidy(dry_run: bool) -> Iterator[Removal]:
    """Remove what is old, one kind after the other; what stands in the way of one is no reason to leave the others.

    :param dry_run: only say what would be removed.
    :returns: what was removed, for each kind that has a rule.
    :raises ValueError: a rule is none.
    """
    rules, settings = TidyingRules.read(), CWLSettings.read({})
    runs = SiteRuns(settings.tmp_folder, settings.outputs_folder)

    def removed(kind: str, remove: Callable[[Removal], None], removal: Removal | None = None) -> Removal:
        removal = removal or Removal(kind, dry_run)
        try:
            remove(removal)
        except Exception as error:  # the database, the engine and Airflow each have their own
            log.debug("%s", kind, exc_info=True)
            removal.fail("ended early", str(error).partition("\n")[0])
        return removal

    # Before the rows: a run that nobody knows any more is one that has ended.
    yield removed(
        "data of failed runs",
        lambda removal: remove_run_data(removal, settings.tmp_folder, settings.keep_failed_days, runs),
    )
    yield removed(
        "inputs of cwl-runner",
        lambda removal: remove_runner_inputs(removal, settings.inputs_folder, settings.keep_failed_days, runs),
    )
    if rules.outputs_days:
        yield removed(
            "outputs", lambda removal: remove_outputs(removal, settings.outputs_folder, rules.outputs_days, runs)
        )
    if rules.logs_days:
        logs = Path(conf.get_mandatory_value("logging", "base_log_folder"))
        yield removed("log files", lambda removal: remove_logs(removal, logs, rules.logs_days, runs))
    if rules.documents_days:
        pickle = settings.pickle_folder
        yield removed("kept documents", lambda removal: remove_kept(removal, pickle, rules.documents_days))
        inputs, dags, days = settings.inputs_folder, settings.places.dags, rules.documents_days
        yield removed(
            "documents of cwl-runner", lambda removal: remove_runner_documents(removal, inputs, dags, days, runs)
        )
    if rules.images_days:
        folders = [settings.places.dags, settings.pickle_folder / EMBEDDED, settings.tmp_folder / ATTACHMENTS]
        folders.append(settings.inputs_folder / RUNNER)
        images = partial(
            remove_images, engine=settings.engine, folders=folders, kept=rules.kept_images, days=rules.images_days
        )
        yield removed("images", images)
    if rules.rows_days:
        rows = Removal("other rows", dry_run, bytes=None)
        yield removed(
            "runs with their rows",
            lambda removal: remove_rows(removal, rows, rules.rows_days),
            Removal("runs with their rows", dry_run, bytes=None),
        )
        yield rows
