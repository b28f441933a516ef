#!/usr/bin/python
"""Ansible module: pull many images at once, with retries, and report each."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
---
module: docker_images_present
short_description: Pull many images at once, with retries, and report each
description:
  - Pulls the images that the engine does not hold yet, several at a time.
  - community.docker pulls one image per task; with O(async) it pulls several but cannot retry them.
options:
  images:
    description: Images, as one would write them after C(docker pull).
    type: list
    elements: str
    required: true
  optional:
    description: Those of the images that may stay missing.
    type: list
    elements: str
    default: []
  retries:
    description: How often an image is tried.
    type: int
    default: 3
  parallel:
    description: How many images are pulled at a time.
    type: int
    default: 4
  timeout:
    description: How long one attempt may take, in seconds.
    type: int
    default: 1800
author: [cwl-airflow-production contributors]
"""

EXAMPLES = """
- docker_images_present:
    images: [debian:trixie-slim, biocontainers/bwa:v0.7.17_cv1]
"""

RETURN = """
report:
  description: One line per image.
  type: list
  elements: str
  returned: always
"""


def is_present(image: str) -> bool:
    """Tell whether the engine holds an image under this name."""
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", image]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def pull(image: str, retries: int, timeout: float) -> str:
    """Pull an image, and again after a growing pause.

    :param retries: number of attempts.
    :param timeout: bound of one attempt, in seconds.
    :returns: the last attempt's reason for failing, or an empty string when it worked.
    """
    reason = ""
    for attempt in range(max(1, retries)):
        if attempt:
            time.sleep(2**attempt)
        try:
            done = subprocess.run(
                ["docker", "pull", "--quiet", image],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            reason = f"not done after {timeout:g} s"
            continue
        if done.returncode == 0:
            return ""
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
    return reason


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "images": {"type": "list", "elements": "str", "required": True},
            "optional": {"type": "list", "elements": "str", "default": []},
            "retries": {"type": "int", "default": 3},
            "parallel": {"type": "int", "default": 4},
            "timeout": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    p = module.params
    images = sorted(set(p["images"]))
    missing = [image for image in images if not is_present(image)]
    report = dict.fromkeys(images, "present")
    failed: list[str] = []
    if module.check_mode:
        report.update(dict.fromkeys(missing, "would be pulled"))
    else:
        with ThreadPoolExecutor(max_workers=max(1, p["parallel"])) as pool:
            reasons = pool.map(lambda image: pull(image, p["retries"], p["timeout"]), missing)
            for image, reason in zip(missing, reasons, strict=True):
                report[image] = f"could not be pulled: {reason}" if reason else "pulled"
                if reason and image not in p["optional"]:
                    failed.append(f"{image}: {reason}")
    lines = [f"{image}: {state}" for image, state in report.items()]
    changed = any(state in ("pulled", "would be pulled") for state in report.values())
    if failed:
        module.fail_json(
            msg="Images that could not be pulled: "
            + "; ".join(failed)
            + ". Correct the name, check docker_registry_mirrors and proxies, or name it in docker_optional_images.",
            changed=changed,
            report=lines,
        )
    module.exit_json(changed=changed, report=lines)


if __name__ == "__main__":
    main()
