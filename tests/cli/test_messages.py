"""`geoengine messages`: what campaigns will say, to be read before anybody hears it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from geoengine.cli import main
from tests.catalog.writing import STORES, write

CATALOGUE = (
    STORES.replace("    tags", '    url: https://example.org/r\n    phone: "+33 1"\n    tags')
    + """
campaigns:
  - id: tea
    on: enter
    levers: [push, sms]
    title: {fr: Du thé}
    message: {fr: "{name}, un thé chez {store} : {code}", en: "Tea at {store}: {code}"}
    coupon: {kind: shared, code: TEA10}
  - id: several
    on: dwell
    levers: [log]
    call_to_action: web
    track_clicks: true
    messages:
      - {id: calm, message: {fr: "Restez", en: "Stay"}}
      - {id: loud, message: {fr: "Restez !"}}
engine:
  public_url: https://geo.example.com
  sms: {provider: brevo, sender: RIVOLI, stop: STOP}
"""
)


def run(tmp_path: Path, *words: str, catalogue: str = CATALOGUE) -> Result:
    write(tmp_path, {"a.yaml": catalogue})
    return CliRunner().invoke(main, ["messages", str(tmp_path), *words])


def test_every_language_is_shown_as_it_will_be_read(tmp_path: Path):
    told = run(tmp_path)
    assert told.exit_code == 0, told.output
    assert "tea  at rivoli  by push, sms" in told.output
    assert "Camille, un thé chez Maison Rivoli : TEA10" in told.output
    assert "Tea at Maison Rivoli: TEA10" in told.output
    assert "no title in en" in told.output
    assert "ios     https://maps.apple.com/?daddr=" in told.output


def test_several_messages_are_shown_by_name_with_what_they_lack(tmp_path: Path):
    told = run(tmp_path, "--campaign", "several").output
    assert "tea" not in told
    assert "[fr]  message calm" in told and "Restez !" in told
    assert "message loud: not in en" in told
    assert "all     https://geo.example.com/r/" in told


def test_the_segments_of_an_sms_are_told(tmp_path: Path):
    sized = run(tmp_path, "--lever", "sms", "--locale", "en-GB").output
    assert "sms     1 of up to 160 signs" in sized
    assert "several" not in sized and "[fr]" not in sized


def test_what_is_not_there_is_told(tmp_path: Path):
    assert "no campaign `coffee`" in run(tmp_path, "--campaign", "coffee").output
    assert "no store `here`" in run(tmp_path, "--store", "here").output
    nothing = run(tmp_path, "--lever", "wallet")
    assert nothing.exit_code == 1 and "expected another choice" in nothing.output


def test_words_nobody_knows_are_told_with_their_place(tmp_path: Path):
    told = run(tmp_path, catalogue=CATALOGUE.replace("{store}: {code}", "{stor}: {code}"))
    assert told.exit_code == 1
    assert "placeholder {stor} is unknown" in told.output


def test_what_a_shops_own_devices_say_of_an_order_is_shown_where_they_can_be_reached(
    tmp_path: Path,
):
    assert "staff" not in run(tmp_path).output
    pushing = CATALOGUE + "  push: {fcm: {}}\n"
    told = run(tmp_path, catalogue=pushing).output
    assert "staff  at rivoli  by push, to its own devices" in told
    assert "title   Commande A17 Camille  (20 signs)" in told
    assert "text    Somebody comes for it in about 4 min, at about 12:04." in told
    assert "staff" not in run(tmp_path, "--lever", "sms", catalogue=pushing).output
    sole = run(tmp_path, "--lever", "push", "--locale", "en-GB", catalogue=pushing).output
    assert "[en]" in sole and "Commande" not in sole
