"""How what is missing is installed, in words for hints."""

from __future__ import annotations


def install_words(extra: str) -> str:
    """Return where and by which command an extra of this product is installed.

    The product is a folder that was unpacked, not a package of an index: only in that folder
    does the name mean it, and ``constraints.txt`` beside it pins what it was tested with.
    """
    return (
        "in the product's folder with the backend's Python "
        f'(python -m pip install -c constraints.txt -e ".[{extra}]")'
    )
