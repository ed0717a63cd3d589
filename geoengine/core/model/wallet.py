"""Passes in people's wallets."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from geoengine.core.model.words import Id, SecretFrom, Spec

Colour = Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{6}$", description="For example #1a3c5e.")]


class AppleWalletSpec(Spec, frozen=True, kw_only=True):
    """Apple Wallet: passes that we sign and serve."""

    pass_type: Annotated[
        str,
        Meta(pattern=r"^pass\.[A-Za-z0-9.-]{1,150}$", description="Its id: pass.com.example.club."),
    ]
    team: Annotated[str, Meta(pattern="^[A-Z0-9]{10}$", description="Apple's id of the team.")]
    certificate: Annotated[
        SecretFrom, Meta(description="The pass type's certificate: PEM, or the path of its file.")
    ] = SecretFrom(env="GEOENGINE_PASS_CERTIFICATE")
    key: Annotated[
        SecretFrom, Meta(description="The certificate's key: PEM, or the path of its file.")
    ] = SecretFrom(env="GEOENGINE_PASS_KEY")
    intermediate: Annotated[
        SecretFrom, Meta(description="Apple's WWDR G4 certificate: PEM, or the path of its file.")
    ] = SecretFrom(env="GEOENGINE_PASS_WWDR")
    images: (
        Annotated[str, Meta(description="A folder with icon.png, logo.png, strip.png and so on.")]
        | None
    ) = None


class GoogleWalletSpec(Spec, frozen=True, kw_only=True):
    """Google Wallet: objects that Google keeps."""

    issuer: Annotated[str, Meta(pattern="^[0-9]{1,32}$", description="Google's id of the issuer.")]
    class_id: Annotated[Id, Meta(description="The class's name after the issuer's id.")] = "club"
    kind: Literal["loyalty", "offer"] = "loyalty"
    account: Annotated[
        SecretFrom, Meta(description="The service account: its JSON, or the path of its file.")
    ] = SecretFrom(env="GEOENGINE_GOOGLE_WALLET_ACCOUNT")


class WalletSpec(Spec, frozen=True, kw_only=True):
    """Whose passes these are, and what they look like."""

    organization: Annotated[str, Meta(min_length=1, max_length=64, description="Whose they are.")]
    description: Annotated[
        str, Meta(min_length=1, max_length=128, description="What is read aloud of a pass.")
    ]
    colour: Colour = "#1a3c5e"
    text_colour: Colour = "#ffffff"
    apple: AppleWalletSpec | None = None
    google: GoogleWalletSpec | None = None
