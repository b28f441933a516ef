"""What JavaScript threw, and where, out of what cwltool says: that has all inputs as well, and places in Node.js."""

from __future__ import annotations

import re

#: With this cwltool begins.
FAILED = "Expression evaluation error:"
#: The last of what cwltool puts before an expression, and what it puts after it.
BEFORE, AFTER = re.compile(r"^\d+ var runtime = \{$", re.MULTILINE), "\nstdout was:"
END = re.compile(r"^\d+ \};\n", re.MULTILINE)


def thrown_error(said: str) -> str:
    """Return the line that says what is wrong with an expression: what it threw, or else the first one."""
    lines = [line for line in said.splitlines() if line.strip() and line.strip() != FAILED]
    errors = [line for line in lines if re.match(r"\w*Error: ", line)]
    # Anything may be thrown.
    others = [line.removeprefix("stderr was: ").strip("'") for line in lines if line.startswith("stderr was: ")]
    return [*errors, *(f"Uncaught {other}" for other in others if other), *lines, said][0]


def expression_failed_text(said: str) -> str:
    """Return in a few lines what was thrown, and by which expression."""
    expression = failed_expression(said)
    return f"An expression failed: {thrown_error(said)}" + (f"\n{expression}" if expression else "")


def failed_expression(said: str) -> str:
    """Return the expression, as cwltool gave it to Node.js; nothing if cwltool does not say it."""
    begin = BEFORE.search(said)
    end = END.search(said, begin.end()) if begin else None
    script, after, _ = said[end.end() :].partition(AFTER) if end else ("", "", "")
    return re.sub(r"^\d+ ", "", script, flags=re.MULTILINE).strip() if after else ""
