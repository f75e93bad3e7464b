"""A WebSocket server that echoes, and clients that talk to it.

websocket.py serve IP       prints "IP:PORT" and serves; "close" makes it end the connection
websocket.py talk CASE URL  runs one of the cases below; prints "fine", or fails
"""

import asyncio
import os
import sys

import websockets

MIB = 1 << 20


async def echo(connection, path=None):
    async for message in connection:
        if message == "close":
            return await connection.close(4001, "as you wish")
        await connection.send(message)


async def serve(ip):
    async with websockets.serve(echo, ip, 0, max_size=4 * MIB, subprotocols=["chat"]) as server:
        print("%s:%d" % server.sockets[0].getsockname()[:2], flush=True)
        await asyncio.Future()


def connect(url, **options):
    return websockets.connect(url, max_size=4 * MIB, open_timeout=20, **options)


async def echoes(url):
    async with connect(url, subprotocols=["other", "chat"]) as connection:
        assert connection.subprotocol == "chat"
        for i in range(100):
            await connection.send(f"message {i} é")
            assert await connection.recv() == f"message {i} é"


async def pings(url):
    async with connect(url) as connection:
        for _ in range(10):
            pong = await connection.ping()
            await asyncio.wait_for(pong, 20)


async def closes(url):
    connection = await connect(url)
    await connection.send("last")
    await connection.close(1000, "done")
    assert connection.close_code == 1000, connection.close_code


async def is_closed(url):
    async with connect(url) as connection:
        await connection.send("close")
        try:
            await asyncio.wait_for(connection.recv(), 20)
            raise AssertionError("the connection goes on")
        except websockets.ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "as you wish"), closed


# Bytes that do not compress, several messages on their way at once in both directions.
async def is_long(url):
    messages = [os.urandom(MIB) for _ in range(4)]
    async with connect(url, compression=None) as connection:

        async def send():
            for message in messages:
                await connection.send(message)

        sending = asyncio.ensure_future(send())
        for message in messages:
            assert await asyncio.wait_for(connection.recv(), 25) == message
        await sending


async def is_many(url):
    async def talk(number):
        async with connect(url) as connection:
            for i in range(10):
                await connection.send(f"{number} {i}")
                assert await connection.recv() == f"{number} {i}"

    await asyncio.gather(*(talk(number) for number in range(40)))


if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[2]))
else:
    asyncio.run(globals()[sys.argv[2]](sys.argv[3]))
    print("fine")
