"""All routes, in one table."""

from __future__ import annotations

from typing import Any

from geoengine.service.http import wire
from geoengine.service.metrics import CONTENT_TYPE as METRICS_TYPE
from geoengine.service.routes import catalogue, operate
from geoengine.service.routes.arriving import ingest, regions, stream
from geoengine.service.routes.catalogue import GEOJSON
from geoengine.service.routes.offering.coupons import ROUTES_COUPONS
from geoengine.service.routes.offering.orders import ROUTES_ORDERS
from geoengine.service.routes.offering.staff import ROUTES_STAFF
from geoengine.service.routes.offering.wallet import ROUTES_WALLET
from geoengine.service.routes.outcomes.links import ROUTES_LINKS
from geoengine.service.routes.outcomes.reports import ROUTES_REPORTS
from geoengine.service.routes.outcomes.sending import ROUTES_SENDING
from geoengine.service.routes.persons import consents, optout, people
from geoengine.service.routes.table import APPS, HEARERS, Route
from geoengine.service.wire import consents as consent_wire

ANYBODY: frozenset[str] = frozenset()
TAKEN = frozenset({429, 503})
WRITES = frozenset({503})
PERSON = "/v1/people/{person_id}"

ROUTES_CONSENT = (
    Route(
        "GET", PERSON + "/consents", consents.get_consents,
        gives=consent_wire.ProofOut, problems=WRITES,
    ),
    Route(
        "PUT", PERSON + "/consents/{purpose}", consents.put_consent,
        takes=consent_wire.ConsentBody, gives=wire.ConsentOut, problems=WRITES | {409},
    ),
    Route(
        "DELETE", PERSON + "/consents/{purpose}", consents.delete_consent, APPS,
        gives=wire.ConsentOut, problems=WRITES,
    ),
    Route(
        "POST", PERSON + "/identify", people.post_identify,
        takes=consent_wire.IdentifyBody, gives=consent_wire.IdentifiedOut, problems=WRITES,
    ),
    Route(
        "POST", "/in/sms/inbound", optout.post_inbound,
        takes=consent_wire.SmsBody, gives=consent_wire.OptedOut, problems=WRITES,
    ),
    Route(
        "GET", "/u/{token}", optout.get_unsubscribe, ANYBODY,
        media_type=optout.HTML, problems=WRITES | {404},
    ),
    Route(
        "POST", "/u/{token}", optout.post_unsubscribe, ANYBODY,
        media_type=optout.HTML, problems=WRITES | {404},
    ),
    Route(
        "GET", "/v1/suppressions", optout.get_suppressions,
        gives=consent_wire.StopsOut, query=consent_wire.StopsQuery, problems=WRITES,
    ),
    Route(
        "POST", "/v1/suppressions", optout.post_suppressions,
        takes=consent_wire.SuppressBody, gives=consent_wire.SuppressedOut, problems=WRITES,
    ),
    Route(
        "DELETE", "/v1/suppressions", optout.delete_suppressions,
        takes=consent_wire.SuppressBody, gives=consent_wire.SuppressedOut, problems=WRITES,
    ),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (
    *ROUTES_CONSENT,
    Route("GET", "/", operate.get_root, ANYBODY, gives=wire.Welcome),
    Route("GET", "/healthz", operate.get_healthz, ANYBODY, gives=wire.Health),
    Route("GET", "/readyz", operate.get_readyz, ANYBODY, gives=wire.Health, problems=WRITES),
    Route("GET", "/metrics", operate.get_metrics, ANYBODY, media_type=METRICS_TYPE),
    Route("GET", "/openapi.json", operate.get_openapi, ANYBODY, gives=dict[str, Any]),
    Route(
        "POST", "/v1/pings", ingest.post_pings, APPS,
        takes=wire.Ping, gives=wire.Taken, is_rows=True, lines=ingest.ping_lines, problems=TAKEN,
    ),
    Route(
        "POST", "/v1/sightings", ingest.post_sightings, HEARERS,
        takes=wire.Sighting, gives=wire.Taken, is_rows=True, lines=ingest.sighting_lines,
        problems=TAKEN,
    ),
    Route(
        "GET", "/v1/stream", stream.get_stream, HEARERS,
        query=wire.StreamQuery, is_upgrade=True, problems=frozenset({426, 503}),
    ),
    Route(
        "GET", "/v1/regions", regions.get_regions, APPS,
        gives=wire.RegionsOut, query=wire.RegionsQuery, problems=WRITES,
    ),
    Route(
        "PUT", "/v1/devices/{device_id}", people.put_device, APPS,
        takes=wire.DeviceBody, gives=wire.Device, problems=WRITES,
    ),
    Route(
        "PUT", PERSON, people.put_person,
        takes=wire.PersonBody, gives=wire.PersonOut, problems=WRITES,
    ),
    Route("GET", PERSON, people.get_person, gives=wire.PersonOut, problems=WRITES),
    Route("DELETE", PERSON, people.delete_person, gives=wire.Erased, problems=WRITES),
    Route(
        "GET", PERSON + "/decisions", people.get_decisions,
        gives=wire.DecisionsOut, query=wire.Limit, problems=WRITES,
    ),
    Route("GET", "/v1/zones", catalogue.get_zones, media_type=GEOJSON, gives=dict[str, Any]),
    Route("GET", "/v1/stores", catalogue.get_stores, media_type=GEOJSON, gives=dict[str, Any]),
    Route("GET", "/v1/campaigns", catalogue.get_campaigns, gives=wire.CampaignsOut),
    Route(
        "GET", "/v1/outbox", operate.get_outbox,
        gives=wire.OutboxOut, query=wire.OutboxQuery, problems=WRITES,
    ),
    Route(
        "POST", "/v1/outbox/retry", operate.post_retry,
        takes=wire.RetryBody, gives=wire.RetryOut, problems=WRITES,
    ),
    *ROUTES_LINKS,
    *ROUTES_ORDERS,
    *ROUTES_REPORTS,
    *ROUTES_COUPONS,
    *ROUTES_SENDING,
    *ROUTES_STAFF,
    *ROUTES_WALLET,
)  # fmt: skip
