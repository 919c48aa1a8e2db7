"""A headless Chromium under playwright: its own build, which ``make setup`` puts into .venv, or else the system's.

``python -m tests.unit.chromium`` says which one starts, with exit code 2 when none does.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["PLAYWRIGHT_BROWSERS_PATH"] = "0"  # inside the installed package, so that it goes with .venv

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

MISSING = "no Chromium starts: type make setup, which downloads one into .venv or installs Debian's package chromium"


class BrowserMissing(Exception):
    """Neither playwright's Chromium nor one of the system starts; the message says what to type."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own. Raises :class:`BrowserMissing`."""
    with sync_playwright() as playwright:
        with launched(playwright) as browser:
            yield browser


def launched(playwright: Playwright) -> Browser:
    """The first that starts."""
    systems = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    for path in (None, *filter(None, systems)):
        try:
            return playwright.chromium.launch(executable_path=path)
        except Error:
            continue  # not there, or a library of the system is not
    raise BrowserMissing(MISSING)


if __name__ == "__main__":
    try:
        with chromium() as found:
            print(f"chromium {found.version}")
    except BrowserMissing as error:
        print(error, file=sys.stderr)
        sys.exit(2)
