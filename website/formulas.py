r"""Formulas as SVG, set when the site is built: ``$y = Wx$`` within a line, ``$$...$$`` on lines of its own.

Matplotlib's own typesetter reads a good part of LaTeX and needs no installation of it. A formula becomes one path in
the colour of the text around it, sized in ``em``, so it follows the reader's theme and zoom; its source is the label
that a screen reader reads. ``\\`` begins a new line of a displayed formula.
"""

from __future__ import annotations

import functools
import html
import re

from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

SIZE = 100.0  # units of a path per em: two decimals less to write
SCALE = 1.06  # em: STIX letters are a little smaller than those of the text
FONT = FontProperties(size=SIZE, math_fontfamily="stix")
# As pymdownx.arithmatex leaves them with ``generic: true``.
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def typeset(page: str) -> str:
    """The HTML of a page with every formula in its place. Raises ValueError that names a formula it cannot read."""
    page = DISPLAY.sub(lambda match: displayed(html.unescape(match[1])), page)
    return INLINE.sub(lambda match: svg(html.unescape(match[1]).strip()), page)


def displayed(latex: str) -> str:
    """A formula on lines of its own, with fractions in full size; it scrolls where the screen is narrower than it."""
    lines = [line.strip().replace(r"\frac", r"\dfrac") for line in latex.split(r"\\")]
    return f'<div class="formula" tabindex="0">{"".join(f"<p>{svg(line)}</p>" for line in lines if line)}</div>'


@functools.cache
def svg(latex: str) -> str:
    """One line of LaTeX (without dollar signs) as an inline SVG whose baseline is the text's.

    >>> svg("x").startswith('<svg class="math" role="img" aria-label="x"')
    True
    """
    source = f"${' '.join(latex.split())}$"
    try:
        width, height, depth, *_ = MathTextParser("path").parse(source, 72, FONT)
        vertices, codes = text_to_path.get_text_path(FONT, source, ismath=True)
    except ValueError as error:
        raise ValueError(f"The formula {source} cannot be set: {error}") from error
    em = SCALE / SIZE
    return (
        f'<svg class="math" role="img" aria-label="{html.escape(latex)}" '
        f'style="width:{width * em:.3f}em;height:{height * em:.3f}em;vertical-align:{-depth * em:.3f}em" '
        f'viewBox="0 {-(height - depth):.0f} {width:.0f} {height:.0f}">'
        f'<path fill="currentColor" d="{_path(vertices, codes)}"/></svg>'
    )


def _path(vertices: list[tuple[float, float]], codes: list[int]) -> str:
    """Matplotlib's path, y upwards -> the letters of SVG's, y downwards."""
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
    pieces, before = [], 0
    for (x, y), code in zip(vertices, codes, strict=True):
        if code == Path.CLOSEPOLY:
            pieces.append("Z")
        else:
            # The points of one curve all carry its code; only the first gets the letter.
            repeated = code == before and code in (Path.CURVE3, Path.CURVE4)
            pieces.append(f"{' ' if repeated else letters[code]}{x:.0f} {-y:.0f}")
        before = code
    return "".join(pieces)
