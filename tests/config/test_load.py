"""Layers, mistakes with their places, and what is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import load_settings
from agent.config.load import keys
from agent.errors import ConfigError
from agent.eth.hexes import to_address
from agent.settings import Reference

WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"

WRONG = """\
schema = 1
venue = "onchian"

[risk]
max_bundle_per_slot = 3
min_net_wei = "0.3 eter"
max_exposure_wei = 1.5

[onchain]
max_hops = 7
beta_bps = "9000"
signer = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
start_tokens = ["0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc3"]

[[onchain.endpoints]]
name = "first"
ulr = "http://127.0.0.1:1"

[nonsense]
x = 1
"""


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "mev-agent.toml") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def mistakes(*files: Path, overrides: tuple[str, ...] = (), environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(files, overrides=overrides, environment=environment or {})
    assert caught.value.exit_code == 3
    count, *lines = caught.value.message.splitlines()
    assert count.startswith(str(len(lines)))
    return [line.strip() for line in lines]


def test_every_mistake_is_told_at_once_at_its_line_from_the_top_down() -> None:
    path = written(WRONG)
    lines = mistakes(path)
    assert [line.split("  ")[0] for line in lines] == [
        f"{path}:{n}" for n in (2, 5, 6, 7, 10, 11, 12, 13, 15, 17, 19)
    ]  # fmt: skip
    text = "\n".join(lines)
    assert "venue = 'onchian' - must be 'onchain' or 'purpleflea'" in text
    assert "risk.max_bundle_per_slot - unknown key; did you mean max_bundles_per_slot?" in text
    assert "onchain.endpoints.0.ulr - unknown key; did you mean url?" in text
    assert "onchain.endpoints.0.url - is missing" in text
    assert "wrong EIP-55 checksum" in text


def test_a_key_written_into_the_file_is_refused_and_not_repeated() -> None:
    text = "\n".join(mistakes(written(WRONG)))
    assert "onchain.signer - must say where the secret lies" in text
    assert "59c6995e" not in text


def test_a_key_under_the_wrong_table_is_sent_to_the_right_one() -> None:
    (line,) = mistakes(written("[observe]\nmin_net_wei = 5\n"))
    assert "did you mean risk.min_net_wei?" in line


def test_defaults_alone_are_valid() -> None:
    loaded = load_settings(environment={})
    assert loaded.files == ()
    assert loaded.origins == {}
    assert (loaded.settings.mode, loaded.settings.venue) == ("devnet", "onchain")
    assert loaded.settings.onchain.start_tokens[0] == to_address(WETH)


def test_layers_win_in_order_and_each_value_knows_its_origin() -> None:
    first = written(
        "[risk]\nmin_net_wei = 1\nmax_bundles_per_slot = 1\n[onchain]\nmax_hops = 2\nbeta_bps = 1\n", "a.toml"
    )
    second = written("[risk]\nmax_bundles_per_slot = 2\n[onchain]\nbeta_bps = 2\n", "b.toml")
    loaded = load_settings(
        (first, second),
        environment={"MEV_AGENT__ONCHAIN__BETA_BPS": "3", "MEV_AGENT__ONCHAIN__CHAIN_ID": "3", "UNRELATED": "x"},
        overrides=("onchain.chain_id=4",),
    )
    risk, onchain = loaded.settings.risk, loaded.settings.onchain
    assert (risk.min_net_wei, onchain.max_hops, risk.max_bundles_per_slot) == (1, 2, 2)
    assert (onchain.beta_bps, onchain.chain_id) == (3, 4)
    assert loaded.origins == {
        "risk.min_net_wei": "a.toml:2",
        "onchain.max_hops": "a.toml:5",
        "risk.max_bundles_per_slot": "b.toml:2",
        "onchain.beta_bps": "env MEV_AGENT__ONCHAIN__BETA_BPS",
        "onchain.chain_id": "--set onchain.chain_id",
    }


def test_arrays_replace_and_tables_merge() -> None:
    first = written('[[onchain.endpoints]]\nname = "a"\nurl = "http://127.0.0.1:1"\n', "a.toml")
    second = written(
        '[[onchain.endpoints]]\nname = "b"\nurl = "http://127.0.0.1:2"\n[risk]\nmin_net_wei = 7\n', "b.toml"
    )
    settings = load_settings((first, second), environment={}).settings
    assert [endpoint.name for endpoint in settings.onchain.endpoints] == ["b"]
    assert settings.risk.min_net_wei == 7


def test_text_values_keep_their_text_even_when_it_looks_like_a_number() -> None:
    environment = {
        "MEV_AGENT__OBSERVE__RUNS_DIR": "2026",
        "MEV_AGENT__RISK__MIN_NET_WEI": "0.5 gwei",
        "MEV_AGENT__RISK__MAX_EXPOSURE_WEI": "12",
        "MEV_AGENT__MODE": "shadow",
        "MEV_AGENT__PURPLEFLEA__SYMBOLS": '["A-B"]',
    }
    settings = load_settings(environment=environment).settings
    assert settings.observe.runs_dir == "2026"
    assert (settings.risk.min_net_wei, settings.risk.max_exposure_wei) == (500_000_000, 12)
    assert settings.mode == "shadow"
    assert settings.purpleflea.symbols == ("A-B",)


def test_an_unknown_variable_of_ours_is_a_mistake_with_a_suggestion() -> None:
    (line,) = mistakes(environment={"MEV_AGENT__RISK__MIN_NET": "1"})
    assert line == "env MEV_AGENT__RISK__MIN_NET  risk.min_net - unknown key; did you mean min_net_wei?"


def test_the_password_of_a_keystore_is_ours_and_is_neither_a_key_nor_kept() -> None:
    loaded = load_settings(environment={"MEV_AGENT__KEYSTORE_PASSWORD": "very-secret"})
    assert "very-secret" not in repr(loaded)
    assert loaded.origins == {}


def test_an_option_without_a_value_is_a_mistake() -> None:
    (line,) = mistakes(overrides=("risk.min_net_wei",))
    assert "must be KEY=VALUE" in line


def test_a_file_that_is_named_must_be_there() -> None:
    (line,) = mistakes(Path("absent.toml"))
    assert line.startswith("absent.toml  there is no such file")


def test_a_folder_or_a_picture_is_not_a_config() -> None:
    Path("picture.toml").write_bytes(b"\x89PNG\xff\xfe")
    lines = mistakes(Path("."), Path("picture.toml"))
    assert "cannot be read" in lines[0]
    assert "not UTF-8" in lines[1]


def test_what_is_not_toml_is_told_with_its_line() -> None:
    (line,) = mistakes(written("schema = 1\nvenue = onchain\n"))
    assert line.startswith("mev-agent.toml:2  not TOML")


def test_a_truncated_file_is_told_with_its_last_line() -> None:
    (line,) = mistakes(written('schema = 1\nvenue = "onch'))
    assert line.startswith("mev-agent.toml:2  not TOML")


def test_a_file_of_a_later_format_is_refused() -> None:
    (line,) = mistakes(written("schema = 2\n"))
    assert line == "mev-agent.toml:1  schema = 2 - must be 1"


def test_tables_of_the_users_own_pass_unread() -> None:
    assert load_settings((written("[x-notes]\nanything = [1, 2]\n"),), environment={}).settings.mode == "devnet"


def test_a_table_where_a_value_belongs_and_the_reverse_are_mistakes() -> None:
    lines = mistakes(written("risk = 5\n[mode]\nx = 1\n"))
    assert [line.split("  ")[0] for line in lines] == ["mev-agent.toml:1", "mev-agent.toml:2"]


def test_the_relay_identity_must_be_another_key() -> None:
    (line,) = mistakes(written('[onchain]\nsigner = "keystore:hot"\nrelay_identity = "keystore:hot"\n'))
    assert "relay_identity must be another key than signer" in line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@node.example/v3/secret", "https://node.example/…"),
        ("wss://node.example?key=secret", "wss://node.example/…"),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
    ],
)
def test_the_address_of_a_node_is_shown_without_what_may_be_a_key(url: str, shown: str) -> None:
    settings = load_settings(overrides=(f"onchain.http_url={url}",), environment={}).settings
    assert str(settings.onchain.http_url) == shown
    assert "secret" not in repr(settings) and "pass" not in repr(settings)


def test_references_are_kept_and_not_followed() -> None:
    settings = load_settings(
        overrides=("onchain.signer=keystore:hot1", "purpleflea.api_key=env:NO_SUCH", "onchain.ws_url=file:/x"),
        environment={},
    ).settings
    assert settings.onchain.signer == Reference("keystore", "hot1")
    assert settings.purpleflea.api_key == Reference("env", "NO_SUCH")
    assert settings.onchain.ws_url == Reference("file", "/x")


def test_every_key_of_the_models_has_a_meaning() -> None:
    for name, field in keys():
        assert field.description or name == "schema", name
