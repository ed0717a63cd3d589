"""Makes the levers that reach people, of the catalogue and the environment.

A lever whose credentials or libraries are missing is made all the same and says so (``cannot``):
its messages are refused, and whoever asks hears what to set.

Secrets come from variables of the environment that the catalogue may name. Where a provider is
reached is the operator's as well (``GEOENGINE_FCM_URL`` and the like), never the catalogue's:
whoever edits that must not be able to send our credentials elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from geoengine.core.book import Book
from geoengine.core.model import (
    ApnsSpec,
    EmailSpec,
    FcmSpec,
    GoogleWalletSpec,
    PushSpec,
    SecretFrom,
    SmsSpec,
    WalletSpec,
)
from geoengine.levers.base import Lever
from geoengine.levers.email.lever import TIMEOUT_S as EMAIL_TIMEOUT_S
from geoengine.levers.email.lever import EmailLever
from geoengine.levers.google import account_of
from geoengine.levers.push import fcm
from geoengine.levers.push.lever import APNS, FCM, PushLever, Service
from geoengine.levers.push.lever import TIMEOUT_S as PUSH_TIMEOUT_S
from geoengine.levers.secrets import CredentialError, document, secret
from geoengine.levers.sms import brevo, twilio
from geoengine.levers.sms.lever import Provider, SmsLever
from geoengine.levers.wallet import google
from geoengine.levers.wallet.google import GoogleWallet
from geoengine.levers.wallet.lever import TIMEOUT_S as WALLET_TIMEOUT_S
from geoengine.levers.wallet.lever import Pushing, WalletLever
from geoengine.service.wallet.making import press_of

Environ = Mapping[str, str]

SMS_KEYS = {"twilio": "GEOENGINE_TWILIO_TOKEN", "brevo": "GEOENGINE_BREVO_KEY"}


def push(book: Book, environ: Environ) -> Lever | None:
    """Push, by those of the two services that can be used."""
    spec = book.engine.spec.push
    return None if spec is None else push_lever(spec, environ)


def sms(book: Book, environ: Environ) -> Lever | None:
    """SMS, by the provider that the catalogue names."""
    spec = book.engine.spec.sms
    return None if spec is None else sms_lever(spec, environ)


def email(book: Book, environ: Environ) -> Lever | None:
    """E-mail, by the operator's server."""
    spec = book.engine.spec.email
    return None if spec is None else email_lever(spec, environ)


def wallet(book: Book, environ: Environ) -> Lever | None:
    """Passes, in those of the two wallets that can be used."""
    spec = book.engine.spec.wallet
    return None if spec is None else wallet_lever(spec, book, environ)


def push_lever(spec: PushSpec, environ: Environ) -> PushLever:
    """Push by those of the two services that can be used."""
    services: dict[str, Service] = {}
    missing = []
    if spec.fcm is not None:
        try:
            services[FCM] = _fcm(spec.fcm, environ)
        except (CredentialError, ImportError) as error:
            missing.append(_told(error, "push"))
    if spec.apns is not None:
        try:
            services[APNS] = _apple(spec.apns, environ)
        except (CredentialError, ImportError) as error:
            missing.append(_told(error, "push"))
    if spec.fcm is None and spec.apns is None:
        missing.append("engine.push names neither fcm nor apns")
    rates = {
        name: each.per_s
        for name, each in ((FCM, spec.fcm), (APNS, spec.apns))
        if each is not None and each.per_s is not None
    }
    return PushLever(services, "; ".join(missing), rates=rates)


def _fcm(spec: FcmSpec, environ: Environ) -> Service:
    account = account_of(document(spec.account, environ), spec.account.env)
    url = environ.get("GEOENGINE_FCM_URL") or fcm.URL
    return fcm.Fcm(account, channel=spec.channel, url=url)


def _apple(spec: ApnsSpec, environ: Environ) -> Service:
    from geoengine.levers import apns  # HTTP/2 is an extra
    from geoengine.levers.push.apple import Apple

    tokens = apns.TeamTokens(document(spec.key, environ), spec.key_id, spec.team, spec.key.env)
    url = environ.get("GEOENGINE_APNS_URL") or (apns.SANDBOX if spec.sandbox else apns.PRODUCTION)
    return Apple(spec, tokens, apns.Connection(url, PUSH_TIMEOUT_S))


def sms_lever(spec: SmsSpec, environ: Environ) -> SmsLever:
    """SMS by the provider that the catalogue names."""
    provider: Provider | None = None
    cannot = ""
    try:
        key = secret(spec.key or SecretFrom(env=SMS_KEYS[spec.provider]), environ)
        if spec.provider == "twilio":
            provider = twilio.Twilio(
                spec, key, url=environ.get("GEOENGINE_TWILIO_URL") or twilio.URL
            )
        else:
            provider = brevo.Brevo(spec, key, url=environ.get("GEOENGINE_BREVO_URL") or brevo.URL)
    except CredentialError as error:
        cannot = str(error)
    return SmsLever(spec, provider, cannot=cannot)


def email_lever(spec: EmailSpec, environ: Environ) -> Lever:
    """E-mail by the operator's server."""
    try:
        from geoengine.levers.email.server import Server  # SMTP is an extra

        password = secret(spec.password, environ) if spec.user else ""
        return EmailLever(spec, Server(spec, password, timeout_s=EMAIL_TIMEOUT_S))
    except (CredentialError, ImportError) as error:
        return EmailLever(spec, None, cannot=_told(error, "email"))


def wallet_lever(spec: WalletSpec, book: Book, environ: Environ) -> WalletLever:
    """Passes in those of the two wallets that can be used."""
    apple = google = None
    missing = []
    if spec.apple is not None:
        try:
            apple = _passes(book, environ)
        except (CredentialError, ImportError) as error:
            missing.append(_told(error, "push"))
    if spec.google is not None:
        try:
            google = google_wallet(spec.google, environ)
        except CredentialError as error:
            missing.append(str(error))
    if spec.apple is None and spec.google is None:
        missing.append("engine.wallet names neither apple nor google")
    pass_type = "" if spec.apple is None else spec.apple.pass_type
    return WalletLever(apple, pass_type, google, cannot="; ".join(missing))


def _passes(book: Book, environ: Environ) -> Pushing | None:
    """The connection by which phones are told of new passes; a pass's certificate opens it."""
    from geoengine.levers import apns  # HTTP/2 is an extra

    press = press_of(book, environ)
    if press is None:
        return None
    trust = environ.get("GEOENGINE_PASS_PUSH_CA", "")
    tls = press.signer.tls(Path(trust) if trust else None)
    url = environ.get("GEOENGINE_PASS_PUSH_URL") or apns.PRODUCTION
    return apns.Connection(url, WALLET_TIMEOUT_S, tls=tls)


def google_wallet(spec: GoogleWalletSpec, environ: Environ) -> GoogleWallet:
    """Google's objects, by the operator's service account. Raises `CredentialError`."""
    account = account_of(document(spec.account, environ), spec.account.env)
    url = environ.get("GEOENGINE_GOOGLE_WALLET_URL") or google.URL
    return GoogleWallet(spec, account, url=url)


def _told(error: Exception, extra: str) -> str:
    """What is missing, as an operator reads it."""
    if isinstance(error, ImportError):
        return f"{error.name or error} is not installed: pip install 'geoengine[{extra}]'"
    return str(error)
