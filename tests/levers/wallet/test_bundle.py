"""Passes as files: what is on them, and that others believe the signature."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from geoengine.core.model import AppleWalletSpec, WalletSpec
from geoengine.levers.secrets import CredentialError
from geoengine.levers.wallet import face
from geoengine.levers.wallet.bundle import Names, Signer, bundle
from geoengine.levers.wallet.face import Issue, Place, Said, Signal, pass_json
from geoengine.levers.wallet.images import ImageError, disc, images_in
from tests.levers.wallet.authority import PASS_TYPE, Authority, authority

SPEC = WalletSpec(
    organization="Maison Rivoli",
    description="The club's card",
    apple=AppleWalletSpec(pass_type=PASS_TYPE, team="TEAM123456"),
)
ISSUE = Issue("0f" * 16, "a" * 64, "https://geo.example.com/in/wallet")
NAMES = Names("CERTIFICATE", "KEY", "WWDR")
SHOPS = [Place(f"Shop {nth}", 48.0 + nth, 2.0, reach_m=300.0) for nth in range(12)]


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(Path(tmp_path_factory.mktemp("passes")))


def signer(files: Authority) -> Signer:
    texts = (path.read_text() for path in (files.certificate, files.key, files.intermediate))
    return Signer(*texts, NAMES)


def opened(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on the PATH")
@pytest.mark.parametrize("is_spoiled", [False, True])
def test_a_pass_verifies_with_openssl(trusted: Authority, tmp_path: Path, is_spoiled: bool) -> None:
    told = pass_json(SPEC, ISSUE, Said("Hello", "Five minutes away.", "K7QW"), SHOPS, [])
    files = opened(bundle(told, images_in(None, (1, 2, 3)), signer(trusted)))
    manifest = files["manifest.json"] + (b" " if is_spoiled else b"")
    (tmp_path / "manifest.json").write_bytes(manifest)
    (tmp_path / "signature").write_bytes(files["signature"])
    verified = subprocess.run(
        [
            "openssl", "smime", "-verify", "-binary", "-inform", "DER", "-purpose", "any",
            "-in", "signature", "-content", "manifest.json", "-CAfile", str(trusted.root),
        ],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert (verified.returncode == 0) is not is_spoiled, verified.stderr
    if not is_spoiled:
        assert verified.stdout == files["manifest.json"]


def test_the_manifest_names_every_file_by_its_digest(trusted: Authority) -> None:
    files = opened(
        bundle({"formatVersion": 1}, {"icon.png": b"1", "logo.png": b"2"}, signer(trusted))
    )
    digests = json.loads(files["manifest.json"])
    assert digests.keys() == files.keys() - {"manifest.json", "signature"}
    assert all(hashlib.sha1(files[name]).hexdigest() == one for name, one in digests.items())


def test_the_signature_tells_when_it_was_made(trusted: Authority) -> None:
    signing_time = bytes.fromhex("06092a864886f70d010905")  # OID 1.2.840.113549.1.9.5
    assert signing_time in opened(bundle({}, {}, signer(trusted)))["signature"]


def test_a_pass_shows_itself_at_ten_places_and_ten_beacons_at_most() -> None:
    signals = [Signal("F7826DA6-4FA2-4E98-8024-BC5B71E0893E", 1, nth) for nth in range(12)]
    told = pass_json(SPEC, ISSUE, Said(), SHOPS, signals)
    assert [place["relevantText"] for place in told["locations"]] == [
        f"Shop {nth}" for nth in range(10)
    ]
    assert len(told["beacons"]) == 10 and told["maxDistance"] == 300


def test_a_wide_reach_leaves_the_distance_to_apple() -> None:
    far = Place("Far", 48.0, 2.0, reach_m=face.DISTANCE_MAX_M)
    assert "maxDistance" not in pass_json(SPEC, ISSUE, Said(), [far], [])


def test_what_is_said_is_shown_when_it_changes_and_its_code_can_be_scanned() -> None:
    told = pass_json(SPEC, ISSUE, Said("Hello", "Ten off", "K7QW", 1_795_000_000_000), SHOPS, [])
    assert told["storeCard"]["backFields"][0] == {
        "key": "message", "label": "", "value": "Ten off", "changeMessage": "%@",
    }  # fmt: skip
    assert told["barcodes"][0]["message"] == told["barcodes"][0]["altText"] == "K7QW"
    assert told["storeCard"]["secondaryFields"][0]["value"].startswith("2026-11-")
    assert len(told["authenticationToken"]) >= 16


def test_a_pass_is_worth_showing_while_its_code_counts() -> None:
    said = Said("Hello", "", "K7QW", 1_795_000_000_000, 1_794_990_000_000)
    assert pass_json(SPEC, ISSUE, said, [], [])["relevantDates"] == [
        {"startDate": "2026-11-18T08:20:00.000Z", "endDate": "2026-11-18T11:06:40.000Z"}
    ]
    for other in (Said("Hello"), Said("Hello", "", "K7QW", 1_000, 2_000)):
        assert "relevantDates" not in pass_json(SPEC, ISSUE, other, [], [])


def test_a_void_pass_says_so_and_nothing_else() -> None:
    void = Issue("1", "a" * 16, "https://x.example", is_void=True)
    told = pass_json(SPEC, void, Said("Hello", "", "K7QW"), SHOPS, [])
    assert told["voided"] is True and not {"barcodes", "locations"} & told.keys()


def test_where_there_is_no_icon_one_is_drawn() -> None:
    found = images_in(None, (26, 60, 94))
    assert found.keys() == {"icon.png", "icon@2x.png", "icon@3x.png"}
    assert found["icon@2x.png"] == disc(58, (26, 60, 94))
    assert found["icon.png"][16:24] == (29).to_bytes(4, "big") * 2  # width and height


def test_the_operators_images_are_taken_and_nothing_else_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "icon.png").write_bytes(disc(29, (0, 0, 0)))
    (tmp_path / "notes.txt").write_text("no image")
    assert images_in(tmp_path, (1, 1, 1)).keys() == {"icon.png"}
    (tmp_path / "logo.png").write_bytes(b"GIF89a")
    with pytest.raises(ImageError, match=r"logo\.png is no PNG"):
        images_in(tmp_path, (1, 1, 1))
    with pytest.raises(ImageError, match="is no folder"):
        images_in(tmp_path / "nowhere", (1, 1, 1))


def test_credentials_that_do_not_fit_are_named(trusted: Authority, tmp_path: Path) -> None:
    certificate, key, wwdr = (
        path.read_text() for path in (trusted.certificate, trusted.key, trusted.intermediate)
    )
    for texts, why in (
        (("no PEM", key, wwdr), "CERTIFICATE is no certificate"),
        ((certificate, "no PEM", wwdr), "KEY is no key"),
        ((certificate, key, "no PEM"), "WWDR is no certificate"),
        ((wwdr, key, wwdr), "KEY is not the key of CERTIFICATE"),
    ):
        with pytest.raises(CredentialError, match=why):
            Signer(*texts, NAMES)
    assert signer(trusted).pass_type == PASS_TYPE
