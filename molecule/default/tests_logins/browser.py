"""What a browser does with pages without scripts: it keeps cookies, follows redirects and sends forms."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from html.parser import HTMLParser


class Form(HTMLParser):
    """The fields of a page that have a value already."""

    def __init__(self, text):
        """Read the page."""
        super().__init__()
        self.fields = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Take each field."""
        given = dict(attributes)
        if tag == "input" and given.get("name") and given.get("value") and given.get("type") != "submit":
            self.fields[given["name"]] = given["value"]


@dataclass(frozen=True)
class Page:
    """What a browser shows."""

    browser: Browser
    status: int
    url: str
    text: str

    def submit(self, **fields):
        """Send the page's form, which leads to the page's own address."""
        fields = Form(self.text).fields | fields
        data = [part for name, value in fields.items() for part in ("--data-urlencode", f"{name}={value}")]
        return self.browser.get(self.url, "--header", f"Referer: {self.url}", *data)


class Browser:
    """A browser on a host."""

    def __init__(self, host):
        """Begin without cookies."""
        self.host = host
        self.jar = host.check_output("mktemp")

    def get(self, url, *arguments):
        """Return the page to which an address leads in the end."""
        cookies = ["--cookie", self.jar, "--cookie-jar", self.jar]
        shown = ["--write-out", "\n%{http_code} %{url_effective}"]
        command = ["curl", "--silent", "--location", "--max-time", "60", *cookies, *shown, *arguments, url]
        text, _, end = self.host.check_output(shlex.join(command)).rpartition("\n")
        status, _, effective = end.partition(" ")
        return Page(self, int(status), effective, text)
