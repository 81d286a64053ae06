"""What the page takes at most, so that no visitor stops it for others."""

from __future__ import annotations

MOST_BYTES = 100_000_000
"""Of a file that is uploaded."""

MOST_PIXELS = 25_000_000
"""Of a photograph: most cameras have fewer; one takes 0.6 GB while it is computed."""

MOST_VIDEO_PIXELS = 1920 * 1088
"""Of a frame of a video."""

MOST_FRAMES = 300
"""Of a video: ten seconds of 30 frames."""

MOST_SECONDS = 120
"""That a video computes."""

MOST_WAITING = 16
"""Requests that wait for their turn; one is computed at a time."""

MOST_KEPT = 4
"""Visitors whose last prediction is kept, for the sliders; the oldest gives way."""
