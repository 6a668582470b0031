"""The only door to matplotlib: a figure that is written on in points, whose texts can be measured beforehand.

matplotlib takes half a second to import, so that happens when the first chart is drawn. Its settings are global to the
process: ours hold, and nobody else's, while one chart is drawn, and one is drawn at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runbook.text.escape import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

WIDTH = 460.8  # points of 1/72 inch; 1024 pixels in a PNG
BIG, NORMAL, LITTLE = 10.5, 9.0, 8.5
INK, SOFT = "#1d232b", "#4f5963"
_NOT_OURS = ("backend", "interactive", "toolbar", "webagg", "date.")  # settings that draw nothing
_one_at_a_time = threading.Lock()


@contextmanager
def style() -> Iterator[None]:
    """Our settings, for one chart."""
    import matplotlib as mpl

    with _one_at_a_time, mpl.rc_context(_settings()):
        yield


@cache
def _settings() -> Any:
    import matplotlib as mpl

    own = mpl.rc_params_from_file(Path(__file__).with_name("runbook.mplstyle"), use_default_template=True)
    return {key: own[key] for key in own if not key.startswith(_NOT_OURS)}


@cache
def font(size: float, weight: str = "normal") -> FontProperties:
    """Our font, which matplotlib brings along."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(family="DejaVu Sans", size=size, weight=weight)


def drawable(text: str) -> str:
    """Text from outside in one line that our font can draw; what it cannot becomes a box."""
    visible = plain(text, 200)
    return visible if visible.isascii() else "".join(map(_drawn, visible))


@cache
def _drawn(character: str) -> str:
    from matplotlib.font_manager import findfont, get_font

    return character if get_font(findfont(font(NORMAL))).get_char_index(ord(character)) else "□"


class Paper:
    """A figure, measured in points from its upper left corner. Texts are taken literally, never as formulas."""

    def __init__(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
        from matplotlib.figure import Figure

        self._figure = Figure()
        FigureCanvasAgg(self._figure)
        self._ruler: Any = RendererAgg(1, 1, self._figure.dpi)
        self._height = 1.0

    def width(self, text: str, size: float = NORMAL, weight: str = "normal") -> float:
        """Length of a text of one line."""
        pixels: float = self._ruler.get_text_width_height_descent(text, font(size, weight), ismath=False)[0]
        return pixels * 72 / self._figure.dpi

    def fitting(
        self, text: str, space: float, size: float = NORMAL, *, weight: str = "normal", tail: float = 0.0
    ) -> str:
        """The text, or as much of it as fits with an ellipsis; `tail` (0..1) of what is left comes from its end."""
        if self.width(text, size, weight) <= space:
            return text
        few, many = 1, len(text)
        while few < many - 1:
            middle = (few + many) // 2
            fits = self.width(_cut(text, middle, tail), size, weight) <= space
            few, many = (middle, many) if fits else (few, middle)
        return _cut(text, few, tail)

    def resize(self, height: float) -> None:
        """Sets the height, before anything is written."""
        self._height = height
        self._figure.set_size_inches(WIDTH / 72, height / 72)

    def write(
        self, x: float, y: float, text: str, size: float = NORMAL, *, weight: str = "normal", color: str = INK,
        ha: Literal["left", "center", "right"] = "left", va: Literal["baseline", "center"] = "baseline",
    ) -> None:  # fmt: skip
        """A text."""
        properties = font(size, weight)
        self._figure.text(*self._at(x, y), text, fontproperties=properties, color=color, ha=ha, va=va)

    def stroke(self, x: Sequence[float], y: float | Sequence[float], **how: Any) -> None:
        """A line through points."""
        from matplotlib.lines import Line2D

        heights = [y] * len(x) if isinstance(y, float | int) else y
        points = [self._at(a, b) for a, b in zip(x, heights, strict=True)]
        self._figure.add_artist(Line2D(*zip(*points, strict=True), **how))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes in a box with this upper left corner."""
        x, y = self._at(left, top + height)
        return self._figure.add_axes((x, y, width / WIDTH, height / self._height))

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return x / WIDTH, 1 - y / self._height

    def saved(self) -> bytes:
        """The finished figure as a PNG file that says neither when nor with what it was made."""
        buffer = BytesIO()
        self._figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def _cut(text: str, length: int, tail: float) -> str:
    end = round((length - 1) * tail)
    return f"{text[: length - 1 - end].rstrip()}…{text[len(text) - end :].lstrip() if end else ''}"
