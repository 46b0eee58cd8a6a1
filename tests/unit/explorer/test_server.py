"""Every address of the explorer, what it answers, and what it refuses; afterwards the server goes on."""

from __future__ import annotations

import base64
import io
import json
import math

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from detection.orl import load_orl
from minicnn.cli.explore_steps import Looking
from minicnn.explorer import server
from minicnn.explorer.answers import ROUTES
from minicnn.explorer.explorer import Explorer
from minicnn.explorer.photo import Photo
from minicnn.explorer.server import MAX_UPLOAD, application
from minicnn.ops import jit_cache
from tests.unit.detection.pictures import encode, png_promising
from tests.unit.explorer.conftest import plain_picture

EXAMPLES = {
    "state": "state",
    "beside": "beside",
    "photo.png": "photo.png",
    "crop.png": "crop.png",
    "layers/{layer}": "layers/pool1",
    "strips/{direction}/{layer}.png": "strips/forward/conv1.png",
    "sheets/{direction}/{layer}/{page}.png": "sheets/backward/relu1/0.png",
    "maps/{direction}/{layer}/{number}.png": "maps/forward/conv2/7.png",
    "values/{direction}/{layer}/{number}": "values/backward/conv2/7",
    "kernels/{layer}/{number}": "kernels/conv2/7",
    "filters/{layer}.png": "filters/conv1.png",
    "numbers/{direction}/{layer}/{number}/{row}/{column}": "numbers/forward/conv2/7/3/4",
    "ways/{layer}/{number}/{row}/{column}": "ways/conv1/5/3/4",
    "play": "play?kernel=1,0,0,0,0,0,0,0,-1&padding=valid&stride=2",
    "costs": "costs",
}


@pytest.fixture
def client(explorer: Explorer) -> TestClient:
    return TestClient(application(explorer), raise_server_exceptions=False)


def refused(client: TestClient, path: str, status: int = 400) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert client.get("state").status_code == 200  # the server goes on
    return str(answer.json()["error"])


# -- what it answers ---------------------------------------------------------------------------------------------------


def test_every_route_has_an_example() -> None:
    assert EXAMPLES.keys() == ROUTES.keys()


@pytest.mark.parametrize("path", EXAMPLES.values())
def test_every_route_answers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    if path.partition("?")[0].endswith(".png"):
        assert answer.headers["content-type"] == "image/png"
        Image.open(io.BytesIO(answer.content)).load()
    else:
        json.loads(answer.text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["", "index.html", "style.css", "main.js", "data.js", "icon.svg"])
def test_the_page_and_its_files_are_there(client: TestClient, path: str) -> None:
    assert client.get(f"/{path}").status_code == 200


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("layer", ["input_layer", "conv1", "pool1", "flatten", "scores", "prob"])
def test_the_numbers_of_a_map_are_the_networks(
    client: TestClient, explorer: Explorer, direction: str, layer: str
) -> None:
    scene = explorer.scene()
    answer = client.get(f"values/{direction}/{layer}/0").json()
    plane = scene.planes(layer).plane(scene.values(direction, layer), 0)
    found = np.frombuffer(base64.b64decode(answer["base64"]), "<f4").reshape(plane.shape)
    assert np.array_equal(found, plane)
    assert (answer["least"], answer["most"]) == (plane.min(), plane.max())
    picture = Image.open(io.BytesIO(client.get(f"maps/{direction}/{layer}/0.png").content))
    assert picture.size == plane.shape[::-1]


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    "layer, place", [("conv1", "3/10/11"), ("bn1", "0/0/0"), ("pool1", "5/23/23"), ("scores", "0/1/1")]
)
def test_a_number_taken_apart_is_the_sum_of_its_terms(
    client: TestClient, explorer: Explorer, direction: str, layer: str, place: str
) -> None:
    explorer.ask_beside(None, None)
    explorer.beside.wait()
    found = client.get(f"numbers/{direction}/{layer}/{place}").json()
    products = [product for group in found["groups"] for product in group["products"]]
    assert found["sum"] == pytest.approx(math.fsum(products), rel=1e-12, abs=1e-12)
    assert found["total"] == pytest.approx(found["value"], rel=1e-5, abs=1e-6)
    assert found["keras"] == {"status": "ready", "value": pytest.approx(found["value"] + 1, abs=1e-6)}


def test_a_long_sum_is_cut_down_to_its_largest_terms(client: TestClient) -> None:
    whole = client.get("numbers/forward/scores/0/0/1").json()
    short = client.get("numbers/forward/scores/0/0/1?most=7").json()
    (all_terms,), (group,) = whole["groups"], short["groups"]
    assert len(group["products"]) == 7
    assert group["left_out"]["count"] == len(all_terms["products"]) - 7
    assert math.fsum([*group["products"], group["left_out"]["sum"]]) == pytest.approx(whole["sum"], abs=1e-12)
    least = min(map(abs, group["products"]))
    assert sum(abs(product) > least for product in all_terms["products"]) < 7


def test_gradients_start_from_the_class_that_was_asked_for(client: TestClient) -> None:
    best = client.get("state").json()["target"]
    other = (best + 1) % 5
    default = client.get("values/backward/conv1/0").content
    assert client.get(f"values/backward/conv1/0?target={best}").content == default
    assert client.get(f"values/backward/conv1/0?target={other}").content != default


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "relu2"])
def test_what_a_pixel_reads_is_where_its_terms_were_read(client: TestClient, layer: str) -> None:
    about = client.get(f"layers/{layer}").json()
    size = {"conv1": 48, "pool1": 48, "conv2": 24, "relu2": 12}[layer]  # of what it reads
    for row, column in ((0, 0), (5, 7), (11, 11)):
        found = client.get(f"numbers/forward/{layer}/2/{row}/{column}").json()
        places = np.array([place for group in found["groups"] for place in group["factors"][0]["positions"]])
        (top, bottom), (left, right) = about["window"]["rows"][row], about["window"]["columns"][column]
        assert (places[:, 1].min(), places[:, 1].max() + 1) == (max(top, 0), min(bottom, size))
        assert (places[:, 2].min(), places[:, 2].max() + 1) == (max(left, 0), min(right, size))


def test_the_receptive_field_is_what_moves_the_number(client: TestClient, explorer: Explorer) -> None:
    """Found out by changing pixels: outside of the field none may matter, and its outermost rows and columns do."""
    scene = explorer.scene()
    field = client.get("layers/conv2").json()["field"]
    (top, bottom), (left, right) = field["rows"][6], field["columns"][3]
    rng = np.random.default_rng(0)
    part = scene.model.up_to("conv2")
    x = scene.photo.x
    outside, inside = x + rng.normal(size=x.shape), x.copy()
    outside[:, top:bottom, left:right] = x[:, top:bottom, left:right]
    inside[:, [top, bottom - 1], left:right] += 5
    assert np.array_equal(part(outside.astype(np.float32))[0, 6, 3], part(x)[0, 6, 3])
    assert not np.array_equal(part(inside)[0, 6, 3], part(x)[0, 6, 3])


def test_whoever_waits_can_ask_how_much_was_compiled(
    client: TestClient, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with explorer.lock:  # as while another request computes
        before = client.get("compiled").json()["functions"]
        monkeypatch.setitem(jit_cache.counts, "compiled", before + 3)
        assert client.get("compiled").json() == {"functions": before + 3}


def test_the_other_framework_is_asked_before_any_pass_back(explorer: Explorer) -> None:
    """Where it starts from is enough; the pass itself may have to be compiled first, and everybody else would wait."""
    scene = explorer.scene()
    explorer.ask_beside(2, None)
    assert scene._backward is None
    (output,) = scene.model.graph.outputs
    for target in (None, 2):
        assert np.array_equal(scene.output_gradient(target), scene.backward(target).dvalues[output])


# -- what it refuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, words",
    [
        ("layers/conv9", "conv1, bn1"),
        ("values/forward/conv9/0", "conv1, bn1"),
        ("values/sideways/conv1/0", "forward or backward"),
        ("numbers/sideways/conv1/0/0/0", "forward or backward"),
        ("values/forward/conv1/6", "map from 0 to 5"),
        ("values/forward/conv1/-1", "map as a whole number"),
        ("values/forward/conv1/1e3", "map as a whole number"),
        ("values/forward/conv1/" + "9" * 5000, "map as a whole number"),
        ("maps/forward/conv1/²/.png", "There is nothing"),
        ("sheets/forward/conv1/1.png", "a page that 'conv1' has"),
        ("numbers/forward/conv1/0/48/0", "row from 0 to 47"),
        ("numbers/forward/conv1/0/0/48", "row from 0 to 47"),
        ("numbers/forward/scores/0/2/2", "row from 0 to 1"),
        ("numbers/forward/input_layer/0/0/0", "an input of the network"),
        ("values/backward/conv1/0?target=5", "class from 0 to 4"),
        ("values/backward/conv1/0?epoch=3", "an epoch that was kept"),
        ("kernels/pool1/0", "a Conv2D"),
        ("kernels/conv1/6", "map from 0 to 5"),
        ("filters/relu1.png", "a Conv2D"),
        ("ways/scores/0/0/0", "a Conv2D"),
        ("ways/conv1/0/99/0", "row from 0 to 47"),
        ("play?kernel=diagonal", "nine numbers"),
        ("play?kernel=1,2,3", "9 numbers"),
        ("play?kernel=nan,0,0,0,0,0,0,0,0", "9 numbers"),
        ("play?stride=2&dilation=2", "either strides > 1 or dilation_rate > 1"),
        ("play?stride=0", "stride as an integer"),
        ("state?colour=red", "colour"),
    ],
)
def test_what_is_not_there_is_refused_in_words(client: TestClient, path: str, words: str) -> None:
    assert words in refused(client, path, 404 if "nothing" in words else 400)


@pytest.mark.parametrize(
    "path", ["nothing", "../pyproject.toml", "static/../../server.py", "%2e%2e/server.py", "server.py"]
)
def test_no_other_file_can_be_read(client: TestClient, path: str) -> None:
    assert client.get(f"/{path}").status_code == 404


@pytest.mark.parametrize("method, path", [("POST", "state"), ("GET", "photo"), ("DELETE", "photo"), ("PUT", "state")])
def test_other_methods_are_refused(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code in (404, 405)
    assert answer.json()["error"]


def test_a_browser_shows_no_pictures_of_an_earlier_explorer(client: TestClient, looking: Looking, face: Photo) -> None:
    """The next one has the same port, so what it may keep has to have another address."""
    assert "max-age" in client.get("crop.png").headers["cache-control"]
    assert len({Explorer(looking.subject, face, looking.read).number for _ in range(3)}) == 3


def test_a_browser_asks_whether_a_script_has_changed(client: TestClient) -> None:
    first = client.get("main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


# -- another photograph ------------------------------------------------------------------------------------------------


def photograph(person: int = 10) -> bytes:
    picture = load_orl().images[person].repeat(2, axis=0).repeat(2, axis=1)
    return encode(np.repeat(picture[:, :, None], 3, axis=2), "PNG")


def test_another_photograph_takes_the_place_of_the_first(client: TestClient) -> None:
    before = client.get("state").json(), client.get("values/forward/conv1/0").content
    answer = client.post("photo", content=photograph(), headers={"X-Name": "a%20%3Cb%3E.png"})
    assert answer.json() == {"photo": before[0]["number"] + 1}
    after = client.get("state").json()
    assert (after["number"], after["photo"]["name"]) == (before[0]["number"] + 1, "a <b>.png")
    assert after["photo"]["face"] != before[0]["photo"]["face"]
    assert client.get("values/forward/conv1/0").content != before[1]


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "empty"),
        (b"<svg onload=alert(1)>", "picture"),
        (encode(plain_picture(), "PNG"), "at least one face"),
        (photograph()[:2000], "PNG"),
        (png_promising(20_000, 20_000), "50 megapixels"),
    ],
    ids=["empty", "no picture", "no face", "cut off", "huge"],
)
def test_what_is_no_photograph_of_a_face_is_refused_and_the_old_one_stays(
    client: TestClient, data: bytes, words: str
) -> None:
    before = client.get("state").json()
    answer = client.post("photo", content=data, headers={"X-Name": "mine.png"})
    assert answer.status_code == 400
    assert "mine.png" in answer.json()["error"]
    assert words in answer.json()["error"]
    assert client.get("state").json() == before


def test_too_large_a_file_is_refused_before_it_is_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def body():  # type: ignore[no-untyped-def]
        for _ in range(100):
            read.append(1)
            yield b"x" * 1000

    announced = client.post("photo", content=b"", headers={"Content-Length": str(MAX_UPLOAD + 1)})
    assert announced.status_code == 400
    assert "32 MiB" in announced.json()["error"]
    monkeypatch.setattr(server, "MAX_UPLOAD", 10_000)
    in_parts = client.post("photo", content=body(), headers={"X-Name": "endless.png"})  # says nothing of its length
    assert in_parts.status_code == 400
    assert "endless.png" in in_parts.json()["error"]


def test_a_mistake_of_the_explorer_ends_one_request_and_not_the_server(
    client: TestClient, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer, "scene", lambda epoch=None: 1 / 0)
    answer = client.get("crop.png")
    assert answer.status_code == 500
    assert "ZeroDivisionError" in answer.json()["error"]
    monkeypatch.undo()
    assert client.get("crop.png").status_code == 200
