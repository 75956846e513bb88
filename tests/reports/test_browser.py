import json

import pytest
from browser import after, axe
from report_data import make_run, mel_pack

from tonearm import experiments
from tonearm.reports.comparison_page import comparison_page
from tonearm.reports.dataset_page import dataset_page
from tonearm.reports.run_page import run_page

pytestmark = pytest.mark.slow

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ASK = """
axe.run(document, {runOnly: %s}).then(r => tell(JSON.stringify(r.violations.map(
  v => v.id + ': ' + v.nodes.map(n => n.html).slice(0, 3).join(' | ')))));
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    pack = mel_pack(folder / "pack")
    run = make_run(folder / "runs" / "one", pack)
    make_run(folder / "runs" / "two", pack, good=0.2)
    return {
        "run": run_page(run),
        "comparison": comparison_page(experiments.compare([folder / "runs"], resamples=200)),
        "dataset": dataset_page(pack.folder),
    }


@pytest.mark.parametrize(("name", "width", "dark"), [("run", 390, True), ("comparison", 1280, False),
                                                      ("dataset", 390, False)])  # fmt: skip
def test_axe_finds_nothing(pages, name, width, dark, tmp_path):
    script = axe() + ASK % json.dumps(RULES)
    assert json.loads(after(pages[name], script, tmp_path, width=width, dark=dark)) == []


def test_nothing_is_wider_than_a_phone(pages, tmp_path):
    script = "tell(JSON.stringify([document.documentElement.scrollWidth, innerWidth]));"
    for name, page in pages.items():
        (tmp_path / name).mkdir()
        wide, window = json.loads(after(page, script, tmp_path / name, width=500))
        assert wide <= window, name


def test_the_map_is_walked_by_keys(pages, tmp_path):
    script = """
    const map = document.querySelector('.map'), out = document.querySelector('.maps output');
    const press = key => map.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    const ring = () => +map.querySelector('.ring').getAttribute('cx');
    map.focus(); press('ArrowRight');
    const first = [out.textContent, ring(), out.hidden];
    press('ArrowRight'); const second = [out.textContent, ring()];
    document.querySelector('#bring-out-2').click();
    press('ArrowLeft'); const third = out.textContent;
    const faded = getComputedStyle(map.querySelector('.of0')).opacity;
    tell(JSON.stringify({first, second, third, faded, focus: document.activeElement === map}));
    """
    told = json.loads(after(pages["dataset"], script, tmp_path))
    assert told["first"][0]
    assert told["first"][2] is False
    assert told["second"][1] > told["first"][1]
    assert told["third"].endswith("(disco & funk)")
    assert told["faded"] == "0.08"
