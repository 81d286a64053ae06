"""HTML pages for people, one file each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from keras_depthseg.text import printable


def write_page(path: str | Path, template: Path, values: dict[str, Any]) -> None:
    """Fill in a template and write the page atomically.

    Args:
        path: of the page; its folder must exist.
        template: a Jinja file; values are escaped unless it marks them safe. It may
            extend `page.html.jinja`, the look of the pages, and import
            `page_parts.html.jinja`.
        values: all names that the template uses.

    Raises:
        UserError: if the page cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        finalize=_shown,
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


def _shown(value: Any) -> Any:
    """Write out characters that would turn round or hide what follows them."""
    if isinstance(value, str) and not isinstance(value, markupsafe.Markup):
        return printable(value, keep="\n\t")
    return value


def shell_command(argv: Sequence[str]) -> str:
    """Return the command of a process as it is typed, without the program's path.

    Args:
        argv: `sys.argv`; may be empty.
    """
    command = [str(word) for word in argv]
    if command and command[0].endswith(".py"):
        command.insert(0, "python")
    elif command:
        # The path of the program is that of one machine.
        command[0] = Path(command[0]).name
    return shlex.join(command)
