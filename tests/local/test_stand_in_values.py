"""Values travel to the provider and back unchanged."""

from __future__ import annotations

import pytest

from local.engine.providers.protocol import UNKNOWN, Value, from_struct, is_special, is_unknown, plain, to_struct

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET: Value = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": {"deep": "water"}}
OUTPUT: Value = {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "value": "known"}
NOT_KNOWN_OUTPUT: Value = {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4"}


@pytest.mark.parametrize(
    "value",
    [None, True, False, 0.0, 8080.0, 1.5, "", "text", [], {}, [1.0, [True, None]], {"a": {"b": [{"c": "d"}]}}],
    ids=repr,
)
def test_a_value_survives_the_way_to_a_message_and_back(value: Value) -> None:
    assert from_struct(to_struct({"key": value})) == {"key": value}


def test_a_truth_value_does_not_become_a_number() -> None:
    assert from_struct(to_struct({"key": True}))["key"] is True


def test_wrappers_of_secrets_and_outputs_come_off_at_every_depth() -> None:
    assert plain({"a": [SECRET], "b": OUTPUT}) == {"a": [{"deep": "water"}], "b": "known"}


def test_an_output_without_a_value_is_unknown() -> None:
    assert plain(NOT_KNOWN_OUTPUT) == UNKNOWN


def test_an_asset_is_special_and_keeps_its_signature() -> None:
    asset: Value = {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "x"}
    assert is_special(asset)
    assert plain(asset) == asset
    assert not is_special({"text": "x"})


def test_unknowns_of_every_type_are_recognised() -> None:
    assert is_unknown(UNKNOWN)
    assert is_unknown("3eeb2bf0-c639-47a8-9e75-3b44932eb421")
    assert not is_unknown("04da6b54")
    assert not is_unknown([UNKNOWN])
