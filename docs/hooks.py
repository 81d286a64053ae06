"""MkDocs hooks: options of the commands, and files that live outside of docs/.

`<!-- options: train -->` becomes the table of a command's options, and
`<!-- include: README.md -->` the text of a file of the repository, whose links are
changed to the pages of the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).parent.parent

_OPTIONS = re.compile(r"<!-- options: ([\w -]+?) -->")
_INCLUDE = re.compile(r"<!-- include: (\S+) -->")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")

# Pages of the site that show a file of the repository.
_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "keras_depthseg/networks/weights/README.md": "weights.md",
}


def on_page_markdown(markdown: str, *, page: Any, **kwargs: Any) -> str:
    """Replace the marks of a page before it is rendered."""
    source = page.file.src_uri
    # A page of its own keeps its heading; part of another page gets a smaller one.
    deeper = not _INCLUDE.fullmatch(markdown.strip())
    markdown = _INCLUDE.sub(lambda mark: _included(mark[1], source, deeper), markdown)
    return _OPTIONS.sub(lambda mark: _option_table(mark[1], source), markdown)


def _option_table(command: str, page: str) -> str:
    try:
        from keras_depthseg.commands.options import option_table
    except ImportError as error:
        raise PluginError(
            f"{page}: the options of `depthseg {command}` are read from the package, "
            f"which cannot be imported here ({error}); install it: "
            "pip install -e '.[docs]'."
        ) from error
    return option_table(command)


def _included(path: str, page: str, deeper: bool) -> str:
    """Return the text of a file of the repository, with links for the page at `page`."""
    folder = posixpath.dirname(path)

    def link(match: re.Match) -> str:
        image, text, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        target, hash_, anchor = target.partition("#")
        target = posixpath.normpath(posixpath.join(folder, target))
        target = _PAGES.get(target, target.removeprefix("docs/"))
        if not (ROOT / "docs" / target).is_file():
            return text  # Only in the repository.
        relative = posixpath.relpath(target, posixpath.dirname(page) or ".")
        return f"{image}[{text}]({relative}{hash_}{anchor})"

    text = _LINK.sub(link, (ROOT / path).read_text(encoding="utf-8"))
    return re.sub(r"(?m)^(?=#+ )", "#", text) if deeper else text
