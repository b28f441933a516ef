"""Where a secret is seen: it is looked for as it is, in base64 and quoted as in a URL."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

#: Looks at all processes again and again until the file that it is given is gone; prints what it saw in which.
WATCH = r"""
import json, os, pathlib, sys, time
forms, until = json.load(sys.stdin), sys.argv[1]
found, own = set(), os.getpid()
print("watching", flush=True)
while os.path.exists(until):
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == own:
            continue
        for kind in ("cmdline", "environ"):
            try:
                text = (process / kind).read_bytes().decode(errors="replace")
                groups = (process / "cgroup").read_text().splitlines()
                user = process.stat().st_uid
            except OSError:
                continue
            # On cgroup v1 the line of systemd's own tree, on v2 the only one.
            (group,) = [line for line in groups if ":name=systemd:" in line] or groups[-1:] or [""]
            unit = next((part for part in group.split("/") if part.endswith(".service")), "")
            found |= {(kind, unit, user, name) for name, all in forms.items() if any(form in text for form in all)}
    time.sleep(0.05)
print(json.dumps(sorted(found)))
"""


def forms_of(secret: str) -> set[str]:
    """Return how a secret may look in a text: each line of a key by itself, and in the middle of other base64."""
    lines = [line for line in secret.splitlines() if len(line) >= 12 and not line.startswith("-")]
    found = set(lines)
    for line in lines:
        found |= {quote(line, safe="")}
        for before, skipped in ((0, 0), (1, 2), (2, 3)):
            text = b"x" * before + line.encode()
            whole = len(text) // 3 * 4  # what comes after it changes the rest
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                found.add(encode(text).decode()[skipped:whole])
    return found


def names_in(text: str, forms: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the names of the secrets that a text shows."""
    return {name for name, all_forms in forms.items() if any(form in text for form in all_forms)}


def run_with_input(host, command: str, text: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a host, which is a container, with a text that is in no command line."""
    whole = ["docker", "exec", "--interactive", host.backend.name, "sh", "-c", command]
    return subprocess.run(whole, input=text, capture_output=True, text=True, check=False)


def watch(host, forms: Mapping[str, Iterable[str]], until: str) -> Callable[[], set[tuple[str, str, int, str]]]:
    """Watch the processes of a host while a file is there; what is returned waits, and returns what was seen."""
    host.check_output(f"touch {until}")
    command = ["docker", "exec", "--interactive", host.backend.name, "python3", "-c", WATCH, until]
    watching = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert watching.stdin
    assert watching.stdout
    json.dump({name: sorted(all_forms) for name, all_forms in forms.items()}, watching.stdin)
    watching.stdin.close()
    assert watching.stdout.readline() == "watching\n"
    output = watching.stdout

    def seen() -> set[tuple[str, str, int, str]]:
        found = json.loads(output.read())
        assert watching.wait() == 0
        return {tuple(each) for each in found}

    return seen
