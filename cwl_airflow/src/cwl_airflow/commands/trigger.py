"""Trigger a DAG run through the CWL API, with a JSON Web Token of run_id and conf."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from urllib.parse import quote

import jwt
import requests

from ..rest import LOCAL_API

#: How long a strict token is good, in seconds.
LIFE = 60
#: How long to wait for a connection and for the answer, in seconds: a run takes minutes to stop.
TIMEOUT = (10, 600)


def main(argv: list[str] | None = None) -> int:
    """Print what the API answers; exit code 1 when it refuses."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Without a key, user and password are taken from ~/.netrc."
    )
    parser.add_argument("-d", "--dag", required=True, help="DAG")
    parser.add_argument("-r", "--run", required=True, help="name of the run (run_id)")
    parser.add_argument("-c", "--conf", required=True, help='its configuration in JSON, like {"job": {}}')
    parser.add_argument("-u", "--url", default=LOCAL_API, help="of the CWL API (default: %(default)s)")
    parser.add_argument("-k", "--key", help="file of the private key to sign with, - for standard input")
    parser.add_argument("-a", "--algorithm", default="RS256", help="to sign with (default: %(default)s)")
    parser.add_argument("-s", "--strict", action="store_true", help=f"a token for this DAG only, and for {LIFE} s")
    options = parser.parse_args(argv)
    try:
        json.loads(options.conf)
    except (ValueError, RecursionError) as error:
        parser.error(f"-c {options.conf}: not JSON: {error}")
    body = {"run_id": options.run, "conf": options.conf}
    if options.key:
        try:
            key = sys.stdin.read() if options.key == "-" else Path(options.key).read_text(encoding="utf-8")
            strict = {"dag_id": options.dag, "exp": int(time.time()) + LIFE} if options.strict else {}
            body["token"] = jwt.encode(body | strict, key, algorithm=options.algorithm)
        except (OSError, ValueError, TypeError, NotImplementedError, jwt.PyJWTError) as error:
            parser.error(f"-k {options.key} -a {options.algorithm}: {error}")
    url = f"{options.url.rstrip('/')}/api/experimental/dags/{quote(options.dag, safe='')}/dag_runs"
    try:
        answer = requests.post(url, json=body, timeout=TIMEOUT)
    except requests.RequestException as error:
        print(error, file=sys.stderr)
        return 1
    print(answer.text.strip(), file=sys.stdout if answer.ok else sys.stderr)
    return 0 if answer.ok else 1


if __name__ == "__main__":
    sys.exit(main())
