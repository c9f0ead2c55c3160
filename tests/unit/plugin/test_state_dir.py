import pytest

from genai_fill_contract.state_dir import default_state_dir


@pytest.mark.parametrize(
    ("environment", "platform", "home", "folder"),
    [
        ({}, "linux", "/home/ada", "/home/ada/.local/state/genai-fill"),
        ({"XDG_STATE_HOME": "/var/ada"}, "linux", "/home/ada", "/var/ada/genai-fill"),
        ({"XDG_STATE_HOME": "rel"}, "linux", "/home/ada", "/home/ada/.local/state/genai-fill"),
        ({}, "darwin", "/Users/ada", "/Users/ada/Library/Application Support/GenAI Fill"),
        (
            {"LOCALAPPDATA": r"D:\Local"},
            "win32",
            r"C:\Users\ada",
            r"D:\Local\GenAI Fill",
        ),
        ({}, "win32", r"C:\Users\ada", r"C:\Users\ada\AppData\Local\GenAI Fill"),
    ],
)
def test_state_lives_where_the_operating_system_wants_it(environment, platform, home, folder):
    assert default_state_dir(environment, platform, home) == folder


def test_an_empty_variable_counts_as_none():
    assert default_state_dir({"XDG_STATE_HOME": ""}, "linux", "/h") == "/h/.local/state/genai-fill"
