"""Levers in a catalogue: what belongs together, lawful hours, and whether texts fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.writing import STORES, campaign, faults, reading

SID = "AC" + "0a" * 16
STOP = ", stop: STOP au 36180"
SMS = f"engine: {{sms: {{provider: twilio, account: {SID}, sender: Rivoli{STOP}}}}}\n"

MAIL = "email: {server: smtp.example, sender: bonjour@rivoli.example}"
FRANCE = "stores:\n  - {id: r, name: R, location: {lat: 48.8583, lon: 2.347}, country: FR}\n"


def whole(text: str) -> str:
    """A catalogue: with a store, if it has none."""
    return text if "stores:" in text else f"{text}\n{STORES}"


def a_text(lever: str, text: str, *lines: str) -> str:
    """A campaign by one lever that says this; its message stands on line 12."""
    return campaign(*lines).replace("[log]", f"[{lever}]").replace("Bonjour", f'"{text}"')


FAULTS = {
    "push by nobody": ("engine: {push: {}}", "1:16", "expected fcm, apns or both"),
    "a team that is none": (
        "engine: {push: {apns: {team: abc, key_id: KEY1234567, topic: com.example}}}",
        "1:30",
        "team is 'abc'",
    ),
    "Twilio without an account": (
        "engine: {sms: {provider: twilio, sender: Rivoli}}",
        "1:15",
        "needs `account`",
    ),
    "Twilio with nobody to send as": (
        f"engine: {{sms: {{provider: twilio, account: {SID}}}}}",
        "1:15",
        "one of `sender` and `messaging_service`",
    ),
    "Brevo with an account of Twilio's": (
        f"engine: {{sms: {{provider: brevo, sender: Rivoli, account: {SID}}}}}",
        "1:58",
        "`account` is Twilio's",
    ),
    "Brevo without a sender": ("engine: {sms: {provider: brevo}}", "1:15", "needs `sender`"),
    "a sender that no network takes": (
        "engine: {sms: {provider: brevo, sender: Maison Rivoli}}",
        "1:41",
        "sender is 'Maison Rivoli'",
    ),
    "messages that would be sent twice": (
        "engine: {retention: {messages: 3d}}",
        "1:32",
        "messages 3d forgets too early: expected at least 4d",
    ),
    "links kept for no time": ("engine: {retention: {links: 0s}}", "1:29", "expected at least 1m"),
    "codes that tills may yet tell of": (
        "engine: {retention: {codes: 6d}}",
        "1:29",
        "expected at least 7d",
    ),
    "a limit that counts nothing": (
        "engine: {sms: {provider: brevo, sender: Rivoli, daily_spend: 5}}",
        "1:62",
        "expected a `segment_cost`",
    ),
    "a way out that is none": (
        "engine: {sms: {provider: brevo, sender: Rivoli, stop: au revoir}}",
        "1:55",
        "stop is 'au revoir'",
    ),
    "e-mail without a way out": (f"engine: {{{MAIL}}}", "1:17", "needs `engine.public_url`"),
    "a sender of e-mail that is none": (
        'engine: {email: {server: smtp.example, sender: "a <b> c@d"}}',
        "1:48",
        "sender is",
    ),
    "lawful hours of a country that do not parse": (
        "engine: {lawful_hours: {sms: {FR: 8-20}}}",
        "1:35",
        "lawful_hours.sms.FR `8-20` does not parse",
    ),
    "a country that is none": (
        "engine: {lawful_hours: {sms: {France: Mo-Sa 08:00-20:00}}}",
        "1:",
        "France",
    ),
    "SMS on a Sunday in France": (
        'engine: {lawful_hours: {sms: {FR: "Mo-Su 08:00-20:00; PH off"}}}',
        "1:35",
        "is open on Sun",
    ),
    "SMS at night in France": (
        'engine: {lawful_hours: {sms: {FR: "Mo-Sa 08:00-23:00; PH off"}}}',
        "1:35",
        "nothing beyond `Mo-Sa 08:00-22:00; PH off`",
    ),
    "SMS on holidays in France": (
        'engine: {lawful_hours: {sms: {FR: "Mo-Sa 08:00-20:00"}}}',
        "1:35",
        "is open on Thu 2026-01-01",
    ),
    "SMS at night everywhere, with a store in France": (
        FRANCE + 'engine: {lawful_hours: {sms: "24/7"}}\n',
        "3:30",
        "marketing SMS in FR",
    ),
    "an SMS without a way out": (
        a_text("sms", "Un thé ?") + SMS.replace(STOP, ""),
        "12:19",
        "an SMS in `fr` without the way out",
    ),
    "an SMS that is never sent": (
        a_text("sms", "a" * 460) + SMS,
        "12:19",
        "expected at most 3 SMS",
    ),
    "a push that none carries": (
        a_text("push", "é" * 2_100),
        "12:19",
        "4,200 bytes: expected at most 4,096",
    ),
}


@pytest.mark.parametrize(
    ("text", "place", "words"), [pytest.param(*row, id=name) for name, row in FAULTS.items()]
)
def test_what_a_lever_cannot_do_is_a_fault_with_its_place(tmp_path: Path, text, place, words):
    found = faults(tmp_path, whole(text))
    assert any(fault.startswith(place) and words in fault for fault in found), found


SOUND = {
    "push by both": (
        "engine: {push: {fcm: {}, apns: {team: TEAM123456, key_id: KEY1234567, topic: com.a}}}"
    ),
    "SMS by Twilio": SMS,
    "SMS by Brevo": (
        "engine: {sms: {provider: brevo, sender: Rivoli, stop: 'STOP [STOP_CODE]', "
        "segment_cost: 0.045, daily_spend: 20, key: {env: OUR_KEY}}}"
    ),
    "e-mail": f"engine: {{{MAIL}, public_url: https://geo.example}}",
    "SMS until ten in France, said so": (
        FRANCE + 'engine: {lawful_hours: {sms: {FR: "Mo-Sa 08:00-22:00; PH off"}}}'
    ),
    "SMS at night elsewhere": 'engine: {lawful_hours: {sms: {US: "24/7"}, push: "24/7"}}',
    "an SMS that tells the way out itself": (
        a_text("sms", "Un thé ? STOP 36180") + SMS.replace(STOP, "")
    ),
    "an SMS that fits with the way out": a_text("sms", "a" * 146) + SMS,
    "news of an order, which needs no way out": (
        a_text("sms", "{order}", "about: order_ready", "legal_basis: transactional")
        + SMS.replace(STOP, "")
    ),
    "a push that fits": a_text("push", "é" * 500),
    "an e-mail with a subject": a_text("email", "Un thé ?", "title: {fr: Un thé}"),
}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_what_is_sound_is_taken_without_a_word(tmp_path: Path, text):
    assert reading(tmp_path, whole(text)).warnings == ()


WARNINGS = {
    "two SMS, with the way out": (
        a_text("sms", "a" * 147) + SMS,
        "12:19",
        "one SMS holds 160; this takes 2",
    ),
    "an accent that costs an alphabet": (
        a_text("sms", "Pour la fête, un thé offert à cinq minutes de chez vous, chez {store}"),
        "12:19",
        "one SMS holds 70, because of ê",
    ),
    "a store whose name costs an alphabet": (
        a_text("sms", "a" * 60 + " {store}").replace("Maison Rivoli", "Château d’Eau"),
        "12:19",
        "because of â’",
    ),
    "more than are sent once filled in": (
        a_text("sms", "a" * 400 + "{directions}{directions}") + SMS,
        "12:19",
        "more than the 3 that are sent",
    ),
    "a push that may be too large": (
        a_text("push", "a" * 3_100),
        "12:19",
        "may be more than a push carries",
    ),
    "an e-mail without a title": (a_text("email", "x"), "12:14", "first line as subject"),
    "an e-mail whose title lacks a language": (
        a_text("email", "x").replace(
            "message: {fr:", "title: {fr: Un thé}\n    message: {en: b, fr:"
        ),
        "12:12",
        "no title in en",
    ),
    "a subject that is cut off": (
        a_text("email", "x", "title: {fr: " + "a" * 79 + "}"),
        "13:17",
        "mail programs show 78",
    ),
    "unsubscribing without encryption": (
        f"engine: {{{MAIL}, public_url: http://geo.example}}",
        "1:",
        "https only",
    ),
}


@pytest.mark.parametrize(
    ("text", "place", "words"), [pytest.param(*row, id=name) for name, row in WARNINGS.items()]
)
def test_what_is_likely_not_meant_is_a_warning_with_its_place(tmp_path: Path, text, place, words):
    said = [f"{w.line}:{w.column}: {w.what}" for w in reading(tmp_path, whole(text)).warnings]
    assert any(one.startswith(place) and words in one for one in said), said
