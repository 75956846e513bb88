"""Tables that a page holds for downloading: numbers stay numbers, and no text becomes a formula."""

from report_data import check_page

from tonearm.reports import _html as h


def test_negative_numbers_are_no_formulas_and_formulas_are_text():
    cells = ["-1.5", "-5", -0.25, "+1e3", "=A1", "-x", "@sum", "+dub", "plain"]
    page = h.page("Title", h.tag("h1", "Title"), h.download("cells", ("cell",), [[cell] for cell in cells]))
    found = [row["cell"] for row in check_page(page).table("cells")]
    assert found == ["-1.5", "-5", "-0.25", "+1e3", "'=A1", "'-x", "'@sum", "'+dub", "plain"]
