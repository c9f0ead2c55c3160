import importlib.metadata
import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def load_generator():
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = load_generator().pages()


def test_every_pinned_package_has_its_licence_in_the_list():
    pins = (DOCS.parent / "constraints.txt").read_text(encoding="utf-8").split()
    installed = {dist.metadata["Name"].lower() for dist in importlib.metadata.distributions()}
    page = PAGES["licences.md"]

    for name, version in (pin.split("==") for pin in pins):
        if name.lower() in installed:
            assert re.search(rf"\| \**{re.escape(name)}\** \| {version} \| \S", page), name
    assert "not told" not in page
    assert "| **torchao** | " in page


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name):
    written = (DOCS / "reference" / name).read_text(encoding="utf-8")

    assert written == PAGES[name], "run python docs/generate.py"
