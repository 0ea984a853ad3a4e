"""The pages of the documentation say what the tables say."""

import pytest

import pages


@pytest.mark.parametrize("name", pages.PAGES)
def test_page_is_made_from_the_tables(name: str) -> None:
    assert (pages.DOCS / name).read_text() == pages.PAGES[name](), "run: python3 e2e/pages.py"
