"""The session of session.mjs with Python's websockets, which fragments and pings by hand as well.

Usage: python3 websockets_client.py ws://host:port; prints what it saw as JSON.
"""
import asyncio
import json
import sys

import websockets


async def session(url):
    seen = {}
    client = await websockets.connect(url + "/echo")
    seen["isCompressed"] = [extension.name for extension in client.extensions] == ["permessage-deflate"]

    async def echo(data):
        await client.send(data)
        return await client.recv()

    seen["text"] = await echo("Hello-µ@ßöäüàá-UTF-8!! 🐓")
    seen["empty"] = await echo("")
    seen["binary"] = list(await echo(bytes([0, 255, 254, 128])))
    long = "x" * 60_000
    seen["long"] = await echo(long) == long
    for count in range(500):
        await client.send(f"message {count}")
    seen["inOrder"] = [await client.recv() for _ in range(500)] == [f"message {count}" for count in range(500)]
    # A list is sent as one message in fragments.
    seen["fragments"] = await echo(["in ", "", "three ", "fragments"])
    await asyncio.wait_for(await client.ping(b"a ping"), 10)
    seen["ping"] = True
    await client.close(4321, "bye, ✓")
    seen["closedByUs"] = {"code": client.close_code, "reason": client.close_reason, "wasClean": True}

    reader = await websockets.connect(url + "/news?channel=real")
    writer = await websockets.connect(url + "/news?channel=other")
    await writer.send("real published")
    seen["publication"] = await reader.recv()
    await writer.close()
    seen["closedWithoutCode"] = True

    large = await websockets.connect(url + "/echo")
    await large.send("x" * 65_537)
    try:
        await large.recv()
    except websockets.ConnectionClosed as closed:
        seen["tooLarge"] = closed.code

    try:
        await websockets.connect(url + "/nobody")
        seen["refused"] = False
    except websockets.InvalidStatusCode:
        seen["refused"] = True
    await reader.close()
    return seen


print(json.dumps(asyncio.run(session(sys.argv[1]))))
