"""What the page says about its model: its card, or links to the pages of its run."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from urllib.parse import quote

from keras_depthseg.datasets.locate import split_weight
from keras_depthseg.errors import UserError
from keras_depthseg.pretrained import is_pretrained, pretrained_card
from keras_depthseg.text import printable


def about(model: str) -> str:
    """Return Markdown about a model: its card, or links to the pages of its run."""
    if is_pretrained(model):
        # Its links are relative to its place in the package.
        return re.sub(r"\[([^]]*)\]\((?!http)[^)]*\)", r"\1", pretrained_card())
    links = [
        f"- [{_plain(text)}](/gradio_api/file={quote(str(page))})"
        for page, text in reports(model).items()
    ]
    name = _plain(str(model))
    return "\n".join([f"Model: {name}.", "", *(links or ["It has no reports."])])


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is: names of files may hold anything."""
    return re.sub(r"([\\`*\[\]()|~$])", r"\\\1", html.escape(printable(text)))


def reports(model: str) -> dict[Path, str]:
    """Return the pages about a run that there are, and what each is.

    They are the report of the training, those of `depthseg evaluate`, and the cards that
    `depthseg data card` wrote of the data that it was trained on.
    """
    if is_pretrained(model):
        return {}
    path = Path(model).resolve()
    run = path if path.is_dir() else path.parent
    found = {page: page.name for page in sorted(run.glob("*.html"))}
    found |= {
        page: f"{page.parent.name}/{page.name}"
        for page in sorted(run.glob("*/report.html"))
    }
    cards = [data / "card.html" for data in _data_of(run)]
    found |= {card: f"card of {card.parent}" for card in cards}
    # Visitors must not get what links of a run from elsewhere lead to.
    return {
        page: text
        for page, text in found.items()
        if page.is_file() and page.resolve() == page
    }


def _data_of(run: Path) -> list[Path]:
    """Return the folders of data in the configuration of a run, if it has one."""
    try:
        config = json.loads((run / "config.json").read_text("utf-8"))
        return [Path(split_weight(data)[0]).resolve() for data in config["data"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, UserError):
        return []  # Of another program: the page does without.
