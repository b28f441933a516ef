"""What a run was and gave, in the words of a Provenance Run Crate.

Source: https://w3id.org/ro/wfrun/provenance/0.5, on RO-Crate 1.1
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from ..documents.plan import task_ids
from ..gate.objects import FILES, local_path
from .content import media_type

#: Files of a crate, and the folder with the outputs in it.
METADATA, DOCUMENT, JOB, OUTPUTS = "ro-crate-metadata.json", "packed.cwl", "job.json", "outputs"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
#: Only of a document with steps.
OF_STEPS = "https://w3id.org/ro/wfrun/provenance/0.5"
#: What RO-Crate 1.1 has no words for, as https://w3id.org/ro/terms/workflow-run/context has it: by their names here, so
#: that reading a crate fetches no second file.
TERMS = {
    name: f"https://w3id.org/ro/terms/workflow-run#{name}"
    for name in ("ContainerImage", "DockerImage", "containerImage", "registry", "resourceUsage", "sha1", "tag")
}
#: Types of CWL in those of schema.org and RO-Crate.
TYPES = {"File": "File", "Directory": "Dataset", "int": "Integer", "long": "Integer", "float": "Float"}
TYPES |= {"double": "Float", "boolean": "Boolean", "string": "Text", "enum": "Text", "record": "PropertyValue"}
UNKNOWN = "application/octet-stream"
BYTE = "https://qudt.org/vocab/unit/BYTE"
#: Characters of a value.
LONGEST_VALUE = 10_000


@dataclass(frozen=True)
class Times:
    """When something was done, as in ISO 8601; nothing for what is not known."""

    start: str | None
    end: str | None

    def terms(self) -> dict[str, str]:
        """Return them in the words of schema.org."""
        return {name: time for name, time in (("startTime", self.start), ("endTime", self.end)) if time}


@dataclass(frozen=True)
class TaskRecord:
    """What ran a step."""

    times: Times
    #: As `runs.usage` has it: ``command``, ``images``, ``memory``, ``disk``, ``jobs``, ``exit_codes``.
    took: Mapping[str, Any]
    queue: str = ""
    host: str = ""


@dataclass(frozen=True)
class RunRecord:
    """A run that succeeded."""

    dag_id: str
    run_id: str
    times: Times
    #: The name of who started it; nothing if nobody is known.
    agent: str
    #: Packed, as cwltool does.
    document: Mapping[str, Any]
    job: Mapping[str, Any]
    outputs: Mapping[str, Any]
    tasks: Mapping[str, TaskRecord]
    #: Of what ran it, by name.
    versions: Mapping[str, str]


def describe_crate(run: RunRecord, below: Callable[[Mapping[str, Any]], str]) -> dict[str, Any]:
    """Return the metadata of a crate, as JSON-LD.

    :param below: returns the path of an output below the folder of the outputs; nothing for one that is not given.
    """
    return _Writer(run, below).write()


class _Writer:
    """Writes the metadata of one crate."""

    def __init__(self, run: RunRecord, below: Callable[[Mapping[str, Any]], str]) -> None:
        self._run, self._below = run, below
        self._crate = ROCrate(version="1.1")
        self._crate.metadata.extra_terms.update(TERMS)
        graph = run.document.get("$graph", [run.document])
        self._processes = {str(each["id"]): each for each in graph}
        self._main = self._processes["#main"]
        #: What is named by several is told once.
        self._known: dict[str, Entity] = {}
        self._parts: set[str] = set()
        #: Files that belong to others, by the identifiers of these.
        self._beside: dict[str, list[Entity]] = {}

    def write(self) -> dict[str, Any]:
        run, crate = self._run, self._crate
        steps = sorted(self._steps(), key=lambda step: step[2].times.start or "")
        crate.name = f"Run {run.run_id} of {run.dag_id}"
        crate.description = f"A run of the CWL document '{label(self._main) or run.dag_id}' that succeeded."
        crate.license = "None was given: ask whoever ran the workflow."
        if run.times.end:
            crate.datePublished = run.times.end
        types = ["File", "SoftwareSourceCode", "ComputationalWorkflow", *(["HowTo"] if steps else [])]
        about = {"@type": types, "name": label(self._main) or run.dag_id, "description": _doc(self._main)}
        about |= {"encodingFormat": "application/cwl+json"}
        workflow = crate.add_workflow(None, DOCUMENT, properties=about, main=True, lang_version=_version(run.document))
        crate.root_dataset["conformsTo"] = [
            self._add(profile, "CreativeWork", name=name, version=release)
            for profile, (name, release) in PROFILES.items()
            if steps or profile != OF_STEPS
        ]
        crate.add_file(None, JOB, properties={"name": "The job", "encodingFormat": "application/json"})
        workflow["conformsTo"] = {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"}
        made = self._parameters(workflow, "input", self._main["inputs"], run.job)
        given = self._parameters(workflow, "output", self._main["outputs"], run.outputs)
        agent = {"agent": self._agent()} if run.agent else {}
        if run.agent:
            crate.root_dataset["author"] = self._agent()
        more = self._took(next(iter(run.tasks.values()))) if len(run.tasks) == 1 and not steps else {}
        action = self._add(
            "#run", "CreateAction", name=f"Run {run.run_id}", description=f"Run {run.run_id} of the DAG {run.dag_id}.",
            instrument=workflow, object=self._with_files(made.values()), result=self._with_files(given.values()),
            actionStatus="http://schema.org/CompletedActionStatus", **run.times.terms(), **agent, **more,
        )  # fmt: skip
        crate.root_dataset.append_to("mentions", action)
        if steps:
            self._add_steps(workflow, action, steps, agent, made, given)
        metadata: dict[str, Any] = crate.metadata.generate()
        return {**metadata, "@graph": [_alone(each) for each in metadata["@graph"]]}

    def _add(self, identifier: str, kind: str | list[str], **properties: Any) -> Entity:
        if identifier not in self._known:
            entity = ContextEntity(self._crate, identifier, properties={"@type": kind})
            self._known[identifier] = self._crate.add(entity)
            for name, value in properties.items():
                if value not in (None, "", []):
                    entity[name] = value
        return self._known[identifier]

    def _agent(self) -> Entity:
        return self._add(f"#person-{quote(self._run.agent, safe='')}", "Person", name=self._run.agent)

    def _engine(self) -> Entity:
        versions = self._run.versions
        return self._add(
            "#engine", "SoftwareApplication", name="cwl-airflow", softwareVersion=versions.get("cwl-airflow"),
            softwareRequirements=[
                self._add(url := f"https://pypi.org/project/{name}/", "SoftwareApplication", name=name,
                          softwareVersion=version, url=url)
                for name, version in versions.items()
                if name != "cwl-airflow"
            ],
        )  # fmt: skip

    # Steps

    def _steps(self) -> Iterator[tuple[str, Mapping[str, Any], TaskRecord]]:
        """Find the steps that ran, with their names."""
        steps = {_last(step["id"]): step for step in self._main.get("steps", [])}
        for name, task in task_ids(steps).items():
            record = self._run.tasks.get(task)
            if record is not None:
                yield name, steps[name], record

    def _add_steps(
        self,
        workflow: Entity,
        run: Entity,
        steps: Iterable[tuple[str, Mapping[str, Any], TaskRecord]],
        agent: Mapping[str, Any],
        made: Mapping[str, Entity],
        given: Mapping[str, Entity],
    ) -> None:
        controls = []
        for position, (name, step, record) in enumerate(steps, 1):
            tool = self._tool(name, step)
            part = self._add(f"#step/{quote(name)}", "HowToStep", name=name, position=str(position), workExample=tool)
            workflow.append_to("step", part)
            if tool not in workflow.get("hasPart", []):
                workflow.append_to("hasPart", tool)
            times = "" if record.took.get("jobs", 1) == 1 else f" in {record.took['jobs']} jobs"
            where = f" on {record.host}" if record.host else ""
            action = self._add(
                f"#run/{quote(name)}", "CreateAction", name=f"Step {name}",
                description=f"Ran{times}{where}, queue {record.queue}. {self._command(record)}".strip(),
                instrument=tool, object=self._with_files(self._taken(step, made)),
                result=self._with_files(self._passed_on(name, given)),
                actionStatus="http://schema.org/CompletedActionStatus",
                **record.times.terms(), **agent, **self._took(record),
            )  # fmt: skip
            controls.append(
                self._add(f"#control/{quote(name)}", "ControlAction", name=f"Control of {name}", instrument=part,
                          object=action)
            )  # fmt: skip
            self._crate.root_dataset.append_to("mentions", action)
        self._add(
            "#organize", "OrganizeAction", name="cwl-airflow at work", instrument=self._engine(), object=controls,
            result=run, **self._run.times.terms(), **agent,
        )  # fmt: skip

    def _tool(self, name: str, step: Mapping[str, Any]) -> Entity:
        of = step["run"]
        process = of if isinstance(of, Mapping) else self._processes.get(str(of), {})
        place = str(of) if isinstance(of, str) else f"#main/{name}/run"
        return self._add(
            DOCUMENT + quote(place, safe="#/"), "SoftwareApplication",
            name=label(process) or (_last(place) if isinstance(of, str) else name), description=_doc(process),
        )  # fmt: skip

    def _command(self, record: TaskRecord) -> str:
        command = record.took.get("command")
        first = "The command" if record.took.get("jobs", 1) == 1 else "The command of its first job"
        return f"{first}: {command}" if command else ""

    def _taken(self, step: Mapping[str, Any], made: Mapping[str, Entity]) -> list[Entity]:
        """Return what a step took of the inputs of the workflow."""
        sources = {source for each in step["in"] for source in as_list(each.get("source"))}
        return [value for name, value in made.items() if f"#main/{name}" in sources]

    def _passed_on(self, step: str, given: Mapping[str, Entity]) -> list[Entity]:
        """Return what a step gave that became an output of the workflow."""
        return [
            given[_last(output["id"])]
            for output in self._main["outputs"]
            if _last(output["id"]) in given
            and any(source.startswith(f"#main/{step}/") for source in as_list(output.get("outputSource")))
        ]

    def _took(self, record: TaskRecord) -> dict[str, Any]:
        """Return the images of an action, and what its jobs took."""
        images = [self._image(name, digest) for name, digest in record.took.get("images", {}).items()]
        usage = [
            self._add(f"#usage/{kind}/{record.took[kind]}", "PropertyValue", name=name, value=str(record.took[kind]),
                      propertyID=f"cwl-airflow:{kind}", unitCode=BYTE)
            for kind, name in (("memory", "Memory of a job at most"), ("disk", "Disk of all jobs"))
            if record.took.get(kind) is not None
        ]  # fmt: skip
        return {"containerImage": images, "resourceUsage": usage}

    def _image(self, name: str, digest: str) -> Entity:
        registry, repository, tag = image_parts(name)
        return self._add(
            f"#image-{quote(digest or name, safe='')}", "ContainerImage",
            additionalType={"@id": TERMS["DockerImage"]}, registry=registry, name=repository, tag=tag,
            sha256=digest.partition("@sha256:")[2],
        )  # fmt: skip

    # Values

    def _parameters(
        self, workflow: Entity, kind: str, parameters: Iterable[Mapping[str, Any]], values: Mapping[str, Any]
    ) -> dict[str, Entity]:
        """Add the parameters of the document that have values, and return these by name."""
        found = {}
        for each in parameters:
            name = _last(each["id"])
            value = values.get(name, each.get("default") if kind == "input" else None)
            entity = None if value is None else self._value(f"#{kind}/{quote(name)}", name, value, kind)
            if entity is None:
                continue
            found[name] = entity
            types, several, required = parameter_type(each["type"])
            types = ["Collection"] if entity.type == "Collection" else types
            parameter = self._add(
                f"{DOCUMENT}#main/{quote(name)}", "FormalParameter", name=name,
                description=_doc(each) or label(each), additionalType=types,
                multipleValues=several, valueRequired=required,
                conformsTo={"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
            )  # fmt: skip
            workflow.append_to(kind, parameter)
            parameter.append_to("workExample", entity)
            entity.append_to("exampleOfWork", parameter)
        return found

    def _value(self, identifier: str, name: str, value: Any, kind: str) -> Entity | None:
        """Add a value; none of an output whose files are not given."""
        found = [entity for each in _files(value) if (entity := self._file(each, kind))]
        if found and isinstance(value, Mapping) and value.get("class") in FILES:
            return found[0]
        if found:
            text = "" if isinstance(value, list) else json.dumps(value)[:LONGEST_VALUE]
            collection = self._add(identifier, "Collection", name=name, description=text, hasPart=found)
            self._crate.root_dataset.append_to("mentions", collection)
            return collection
        if kind == "output" and any(_files(value)):
            return None
        text = value if isinstance(value, str) else json.dumps(value)
        return self._add(identifier, "PropertyValue", name=name, value=text[:LONGEST_VALUE] or '""')

    def _file(self, value: Mapping[str, Any], kind: str) -> Entity | None:
        """Add a file, and those that belong to it; none that is not given, or nowhere."""
        path = self._below(value) if kind == "output" else ""
        identifier = _location(value) if kind == "input" else ""
        if path:
            identifier = quote(f"{OUTPUTS}/{path}", errors="replace")
        if not identifier:
            return None
        is_folder = value["class"] == "Directory"
        identifier = f"{identifier.rstrip('/')}/" if is_folder else identifier
        about = {
            "name": _last(identifier.rstrip("/")),
            "contentSize": "" if value.get("size") is None else str(value["size"]),
            "sha1": str(value.get("checksum") or "").partition("sha1$")[2],
            "encodingFormat": str(value.get("format") or ("" if is_folder else media_type(identifier) or UNKNOWN)),
            "description": "" if path else "It is where the run took it from, and not in this crate.",
        }
        entity = self._add(identifier, "Dataset" if is_folder else "File", **about)
        if identifier not in self._parts:
            self._parts.add(identifier)
            self._crate.root_dataset.append_to("hasPart", entity)
        beside = [second for each in value.get("secondaryFiles") or [] if (second := self._file(each, kind))]
        self._beside[entity.id] = beside
        return entity

    def _with_files(self, values: Iterable[Entity]) -> list[Entity]:
        """Return values with the files that belong to them."""
        return [each for value in values for each in (value, *self._beside.get(value.id, []))]


def _alone(entity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entity with no lists of one value, as RO-Crate wants it."""
    return {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in entity.items()
        if value != ""
    }


def _files(value: Any) -> Iterator[Mapping[str, Any]]:
    """Find the files and folders in a value, but not those that belong to others."""
    if isinstance(value, list):
        for each in value:
            yield from _files(each)
    elif isinstance(value, Mapping) and value.get("class") in FILES:
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _files(each)


def label(process: Mapping[str, Any]) -> str:
    """Return what a process is called by whoever wrote it; nothing if they did not say."""
    return str(process.get("label") or "")


def _doc(process: Mapping[str, Any]) -> str:
    return "\n".join(map(str, as_list(process.get("doc"))))


def parameter_type(kind: Any) -> tuple[list[str], bool, bool]:
    """Return what a type of CWL is for schema.org: types, whether there may be several values, whether one must be."""
    kinds = as_list(kind)
    several = False
    types: list[str] = []
    for each in kinds:
        if isinstance(each, Mapping) and each.get("type") == "array":
            inner, _, _ = parameter_type(each["items"])
            several, types = True, types + inner
        elif each != "null":
            name = each.get("type") if isinstance(each, Mapping) else each
            types.append(TYPES.get(str(name), "DataType" if name == "Any" else "PropertyValue"))
    return list(dict.fromkeys(types)) or ["DataType"], several, "null" not in kinds


def image_parts(name: str) -> tuple[str, str, str]:
    """Return the registry of a container image, its name there, and its tag."""
    name = name.partition("@")[0]
    first, slash, rest = name.partition("/")
    is_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, rest) if is_registry else ("docker.io", name)
    folder, slash, last = path.rpartition("/")
    last, _, tag = last.partition(":")
    return registry, f"{folder}{slash}{last}", tag or "latest"


def as_list(value: Any) -> list[Any]:
    """Return a value that may be one or several as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _last(identifier: str) -> str:
    return unquote(re.split(r"[/#]", identifier)[-1])


def _location(value: Mapping[str, Any]) -> str:
    path = local_path(value)
    return Path(path).as_uri() if path else str(value.get("location") or "")


def _version(document: Mapping[str, Any]) -> str:
    return str(document.get("cwlVersion") or "").removeprefix("v")
