"""The pictures of the chapters, drawn when the site is built: minicnn computed every number in them a moment before.

A chapter asks for one as ``![what it shows, in words](picture:max_pooling "caption")``. It becomes SVG inside the page,
in the page's own colours and letters (``minicnn.report.plots``), so it suits light and dark screens.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from website.pictures import algorithms, networks, training, windows

#: Every picture by its name.
PICTURES: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        *(windows.convolution, windows.convolution_gradient, windows.taps, windows.same_padding),
        *(windows.max_pooling, windows.average_pooling, windows.resizing, windows.transposed_convolution),
        *(algorithms.im2col, algorithms.direct, algorithms.winograd, algorithms.channels, algorithms.dense),
        *(networks.face_cnn_strip, networks.branches, networks.chain),
        *(training.activations, training.softmax, training.losses, training.errors, training.normalisations),
        *(training.batch_norm, training.dropout, training.optimisers),
    )
}
IMAGE = re.compile(r'<p><img alt="([^"]*)" src="picture:(\w+)"(?: title="([^"]*)")? ?/?></p>')


def drawn(page: str) -> str:
    """The HTML of a page with its pictures in it. Raises KeyError for the name of none."""
    return IMAGE.sub(lambda match: _figure(match[2], match[1], match[3] or ""), page)


def _figure(name: str, alt: str, caption: str) -> str:
    if name not in PICTURES:
        raise KeyError(f"no picture is called {name}; there are {', '.join(PICTURES)}")
    if not alt:
        raise ValueError(f"the picture {name} needs words for those who cannot see it")
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    label = html.escape(html.unescape(alt))
    return f'<figure class="drawing"><div role="img" aria-label="{label}">{PICTURES[name]()}</div>{below}</figure>'
