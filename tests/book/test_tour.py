"""Every page of the book as readers see it: on wide and narrow screens, in light and dark, without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from metamemory.study.parameters import project_root

PARTS = ("params", "params.yaml", "pretrained", "results", "src")
LOOK = """(width => {
  const wide = Array.from(document.querySelectorAll('main *')).filter(each => {
    const box = each.getBoundingClientRect();
    return box.width && box.right > width + 1;
  });
  const inPage = document.querySelector('main') || document;
  const images = Array.from(inPage.querySelectorAll('img'));
  return {
    overflow: document.scrollingElement.scrollWidth - width,
    widest: wide.slice(0, 3).map(each => each.outerHTML.slice(0, 100)),
    broken: images.filter(each => !(each.complete && each.naturalWidth)).map(each => each.src),
    unnamed: images.filter(each => !each.alt || each.alt.includes('_images/')).map(each => each.src),
    empty: Array.from(inPage.querySelectorAll('pre')).map(each => each.textContent.trim())
      .filter(each => /^<IPython\\.core\\..* object>$/.test(each)),
    links: Array.from(document.querySelectorAll('a[href]')).map(each => each.href),
    ids: Array.from(document.querySelectorAll('[id]')).map(each => each.id),
    theme: document.documentElement.dataset.theme,
  };
})"""


def built(folder: Path) -> Path:
    """The book, built in a copy of the project."""
    root = project_root()
    shutil.copytree(root / "book", folder / "book", ignore=shutil.ignore_patterns("_build", "__pycache__"))
    for part in PARTS:
        (folder / part).symlink_to(root / part)
    python = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": python, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"}
    commands = [["jupyter-book", "build", "--all", "-W", "-n", "--keep-going", "-q", "book"]]
    if (root / "data").exists():
        (folder / "data").symlink_to(root / "data")
    else:
        commands.insert(0, [sys.executable, "-m", "metamemory", "data"])
    for command in commands:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "book" / "_build" / "html"


def faults(browser, page: Path, width: int, dark: bool) -> tuple[list[str], dict]:
    """What is wrong with a page on a screen of a width, and what was found in it."""
    browser.open(page, width, dark=dark)
    found = browser.evaluate(f"{LOOK}({width})")
    told = [f"on the console: {each}" for each in browser.problems]
    if found["overflow"] > 1:
        told.append(f"{found['overflow']} pixels too wide: {found['widest']}")
    told += [f"{kind} image {each}" for kind in ("broken", "unnamed") for each in found[kind]]
    told += [f"nothing was displayed: {each}" for each in found["empty"]]
    if found["theme"] != ("dark" if dark else "light"):
        told.append(f"its theme is {found['theme']}")
    return told, found


def dead_links(page: Path, links: set[str], ids: dict[Path, set[str]]) -> list[str]:
    """Links to files that are not there, or to places in pages that these do not have."""
    dead = []
    for link in sorted(links):
        parts = urlsplit(link)
        if parts.scheme == "file":
            path = Path(unquote(parts.path))
            there = path.exists() and (not parts.fragment or unquote(parts.fragment) in ids.get(path, set()))
            if not there and not (path.exists() and path.suffix != ".html"):
                dead.append(link)
    return dead


def forwards(page: Path) -> bool:
    """Whether a page does nothing but lead to another, as the first of the book."""
    return 'http-equiv="refresh"' in page.read_text(encoding="utf-8").lower()


def tour(browser, html: Path) -> dict[str, list[str]]:
    """Page -> what is wrong with it."""
    pages = sorted(path for path in html.rglob("*.html") if "_static" not in path.parts and not forwards(path))
    wrong: dict[str, list[str]] = {}
    links, ids = {}, {}
    for page in pages:
        for width in (1280, 390):
            for dark in (False, True):
                told, found = faults(browser, page, width, dark)
                if told:
                    wrong[f"{page.relative_to(html)} at {width}, {'dark' if dark else 'light'}"] = told
        links[page], ids[page] = set(found["links"]), set(found["ids"]) | {""}
    for page in pages:
        if dead := dead_links(page, links[page], ids):
            wrong[f"{page.relative_to(html)}: dead links"] = dead
    return wrong


@pytest.mark.slow
def test_every_page_can_be_read_on_any_screen(browser, tmp_path):
    html = built(tmp_path)
    assert len(list(html.rglob("*.html"))) > 20
    assert tour(browser, html) == {}


PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><body><main>"""


def test_the_tour_finds_what_is_wrong(browser, tmp_path):
    """Each mistake once, in pages without the book's looks."""
    picture = '<img alt="a dot" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=">'
    (tmp_path / "right.html").write_text(f'{PAGE}<h1 id="top">x</h1><a href="#top">x</a>{picture}', encoding="utf-8")
    wrong = {
        "wide": '<div style="width: 700px">x</div>',
        "image": '<img alt="x" src="no.png">',
        "unnamed": picture.replace('alt="a dot"', 'alt="_images/x.png"'),
        "empty": "<pre>&lt;IPython.core.display.Markdown object&gt;</pre>",
        "script": "<script>console.error('no')</script>",
        "link": '<a href="right.html#bottom">x</a>',
        "file": '<a href="nowhere.html">x</a>',
    }
    for name, body in wrong.items():
        (tmp_path / f"{name}.html").write_text(PAGE + body, encoding="utf-8")
    found = {name: told for name, told in tour(browser, tmp_path).items() if told != ["its theme is light"]}
    assert not any(name.startswith("right") for name in found)
    assert not any("pixels too wide" in str(told) for name, told in found.items() if "1280" in name)
    expected = {
        "wide": "pixels too wide",
        "image": "broken image",
        "unnamed": "unnamed image",
        "empty": "nothing was displayed",
        "script": "console: error",
    }
    expected |= {"link": "right.html#bottom", "file": "nowhere.html"}
    for page, what in expected.items():
        assert any(what in str(told) for name, told in found.items() if name.startswith(page)), page
