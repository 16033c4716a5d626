"""The page on which a trained CL+LSTM is taught by drawing: the network in it is the one in PyTorch, and it learns."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from metamemory.data import store
from metamemory.data.images import area_average, load
from metamemory.errors import UserError
from metamemory.models import CLLSTM, learner_class
from metamemory.papers.babu2021 import teach
from metamemory.study.parameters import project_root

PAPER, PAGE = "[data-paper]", "document.getElementById('teach').page"
ROOT = project_root()
SIDE = 105
FRAME = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'


def circle(turns=1.0, radius=0.3):
    points = [2 * math.pi * turns * k / 24 for k in range(25)]
    return [[(0.5 + radius * math.cos(at), 0.5 + radius * math.sin(at)) for at in points]]


CHARACTERS = [
    circle(),
    [[(0.2, 0.2), (0.5, 0.5), (0.8, 0.8)], [(0.8, 0.2), (0.5, 0.5), (0.2, 0.8)]],
    [[(0.3, 0.15), (0.3, 0.5), (0.3, 0.85), (0.7, 0.85)]],
]


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """A folder with a data set of few characters, each a few straight lines, as large as Omniglot's."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    names = [f"{alphabet}/character{number:02d}" for alphabet in ("Aa", "Bb", "Cc", "Dd") for number in range(1, 6)]
    at = np.stack(np.mgrid[:SIDE, :SIDE], axis=-1) + 0.5

    def drawn():
        ends = rng.uniform(15, 90, (2, 2, 2))
        ink = np.zeros((SIDE, SIDE), bool)
        for begin, end in ends:
            along = np.clip(((at - begin) @ (end - begin)) / ((end - begin) ** 2).sum(), 0, 1)
            ink |= np.linalg.norm(at - begin - along[..., None] * (end - begin), axis=-1) <= 2
        return np.where(ink, 0, 255).astype(np.uint8)

    def split(classes):
        parts = {"train": [*range(10)], "validation": [], "test": [*range(10, 20)]}
        return {"vinyals": parts}

    folder = root / "data" / "omniglot"
    folder.mkdir(parents=True)
    store.write(folder, "omniglot", [(name, np.stack([drawn() for _ in range(6)])) for name in names], split, True)
    return root


@pytest.fixture(scope="module")
def learner():
    return teach.kept(ROOT)[0][1]


@pytest.fixture(scope="module")
def page(data_set, learner, tmp_path_factory):
    """The page without the book around it."""
    images = load("omniglot", 14, root=data_set / "data")
    network = {**teach.network(learner), "delay": 1, "notes": {2: "Not trained for this."}}
    content = {"networks": [network], "size": 14, **teach.examples(data_set, images)}
    path = tmp_path_factory.mktemp("page") / "teach.html"
    path.write_text(FRAME + teach.filled(ROOT, content, images.title), encoding="utf-8")
    return SimpleNamespace(path=path, content=content)


@pytest.fixture
def opened(browser, page):
    browser.open(page.path)
    yield browser
    assert browser.problems == []


def text(browser, name):
    return browser.evaluate(f"document.querySelector('[data-{name}]').textContent")


def chances(browser):
    return browser.evaluate(f"{PAGE}.rows.map(row => parseInt(row.chance.textContent))")


def episode(n_way=5, each=9, size=14):
    """x [45, 1, 1, 14, 14] and names [45], in random order: one pattern a name, with noise."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randperm(n_way * each, generator=generator) % n_way
    patterns = torch.rand(n_way, 1, size, size, generator=generator) > 0.6
    x = (patterns[y] * torch.rand(len(y), 1, size, size, generator=generator)).mul(255).round() / 255
    return x[:, None], y


STREAM = """(() => {
  const [xs, ys, delay] = %s, lesson = new Lesson(PAGE.networks[0].network, delay);
  const answers = [];
  xs.forEach((x, t) => {
    const drawing = Float32Array.from(x), {logits, neighbours} = lesson.ask(drawing);
    answers.push([Array.from(logits), neighbours.map(each => each && each.distance)]);
    lesson.teach(drawing, ys[t]);
  });
  const state = lesson.state, flat = ({h, c}) => [Array.from(h), Array.from(c)];
  return [answers, state.cl.map(flat), flat(state.lstm)];
})()""".replace("PAGE", PAGE)


@pytest.mark.parametrize("delay", [1, 3])
def test_the_network_in_the_page_is_the_one_in_pytorch(opened, learner, delay):
    x, y = episode()
    told = json.dumps([x.flatten(1).tolist(), y.tolist(), delay])
    answers, cl, lstm = opened.evaluate(STREAM % told)
    y_seen = torch.cat([torch.full((delay,), -1), y[:-delay]])[:, None]
    with torch.no_grad():
        logits, state = learner.run(x, y_seen, learner.initial_state(1))
        pixels = learner_class("nearest_neighbour")((1, 14, 14), 5, delay=delay)(x, y_seen)
    found = torch.tensor([each for each, _ in answers])
    torch.testing.assert_close(found, logits[:, 0], rtol=0, atol=1e-4)
    for ours, theirs in zip([*cl, lstm], [*state.cl, state.lstm], strict=True):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(torch.tensor(one), other.flatten(), rtol=0, atol=1e-4)
    distances = torch.tensor([[math.inf if d is None else d for d in each] for _, each in answers])
    torch.testing.assert_close(distances[delay:], pixels[delay:, 0].neg().sqrt(), rtol=0, atol=1e-3)
    assert distances[:delay].isinf().all()
    assert logits.std() > 1  # there is something to be equal


@pytest.mark.parametrize("settings", [{"pool_after": [1, 2, 3], "inject": ["cl2", "cl4"]}, {"pool_after": []}])
def test_other_forms_of_the_network_are_the_same_too(opened, settings):
    torch.manual_seed(0)
    learner = CLLSTM((1, 14, 14), 5, filters=3, hidden=8, **settings)
    x, y = episode(each=2)
    y_seen = torch.cat([torch.tensor([-1]), y[:-1]])[:, None]
    with torch.no_grad():
        learner(x, y_seen)  # statistics that are not those of the start
        logits = learner.eval()(x, y_seen)
    script = """(() => { const network = new Network(%s); let state = network.zero();
      return %s.map(([x, seen]) => { const step = network.step(Float32Array.from(x), seen, state);
        state = step.state; return Array.from(step.logits); }); })()"""
    steps = json.dumps([[each, seen] for each, seen in zip(x.flatten(1).tolist(), y_seen[:, 0].tolist(), strict=True)])
    found = opened.evaluate(script % (json.dumps(teach.network(learner)), steps))
    torch.testing.assert_close(torch.tensor(found), logits[:, 0], rtol=0, atol=1e-4)


def test_a_drawing_takes_less_than_fifty_milliseconds(opened):
    script = f"""(() => {{ const network = {PAGE}.networks[0].network, x = new Float32Array(196).fill(0.3), took = [];
      let state = network.zero();
      for (let t = 0; t < 21; t++) {{ const begin = performance.now(); state = network.step(x, 1, state).state;
        took.push(performance.now() - begin); }}
      return took.sort((a, b) => a - b)[5]; }})()"""  # of other programs, the slower ones have had their share
    assert opened.evaluate(script) < 50


def test_drawings_are_reduced_as_the_data_set_is(opened, page, data_set):
    folder = data_set / "data" / "omniglot"
    images = list(store.read_classes(folder, store.read_record(folder)))
    every = [data for each in page.content["sets"] for character in each["characters"] for data in character["images"]]
    found = opened.evaluate(f"{json.dumps(every)}.map(data => Array.from(reduce(unpack(data), 14)))")
    expected = area_average(torch.tensor(np.stack(images[10:])), 14).flatten(2).float() / 255
    torch.testing.assert_close(torch.tensor(found), expected.flatten(0, 1), rtol=0, atol=1e-6)


def test_strokes_become_what_training_drawings_are(opened, page):
    like = page.content["likeness"]
    assert 3.5 < like["width"] < 4.5  # what the fixture draws
    script = """%s.map(strokes => Array.from(rasterise(fit(strokes, %s), %f)))"""
    small, large, dot = ([[[10, 10], [12, 11], [10, 14]]], [[[-200, 0], [300, 100]]], [[[5, 5]]])
    told = script % (json.dumps([small, large, dot]), json.dumps(like), like["width"])
    found = np.array(opened.evaluate(told), bool).reshape(3, SIDE, SIDE)
    for ink in found[:2]:
        assert teach.likeness(ink[None])["middle"] == pytest.approx(like["middle"], abs=1)
        assert teach.likeness(ink[None])["width"] == pytest.approx(like["width"], rel=0.2)
    extents = [max(np.ptp(np.flatnonzero(ink.any(axis=axis))) + 1 for axis in (0, 1)) for ink in found]
    assert extents[0] == pytest.approx(4 * 4 + like["width"], abs=1.5)  # at most four times as large
    assert extents[1] == pytest.approx(like["most"] + like["width"], abs=1.5)
    assert extents[2] == pytest.approx(like["width"], abs=1.5)


def test_it_learns_what_is_drawn_and_named(opened):
    for strokes in CHARACTERS * 2:
        opened.draw(PAPER, *strokes)
        opened.click(f"[data-rows] tr:nth-child({CHARACTERS.index(strokes) + 1}) button")
        assert chances(opened) == [None] * 5  # the paper is empty again
    assert opened.evaluate(f"{PAGE}.lesson.shown.map(each => each.name)") == [0, 1, 2, 0, 1, 2]
    for name, strokes in enumerate(CHARACTERS):
        opened.draw(PAPER, *strokes)
        shown = chances(opened)
        assert max(shown) == shown[name] > 50
        assert text(opened, "status").startswith(f"CL+LSTM: {['ba', 'do', 'ki'][name]}, ")
        assert text(opened, "status").endswith(f"Nearest in pixels: {['ba', 'do', 'ki'][name]}.")
        opened.click("[data-clear]")
    assert text(opened, "score").startswith("Of 3 drawings whose name had been told before: CL+LSTM 3 right")
    opened.click("[data-forget]")
    opened.draw(PAPER, *CHARACTERS[0])
    assert max(chances(opened)) < 60 and text(opened, "status").endswith("knows nothing yet.")
    assert opened.evaluate("document.querySelectorAll('[data-history] li').length") == 0


def test_it_is_drawn_and_named_with_the_keyboard(opened):
    for _ in range(3):  # the first that the tab key comes to is the paper
        opened.press("Tab")
        if opened.evaluate("document.activeElement.matches('[data-paper]')"):
            break
    for key in [" ", *["ArrowRight"] * 4, *["ArrowDown"] * 4, " "]:
        opened.press(key)
    strokes = opened.evaluate(f"{PAGE}.strokes")
    assert [strokes[0][0], strokes[0][-1]] == [[52.5, 52.5], [72.5, 72.5]]
    opened.press("Escape")
    assert opened.evaluate(f"{PAGE}.strokes") == [] and text(opened, "status") == "The paper is empty."
    opened.press("2")
    assert text(opened, "status").startswith("Draw something first")
    for key in [" ", "ArrowLeft", "ArrowLeft", " ", "2"]:
        opened.press(key)
    assert opened.evaluate(f"{PAGE}.lesson.shown.map(each => each.name)") == [1]
    reached = set()
    for _ in range(80):
        opened.press("Tab")
        reached.add(opened.evaluate("document.activeElement.outerHTML.slice(0, 90)"))
    for part in ("data-clear", "data-forget", "teach-name", "data-set", "data-play", "data-delay", "teach-part"):
        assert any(part in each for each in reached), part


def test_it_works_on_a_narrow_screen_with_a_finger(browser, page):
    browser.open(page.path, width=390, height=800)
    assert browser.evaluate("document.scrollingElement.scrollWidth") <= 390
    browser.touch(PAPER, CHARACTERS[0][0])
    assert len(browser.evaluate(f"{PAGE}.strokes[0]")) >= 10
    browser.click("[data-rows] tr:nth-child(4) button")
    assert browser.evaluate(f"{PAGE}.lesson.shown.map(each => each.name)") == [3]
    assert browser.evaluate("document.scrollingElement.scrollWidth") <= 390 and browser.problems == []


def test_every_picture_and_button_says_what_it_is(opened):
    opened.draw(PAPER, *CHARACTERS[0])
    opened.press("1")
    unnamed = """Array.from(document.querySelectorAll('#teach canvas, #teach button, #teach input, #teach select'))
      .filter(each => !(each.getAttribute('aria-label') || each.ariaHidden || each.labels?.length || each.textContent))
      .map(each => each.outerHTML.slice(0, 120))"""
    assert opened.evaluate(unnamed) == []


def test_drawings_of_the_test_set_are_shown_and_taught(opened):
    assert opened.evaluate("document.querySelectorAll('[data-set] option').length") == 2
    opened.click("[data-presets] > div:nth-child(2) button:nth-child(3)")
    assert text(opened, "status").startswith("CL+LSTM: ")
    opened.press("5")
    assert opened.evaluate(f"{PAGE}.lesson.shown.map(each => each.name)") == [4]
    opened.evaluate(f"new Promise(done => {{ {PAGE}.play(); setTimeout(done, 1500); }})")
    assert text(opened, "play") == "Stop"
    opened.click("[data-play]")
    assert opened.evaluate(f"{PAGE}.lesson.shown.length") >= 1 and text(opened, "play") != "Stop"


def test_names_can_be_late_and_others(opened):
    choose = "(each => { each.value = '2'; each.dispatchEvent(new Event('change')); })"
    opened.evaluate(f"{choose}(document.querySelector('[data-delay]'))")
    assert text(opened, "delay-note") == "Not trained for this."
    opened.draw(PAPER, *CHARACTERS[0])
    opened.press("1")
    opened.draw(PAPER, *CHARACTERS[0])
    assert text(opened, "status").endswith("knows nothing yet.")  # it is told two drawings later
    opened.press("1")
    opened.draw(PAPER, *CHARACTERS[0])
    assert text(opened, "status").endswith("Nearest in pixels: ba.")
    rename = "(each => { each.value = 'fox'; each.dispatchEvent(new Event('input')); })"
    opened.evaluate(f"{rename}(document.querySelector('[data-names] input'))")
    assert "fox" in opened.evaluate("document.querySelector('.teach-name').textContent")


def test_run_lengths_are_read_back():
    ink = np.zeros((SIDE, SIDE), bool)
    ink[0, :3] = ink[50:53] = ink[-1, -1] = True
    told, place, found = teach.run_lengths(ink), False, []
    for length in told:
        found += [place] * length
        place = not place
    assert np.array_equal(np.reshape(found, ink.shape), ink) and max(told) <= 255


def test_the_best_weights_of_each_delay_are_taken():
    (record, learner), *others = teach.kept(ROOT)
    assert record["task"]["delay"] == 1 and not learner.training
    delays = [each["task"]["delay"] for each, _ in others]
    assert delays == sorted(set(delays)) and 1 not in delays
    one = 100 * record["metrics_of_these_weights"]["accuracy_1_shot"]
    assert f"{one:.0f} % of cases after one" in teach.accuracy(ROOT)


def test_a_delay_without_weights_is_measured(learner, monkeypatch):
    monkeypatch.setattr(teach, "EPISODES", 2)
    images = torch.randint(0, 256, (6, 9, 1, 14, 14), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    told = teach.note(learner, SimpleNamespace(images=images, splits={"vinyals": {"test": torch.arange(6)}}), 2, 1)
    assert "two drawings later, it is right in" in told and "guessing gives 20 %" in told


def test_networks_that_the_page_does_not_know_are_refused(tmp_path):
    with pytest.raises(UserError, match="normalisation by running statistics only"):
        teach.network(CLLSTM((1, 8, 8), 5, filters=2, hidden=4, pool_after=[1], statistics="sample"))
    with pytest.raises(UserError, match="square images only"):
        teach.network(CLLSTM((1, 8, 16), 5, filters=2, hidden=4, pool_after=[1]))
    assert teach.kept(tmp_path) == [] and teach.accuracy(tmp_path) == "" and "nothing to teach" in teach.page(tmp_path)
