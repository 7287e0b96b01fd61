import asyncio
import os

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

ends = asyncio.Queue()  # of connections


async def echo(socket):
    try:
        while True:
            message = await socket.recv()
            if message == "ping me":
                await (await socket.ping(b"are you there?"))
                message = "you are there"
            elif message == "close":
                await socket.close(4001, "that was enough")
            elif message == "end":
                message = await ends.get()
            await socket.send(message)
    except ConnectionClosed as end:
        ends.put_nowait(f"{end.rcvd.code} {end.rcvd.reason}" if end.rcvd else "torn")


async def main():
    async with serve(echo, "127.0.0.1", int(os.environ["PORT"]), max_size=4 << 20):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
