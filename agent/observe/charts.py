"""Small pictures as inline SVG: horizontal bars and a line. Coordinates are floats; the labels carry exact text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_ROW = 26
_LABEL = 240
_WIDTH = 720
_VALUE = 120


class Bar(NamedTuple):
    """One bar: `size` sets its length, `text` is what it says, `tone` its colour class (good, bad, plain)."""

    label: str
    size: int
    text: str
    tone: str = "plain"


def bars(rows: Sequence[Bar], *, title: str) -> str:
    """Horizontal bars; negative sizes grow to the left of a common zero line."""
    if not rows:
        return f"<figure><figcaption>{escape(title)}</figcaption><p class=empty>nothing to show</p></figure>"
    high = max(0, *(row.size for row in rows))
    low = min(0, *(row.size for row in rows))
    span = (high - low) or 1
    room = _WIDTH - _LABEL - _VALUE
    zero = _LABEL + room * -low / span
    height = _ROW * len(rows) + 8
    marks = []
    for index, row in enumerate(rows):
        top = 4 + index * _ROW
        length = room * abs(row.size) / span
        left = zero if row.size >= 0 else zero - length
        marks.append(
            f'<text x="{_LABEL - 8}" y="{top + 16}" text-anchor="end">{escape(row.label)}</text>'
            f'<rect class="{escape(row.tone)}" x="{left:.1f}" y="{top + 3}" '
            f'width="{max(length, 1):.1f}" height="18" rx="2">'
            f"<title>{escape(row.label)}: {escape(row.text)}</title></rect>"
            f'<text class="value" x="{zero + (length if row.size >= 0 else 0) + 6:.1f}" y="{top + 16}">'
            f"{escape(row.text)}</text>"
        )
    axis = f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}"/>'
    return _figure(title, height, "".join(marks) + axis)


def line(points: Sequence[tuple[str, int, str]], *, title: str) -> str:
    """A line through (label, size, text) points in order; each point tells its text on hover."""
    if not points:
        return f"<figure><figcaption>{escape(title)}</figcaption><p class=empty>nothing to show</p></figure>"
    height, margin = 180, 30
    high = max(size for _, size, _ in points)
    low = min(size for _, size, _ in points)
    span = (high - low) or 1
    step = (_WIDTH - 2 * margin) / max(1, len(points) - 1)

    def place(index: int, size: int) -> tuple[float, float]:
        return margin + index * step, height - margin - (height - 2 * margin) * (size - low) / span

    places = [place(index, size) for index, (_, size, _) in enumerate(points)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(label)}: {escape(text)}</title></circle>'
        for (x, y), (label, _, text) in zip(places, points, strict=True)
    )
    ends = (
        f'<text x="{margin}" y="{height - 8}">{escape(points[0][0])}</text>'
        f'<text x="{_WIDTH - margin}" y="{height - 8}" text-anchor="end">{escape(points[-1][0])}</text>'
        f'<text x="{margin}" y="16">{escape(max(points, key=lambda point: point[1])[2])}</text>'
    )
    return _figure(title, height, f'<polyline points="{path}"/>{dots}{ends}')


def _figure(title: str, height: int, body: str) -> str:
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">{body}</svg></figure>'
    )
