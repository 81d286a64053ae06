"""The options of `depthseg demo`.

The command line reads this module before it imports a network: nothing heavy here.
"""

from __future__ import annotations

import dataclasses

from keras_depthseg.errors import UserError
from keras_depthseg.pretrained import DEFAULT


@dataclasses.dataclass(frozen=True)
class DemoOptions:
    """The model that the page uses, and its address.

    The options of `depthseg demo` are made from these fields.

    Attributes:
        model: Run folder, .keras file, name of trained weights, or what depthseg export
            wrote.
        host: Address to listen at. Any other than that of this computer asks for a token,
            which the terminal shows.
        port: Port to listen at; by default the first free one from 7860 on.
        no_browser: Do not open the page in a browser.

    Raises:
        UserError: if a value is not accepted.
    """

    model: str = DEFAULT
    host: str = "127.0.0.1"
    port: int | None = None
    no_browser: bool = False

    def __post_init__(self):
        if self.port is not None and not 0 < self.port < 2**16:
            raise UserError(
                f"`port`: received {self.port}; accepted: 1 to 65535, for instance 7860."
            )
