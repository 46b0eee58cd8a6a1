"""How ``docs/`` becomes a site: what is added to its pages while MkDocs builds them (``make docs``).

``hooks`` is where MkDocs calls in. Each of the others makes one kind of thing from the source itself, so that no page
can go stale: ``formulas`` (LaTeX -> SVG), ``pictures`` (drawn from numbers that minicnn computed), ``commands`` (the
command line, from its own help), ``reference`` (the pages of docstrings), ``chapters`` (what stands at their heads),
``course`` (the notebooks), ``pages`` (files that stand elsewhere in the checkout). A reader's browser gets text and
SVG: no script for mathematics, no font, nothing from the network.
"""
