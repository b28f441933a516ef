"""The adapter's pure functions: image names as the engine has them, and the files that a job names."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow_extras.adapter import check_locations, engine_name, job_locations
from hypothesis import example, given
from hypothesis import strategies as st

PART = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
TAG = st.sampled_from(["", ":latest", ":v0.7.17_cv1", "@sha256:" + 64 * "0"])
NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)
PATH = st.lists(NAME.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map(
    lambda names: "/" + "/".join(names)
)


@pytest.mark.parametrize(
    ("written", "listed"),
    [
        ("debian:bookworm-slim", "debian:bookworm-slim"),
        ("docker.io/debian:bookworm-slim", "debian:bookworm-slim"),
        ("docker.io/library/debian:bookworm-slim", "debian:bookworm-slim"),
        ("index.docker.io/library/debian", "debian"),
        ("docker.io/biocontainers/bwa:v0.7.17_cv1", "biocontainers/bwa:v0.7.17_cv1"),
        ("biocontainers/bwa", "biocontainers/bwa"),
        ("quay.io/biocontainers/bwa:0.7", "quay.io/biocontainers/bwa:0.7"),
        ("quay.io/library/bwa:0.7", "quay.io/library/bwa:0.7"),
        ("registry.example.org:5000/library/bwa", "registry.example.org:5000/library/bwa"),
        ("docker.io.example.org/library/bwa", "docker.io.example.org/library/bwa"),
        ("quay.io/docker.io/library/bwa", "quay.io/docker.io/library/bwa"),
        ("library/debian:bookworm-slim", "debian:bookworm-slim"),
        ("registry-1.docker.io/library/debian", "registry-1.docker.io/library/debian"),
    ],
)
def test_names_an_image_as_the_engine_lists_it(written: str, listed: str) -> None:
    """The engine's rule: https://github.com/distribution/reference/blob/main/normalize.go (familiarizeName)."""
    assert engine_name(written) == listed


@given(st.sampled_from(["docker.io/", "index.docker.io/"]), PART, PART, TAG)
def test_names_of_docker_hub_lose_the_registry(registry: str, user: str, name: str, tag: str) -> None:
    assert engine_name(f"{registry}{user}/{name}{tag}") == engine_name(f"{user}/{name}{tag}")


@given(PART, PART, TAG, st.sampled_from(["", ":5000"]))
def test_names_of_other_registries_stay(host: str, name: str, tag: str, port: str) -> None:
    image = f"{host}.example.org{port}/library/{name}{tag}"
    assert engine_name(image) == image


@given(PART, PART, TAG, st.sampled_from(["", "docker.io/", "docker.io/library/", "index.docker.io/"]))
def test_naming_twice_changes_nothing(user: str, name: str, tag: str, prefix: str) -> None:
    once = engine_name(f"{prefix}{user}/{name}{tag}")
    assert engine_name(once) == once


@given(NAME, PATH, st.sampled_from(["File", "Directory"]), st.sampled_from(["path", "location"]))
@example("reads", "//[", "File", "path")
def test_finds_a_plain_path(name: str, path: str, kind: str, key: str) -> None:
    assert list(job_locations({name: {"class": kind, key: path}})) == [(name, path)]


@given(NAME, PATH, st.sampled_from(["File", "Directory"]))
def test_finds_the_path_of_a_file_url(name: str, path: str, kind: str) -> None:
    assert list(job_locations({name: {"class": kind, "location": Path(path).as_uri()}})) == [(name, path)]


@pytest.mark.parametrize(
    "entry",
    [
        {"class": "File", "location": "https://example.org/reads.fq"},
        {"class": "File", "location": "s3://bucket/reads.fq"},
        {"class": "File", "path": "relative/reads.fq"},
        {"class": "File", "basename": "a.txt", "contents": "/etc/passwd"},
        {"class": "File", "location": "http://[no host"},
        {"class": "Other", "path": "/data"},
        {"path": "/data"},
        "/data",
        None,
        1,
    ],
)
def test_finds_nothing_in_what_is_no_local_file(entry: Any) -> None:
    assert list(job_locations({"reads": entry})) == []


def test_finds_files_in_arrays_records_listings_and_secondary_files() -> None:
    job = {
        "reads": [[{"class": "File", "path": "/a"}], {"class": "File", "path": "/b"}],
        "sample": {"name": "x", "bam": {"class": "File", "path": "/c", "secondaryFiles": [_file("/c.bai")]}},
        "folder": {"class": "Directory", "listing": [_file("/d"), {"class": "Directory", "path": "/e"}]},
    }
    assert sorted(job_locations(job)) == [
        ("folder", "/d"),
        ("folder", "/e"),
        ("reads", "/a"),
        ("reads", "/b"),
        ("sample", "/c"),
        ("sample", "/c.bai"),
    ]


def _file(path: str) -> dict[str, str]:
    return {"class": "File", "path": path}


@pytest.mark.parametrize("job", [{}, [], None, "text", 1])
def test_accepts_a_job_without_files(job: Any) -> None:
    check_locations(job)


@pytest.mark.parametrize("name", ["reads.fq", "50% of it #1?.fq", "ü.fq", "[a] b.fq"])
def test_accepts_files_and_folders_that_are_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    job = {
        "plain": {"class": "File", "path": str(path)},
        "url": {"class": "File", "location": path.as_uri()},
        "folder": {"class": "Directory", "location": tmp_path.as_uri()},
    }
    before = copy.deepcopy(job)
    check_locations(job)
    assert job == before


@pytest.mark.parametrize("kind", ["File", "Directory"])
def test_names_input_path_and_remedy_for_what_is_missing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "not there"
    job = {"here": {"class": "Directory", "path": str(tmp_path)}, "sample": {"a": [{"class": kind, "path": str(path)}]}}
    with pytest.raises(FileNotFoundError) as refused:
        check_locations(job)
    message = str(refused.value)
    assert "'sample'" in message and str(path) in message
    assert "/var/lib/airflow/cwl/inputs" in message and "cwl_airflow_data_paths" in message


def test_names_a_secondary_file_that_is_missing(tmp_path: Path) -> None:
    bam = tmp_path / "a.bam"
    bam.touch()
    job = {"alignments": {"class": "File", "path": str(bam), "secondaryFiles": [_file(f"{bam}.bai")]}}
    with pytest.raises(FileNotFoundError, match=r"'alignments': .*a\.bam\.bai"):
        check_locations(job)


def test_folders_that_may_not_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # root may write any folder, but a file is none
    for key in ("outputs_folder", "tmp_folder"):
        with pytest.raises(PermissionError, match=f"'{key}': .*/file/x may not .*cwl_airflow_data_paths"):
            check_locations({key: str(tmp_path / "file/x")})


def test_folders_that_may_be_made_are_accepted(tmp_path: Path) -> None:
    check_locations({"outputs_folder": str(tmp_path / "not/yet/there"), "tmp_folder": "relative"})
