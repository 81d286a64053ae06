"""HTML pages for people, one file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing


def write_page(path: str | Path, template: Path, values: dict[str, Any]) -> None:
    """Fill in a template and write the page atomically.

    Args:
        path: of the page; its folder must exist.
        template: a Jinja file; values are escaped unless it marks them safe.
        values: all names that the template uses.

    Raises:
        UserError: if the page cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    content = environment.get_template(template.name).render(values)
    try:
        with replacing(path) as part:
            # File names may hold bytes that are not text.
            part.write_text(content, encoding="utf-8", errors="replace", newline="\n")
    except OSError as error:
        raise UserError(
            f"{path}: the page cannot be written there ({error.strerror}); free some "
            "space or give another path."
        ) from error
