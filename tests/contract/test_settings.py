import pytest

from genai_fill_contract.errors import ConfigError
from genai_fill_contract.settings import (
    Origin,
    Settings,
    environment_name,
    resolve_settings,
    setting_keys,
)


def test_nothing_set_means_defaults():
    resolved = resolve_settings(environment={})

    assert resolved.settings == Settings()
    assert set(resolved.origins.values()) == {Origin.DEFAULT}


def test_environment_stands_over_studio_over_user_over_default():
    user = {"server": {"port": 1, "host": "u"}, "worker": {"threads": 9}}
    studio = {"server": {"port": 2, "host": "s"}}

    resolved = resolve_settings(
        environment={"GENAI_FILL_SERVER_PORT": "3"}, studio=studio, user=user
    )

    assert resolved.settings.server.port == 3
    assert resolved.settings.server.host == "s"
    assert resolved.settings.worker.threads == 9
    assert resolved.origins["server.port"] is Origin.ENVIRONMENT
    assert resolved.origins["server.host"] is Origin.STUDIO
    assert resolved.origins["worker.threads"] is Origin.USER
    assert resolved.origins["models.device"] is Origin.DEFAULT


@pytest.mark.parametrize(
    ("layers", "nearest"),
    [
        ({"environment": {"GENAI_FILL_SERVER_PRT": "3"}}, "GENAI_FILL_SERVER_PORT"),
        ({"environment": {}, "user": {"server": {"prt": 3}}}, "server.port"),
        ({"environment": {}, "studio": {"sever": {"port": 3}}}, "server.port"),
    ],
)
def test_an_unknown_key_names_the_nearest(layers, nearest):
    with pytest.raises(ConfigError) as caught:
        resolve_settings(**layers)

    assert nearest in caught.value.hint


@pytest.mark.parametrize(
    "layers",
    [
        {"environment": {"GENAI_FILL_SERVER_PORT": "many"}},
        {"environment": {"GENAI_FILL_BACKEND_AUTOSTART": "perhaps"}},
        {"environment": {}, "user": {"server": {"port": 3.5}}},
        {"environment": {}, "user": {"server": {"port": True}}},
        {"environment": {}, "user": {"server": {"allowed_roots": [1]}}},
        {"environment": {}, "user": {"server": 3}},
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(layers):
    with pytest.raises(ConfigError):
        resolve_settings(**layers)


def test_lists_come_from_text_and_from_toml():
    by_text = resolve_settings(environment={"GENAI_FILL_SERVER_ALLOWED_ROOTS": "/a;/b"})
    by_toml = resolve_settings(environment={}, user={"server": {"allowed_roots": ["/a", "/b"]}})

    assert by_text.settings == by_toml.settings
    assert by_text.settings.server.allowed_roots == ("/a", "/b")


def test_every_setting_has_a_name_in_the_environment_and_a_help_text():
    names = [environment_name(key) for key in setting_keys()]

    assert len(set(names)) == len(names)
    import dataclasses

    for section in dataclasses.fields(Settings):
        for field in dataclasses.fields(getattr(Settings(), section.name)):
            assert field.metadata["help"].endswith(".")


def test_the_variables_that_name_the_files_are_not_settings():
    resolve_settings(
        environment={"GENAI_FILL_STUDIO_CONFIG": "/s.toml", "GENAI_FILL_USER_CONFIG": "/u.toml"}
    )
