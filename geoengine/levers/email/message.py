"""An e-mail as it is written: text and HTML, with the way out where mail programs look for it.

RFC 2369 and RFC 8058 have the way out in the headers ``List-Unsubscribe`` and
``List-Unsubscribe-Post``; it stands in the text as well. RFC 3834 has ``Auto-Submitted`` say that
nobody sits at the other end, so that no holiday notice comes back.
"""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from hashlib import blake2b
from html import escape
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from geoengine.core.calendar import local_time
from geoengine.core.model import EmailSpec
from geoengine.core.record import Send
from geoengine.levers.said import Said, said

SUBJECT_MAX_CHARS: Final = 150  # mail programs show half of it; RFC 5322 folds longer ones
_URL = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)]")
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9.-]{0,99}$")
_UTC = ZoneInfo("UTC")


# Structured headers that may not be folded within a word, however long that is (RFC 5322, 2.2.3);
# the library would write a long one as encoded words, in which no mail program looks for a link.
_UNFOLDED = {"list-unsubscribe", "message-id"}


class _Policy(EmailPolicy):
    """How headers are written."""

    def fold(self, name: str, value: str) -> str:
        if name.lower() in _UNFOLDED:
            return f"{name}: {value}{self.linesep}"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: str) -> bytes:
        if name.lower() in _UNFOLDED:
            return self.fold(name, value).encode("ascii")
        return bytes(super().fold_binary(name, value))


_POLICY: Final = _Policy(linesep="\r\n")


class Words(NamedTuple):
    """What we say ourselves, in one language."""

    directions: str
    call: str
    web: str
    app: str
    code: str
    unsubscribe: str


WORDS: Final = {
    "fr": Words("Itinéraire", "Appeler", "Voir", "Ouvrir", "Votre code", "Se désabonner"),
    "en": Words("Directions", "Call", "See more", "Open", "Your code", "Unsubscribe"),
    "de": Words("Route", "Anrufen", "Ansehen", "Öffnen", "Ihr Code", "Abmelden"),
    "es": Words("Cómo llegar", "Llamar", "Ver", "Abrir", "Su código", "Darse de baja"),
    "it": Words("Indicazioni", "Chiama", "Vedi", "Apri", "Il tuo codice", "Annulla l'iscrizione"),
    "nl": Words("Route", "Bellen", "Bekijken", "Openen", "Uw code", "Afmelden"),
    "pt": Words("Como chegar", "Ligar", "Ver", "Abrir", "O seu código", "Cancelar a subscrição"),
}


def words_of(locale: str) -> Words:
    """Our words in a language; in English where it has none here.

    >>> words_of("fr-CA").unsubscribe, words_of("").call
    ('Se désabonner', 'Call')
    """
    return WORDS.get(locale.replace("_", "-").partition("-")[0].lower(), WORDS["en"])


def written(send: Send, spec: EmailSpec, to: tuple[str, str], now_ms: int) -> EmailMessage:
    """The message; the same for the same send, but for its date.

    ``to``: the address it goes to, and where its owner gets out.
    """
    what, (address, unsubscribe_url) = said(send), to
    message = EmailMessage(policy=_POLICY)
    message["From"] = spec.sender
    message["To"] = address
    message["Subject"] = subject_of(what)
    message["Date"] = format_datetime(local_time(now_ms, _UTC))
    message["Message-ID"] = message_id(send.send_id, spec.sender)
    if spec.reply_to:
        message["Reply-To"] = spec.reply_to
    message["Auto-Submitted"] = "auto-generated"
    message["List-Unsubscribe"] = f"<{unsubscribe_url}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(_text(what, unsubscribe_url), cte="quoted-printable")
    message.add_alternative(_html(what, unsubscribe_url), subtype="html", cte="quoted-printable")
    if what.locale:  # only now: to set contents is to take all headers of contents away
        message["Content-Language"] = what.locale.replace("_", "-")
    return message


def subject_of(what: Said) -> str:
    """The title, else the first line of the text; on one line and not endless.

    >>> subject_of(Said(body="Un thé ?\\nChez Rivoli"))
    'Un thé ?'
    """
    lines = (what.title or what.body).split("\n")
    first = next((line for line in lines if line.strip()), "")
    return " ".join("".join(c if c.isprintable() else " " for c in first).split())[
        :SUBJECT_MAX_CHARS
    ]


def message_id(send_id: str, sender: str) -> str:
    """The id that mail servers know a message by: the same at each attempt.

    >>> message_id("0a1b", "Rivoli <bonjour@rivoli.example>")
    '<0a1b@rivoli.example>'
    """
    name = send_id if _ID.match(send_id) else blake2b(send_id.encode(), digest_size=16).hexdigest()
    return f"<{name}@{parseaddr(sender)[1].rpartition('@')[2]}>"


def _text(what: Said, unsubscribe_url: str) -> str:
    words = words_of(what.locale)
    parts = [what.body]
    if what.code and what.code not in what.body:
        parts.append(f"{words.code}: {what.code}")
    if what.url and what.url not in what.body:
        parts.append(f"{_label(what, words)}: {what.url}")
    parts.append(f"--\n{words.unsubscribe}: {unsubscribe_url}")
    return "\n\n".join(parts) + "\n"


_PAGE: Final = """\
<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{subject}</title></head>
<body style="margin:0;padding:24px;font:16px/1.5 sans-serif;color:#222;background:#fff">
<div style="max-width:560px;margin:0 auto">
{parts}
</div>
</body>
</html>
"""


def _html(what: Said, unsubscribe_url: str) -> str:
    words = words_of(what.locale)
    parts = [f"<p>{_linked(what.body)}</p>"]
    if what.code:
        parts.append(
            f'<p>{escape(words.code)}:<br><strong style="font-size:24px">{escape(what.code)}'
            "</strong></p>"
        )
    if what.url:
        parts.append(
            f'<p><a href="{escape(what.url)}" style="display:inline-block;padding:12px 20px;'
            'background:#222;color:#fff;text-decoration:none;border-radius:6px">'
            f"{escape(_label(what, words))}</a></p>"
        )
    parts.append(
        f'<p style="font-size:12px;color:#666"><a href="{escape(unsubscribe_url)}" '
        f'style="color:#666">{escape(words.unsubscribe)}</a></p>'
    )
    language = what.locale.replace("_", "-") or "en"
    return _PAGE.format(
        language=escape(language), subject=escape(subject_of(what)), parts="\n".join(parts)
    )


def _label(what: Said, words: Words) -> str:
    """What the button says."""
    return str(getattr(words, what.action, words.web)) if what.action else words.web


def _linked(text: str) -> str:
    """A text as HTML, its addresses links, its lines lines."""
    parts, end = [], 0
    for found in _URL.finditer(text):
        url = escape(found[0])
        parts += [escape(text[end : found.start()]), f'<a href="{url}">{url}</a>']
        end = found.end()
    return "".join([*parts, escape(text[end:])]).replace("\n", "<br>")
