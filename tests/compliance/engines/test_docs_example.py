"""The engine that the documentation shows must be a real one."""

import re
from pathlib import Path

from tests.compliance.engines.suite import EngineCompliance

PAGE = Path(__file__).parents[3] / "docs" / "engines" / "adding.md"


def engine_of_the_page():
    source = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    namespace = {}
    exec(compile(source, str(PAGE), "exec"), namespace)
    (engine,) = namespace["create"]({})
    return engine


class TestGreyOfTheDocs(EngineCompliance):
    @classmethod
    def make_engine(cls):
        return engine_of_the_page()
