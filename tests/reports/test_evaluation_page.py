"""The page of `tonearm evaluate --html`: the figures of the JSON, and what a reader must know first."""

import pytest
from report_data import check_page, mel_pack

from tonearm.cli._root import run
from tonearm.judging import evaluate
from tonearm.reports.evaluation_page import evaluation_page


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    pack = mel_pack(folder / "pack")
    how = ["--data", str(pack.folder), "--adapt", "-q"]
    assert run(["train", "baseline-nearest", *how, "-o", str(folder / "run")]) == 0
    return evaluate(folder / "run", str(pack.folder), by=["artist"], quiet=True)


def test_the_page_has_the_figures(judged):
    found = judged.figures
    page = check_page(evaluation_page(found, ["3 of 9 tracks are <b>known</b>"]))
    for words in (f"Accuracy {100 * found['accuracy']:.1f} %", f"Log-loss {found['log_loss']:.2f}".lower(),
                  f"ROC-AUC {found['roc_auc_macro']:.3f}", "3 of 9 tracks are <b>known</b>."):  # fmt: skip
        assert words.lower() in page.text.lower(), words
    for row in page.table("genres"):
        assert float(row["f1"]) == pytest.approx(found["per_genre"][row["genre"]]["f1"], rel=1e-4)
    counts = [[int(value) for value in list(row.values())[1:]] for row in page.table("confusion")]
    assert counts == found["confusion"]["counts"]
    assert len(page.table("by-artist")) == len(found["by"]["artist"])


def test_segments_have_a_line_of_their_own(judged):
    segments = {"accuracy": 0.5, "interval": [0.25, 0.75], "n": 1234}
    assert (
        "Per segment: accuracy 50.0 % [25.0 to 75.0], n = 1,234."
        in check_page(evaluation_page({**judged.figures, "segments": segments}, [])).text
    )
    assert "Per segment" not in check_page(evaluation_page({**judged.figures, "segments": None}, [])).text
