"""The explorer as one file: complete, closed, and harmless whatever a file is called."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from minicnn.cli.explore_steps import Looking
from minicnn.errors import OptionError
from minicnn.explorer import costs, export
from minicnn.explorer.explorer import Explorer, Subject
from minicnn.explorer.export import export_page
from minicnn.explorer.photo import Photo
from minicnn.roofline import Limits


@pytest.fixture(autouse=True)
def _known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_limits", lambda: Limits(100.0, 10.0))  # measuring it is another test's


def recorded(page: str) -> dict[str, object]:
    data = re.search(r'<script type="application/json" id="recorded">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    return json.loads(data[1])  # type: ignore[no-any-return]


def test_a_page_holds_what_was_chosen_and_what_convolutions_read(explorer: Explorer) -> None:
    page = export_page(explorer, depth=2, layers=("conv2", "score*"))
    found = recorded(page)
    names = [layer["name"] for layer in found["state"]["layers"]]  # type: ignore[index]
    assert names == ["input_layer", "pool1", "conv2", "scores"]
    assert [layer["planes"]["count"] for layer in found["state"]["layers"]] == [1, 2, 2, 1]  # type: ignore[index]
    for direction in ("forward", "backward"):
        for number in (0, 1):
            ((row, column),) = found[f"values/{direction}/conv2/{number}"]["explained"]  # type: ignore[index]
            value = explorer.scene().values(direction, "conv2")[:, :, number]
            assert abs(value[row, column]) == np.abs(value).max()
            taken_apart = found[f"numbers/{direction}/conv2/{number}/{row}/{column}"]
            assert taken_apart["value"] == pytest.approx(value[row, column], abs=1e-7)  # type: ignore[index]
            assert taken_apart["keras"]["status"] == "ready"  # type: ignore[index]
    assert all(value.startswith("data:image/png;base64,") for key, value in found.items() if ".png" in key)  # type: ignore[attr-defined]
    assert not any("epoch" in key or "/2" in key.partition("values")[2] for key in found)


def test_a_page_refers_to_nothing_outside_and_allows_nothing(explorer: Explorer) -> None:
    page = export_page(explorer, depth=1, layers=("conv1",))
    shell = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
    addresses = re.findall(r'(?:src|href)="([^"]*)"', shell)
    assert all(address.startswith(("data:", "#")) for address in addresses)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    assert "http" not in policy[1]


@pytest.mark.parametrize("hostile", ["</script><script>alert(1)</script>", "<!--<script>", "\udce9"])
def test_names_cannot_end_the_data(hostile: str, looking: Looking, face: Photo) -> None:
    """The name of a person, or of a photograph, may be anything."""
    subject = Subject(looking.subject.model, (hostile, *"bcde"))
    page = export_page(Explorer(subject, face, looking.read), depth=1, layers=("conv1",))
    assert hostile not in page
    assert hostile in [row["name"] for row in recorded(page)["state"]["scores"]["top"]]  # type: ignore[index]


def test_every_module_is_in_the_page_under_its_name(explorer: Explorer) -> None:
    page = export_page(explorer, depth=1, layers=("conv1",))
    found = re.search(r'<script type="importmap">(.*?)</script>', page)
    assert found is not None
    names = set(json.loads(found[1])["imports"])
    assert names == {f"minicnn/{path.stem}" for path in export.STATIC.glob("*.js")}
    for path in export.STATIC.glob("*.js"):
        for imported in re.findall(r'from "\./(\w+)\.js"', path.read_text(encoding="utf-8")):
            assert f"minicnn/{imported}" in names


@pytest.mark.parametrize("layers", [("conv9",), ("conv1", "x*")])
def test_layers_that_are_not_there_are_refused(explorer: Explorer, layers: tuple[str, ...]) -> None:
    with pytest.raises(OptionError, match="layers among input_layer, conv1"):
        export_page(explorer, layers=layers)
