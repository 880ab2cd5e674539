"""Somebody else's chat endpoint, as bad as told: a real HTTP server in a process of its own.

A passage may hold one directive, such as `<<status=429 times=2 retry_after=1>>`. It rules the first `times` calls
of that chat (all of them without `times`); then comes a plain answer. `GET /log` tells every call: header, body,
answered or not. `POST /reset?seconds=N` forgets all; answers then take N seconds. The server prints its address, and
ends when stdin closes.
"""

import asyncio
import hashlib
import json
import re
import sys
from collections import Counter
from email.utils import formatdate
from time import time
from typing import Any

from aiohttp import web

TAKES = {"seconds": 0.0}
CALLS: list[dict[str, Any]] = []
SEEN: Counter[str] = Counter()
IN_FLIGHT = {"now": 0, "most": 0}


def directive(chat: str) -> dict[str, str]:
    """The words between << and >>: name=value, or a name alone."""
    found = re.search(r"<<(.*?)>>", chat)
    words = [word.partition("=") for word in found[1].split()] if found else []
    return {name: value for name, _, value in words}


def answer_to(body: dict[str, Any]) -> str:
    """An answer that follows from the request alone and passes the recipes' checks."""
    asked = body["messages"][-1]["content"]
    words = re.findall(r"[A-Za-z]{3,}", asked.partition("Text:\n")[2].partition("\n\nWrite up")[0] or asked)
    start = int(hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest(), 16) % 5
    if "questions" in asked:
        return f"Q: What is said about {' '.join(words[start : start + 4])}?\nA: It is {' '.join(words[9:16])}."
    return "It is known that " + " and the ".join(words[start : start + 60 : 3]) + "."


async def complete(request: web.Request) -> web.StreamResponse:
    """POST /v1/chat/completions"""
    IN_FLIGHT["now"] += 1
    IN_FLIGHT["most"] = max(IN_FLIGHT.values())
    try:
        return await respond(request)
    finally:
        IN_FLIGHT["now"] -= 1


async def respond(request: web.Request) -> web.StreamResponse:
    """The answer, or what the directive asks for instead."""
    body = await request.json()
    chat = json.dumps(body, sort_keys=True)
    call = {"key": hashlib.sha256(chat.encode()).hexdigest(), "at": time(), "answered": False}
    call |= {"authorization": request.headers.get("Authorization"), "body": body}
    CALLS.append(call)
    told = directive(chat)
    SEEN[chat] += 1
    if told and SEEN[chat] <= int(told.get("times", 1 << 30)):
        return await misbehave(request, told)
    await asyncio.sleep(TAKES["seconds"])
    call["answered"] = True
    return web.json_response(completion(answer_to(body)))


def completion(text: str | None, finish_reason: str = "stop") -> dict[str, Any]:
    """The body of a good response."""
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}
    return {"object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}


async def misbehave(request: web.Request, told: dict[str, str]) -> web.StreamResponse:
    """What the directive asks for."""
    if "never" in told:
        await asyncio.sleep(60)
    if "drop" in told:
        assert request.transport is not None
        request.transport.close()
    if "status" in told:
        headers = {"Retry-After": told["retry_after"]} if "retry_after" in told else {}
        if "retry_date" in told:
            headers["Retry-After"] = formatdate(time() + float(told["retry_date"]), usegmt=True)
        text = f"refused {request.headers.get('Authorization')}"
        return web.json_response({"error": {"message": text}}, status=int(told["status"]), headers=headers)
    if "half" in told:
        return web.Response(text=json.dumps(completion("so"))[:-9], content_type="application/json")
    if "html" in told:
        return web.Response(text="<html>gateway</html>", content_type="text/html")
    if "empty" in told:
        return web.json_response({**completion("x"), "choices": []})
    if "null" in told:
        return web.json_response(completion(None))
    if "surrogate" in told:
        return web.Response(text=json.dumps(completion("\ud800")), content_type="application/json")
    reason = "length" if "length" in told else "content_filter" if "filter" in told else "stop"
    return web.json_response(completion("Cut in the middle of" if reason == "length" else None, reason))


async def log(_: web.Request) -> web.Response:
    """GET /log"""
    return web.json_response({"calls": CALLS, "most_in_flight": IN_FLIGHT["most"]})


async def reset(request: web.Request) -> web.Response:
    """POST /reset"""
    CALLS.clear()
    SEEN.clear()
    IN_FLIGHT["most"] = 0
    TAKES["seconds"] = float(request.query["seconds"])
    return web.Response()


async def main() -> None:
    """Serve on a free port until stdin closes."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/log", log)
    app.router.add_post("/reset", reset)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


asyncio.run(main())
