"""Trying a lever out on one person."""

from __future__ import annotations

from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.routes.table import Route
from geoengine.service.sending.trials import Asked
from geoengine.service.wire.sending import CheckOut, TrialBody, TrialOut


async def post_send_test(context: Context, call: Call) -> TrialOut:
    """Send one marked test message, if everything that a trigger is asked lets it."""
    if context.trials is None:
        raise Problem("stopping")
    body = call.read(TrialBody)
    asked = Asked(body.person_id, body.lever, body.message, body.endpoint)
    trial = await context.trials.by_outbox(asked)
    checks = [CheckOut(check.what, check.why_not) for check in trial.checks]
    return TrialOut(trial.send_id, checks, trial.status, trial.reason)


ROUTES_SENDING: tuple[Route, ...] = (
    Route(
        "POST", "/v1/send-tests", post_send_test,
        takes=TrialBody, gives=TrialOut, problems=frozenset({503}),
    ),
)  # fmt: skip
