"""Take reports and print them, one line of JSON each: a receiver for trying the reports of a site.

With a public key it takes only what was signed with the private one. It is not made to face a network.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import jwt

from ..reports.printing_server import PrintingServer


def main(argv: list[str] | None = None) -> int:
    """Take reports until told to stop; exit code 2 if the key cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="TCP port, 0 for any (default: %(default)s)")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="take only what this key verifies (PEM)")
    parser.add_argument("--algorithm", default="RS256", help="the algorithm of the signatures (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        key = options.public_key.read_text(encoding="utf-8") if options.public_key else None
        if key is not None:
            jwt.get_algorithm_by_name(options.algorithm).prepare_key(key)
    except Exception as error:  # PyJWT and cryptography have many
        parser.error(f"{options.public_key} with {options.algorithm}: {error}")
    with PrintingServer((options.host, options.port), key, options.algorithm) as server:
        # Of SIGINT too, which a shell that runs it in the background has it ignore.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        print(f"http://{options.host}:{server.server_port}/ takes reports", file=sys.stderr, flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
