from genai_fill_server.engines.cleanplate import create
from tests.compliance.engines.suite import EngineCompliance


class TestCleanplate(EngineCompliance):
    @classmethod
    def make_engine(cls):
        (engine,) = create({})
        return engine
