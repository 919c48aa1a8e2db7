"""The page in a real browser: what a person does with it, and that a large program stays handy."""

import random
from types import SimpleNamespace

import pytest
from playwright.sync_api import Error

from tests.unit.chromium import BrowserMissing, chromium, launched
from tests.unit.test_timeline_page import EVIL, EXAMPLE
from tsp import isa
from tsp.assembler import assemble_file
from tsp.config import preset
from tsp.floorplan import floorplan
from tsp.program import Program
from tsp.timeline.html import page
from tsp.timeline.model import timeline

SLOW = 1000
"""Milliseconds that no reaction may take, on a machine that is busy with other things; it takes a few."""


FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Resolved when everything asked for is drawn."""


def text(browser, element):
    return browser.evaluate(f"document.getElementById('{element}').innerText")


def at(browser, queue, cycle):
    """The point on the screen of a cycle of a queue."""
    place = f"(r => [r.x + chart.x({cycle} + 0.5), r.y + chart.head + (q.number + 0.5) * ROW - chart.top])"
    found = f"(q => {place}(chart.canvas.getBoundingClientRect()))(model.queues.find(q => q.name === '{queue}'))"
    return browser.evaluate(found)


@pytest.fixture(scope="module")
def browsers():
    with chromium() as found:
        yield found


@pytest.fixture
def browser(browsers):
    with browsers.new_page(viewport={"width": 1400, "height": 1000}) as found:
        yield found


@pytest.fixture
def errors(browser):
    """What scripts of the page throw."""
    found = []
    browser.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.fixture
def shown(browser, errors, tmp_path):
    """Opens the page of a program."""

    def show(program, name="a.tsp"):
        (tmp_path / "a.html").write_bytes(page(timeline(program), name))
        loads = []
        browser.on("request", lambda request: loads.append(request.url))
        browser.goto((tmp_path / "a.html").as_uri())
        browser.evaluate(FRAME)
        assert (errors, loads) == ([], [(tmp_path / "a.html").as_uri()])
        return browser

    return show


def test_without_a_browser_a_sentence_says_what_to_type():
    def launch(executable_path):
        raise Error("nothing there")

    with pytest.raises(BrowserMissing, match="^no Chromium starts: type make setup"):
        launched(SimpleNamespace(chromium=SimpleNamespace(launch=launch)))


def test_an_instruction_is_looked_at_and_its_vector_followed(shown, errors, tmp_path):
    browser = shown(assemble_file(EXAMPLE))
    assert text(browser, "summary") == "6 cycles, 4 instructions in 4 queues, config tiny"
    browser.mouse.click(*at(browser, "vxm.r0s0", 2))
    browser.evaluate(FRAME)
    details = text(browser, "details").split("\n")
    assert details[0] == "ADD.sat e4:int8, w4:int8 -> e8:int8"
    assert details[details.index("Source") + 1].startswith("vector_add.tsp:19 @2 ADD.sat e4:int8, w4:int8 -> e8:int8")
    assert details[details.index("Cycle") + 1] == "2" and details[details.index("Queue") + 1] == "vxm.r0s0"
    assert "e4, operand a: from mem.w0, cycle 0: READ x, e4" in details
    # The walk of docs/programming.md: driven in cycle 4, at mem.e.1 in cycle 5.
    assert text(browser, "state") == "Cycle 4: in register 5, between vxm and mem.e.0, on e8."
    browser.evaluate("chart.canvas.focus()")
    browser.keyboard.press(".")
    assert text(browser, "state").endswith("between mem.e.0 and mem.e.1, on e8; read by mem.e4.")
    assert text(browser, "stops").split("\n")[0] == "cycle 5: mem.e4 reads e8: WRITE z, e8"
    browser.keyboard.press(",")
    browser.keyboard.press(",")
    assert text(browser, "state") == "Cycle 3: vxm.r0s0 is making it."
    browser.screenshot(path=tmp_path / "light.png", full_page=True)
    assert (tmp_path / "light.png").stat().st_size > 20_000
    assert errors == []


def test_a_write_is_followed_into_memory(shown):
    browser = shown(assemble_file(EXAMPLE))
    browser.mouse.click(*at(browser, "mem.e4", 5))
    assert text(browser, "choices") == "writes e8 of vxm.r0s0"
    assert "in mem.e4[0], z" in text(browser, "stops")
    browser.evaluate("step(10)")
    assert text(browser, "state").endswith("it has left the chip's edge; kept in mem.e4[0], z.")


def test_keys_go_from_instruction_to_instruction(shown, errors):
    browser = shown(assemble_file(EXAMPLE.with_name("softmax.tsp")))
    browser.evaluate("chart.canvas.focus()")
    where = "[chart.selected.queue.name, cycleOf(model, chart.selected)]"
    browser.keyboard.press("ArrowDown")
    first = browser.evaluate(where)
    browser.keyboard.press("ArrowRight")
    assert browser.evaluate(where) == [first[0], first[1] + 1]
    browser.keyboard.press("ArrowLeft")
    browser.keyboard.press("ArrowDown")
    assert browser.evaluate(where) == ["mem.w8", 36]
    browser.keyboard.press("ArrowDown")
    assert browser.evaluate(where) == ["mem.w1", 17]
    whole = browser.evaluate("chart.scale")
    browser.keyboard.press("+")
    assert browser.evaluate("chart.scale") == pytest.approx(1.5 * whole)
    browser.keyboard.press("0")
    browser.evaluate(FRAME)
    assert browser.evaluate("[chart.scale, chart.from]") == [whole, 0]
    assert errors == []


def test_wheel_and_drag_zoom_and_pan(shown):
    browser = shown(assemble_file(EXAMPLE.with_name("softmax.tsp")))
    x, y = at(browser, "mem.w1", 17)
    under = f"chart.cycleAt({x} - chart.canvas.getBoundingClientRect().x)"
    before = browser.evaluate(under)
    browser.mouse.move(x, y)
    browser.mouse.wheel(0, -300)
    browser.evaluate(FRAME)
    assert browser.evaluate(under) == pytest.approx(before, abs=0.1)
    start = browser.evaluate("chart.from")
    browser.mouse.down()
    browser.mouse.move(x - 100, y)
    browser.mouse.up()
    assert browser.evaluate("chart.from") == pytest.approx(start + browser.evaluate("100 / chart.scale"), abs=0.01)
    assert browser.evaluate("chart.selected") is None


def test_it_is_dark_for_who_wants_it_dark(shown):
    browser = shown(assemble_file(EXAMPLE))
    corner = "chart.draw(), [...chart.context.getImageData(4, chart.head + 40, 1, 1).data].slice(0, 3)"
    assert min(browser.evaluate(corner)) > 200
    browser.emulate_media(color_scheme="dark")
    assert max(browser.evaluate(corner)) < 60
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 28)"


def test_names_are_shown_as_they_are(shown, errors):
    program = assemble_file(EXAMPLE)
    program.source.name = EVIL
    program.source.text = {line: EVIL for line in program.source.text}
    browser = shown(program, EVIL)
    browser.mouse.click(*at(browser, "mem.e4", 5))
    assert browser.evaluate("document.getElementById('name').textContent") == EVIL
    assert EVIL in browser.evaluate("document.getElementById('details').textContent")
    assert browser.evaluate("document.scripts.length") == 2 and errors == []


def large(count):
    """That many instructions, no two alike, all over groqchip; REPEATs are no help here."""
    config, rng = preset("groqchip"), random.Random(1)
    queues = [queue for queue in floorplan(config).queues if queue.kind == "mem"]
    words = {queue.index: [] for queue in queues}
    for number in range(count):
        half = rng.choice(("read", "write"))
        values = {f"{half}_address": rng.randrange(8000), f"{half}_stream": rng.randrange(64)}
        row = words[queues[number % len(queues)].index]
        row.append(isa.instruction(half.upper(), **values).encode())
        if rng.random() < 0.2:
            row.append(isa.instruction("NOP", n=rng.randrange(1, 200)).encode())
    return Program(config, words)


@pytest.mark.slow
def test_a_hundred_thousand_instructions_stay_handy(shown, errors, tmp_path):
    browser = shown(large(100_000), "large.npz")
    assert (tmp_path / "a.html").stat().st_size < 10_000_000
    assert "100,000 instructions in 88 queues" in text(browser, "summary")
    browser.mouse.move(700, 400)
    took = []
    for _ in range(12):
        took.append(browser.evaluate("chart.draw(), chart.took"))
        browser.mouse.wheel(0, -200)
        browser.evaluate(FRAME)
    browser.evaluate("chart.fit()")
    browser.evaluate(FRAME)
    choose = "select(nearestIssue(model, model.queues[40], 3000, Infinity))"
    took.append(browser.evaluate(f"(began => ({choose}, performance.now() - began))(performance.now())"))
    browser.evaluate("chart.canvas.focus()")
    for key in ("ArrowRight", "ArrowDown", ".", "-"):
        browser.keyboard.press(key)
    browser.evaluate(FRAME)
    assert errors == [] and max(took) < SLOW, took
    assert "Cycle " in text(browser, "state") or text(browser, "follow") == ""
