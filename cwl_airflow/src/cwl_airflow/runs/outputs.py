"""Collect the outputs of a run, and say what its steps took."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from cwltool.process import relocateOutputs
from cwltool.utils import visit_class
from cwltool.workflow_job import object_from_state
from schema_salad.ref_resolver import file_uri

from ..documents.plan import GATHERER, OUTPUTS_REPORT, STATISTICS
from ..files import write_atomically
from ..gate import Gate, Refused
from ..gate.hooks import Context, Destination
from ..gate.objects import check_names, find_files, local_path
from ..gate.outputs import strip_tree
from .cwl_json import read_cwl_json
from .output_names import name_apart
from .run import CWLRun
from .step_workflow import StepWorkflow
from .usage import summarize_usage

#: Characters of what a report has beside outputs and steps: each time it is asked for it is read.
LONGEST = 4 * 2**20


def collect_run(
    run: CWLRun, outdir: Path, own: bool, about: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], str]:
    """Move the outputs of a run to a folder, and report them there in a file.

    :param outdir: where they go.
    :param own: whether the folder is the run's own: what an earlier try left there is removed.
    :param about: what the report says beside that: ``run``, whose it is, as others may report into the same folder;
        ``document`` and ``job``, what has run. What is longer than `LONGEST` is left out.
    :returns: the outputs, and the path of the file that reports them.
    """
    if own:
        shutil.rmtree(outdir, ignore_errors=True)
    outputs = collect_outputs(run, outdir)
    report = outdir / OUTPUTS_REPORT
    short = {name: value for name, value in (about or {}).items() if len(json.dumps(value)) <= LONGEST}
    statistics = {**run_statistics(run), **short}
    write_atomically(report, json.dumps({**outputs, STATISTICS: statistics}, indent=2))
    return outputs, str(report)


def collect_outputs(run: CWLRun, outdir: Path) -> dict[str, Any]:
    """Move the outputs of a run to a folder.

    Until this has succeeded the run's own files stay where they are.

    :param outdir: where they go.
    :returns: the outputs.
    :raises Refused: the run may not write there, or an output is not its own to give.
    """
    run.gate.write(outdir, "'outputs_folder'")
    outputs = _output_values(run)
    with run.context(GATHERER) as context:
        for name, value in outputs.items():
            check_names(value, f"Output '{name}'")
        outputs = _relocate_outputs(run, outputs, outdir, context)
    for name, value in outputs.items():
        for file in find_files(value):
            strip_tree(local_path(file) or "", f"Output '{name}'")
    visit_class(outputs, ("File", "Directory"), _as_cwltool_prints)
    return dict(outputs)


def run_statistics(run: CWLRun) -> dict[str, Any]:
    """Return what each step took: disk in bytes, time in seconds, and what `summarize_usage` says of its jobs."""
    reports = {file.stem: read_cwl_json(file) for file in run.layout.steps.glob("*.json")}
    return {
        "steps": {
            name: {
                "status": report["status"],
                "disk": report["disk"],
                "seconds": report["seconds"],
                **summarize_usage(run.layout.used(name)),
            }
            for name, report in sorted(reports.items())
        }
    }


def _output_values(run: CWLRun) -> MutableMapping[str, Any]:
    """Return the outputs as the steps left them."""
    process = run.load(GATHERER)
    if not isinstance(process, StepWorkflow):
        (report,) = run.layout.steps.glob("*.json")
        outputs: MutableMapping[str, Any] = read_cwl_json(report)["outputs"]
        return outputs
    several = bool(process.get_requirement("MultipleInputFeatureRequirement")[0])
    values = process.values(read_cwl_json(run.layout.inputs), run.step_report)
    return object_from_state(values, process.tool["outputs"], True, several, "outputSource", incomplete=True) or {}


def _relocate_outputs(
    run: CWLRun, outputs: MutableMapping[str, Any], outdir: Path, context: Context
) -> MutableMapping[str, Any]:
    folder = Path(os.path.realpath(run.layout.folder))
    scratch = folder / run.layout.scratch(GATHERER).relative_to(run.layout.folder)
    visit_class(outputs, ("Directory",), _forget_listing)
    name_apart(outputs, taken=[OUTPUTS_REPORT])
    links: dict[str, str] = {}
    for kind in ("Directory", "File"):  # a file may be in one of the folders
        visit_class(outputs, (kind,), functools.partial(_give_second_name, run.gate, folder, scratch, links))
    outdir.mkdir(parents=True, exist_ok=True)
    moved: MutableMapping[str, Any] = relocateOutputs(
        outputs, os.path.realpath(outdir), {str(scratch)}, "move", context.make_fs_access(""), True,
        path_mapper=functools.partial(Destination, run.gate),  # type: ignore[arg-type]
    )  # fmt: skip
    return moved


def _give_second_name(gate: Gate, below: Path, scratch: Path, links: dict[str, str], value: dict[str, Any]) -> None:
    """Give a file of the run a second name in `scratch`, to be moved: the first one stays for another try.

    :param below: the run's folder.
    :param links: the second names so far; a file that is several outputs, or in a folder that is one, stays one file.
    """
    path = local_path(value)
    real = Path(os.path.realpath(path)) if path else None
    if not path or not real or scratch in real.parents or (below not in real.parents and not real.is_dir()):
        return  # relocateOutputs copies what is not the run's; but with a folder it replaces one that is there
    for known, link in links.items():
        if f"{real}/".startswith(f"{known}/"):
            _move_location(value, path, link + str(real)[len(known) :])
            return
    target = scratch / str(len(links)) / os.path.basename(path)
    # By their real paths, as cwltool tells files apart: one that was updated in place has several names.
    links[str(real)] = str(target)
    target.parent.mkdir()
    _link_tree(gate, below, real, target, (real,))
    _move_location(value, path, str(target))


def _link_tree(gate: Gate, below: Path, real: Path, target: Path, inside: tuple[Path, ...]) -> None:
    """Link a file or a folder with all that is in it, and what links in it lead to.

    :param inside: the real paths of the folders that it is in, as the links go.
    :raises Refused: a link leads to what the run may not read, or back into its own folder.
    """
    if real.is_dir():
        target.mkdir()
        for entry in real.iterdir():
            leads_to = Path(os.path.realpath(entry))
            if entry.is_symlink():
                gate.read(entry, f"Output '{entry.name}'")
                if leads_to in inside:
                    raise Refused(f"Output '{entry.name}': the link {entry} leads back into its own folder.")
            if not leads_to.exists():
                # It would lead somewhere where the outputs go.
                raise Refused(f"Output '{entry.name}': the link {entry} leads nowhere.")
            _link_tree(gate, below, leads_to, target / entry.name, (*inside, leads_to))
        return
    try:
        if below not in real.parents:  # an input that is passed on stays the user's own
            raise OSError
        os.link(real, target)
    except OSError:  # or of another owner, where the kernel protects hard links
        shutil.copy2(real, target)


def _forget_listing(value: dict[str, Any]) -> None:
    """Let cwltool list what is in a folder: a tool may have listed a part of it, and all of it becomes output."""
    path = local_path(value)
    if path and os.path.isdir(path):
        value.pop("listing", None)


def _move_location(value: Any, old: str, new: str) -> None:
    """Change the path of a file or folder."""
    path = local_path(value)
    if path and f"{path}/".startswith(f"{old}/"):
        value["location"] = file_uri(new + path[len(old) :])
        value.pop("path", None)


def _as_cwltool_prints(value: dict[str, Any]) -> None:
    for name in ("path", "nameext", "nameroot", "dirname"):
        value.pop(name, None)
    if path := local_path(value):
        value["path"] = path
        value["basename"] = os.path.basename(path.rstrip("/"))  # a file that is two outputs has the name of the first
