"""The page: what visitors see, and what follows when they press something."""

from __future__ import annotations

import collections
import contextlib
import html
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.route_utils import delete_files_created_by_app

from keras_depthseg.demo import limits, results
from keras_depthseg.demo.points import write_points
from keras_depthseg.errors import UserError
from keras_depthseg.inference.photographs import Photograph, read_photograph
from keras_depthseg.inference.predictor import Plate, Prediction, Predictor
from keras_depthseg.inference.video_reading import VideoReader, plate_of
from keras_depthseg.inference.video_run import VideoPredictor, predict_video

_INTRODUCTION = """# Mask and depth

Give a **plate**, the view without anything in front, and a **photograph** of the same
view with something in front. Everything is computed on this computer, and uploads are
removed."""

_BACKGROUNDS = {"Blurred plate": "blur", "White": "white", "Black": "black",
                "Green": "#00b140"}  # fmt: skip
_VIDEO_RESULTS = {"overlay": "_overlay.mp4", "mask": "_mask.mp4"}
_TAKEN = ["upload", "webcam", "clipboard"]
# Least, in pixels.
_RESULT_WIDTH = 240
# Seconds after which files of a visitor who left are removed, and between looks.
_AGE, _EVERY = 900, 60
# That a page is open before the server notes it.
_LATE = 1.0


def make_page(
    predictor: Predictor, folder: Path, samples: list[list[str]], about: str
) -> gr.Blocks:
    """Return the page.

    Args:
        predictor: predicts.
        folder: for results; what is in it may be removed when the page is closed.
        samples: pairs of files, a plate and a photograph, to try it with.
        about: Markdown of the second page: the model, its data, its limits.
    """
    visit = _Visits(predictor, folder)
    with gr.Blocks(
        title="Mask and depth", analytics_enabled=False, delete_cache=(_EVERY, _AGE)
    ) as page:
        gr.Markdown(_INTRODUCTION)
        with gr.Tab("Photograph"):
            _photograph_tab(visit, samples)
        with gr.Tab("Video"):
            _video_tab(visit)
        with gr.Tab("About the model"):
            gr.Markdown(about)

        def leave(request: gr.Request) -> None:
            visit.end(request)
            delete_files_created_by_app(page, visit.stay())  # pyright: ignore[reportArgumentType]

        page.load(visit.begin, queue=False, api_visibility="private")
        page.unload(leave)
    return page.queue(
        max_size=limits.MOST_WAITING, default_concurrency_limit=None, api_open=False
    )


def _photograph_tab(visit: _Visits, samples: list[list[str]]) -> None:
    with gr.Row():
        bg = _picture("Plate", "The view without anything in front")
        fg_bg = _picture("Photograph", "The same view with something in front")
    gr.Examples(samples, [bg, fg_bg], label="Pairs to try")
    with gr.Accordion("Settings", open=False):
        align = gr.Checkbox(True, label="Fit the plate to the photograph")
        threshold = gr.Slider(0.05, 0.95, 0.5, step=0.05, label="Threshold of the mask")
        feather = gr.Slider(0, 10, 0, step=0.5, label="Feather, in pixels of the view")
        colour = gr.Dropdown(list(_BACKGROUNDS), label="New background")
        picture = _picture("New background of your own", "A picture", height=160)
    start = gr.Button("Find the foreground", variant="primary")
    found = gr.Markdown(elem_id="found")
    with gr.Row():
        overlay = _result("Foreground, tinted", "The photograph, its foreground tinted")
        mask = _result("Mask", "The mask: white is the foreground")
        depth = _result("Depth", "Depth: bright is near")
    with gr.Row():
        cutout = _result("Cutout", "The foreground alone")
        replaced = _result("New background", "The foreground before a new background")
        points = gr.Model3D(
            label="Points in space",
            interactive=False,
            height=320,
            min_width=_RESULT_WIDTH,
        )
    download = gr.DownloadButton("Download all", interactive=False)

    shown = [overlay, mask, depth, cutout, replaced]
    sliders = [threshold, feather, colour, picture]
    events = [
        start.click(
            visit.predict,
            [bg, fg_bg, align, *sliders],
            [*shown, points, found, download],
            **_EXCLUSIVE,
        )
    ]
    for slider in sliders:
        moved = slider.release if isinstance(slider, gr.Slider) else slider.change
        events.append(
            moved(visit.adjust, sliders, [*shown, download], **_EXCLUSIVE | _SILENT)
        )
    for event in events:
        event.success(visit.pack, sliders, download, **_EXCLUSIVE | _SILENT)


def _video_tab(visit: _Visits) -> None:
    with gr.Row():
        bg = _picture("Plate; without one, it is made from the video", "A picture")
        video: Any = gr.Video(
            label=f"Video of at most {limits.MOST_FRAMES} frames, camera standing still",
            sources=["upload", "webcam"],
            include_audio=False,
        )
        video.preprocess = _path_of
    align = gr.Checkbox(True, label="Fit the plate to the video")
    start = gr.Button("Find the foreground", variant="primary")
    found = gr.Markdown()
    with gr.Row():
        overlay = gr.Video(label="Foreground, tinted", interactive=False)
        mask = gr.Video(label="Mask", interactive=False)
    download = gr.DownloadButton("Download all", interactive=False)
    start.click(
        visit.predict_video,
        [bg, video, align],
        [overlay, mask, found, download],
        **_EXCLUSIVE,
    )


# One at a time, whatever is computed: a prediction takes all processors.
_EXCLUSIVE: dict[str, Any] = {
    "concurrency_id": "network",
    "concurrency_limit": 1,
    "api_visibility": "private",
}
_SILENT: dict[str, Any] = {"show_progress": "hidden"}


def _picture(label: str, hint: str, height: int = 320) -> gr.Image:
    picture: Any = gr.Image(
        label=label,
        placeholder=hint,
        sources=_TAKEN,  # pyright: ignore[reportArgumentType]
        type="filepath",
        height=height,
    )
    # Gradio would open it to convert it, and show its own errors.
    picture.preprocess = _path_of
    return picture


def _result(label: str, alt_text: str) -> gr.Image:
    return gr.Image(
        label=label,
        alt_text=alt_text,
        interactive=False,
        format="png",
        # Without the one that would send it to a public forum.
        buttons=["fullscreen", "download"],
        # One beside the other on wide screens, below it on narrow ones: two would be too
        # small to judge, and their names cut off.
        min_width=_RESULT_WIDTH,
    )


def _path_of(payload: Any) -> str | None:
    return payload and payload.path


# Gradio finds it among the defaults, and gives each event its own.
_PROGRESS = gr.Progress()


class _Kept(NamedTuple):
    """A prediction, and the same at the size at which it is shown."""

    full: Prediction
    shown: Prediction


class _Visits:
    """What is computed for visitors, and what is kept of it while they stay."""

    def __init__(self, predictor: Predictor, folder: Path):
        self._predictor = predictor
        self._folder = folder
        # By visitor; the last one used is the last.
        self._kept: collections.OrderedDict[str, _Kept] = collections.OrderedDict()
        # When those who are here came, by visitor.
        self._came: dict[str, float] = {}

    def begin(self, request: gr.Request) -> None:
        """Note a new visitor."""
        self._came[_visitor(request)] = time.time()

    def predict(
        self, bg, fg_bg, align, threshold, feather, colour, picture, request: gr.Request
    ):
        with _told():
            if bg is None or fg_bg is None:
                raise UserError("Choose a plate and a photograph.")
            plate, photograph = _read(bg, "Plate"), _read(fg_bg, "Photograph")
            prediction = self._predictor.predict(Plate(plate), photograph, align=align)
        kept = _Kept(prediction, results.reduced(prediction))
        self._keep(request, kept)
        shown = _show(kept, _adjustments(threshold, feather, colour, picture))
        path = self._new_folder(request) / "points.glb"
        write_points(path, kept.shown)
        return (*shown, str(path), results.words(prediction), _not_ready())

    def adjust(self, threshold, feather, colour, picture, request: gr.Request):
        kept = self._kept.get(_visitor(request))
        if kept is None:
            return (*[gr.skip()] * len(results.Shown._fields), gr.skip())
        shown = _show(kept, _adjustments(threshold, feather, colour, picture))
        return (*shown, _not_ready())

    def pack(self, threshold, feather, colour, picture, request: gr.Request):
        kept = self._kept.get(_visitor(request))
        if kept is None:
            return gr.skip()
        adjustments = _adjustments(threshold, feather, colour, picture)
        with _told():
            path = results.write_zip(
                self._new_folder(request),
                results.with_adjustments(kept.full, adjustments),
                adjustments.new_bg,
            )
        return gr.DownloadButton(value=str(path), interactive=True)

    def predict_video(
        self, bg, video, align, request: gr.Request, progress: Any = _PROGRESS
    ):
        with _told():
            if video is None:
                raise UserError("Choose a video.")
            folder = self._new_folder(request)
            name = Path(video).stem
            paths = {
                kind: folder / f"{name}{end}" for kind, end in _VIDEO_RESULTS.items()
            }
            with VideoReader(video, limits.MOST_VIDEO_PIXELS) as reader:
                _check_frames(reader.frames)
                plate = _read(bg, "Plate") if bg else plate_of(video)
                summary = predict_video(
                    VideoPredictor(self._predictor, Plate(plate), align=align),
                    reader,
                    paths,
                    settings={},
                    progress=_counted(progress, reader.frames),
                )
        copies = [str(path) for path in paths.values()]
        archive = results.zip_files(folder / f"{name}.zip", list(paths.values()))
        return (
            *copies,
            f"{summary.frames} frames. {summary}",
            gr.DownloadButton(value=str(archive), interactive=True),
        )

    def end(self, request: gr.Request) -> None:
        """Forget a visitor."""
        self._came.pop(_visitor(request), None)
        self._kept.pop(_visitor(request), None)
        # And those who had left before their prediction was done.
        for folder in self._folder.iterdir():
            if folder.name not in self._came:
                shutil.rmtree(folder, ignore_errors=True)

    def stay(self) -> float | None:
        """Return for how many seconds at most somebody has been here; nobody: `None`.

        Older files, uploads too, belong to those who left. Gradio does not tell whose
        they are, as two visitors may have given the same picture.
        """
        came = min(self._came.values(), default=None)
        return None if came is None else time.time() - came + _LATE

    def _keep(self, request: gr.Request, kept: _Kept) -> None:
        self._kept[_visitor(request)] = kept
        self._kept.move_to_end(_visitor(request))
        while len(self._kept) > limits.MOST_KEPT:
            self._kept.popitem(last=False)

    def _new_folder(self, request: gr.Request) -> Path:
        parent = self._folder / _visitor(request)
        parent.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(dir=parent))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Show a user's mistake on the page, without a traceback."""
    try:
        yield
    except UserError as error:
        # The page shows it as HTML, and visitors choose the names of their files.
        text = html.escape(str(error))
        raise gr.Error(text, print_exception=False) from error


def _read(path: str, argument: str) -> Photograph:
    try:
        return read_photograph(path, argument, limits.MOST_PIXELS)
    except UserError as error:
        # Visitors know the name of their file, not where it lies here.
        raise UserError(str(error).replace(path, Path(path).name)) from error


def _adjustments(
    threshold: float, feather: float, colour: str, picture: str | None
) -> results.Adjustments:
    return results.Adjustments(threshold, feather, picture or _BACKGROUNDS[colour])


def _show(kept: _Kept, adjustments: results.Adjustments) -> results.Shown:
    with _told():
        prediction = results.with_adjustments(kept.shown, adjustments)
        return results.show(prediction, adjustments.new_bg)


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)


def _not_ready() -> Any:
    return gr.DownloadButton(interactive=False)


def _check_frames(frames: int | None) -> None:
    if frames is not None and frames > limits.MOST_FRAMES:
        raise UserError(
            f"Video: received {frames} frames; accepted: {limits.MOST_FRAMES}. Cut it, "
            "or use depthseg predict."
        )


def _counted(progress: Any, frames: int | None) -> Callable[[], None]:
    """Return what counts frames, and stops at the limits."""
    done, start = 0, time.monotonic()

    def count() -> None:
        nonlocal done
        done += 1
        progress((done, frames or limits.MOST_FRAMES), unit="frames")
        _check_frames(done)
        if time.monotonic() - start > limits.MOST_SECONDS:
            raise UserError(
                f"Video: {done} frames took {limits.MOST_SECONDS} seconds, the limit; "
                "cut it, or use depthseg predict."
            )

    return count
