"""The one table that says how each kind of layer explains itself: layer class -> ``Rule``.

A rule is three functions of a ``Use`` and an index (see ``study/use.py``): an output, an entry of dx, and an entry of
each parameter's gradient. To add a layer: write its rule in the file of its family, and its line in that file's
RULES. A test fails for a layer that has none.
"""

from __future__ import annotations

from types import MappingProxyType

from minicnn.layers.base import Layer
from minicnn.study.rules import convolutions, curves, dense, merging, moving, normalising, pooling
from minicnn.study.use import Rule

FAMILIES = (convolutions, dense, pooling, moving, curves, normalising, merging)

RULES: MappingProxyType[type[Layer], Rule] = MappingProxyType(
    {kind: rule for family in FAMILIES for kind, rule in family.RULES.items()}
)
