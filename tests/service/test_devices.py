"""Passwords of devices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.cli.running.ports import held
from geoengine.service.devices import Devices, device_password, devices_from
from geoengine.service.settings import Settings, SettingsError

SECRET = "a secret of sixteen and more"
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=128)


@given(NAMES, NAMES, st.sampled_from(":."))
def test_a_password_opens_for_its_own_device_only(own: str, other: str, between: str) -> None:
    devices, password = Devices(SECRET), device_password(SECRET, own)
    assert devices.holder(f"{own}{between}{password}") == own
    assert devices.holder(f"{other}{between}{password}") == (own if other == own else None)
    assert Devices("another secret of such a length").holder(f"{own}:{password}") is None


@given(st.text(max_size=200))
def test_any_other_text_is_nobodys(text: str) -> None:
    assert Devices(SECRET).holder(text) is None


def test_without_a_secret_no_password_opens() -> None:
    assert Devices().holder(f"jane:{device_password('', 'jane')}") is None
    assert not devices_from({}).have_passwords


def test_a_name_with_a_colon_has_a_password_as_well() -> None:
    password = device_password(SECRET, "jane:phone")
    assert Devices(SECRET).holder(f"jane:phone:{password}") == "jane:phone"


def test_a_secret_that_can_be_guessed_is_refused_and_not_told() -> None:
    with pytest.raises(SettingsError, match="GEOENGINE_DEVICE_SECRET") as raised:
        devices_from({"GEOENGINE_DEVICE_SECRET": "short"})
    assert "short" not in str(raised.value)


def test_the_door_of_traccar_client_is_held_with_the_others() -> None:
    with held(Settings(port=0, osmand_port=0)) as found:
        assert 0 not in (found.port, found.osmand_port)
    with held(Settings(port=0)) as found:
        assert found.osmand_port is None
