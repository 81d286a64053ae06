"""The command `depthseg`.

A module outside the package, as it must speak before the package is imported: see
`is_running`.
"""

from __future__ import annotations

import sys

# Read by `keras_depthseg/__init__.py`: a command that is running imports Keras itself,
# once its arguments are parsed.
is_running = False


def main(argv: list[str] | None = None) -> None:
    """Run the command and exit with its status.

    Args:
        argv: the arguments; those of the process by default.
    """
    global is_running
    is_running = True
    try:
        from keras_depthseg.commands import main as commands
        from keras_depthseg.commands import terminal
    except KeyboardInterrupt:
        sys.exit(130)
    terminal.run(lambda: commands.main(argv))


if __name__ == "__main__":
    # By its name, which is how the package finds `is_running`.
    import depthseg

    depthseg.main()
