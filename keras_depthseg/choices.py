"""The accepted values of the fields of a dataclass, taken from their `Literal` types."""

from __future__ import annotations

import functools
from typing import Any, Literal, get_args, get_origin, get_type_hints

from keras_depthseg.errors import UserError


@functools.cache
def choices(cls: type) -> dict[str, tuple[str, ...]]:
    """Return the accepted values of each field with a `Literal` type."""
    return {
        name: get_args(hint)
        for name, hint in get_type_hints(cls).items()
        if get_origin(hint) is Literal
    }


def check_choices(options: Any) -> None:
    """Check the fields with a `Literal` type of a dataclass instance.

    Raises:
        UserError: naming the first field whose value is not accepted.
    """
    for name, accepted in choices(type(options)).items():
        value = getattr(options, name)
        if value not in accepted:
            raise UserError(
                f"`{name}`: received {value!r}; accepted are {', '.join(accepted)}."
            )
