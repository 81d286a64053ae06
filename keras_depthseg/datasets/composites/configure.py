"""From the options of `depthseg data compose` to a checked configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_depthseg.datasets.composites import gather, pose
from keras_depthseg.datasets.composites.depth_folder import (
    DepthFolder,
    parse_depth_folder,
)
from keras_depthseg.datasets.composites.maker import make_scene
from keras_depthseg.datasets.composites.options import MOST_ROOMS, ROOMS, ComposeOptions
from keras_depthseg.datasets.composites.settings import (
    BackgroundSource,
    CompositesConfig,
    CompositeSettings,
)
from keras_depthseg.datasets.composites.sources import RenderedRoom
from keras_depthseg.datasets.teacher.networks import is_network_folder
from keras_depthseg.datasets.teacher.teacher import TeacherSettings, parse_teacher
from keras_depthseg.errors import UserError
from keras_depthseg.text import split_option

FG_HEIGHT = 108 / 224
"""Of the original's cutouts, as part of the image's height."""

MOST_SAMPLES = 10_000_000
"""Their numbers are held in memory; at 224 px the records take 300 GB on the disk."""

_DEFAULT_ROOMS = 100
_FIRST_RICH_ROOM = 1_000_000


def make_config(
    options: ComposeOptions, refuse: Callable[[str], None]
) -> CompositesConfig:
    """Read and check all sources.

    Args:
        options: the sources and how they are composed.
        refuse: called with a line for each picture left out: its file and the reason.

    Raises:
        UserError: an option or a source cannot be used.
    """
    depth = _depth_source(options)
    settings = CompositeSettings(
        size=options.size,
        fg_height=options.fg_height or max(1, round(FG_HEIGHT * options.size)),
        placement=options.placement,
        shadow=options.shadow,
        lossless=options.lossless,
        depth=depth,
        seed=options.seed,
        variety=options.variety,
    )
    rich = options.variety == "rich"
    height = pose.source_height(settings.size) if rich else settings.fg_height
    cutouts = gather.gather_cutouts(
        options.fg, options.fg_mask, refuse, height, settings.size
    )
    if depth == "rooms":
        count = int(options.bg.partition(":")[2] or _DEFAULT_ROOMS)
        # Rich ones may be mixed with the data set `rooms`, and must not show the rooms
        # that it holds out.
        first = _FIRST_RICH_ROOM if rich else 0
        backgrounds = tuple(
            RenderedRoom(options.seed, first + index) for index in range(count)
        )
    else:
        maps = depth if isinstance(depth, DepthFolder) else None
        backgrounds = gather.gather_backgrounds(
            Path(options.bg), maps, refuse, settings.size
        )
    if options.placement == "standing":
        backgrounds = _with_ground(backgrounds, settings, refuse)
    licences = {"bg": options.bg_licence, "fg": options.fg_licence}
    config = CompositesConfig(
        name="composites",
        backgrounds=backgrounds,
        cutouts=cutouts,
        settings=settings,
        placements=options.placements,
        flip=options.flip,
        count=options.count,
        splitting=options.split,
        val_fraction=options.val_fraction,
        unseen_fraction=options.unseen_fraction,
        licences={kind: text for kind, text in licences.items() if text},
        workers=options.workers,
    )
    _check_count(config)
    return config


def _check_count(config: CompositesConfig) -> None:
    total = config.plan.total
    made = (
        f"{len(config.backgrounds)} backgrounds and {len(config.cutouts)} cutouts at "
        f"{config.plan.places} places make {total:,} samples"
    )
    if (config.count or 0) > total:
        raise UserError(
            f"`count`: received {config.count}; {made} at most. Choose fewer, or more "
            "`placements`."
        )
    if (config.count or total) > MOST_SAMPLES:
        raise UserError(
            f"`count`: received {config.count or 'none'}; {made}, and at most "
            f"{MOST_SAMPLES:,} are accepted. Choose fewer."
        )


def _depth_source(
    options: ComposeOptions,
) -> DepthFolder | TeacherSettings | str | None:
    """Return the source of depth; the disk says whether it is a folder or a network."""
    if rooms := ROOMS.fullmatch(options.bg):
        _check_rooms(options, rooms[1])
        return "rooms"
    depth = None
    if options.depth is not None:
        name, pairs = split_option(options.depth)
        folder = Path(name)
        # A network has no step: the text means a folder, which is missing.
        has_step = any(pair.startswith("step=") for pair in pairs)
        if (
            (os.path.isdir(folder) and not is_network_folder(folder))
            or folder.suffix.lower() == ".zip"
            or has_step
        ):
            depth = parse_depth_folder(options.depth)
        else:
            depth = parse_teacher(options.depth)
    if options.placement == "standing" and not isinstance(depth, DepthFolder):
        raise UserError(
            "`placement`: received standing, but the depth of the backgrounds is not "
            "known; expected `depth` FOLDER,step=… or `bg` rooms. Give it, or place "
            "anywhere."
        )
    return depth


def _check_rooms(options: ComposeOptions, count: str | None) -> None:
    if count is None and os.path.isdir(options.bg):
        raise UserError(
            f"`bg`: received {options.bg}, which is a folder here and the name of "
            f"rendered rooms; expected ./{options.bg} for the folder, or "
            f"{options.bg}:{_DEFAULT_ROOMS} for rendered ones. Say which."
        )
    if count is not None and not (len(count) < 9 and 1 <= int(count) <= MOST_ROOMS):
        raise UserError(
            f"`bg`: received {options.bg}; accepted: rooms:1 to rooms:{MOST_ROOMS}. "
            "Choose another number."
        )
    if options.depth not in (None, "rooms"):
        raise UserError(
            f"`depth`: received {options.depth} for rendered rooms; accepted: none, as "
            "they have their true depth. Leave it out."
        )


def _with_ground(
    backgrounds: Sequence[BackgroundSource],
    settings: CompositeSettings,
    refuse: Callable[[str], None],
) -> tuple[BackgroundSource, ...]:
    """Return the backgrounds whose depth shows ground to stand on."""
    found = []
    for background in backgrounds:
        if len(make_scene(background, settings).ground):
            found.append(background)
        else:
            refuse(
                f"{background.name}: received depth without level ground; needed to "
                "stand on. Use `placement` anywhere for it."
            )
    if not found:
        raise UserError(
            "`placement`: received standing, but no background has level ground in its "
            "depth; expected some. Place anywhere, or correct `depth`."
        )
    return tuple(found)
