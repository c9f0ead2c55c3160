"""The routes of jobs: submit, look, follow, cancel, see."""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from genai_fill_contract.errors import MissingFrames
from genai_fill_contract.fill import FillRequest
from genai_fill_contract.hello import JobList
from genai_fill_contract.job import Job
from genai_fill_contract.plate import path_at
from genai_fill_contract.take import Take
from genai_fill_server.http.event_stream import EventStreams
from genai_fill_server.http.messages import json_response, read_message, whole_number
from genai_fill_server.service.cancel_job import CancelJob
from genai_fill_server.service.job_ports import JobStore, ThumbnailMaker, ThumbnailRequest
from genai_fill_server.service.live_previews import LivePreviews
from genai_fill_server.service.submit_job import SubmitJob

_MAX_LISTED = 1000
_THUMBNAILS_AT_ONCE = 2
_MAX_WIDTH_PX = 2048
_MAX_FRAME = 2**31
_MAX_EVENT_ID = 2**62
_CREATED = 201
# A finished frame never changes: the panel need not ask twice.
_NOT_FINAL = {"Cache-Control": "no-store"}
_FOREVER = {"Cache-Control": "private, max-age=86400, immutable"}


class JobRoutes:
    """The handlers. Blocking work runs in the thread pool, never on the event loop."""

    def __init__(
        self,
        store: JobStore,
        submit: SubmitJob,
        cancel: CancelJob,
        thumbnails: ThumbnailMaker,
        streams: EventStreams,
        previews: LivePreviews,
    ) -> None:
        """Answer with what the verbs return."""
        self._store = store
        self._submit = submit
        self._cancel = cancel
        self._thumbnails = thumbnails
        self._streams = streams
        self._previews = previews
        # A panel asks for many at once; they must not take every thread from the others.
        self._at_once = CapacityLimiter(_THUMBNAILS_AT_ONCE)

    async def submit(self, request: Request) -> Response:
        """Queue a fill: 201 with the job, or 200 when its key has one already."""
        fill = await read_message(request, FillRequest)
        key = request.headers.get("idempotency-key", "")
        result = await run_in_threadpool(self._submit.submit, fill, key)
        return json_response(result.job, status=_CREATED if result.is_new else 200)

    async def recent(self, request: Request) -> Response:
        """List jobs, newest first."""
        text = request.query_params.get("limit", "50")
        limit = whole_number("limit", text, low=1, high=_MAX_LISTED)
        return json_response(JobList(await run_in_threadpool(self._store.recent, limit)))

    async def get(self, job_id: str) -> Response:
        """Return one job."""
        return json_response(await run_in_threadpool(self._store.get, job_id))

    async def cancel(self, job_id: str) -> Response:
        """Cancel one job."""
        return json_response(await run_in_threadpool(self._cancel.cancel, job_id))

    async def events(self, job_id: str, request: Request) -> Response:
        """Stream a job's events after ``Last-Event-ID`` or ``?after=``."""
        text = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        after = whole_number("The last event id", text, low=0, high=_MAX_EVENT_ID)
        await run_in_threadpool(self._store.get, job_id)  # an unknown id is a 404, not a stream
        return StreamingResponse(
            self._streams.follow(job_id, after),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    async def thumbnail(self, job_id: str, index: str, request: Request) -> Response:
        """Return a PNG of one finished frame, by default the first one.

        While a take has none, the newest preview of what is being made, if there is one.
        """
        query = request.query_params
        width = whole_number("width", query.get("width", "320"), low=16, high=_MAX_WIDTH_PX)
        job = await run_in_threadpool(self._store.get, job_id)
        take_index = whole_number("The take", index, low=0, high=len(job.takes) - 1)
        take = job.takes[take_index]
        preview = None if take.frames_done else self._previews.newest(job.id, take_index)
        if preview is not None:
            return Response(preview, media_type="image/png", headers=_NOT_FINAL)
        if "frame" in query:
            frame = whole_number("frame", query["frame"], low=-_MAX_FRAME, high=_MAX_FRAME)
        else:
            frame = take.frames_done[0] if take.frames_done else take.frame_range.first
        wanted = _thumbnail_of(job, take, frame, width)
        png = await to_thread.run_sync(self._thumbnails.png, wanted, limiter=self._at_once)
        return Response(png, media_type="image/png", headers=_FOREVER)


def job_routes(
    store: JobStore,
    submit: SubmitJob,
    cancel: CancelJob,
    thumbnails: ThumbnailMaker,
    streams: EventStreams,
    previews: LivePreviews,
) -> APIRouter:
    """Return the routes."""
    routes = JobRoutes(store, submit, cancel, thumbnails, streams, previews)
    router = APIRouter(prefix="/v1/jobs")
    for path, handler, method in (
        ("", routes.submit, "POST"),
        ("", routes.recent, "GET"),
        ("/{job_id}", routes.get, "GET"),
        ("/{job_id}/cancel", routes.cancel, "POST"),
        ("/{job_id}/events", routes.events, "GET"),
        ("/{job_id}/takes/{index}/thumbnail.png", routes.thumbnail, "GET"),
    ):
        router.add_api_route(path, handler, methods=[method], response_model=None)
    return router


def _thumbnail_of(job: Job, take: Take, frame: int, width_px: int) -> ThumbnailRequest:
    if frame not in take.frames_done:
        raise MissingFrames(
            f"Frame {frame} of take {take.index} of job {job.id} is not finished.",
            hint="Wait for its frame event.",
            frame=frame,
        )
    path = path_at(take.path_pattern, frame)
    return ThumbnailRequest(path, frame, width_px, job.request.colour)
