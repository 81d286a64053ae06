"""Serves the page on this computer, or to others with a token."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from pathlib import Path

import cv2

from keras_depthseg.datasets.rooms.endless import SAMPLES_A_ROOM, EndlessRooms
from keras_depthseg.demo import limits
from keras_depthseg.demo.about import about, reports
from keras_depthseg.demo.options import DemoOptions
from keras_depthseg.errors import UserError
from keras_depthseg.inference.predictor import Predictor
from keras_depthseg.runtimes import import_optional

logger = logging.getLogger(__name__)

_SAMPLES, _SAMPLE_SIDE = 3, 480


def serve(options: DemoOptions) -> None:
    """Open the page, and serve it until Ctrl-C.

    Args:
        options: the model and the address.

    Raises:
        UserError: the model cannot be opened, Gradio is missing, or the address cannot be
            listened at.
    """
    # Before Gradio is imported, which asks its makers for the newest version.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    folder = tempfile.TemporaryDirectory(prefix="depthseg-demo-")
    os.environ["GRADIO_TEMP_DIR"] = str(Path(folder.name, "uploads"))
    import_optional("gradio", "depthseg demo", '"keras_depthseg[demo]"')
    from starlette.middleware import Middleware

    from keras_depthseg.demo.page import make_page
    from keras_depthseg.demo.token import TokenMiddleware, is_this_computer

    work = Path(folder.name, "results")
    work.mkdir()
    page = make_page(
        Predictor(options.model),
        work,
        _samples(Path(folder.name)),
        about(options.model),
    )
    token = "" if is_this_computer(options.host) else secrets.token_urlsafe(24)
    middleware = [Middleware(TokenMiddleware, token=token)] if token else []
    try:
        _, url, _ = page.launch(
            server_name=options.host,
            server_port=options.port,
            inbrowser=False,
            share=False,
            quiet=True,
            show_error=True,
            ssr_mode=False,
            enable_monitoring=False,
            max_file_size=limits.MOST_BYTES,
            allowed_paths=[folder.name, *map(str, reports(options.model))],
            app_kwargs={"middleware": middleware},
            footer_links=[],
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise UserError(
            f"`port`: {options.host}:{options.port or '7860-7959'} cannot be listened at "
            f"({error}); give another `port` or `host`."
        ) from error
    address = f"{url}?token={token}" if token else url
    logger.info("%s\nCtrl-C ends it.", address)
    if not options.no_browser:
        import webbrowser

        webbrowser.open(address)
    try:
        page.block_thread()
    finally:
        page.close(verbose=False)
        folder.cleanup()


def _samples(folder: Path) -> list[list[str]]:
    """Draw pairs of pictures to try, of rooms."""
    rooms = EndlessRooms(seed=7, size=_SAMPLE_SIDE)
    pairs = []
    for number in range(_SAMPLES):
        sample = rooms.sample("val", number * SAMPLES_A_ROOM)
        files = []
        for name, image in (("plate", sample.bg), ("photograph", sample.fg_bg)):
            files.append(str(folder / f"{name}{number + 1}.png"))
            cv2.imwrite(files[-1], image[..., ::-1])
        pairs.append(files)
    return pairs
