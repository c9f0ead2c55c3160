from genai_fill_server.engines.cleanplate import create
from tests.compliance.engines.suite import EngineCompliance


class TestCleanplate(EngineCompliance):
    def make_engine(self):
        (engine,) = create({})
        return engine
